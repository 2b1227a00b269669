"""The time from the command to the first rows and to the first key that is answered, beside a bare Textual app.

A key is pressed before the program reads, as experienced people do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from tests.bench.commands import TOKEN
from tests.bench.stalls import FIRST_SECONDS, LONG_MILLISECONDS
from tests.bench.stock_app import ANSWER, READY
from tests.bench.stock_listing import COMPLETE
from tests.bench.table import Pairs, Row
from tests.bench.terminal import RUNTUI, STOCK, Stopwatch
from tests.terminal.sandbox_process import sandbox_process

RUNS = 240
ROW_OF_A_RUN = r"[✗■] (failed|quarantined) "
ROW_UNDER_CURSOR = b"\x1b[7m"
VIEW = "x", r"─ Problems "
HELP = "?", r"─ Help "
FILTER = "/", r"tab complete"
"""A key, and what it shows: the first two before Textual's screen is there, the box for a filter only on that."""

PASS = "python -c pass"
BARE = "bare Textual app"
STALLS = (sys.executable, "-m", "tests.bench.stalls")

Command = Sequence[str]
Env = Mapping[str, str]


def all_runs(runs: int) -> str:
    """Return what the list shows when it is complete."""
    return f"{runs} runs.*as of"


@contextmanager
def with_stored_rows(runs: int = RUNS) -> Iterator[tuple[Command, Env]]:
    """Yield the command of a second session on a server, and its environment; its store has the server's runs."""
    with sandbox_process(runs=runs) as sandbox, TemporaryDirectory() as state:
        command, env = (*RUNTUI, "--root", sandbox.root), {"RUNTUI_STATE": state, "RUNTUI_TOKEN": TOKEN}
        with Stopwatch(command, env=env) as terminal:
            terminal.wait_for(all_runs(runs))
            terminal.wait_until_quiet(1.0)
            terminal.press("q")
            terminal.wait_for_exit()
        yield command, env


def until(pattern: str, command: Command, env: Env, *keys: str) -> float:
    """Return the milliseconds from the start to a pattern on the screen, with keys typed ahead."""
    with Stopwatch(command, env=env) as terminal:
        terminal.press(*keys)
        return terminal.milliseconds_until(pattern)


def wall_of_pass() -> float:
    """Return the milliseconds from the start to the end of `python -c pass`, on a terminal too."""
    with Stopwatch((sys.executable, "-c", "pass")) as terminal:
        terminal.wait_for_exit()
        return (perf_counter() - terminal.started) * 1000


def stored_rows() -> Pairs:
    with with_stored_rows() as (command, env):
        while True:
            yield until(ROW_OF_A_RUN, command, env), wall_of_pass()


def stored_key(key: str, pattern: str) -> Callable[[], Pairs]:
    """Measure a key pressed on the rows of the store."""

    def pairs() -> Pairs:
        with with_stored_rows() as (command, env):
            while True:
                yield until(pattern, command, env, key), bare_first_key()

    return pairs


def stored_first_move() -> Pairs:
    """Measure a cursor key, which is answered on the rows of the store before Textual's screen is there."""
    with with_stored_rows() as (command, env):
        while True:
            with Stopwatch(command, env=env) as terminal:
                terminal.press("down")
                terminal.wait_for_output(ROW_UNDER_CURSOR)
                moved = terminal.milliseconds_until(ROW_OF_A_RUN)
            yield moved, bare_first_key()


def bare_first_key() -> float:
    return until(ANSWER, (*STOCK, "static"), {}, "?")


def bare_first_paint() -> float:
    return until(READY, (*STOCK, "static"), {})


def demo_rows() -> Pairs:
    while True:
        yield until(ROW_OF_A_RUN, (*RUNTUI, "demo"), {}), bare_first_paint()


def demo_key(key: str, pattern: str) -> Callable[[], Pairs]:
    """Measure a key pressed before the demo has rows."""

    def pairs() -> Pairs:
        while True:
            yield until(pattern, (*RUNTUI, "demo"), {}, key), bare_first_key()

    return pairs


def stalls() -> Pairs:
    """Measure the longest callback of the event loop (nothing else runs meanwhile); print all that are too long."""
    with with_stored_rows() as (command, env), TemporaryDirectory() as folder:
        for number in count():
            found = Path(folder, str(number))
            found.touch()
            watched = (*STALLS, str(found), *command[len(RUNTUI) :])
            with Stopwatch(watched, env=env) as terminal:
                terminal.wait_for(all_runs(RUNS))
                terminal.wait_until_quiet(FIRST_SECONDS)
            lines = found.read_text().splitlines()
            for line in lines:
                print(f"  a stall of {line.replace(' ', ' ms: ', 1)}", file=sys.stderr)
            yield max((float(line.split()[0]) for line in lines), default=0.0), LONG_MILLISECONDS


def of_the_start(figure: Callable[[Stopwatch], float], *, lists: bool = False) -> Callable[[], Pairs]:
    """Measure the cost of the start, when the list is complete and nothing is drawn, beside a bare app or one that
    `lists` the same runs."""

    def pairs() -> Pairs:
        with with_stored_rows() as (command, env):
            listing = sys.executable, "-m", "tests.bench.stock_listing", command[-1]
            stock, sign = (listing, f"{COMPLETE} {RUNS}") if lists else ((*STOCK, "static"), READY)
            while True:
                with Stopwatch(command, env=env) as ours, Stopwatch(stock, env=env) as reference:
                    ours.wait_for(all_runs(RUNS))
                    reference.wait_for(sign)
                    ours.wait_until_quiet(2.0)
                    reference.wait_until_quiet(0.1)
                    yield figure(ours), figure(reference)

    return pairs


CPU, PEAK = attrgetter("cpu_milliseconds"), attrgetter("peak_mebibytes")

ROWS = (
    Row("list in the store: rows on the screen", "ms wall", PASS, 3, stored_rows, rounds=9),
    Row("list in the store: first cursor key answered", "ms wall", BARE, 1.2, stored_first_move, rounds=9),
    Row("list in the store: view shown", "ms wall", BARE, 1.2, stored_key(*VIEW), rounds=9),
    Row("list in the store: help opened", "ms wall", BARE, 1.2, stored_key(*HELP), rounds=9),
    Row("list in the store: first other key answered", "ms wall", BARE, 1.2, stored_key(*FILTER), rounds=9),
    Row("demo: rows on the screen", "ms wall", BARE, 1.2, demo_rows, rounds=9),
    Row("demo: view shown", "ms wall", BARE, 1.2, demo_key(*VIEW), rounds=9),
    Row("demo: help opened", "ms wall", BARE, 1.6, demo_key(*HELP), rounds=9),
    Row("demo: first other key answered", "ms wall", BARE, 1.6, demo_key(*FILTER), rounds=9),
    Row("longest stall of the loop in the first 3 s", "ms", "the longest that is short", 1, stalls, rounds=3),
    Row("CPU of the whole start", "ms", BARE, 2, of_the_start(CPU)),
    Row("CPU of the whole start", "ms", "DataTable that lists them by httpx", 1, of_the_start(CPU, lists=True)),
    Row(f"peak memory with {RUNS} runs", "MiB", BARE, 1.6, of_the_start(PEAK)),
)
