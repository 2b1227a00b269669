"""Announcements of services: a list of callbacks, nothing more.

Invariant: a service does not know its listeners; callbacks run in the announcing thread, in the order of subscribing.
A listener must not raise: its exception would end the announcement and reach the service.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Announcer(Generic[T]):
    """Passes one kind of announcement from a service to its listeners."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[T], object]] = []

    def subscribe(self, listener: Callable[[T], object]) -> Callable[[], None]:
        """Call `listener` with each announcement; return a function that unsubscribes it."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            self._listeners = [other for other in self._listeners if other is not listener]

        return unsubscribe

    def announce(self, announcement: T) -> None:
        """Call every listener, including any that subscribes meanwhile."""
        for listener in self._listeners:
            listener(announcement)
