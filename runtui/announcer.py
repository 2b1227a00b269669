"""How services say that something changed: a list of callbacks, nothing more.

Invariant: a service knows nothing of who listens; callbacks run in the caller's thread, in the order of subscribing.
A listener must not raise: what it raises ends the announcement and reaches the service.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Announcer(Generic[T]):
    """Carries one kind of announcement from a service to its listeners."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[T], object]] = []

    def subscribe(self, listener: Callable[[T], object]) -> Callable[[], None]:
        """Call `listener` with each announcement; the returned function ends that."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            self._listeners = [other for other in self._listeners if other is not listener]

        return unsubscribe

    def announce(self, news: T) -> None:
        """Tell every listener; one that subscribes meanwhile hears it too."""
        for listener in self._listeners:
            listener(news)
