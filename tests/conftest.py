"""What holds for the whole run: no secret is left behind anywhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.canary import leaks


@pytest.fixture(scope="session", autouse=True)
def nothing_leaks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """After the last test: no file that any test made holds the token or the secret they worked with."""
    yield
    assert leaks(tmp_path_factory.getbasetemp()) == []
