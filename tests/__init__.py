"""The tests of runtui.

A test waits for a state, not for a time: only a test that fails waits until its patience has run out.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeVar
from unittest.mock import patch

PATIENCE: Final = 120.0
"""Seconds after which a wait fails; far more than a busy machine needs."""

T = TypeVar("T")


def there(value: T | None) -> T:
    """Return a value, which has to be there."""
    assert value is not None, "it is None"
    return value


@contextmanager
def living_in(zone: str) -> Iterator[None]:
    """Move this process into a time zone, and back at the end."""
    try:
        with patch.dict(os.environ, TZ=zone):
            time.tzset()
            yield
    finally:
        time.tzset()
