"""What holds for the whole run: no secret is left behind anywhere, and ctrl+c ends it."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.canary import leaks


@pytest.fixture(scope="session", autouse=True)
def nothing_leaks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """After the last test: no file that any test made holds the token or the secret they worked with."""
    yield
    assert leaks(tmp_path_factory.getbasetemp()) == []


@pytest.fixture(autouse=True)
def ctrl_c_ends_the_run() -> Iterator[None]:
    """After a command in this process, which ignores ctrl+c from its last word to the end of its process."""
    yield
    signal.signal(signal.SIGINT, signal.default_int_handler)
