"""Rules for the whole run: no test leaves a secret in a file, ctrl+c ends the run, no test needs a fast machine."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import pytest
import textual.app  # noqa: F401 - whole, for the apps of tests: runtui would load it without some of its modules
from hypothesis import HealthCheck, settings

from runtui.services.records.journal import Journal
from runtui.services.store.store import Store
from tests.canary import leaks

# No deadline, because it would depend on the load of the machine. Every run draws the same few values, so that it fails
# for what has changed. `--hypothesis-profile=long` draws many others.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50, derandomize=True
)
settings.register_profile("long", settings.get_profile("any machine"), max_examples=2_000, derandomize=False)
settings.load_profile("any machine")


@pytest.fixture(scope="session", autouse=True)
def nothing_leaks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Check after the last test that no file of any test contains the token or the secret of the tests."""
    yield
    assert leaks(tmp_path_factory.getbasetemp()) == []


@pytest.fixture(scope="session", autouse=True)
def all_that_is_logged(tmp_path_factory: pytest.TempPathFactory, nothing_leaks: None) -> Iterator[None]:
    """Write everything that runtui logs in this process to a file, unredacted; `nothing_leaks` checks that file too."""
    file = tmp_path_factory.mktemp("log") / "runtui.log"
    logger, handler = logging.getLogger("runtui"), logging.FileHandler(file, "w", "utf-8", errors="backslashreplace")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield
    logger.removeHandler(handler)
    handler.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "runs.db")
    yield store
    store.close()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal.db")
    yield journal
    journal.close()


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """Use three workers on two cores, because a test that waits for a thread, a process or a terminal uses no core.

    PYTEST_XDIST_AUTO_NUM_WORKERS overrides this.
    """
    cores = yield
    return cores if os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS") else cores * 3 // 2


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Keep the garbage collector from visiting every module and test again and again."""
    gc.disable()
    if session.config.args == session.config.getini("testpaths"):
        load_from_another_place()
    found = yield
    walk()
    gc.enable()
    gc.set_threshold(20 * MUCH)
    return found


def load_from_another_place() -> None:
    """Let workers that start together import the tests in different orders, so that each module is compiled once."""
    number, workers = (os.environ.get(f"PYTEST_XDIST_WORKER{name}", "") for name in ("", "_COUNT"))
    if workers:
        files = sorted(Path(__file__).parent.glob("*/test_*.py"))
        first = int(number.removeprefix("gw")) * len(files) // int(workers)
        for file in files[first:] + files[:first]:
            with suppress(Exception):  # the collection, which follows, reports the error
                import_module(f"tests.{file.parent.name}.{file.stem}")


@pytest.hookimpl(trylast=True)
def pytest_runtest_logfinish() -> None:
    """Collect garbage between two tests, when a screen is garbage, and not during a test."""
    if gc.get_count()[0] > MUCH:
        walk()


def walk() -> None:
    """Free the garbage. The collector does not visit the objects again that are alive between two tests."""
    gc.collect()
    gc.freeze()


MUCH: Final = 100_000
"""A number of objects, as one or two screens have: so few are still in the processor's cache, which halves the time."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Make the captured output of a test valid UTF-8, as pytest-xdist needs it to send the report to its master."""
    report = yield
    report.sections = [(title, text.encode(errors="backslashreplace").decode()) for title, text in report.sections]
    return report


connect_in_earnest = sqlite3.connect
"""SQLite's own `connect`."""

UNWAITED = "PRAGMA synchronous = OFF"
"""Lets the system write to the disk when it likes; other processes read the new content at once."""


@cache
def hasty(kind: Any) -> Any:
    """Return a subclass of a connection class that never waits for the disk."""

    class Hasty(kind):  # type: ignore[misc]
        def execute(self, sql: str, *values: Any) -> Any:
            if sql == "PRAGMA journal_mode = WAL":  # this connection writes
                super().execute(UNWAITED)
            return super().execute(UNWAITED if sql.startswith("PRAGMA synchronous = ") else sql, *values)

    return Hasty


@pytest.fixture(autouse=True)
def nobody_pulls_the_plug(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for the disk. Files have to survive the process, not a power failure, and waiting takes most time."""

    def connect(*values: Any, factory: Any = sqlite3.Connection, **options: Any) -> Any:
        return connect_in_earnest(*values, factory=hasty(factory), **options)

    monkeypatch.setattr(sqlite3, "connect", connect)
    monkeypatch.setattr(os, "fsync", lambda file: None)


@pytest.fixture(autouse=True)
def ctrl_c_ends_the_run() -> Iterator[None]:
    """Restore ctrl+c after each test: a command that ran in this process ignores it after its last output."""
    yield
    signal.signal(signal.SIGINT, signal.default_int_handler)
