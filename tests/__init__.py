"""The tests of runtui.

A test waits for a state, not for a time: only a test that fails waits until its patience has run out.
"""

from typing import Final, TypeVar

PATIENCE: Final = 120.0
"""Seconds after which a wait fails; far more than a busy machine needs."""

T = TypeVar("T")


def there(value: T | None) -> T:
    """Return a value, which has to be there."""
    assert value is not None, "it is None"
    return value
