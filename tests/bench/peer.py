"""The list of the runs of a server, beside visidata with the same runs in a CSV file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.commands import run
from tests.bench.start import PEAK, ROW_OF_A_RUN, RUNS, Command, Env, all_runs, until, with_stored_rows
from tests.bench.table import Pairs, Row
from tests.bench.terminal import RUNTUI, Stopwatch

MANY = 100_000
VISIDATA = "visidata with the same runs"
MATCH = "quarantined"
"""A status that few runs have: no other text of a run has this word."""


@contextmanager
def with_both(runs: int) -> Iterator[tuple[Command, Env, Command]]:
    """Yield the command and the environment of a session on a server, and the command of visidata with its runs."""
    with with_stored_rows(runs) as (command, env), TemporaryDirectory() as folder:
        csv = Path(folder, "runs.csv")
        csv.write_bytes(run((*RUNTUI, "list", *command[len(RUNTUI) :], "--format", "csv"), env))
        # Without a start-up file, and without the message of the day, which comes from the network.
        yield command, env, (sys.executable, "-m", "visidata", "--nothing", "--motd-url=", str(csv))


def all_rows(runs: int) -> str:
    """Return what visidata shows when its list is complete."""
    return rf"\b{runs} rows"


def rows() -> Pairs:
    with with_both(RUNS) as (command, env, visidata):
        while True:
            yield until(ROW_OF_A_RUN, command, env), until(all_rows(RUNS), visidata, {})


def complete(runs: int) -> Iterator[tuple[Stopwatch, Stopwatch]]:
    """Open both, again and again; yield their terminals when both lists are complete and nothing is drawn."""
    with with_both(runs) as (command, env, visidata):
        while True:
            with Stopwatch(command, env=env) as ours, Stopwatch(visidata) as theirs:
                ours.wait_for(all_runs(runs))
                theirs.wait_for(all_rows(runs))
                ours.wait_until_quiet(2.0)
                theirs.wait_until_quiet(0.1)
                yield ours, theirs


def peak() -> Pairs:
    for ours, theirs in complete(RUNS):
        yield PEAK(ours), PEAK(theirs)


def filtered() -> Pairs:
    """Measure the wall time from the first key of a filter to the number of runs that match it."""
    for ours, theirs in complete(MANY):
        matches = ours.milliseconds_to(rf"[1-9][\d,]* of {MANY}", "/", *MATCH)
        ours.press("esc")
        yield matches, theirs.milliseconds_to(r"selected [1-9]\d* rows", "g", "|", *MATCH, "enter")


ROWS = (
    Row("list in the store: rows on the screen", "ms wall", VISIDATA, 0.2, rows, rounds=9),
    Row(f"peak memory with {RUNS} runs", "MiB", VISIDATA, 2, peak, rounds=3),
    Row(f"filter typed at {MANY:,} runs: matches counted", "ms wall", VISIDATA, 0.1, filtered, rounds=3),
)
