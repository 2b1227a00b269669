"""What holds for the whole run: no secret is left behind, ctrl+c ends it, and no test asks for a fast machine."""

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
from hypothesis import HealthCheck, settings

from tests.canary import leaks

# A deadline would measure what else the machine is doing. Every run draws other values: few of them at a time.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50)
settings.register_profile("long", settings.get_profile("any machine"), max_examples=2_000)
settings.load_profile("any machine")


@pytest.fixture(scope="session", autouse=True)
def nothing_leaks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """After the last test: no file that any test made holds the token or the secret they worked with."""
    yield
    assert leaks(tmp_path_factory.getbasetemp()) == []


@pytest.fixture(scope="session", autouse=True)
def all_that_is_logged(tmp_path_factory: pytest.TempPathFactory, nothing_leaks: None) -> Iterator[None]:
    """What runtui logs in this process goes to a file, unredacted, in which `nothing_leaks` looks for secrets too."""
    file = tmp_path_factory.mktemp("log") / "runtui.log"
    logger, handler = logging.getLogger("runtui"), logging.FileHandler(file, "w", "utf-8", errors="backslashreplace")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield
    logger.removeHandler(handler)
    handler.close()


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """Three workers on two cores: a test that waits, for a thread, a process or a terminal, leaves its core to another.

    PYTEST_XDIST_AUTO_NUM_WORKERS is taken as it is.
    """
    cores = yield
    return cores if os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS") else cores * 3 // 2


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Keep the collector from walking over every module and test, again and again."""
    gc.disable()
    if session.config.args == session.config.getini("testpaths"):
        load_from_another_place()
    found = yield
    walk()
    gc.enable()
    gc.set_threshold(20 * MUCH)
    return found


def load_from_another_place() -> None:
    """Have workers that start together compile other modules each, and load what another one has compiled by then."""
    number, workers = (os.environ.get(f"PYTEST_XDIST_WORKER{name}", "") for name in ("", "_COUNT"))
    if workers:
        files = sorted(Path(__file__).parent.glob("*/test_*.py"))
        first = int(number.removeprefix("gw")) * len(files) // int(workers)
        for file in files[first:] + files[:first]:
            with suppress(Exception):  # the collection, which is next, says what is wrong
                import_module(f"tests.{file.parent.name}.{file.stem}")


@pytest.hookimpl(trylast=True)
def pytest_runtest_logfinish() -> None:
    """Have the collector walk between two tests, when a screen is garbage, and not in the middle of one."""
    if gc.get_count()[0] > MUCH:
        walk()


def walk() -> None:
    """Free the garbage. What is alive between two tests stays, and is not walked over again."""
    gc.collect()
    gc.freeze()


MUCH: Final = 100_000
"""Objects, of one or two screens: few enough to be in the processor's cache still, which halves the walk."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What was printed and logged goes from a worker of pytest-xdist to its master as UTF-8."""
    report = yield
    report.sections = [(title, text.encode(errors="backslashreplace").decode()) for title, text in report.sections]
    return report


connect_in_earnest = sqlite3.connect
"""As SQLite opens a file."""

UNWAITED = "PRAGMA synchronous = OFF"
"""What is written is on the disk when the system likes, which is soon enough for whoever reads it."""


@cache
def hasty(kind: Any) -> Any:
    """Such a connection, which never waits for the disk, whatever the program asks for."""

    class Hasty(kind):  # type: ignore[misc]
        def execute(self, sql: str, *values: Any) -> Any:
            if sql == "PRAGMA journal_mode = WAL":  # it writes
                super().execute(UNWAITED)
            return super().execute(UNWAITED if sql.startswith("PRAGMA synchronous = ") else sql, *values)

    return Hasty


@pytest.fixture(autouse=True)
def nobody_pulls_the_plug(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this process writes has to outlive the process, and no loss of power: a test would wait for it the most."""

    def connect(*values: Any, factory: Any = sqlite3.Connection, **options: Any) -> Any:
        return connect_in_earnest(*values, factory=hasty(factory), **options)

    monkeypatch.setattr(sqlite3, "connect", connect)
    monkeypatch.setattr(os, "fsync", lambda file: None)


@pytest.fixture(autouse=True)
def ctrl_c_ends_the_run() -> Iterator[None]:
    """After a command in this process, which ignores ctrl+c from its last word to the end of its process."""
    yield
    signal.signal(signal.SIGINT, signal.default_int_handler)
