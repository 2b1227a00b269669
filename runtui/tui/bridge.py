"""From services to the screen, the only way: what a service announces becomes one kind of message of the app.

Invariant: services know no widget. A service may announce from any thread; what hears it runs on the event loop, in
the order in which it was announced.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable
from typing import Any, Generic, TypeVar

from textual.message import Message
from textual.message_pump import MessagePump

News = TypeVar("News")

Subscribe = Callable[[Callable[[News], None]], object]
"""How a service takes a listener."""


class Announced(Message, Generic[News]):
    """A service announced `news`; `hear` is what listens to it."""

    def __init__(self, hear: Callable[[News], object], news: News, *, only_newest: bool) -> None:
        super().__init__()
        self._hear = hear
        self._news = news
        self._only_newest = only_newest

    def can_replace(self, message: Message) -> bool:
        """Of a flood of the same news the last one says as much as all of them."""
        return self._only_newest and isinstance(message, Announced) and message._hear == self._hear

    async def deliver(self) -> None:
        """Call the listener, and wait for it."""
        outcome = self._hear(self._news)
        if isawaitable(outcome):
            await outcome


def carry(
    subscribe: Subscribe[News], app: MessagePump, hear: Callable[[News], Any], *, only_newest: bool = False
) -> None:
    """Have the app hear what a service announces.

    Args:
        subscribe: The service's way to take a listener.
        app: Delivers the messages.
        hear: Called on the event loop; awaited when it is a coroutine.
        only_newest: Whether announcements that wait may be dropped for a newer one.
    """

    def announce(news: News) -> None:
        app.post_message(Announced(hear, news, only_newest=only_newest))

    subscribe(announce)
