"""Keys, pastes and the mouse, one after the other: the next is routed when the one before has taken effect.

Textual routes a key to the widget that has the focus when the key arrives, while what the key before it caused (a focus
that moves, a view that opens, rows that are counted) still stands in the queues of other widgets. Over SSH several keys
arrive in one packet, so each of them would act on what the person did not see yet.

Invariant: the same keys lead to the same state, typed slowly or arriving at once, and none is routed before a screen
stands. What the last of them led to is drawn when it has taken effect, in one frame. No key waits for the network or
for a save: only for messages, for the layout, and for workers whose group says so (`awaited`). What never comes to rest
is waited for once, for a limited time.

What is used of Textual beyond its public interface, all of it here and held by `tests/unit/test_keys.py`: the queue
of a message pump and whether it waits there, `App._registry`, `App._dom_ready`, what the animator and a screen still
have to do.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any, Final, TypeGuard

from textual import events
from textual.app import App
from textual.message import Message
from textual.message_pump import MessagePump
from textual.widget import Widget
from textual.worker import Worker

from runtui.prelude.terminal import TAKEOVER
from runtui.services.writing.foreground import Foreground
from runtui.tui.output import DrawnOnce

LOOKS_AT_ONCE: Final = 100
"""How often it is looked without a pause whether the app is settled; no action takes more turns of the loop than 60."""

PAUSE_SECONDS: Final = 0.002
"""The pause between two looks after that."""

WATCH_SECONDS: Final = 0.004
"""Between two looks on behalf of work that waits; most keys have taken effect by then."""

FRAME_SECONDS: Final = 1 / 30
"""By then Textual has drawn what changed: it does so at most 60 times a second."""

MOST_LOOKS: Final = LOOKS_AT_ONCE + 2_500
"""Looks after which keys go on without what has not come to rest: 5 s, and more where the machine is slow."""

_AWAITED: Final = "keys wait for "


TypedAhead = tuple[events.Event, ...]
"""Events that nothing was done about yet, oldest first."""


def awaited(group: str) -> str:
    """Name a group of workers that the next key waits for.

    For local work that a key starts and the next key acts on, such as counting what a filter finds; never for the
    network.
    """
    return f"{_AWAITED}{group}"


def takes_key(focused: Widget | None, key: events.Key) -> bool:
    """Whether a key is text to what has the focus."""
    return focused is not None and focused.check_consume_key(key.key, key.character)


def is_from_terminal(message: Message) -> TypeGuard[events.InputEvent | events.Paste]:
    """Whether a message is a key, a paste or the mouse, on its way from the terminal to the app."""
    return isinstance(message, events.InputEvent | events.Paste) and not message.is_forwarded


class KeyQueue:
    """Holds what comes from the terminal, and routes it in order. All of it runs on the event loop.

    Args:
        app: Whose keys these are.
        route: Hands one event to the app's own queue.
        typed_ahead: Events that the screen before this one did not come to.
        foreground: Told when all has taken effect, where work waits for that; None: there is no such work.
    """

    def __init__(
        self,
        app: App[Any],
        route: Callable[[Message], bool],
        typed_ahead: Iterable[events.Event] = (),
        foreground: Foreground | None = None,
    ) -> None:
        self._app = app
        self._route = route
        self._foreground = foreground or Foreground()
        self._waiting: deque[events.Event | Callable[[], object]] = deque(typed_ahead)
        """What is to be routed, and between that whom to tell how far it has come."""
        self._routed: events.Event | None = None
        self._routed_at = 0.0
        self._typing: Widget | None = None
        """The widget that took the event routed last, where that was a letter."""
        self.restless: set[object] = set()
        """What did not come to rest in time; it is waited for again once it has."""
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False
        self._is_watched = False
        """Whether it is looked again soon whether all has taken effect."""
        self._busy: object = None
        """What was found busy by the look before: as long as it is, there is no need to look at all the others."""

    def __len__(self) -> int:
        """How many events are not routed yet."""
        return sum(not callable(waiting) for waiting in self._waiting)

    def put(self, event: events.Event) -> None:
        """Take an event in; it is routed at once where nothing stands before it."""
        self._waiting.append(event)
        self.start()

    def call_when_routed(self, call: Callable[[], object]) -> None:
        """Call when everything taken in so far is routed, or when nothing more will be.

        Whoever reads the terminal waits for that, and so this queue stays short.
        """
        self._waiting.append(call)
        if self._is_closed:
            self.close()
        self.start()

    async def settled(self) -> None:
        """Wait until everything taken in has taken effect."""
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])
        await self._settled(self._outstanding)

    async def rest(self) -> None:
        """Wait until everything taken in has taken effect, and is drawn."""
        while TAKEOVER.is_ahead:  # noqa: ASYNC110 - whoever draws it at last is part of Textual
            await asyncio.sleep(FRAME_SECONDS)
        while True:
            await self.settled()
            if (due := self._routed_at + FRAME_SECONDS - monotonic()) <= 0:
                return
            await asyncio.sleep(due)

    def start(self) -> None:
        """Begin to route what waits."""
        if self._waiting and not self._is_closed and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._route_all(), name="route keys")

    def close(self) -> TypedAhead:
        """Route nothing more; what is not routed."""
        self._is_closed = True
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        left, self._waiting = self._waiting, deque()
        for call in left:
            if callable(call):
                call()
        self._waiting.extend(event for event in left if not callable(event))
        return tuple(event for event in left if not callable(event))

    async def _route_all(self) -> None:
        while self._waiting:
            first = self._waiting[0]
            if callable(first):
                self._waiting.popleft()
                first()
            else:
                await self._route_next(first)
            if not self._waiting and not isinstance(first, events.MouseMove):
                await self._draw()

    async def _route_next(self, event: events.Event) -> None:
        await self._ready_for(event)
        self._waiting.popleft()
        focused = self._app.focused
        is_text = isinstance(event, events.Key) and takes_key(focused, event)
        self._typing = focused if is_text else None
        self._routed, self._routed_at = event, monotonic()
        self._route(event)
        if self._foreground.is_asked and not self._is_watched:
            self._is_watched = True
            asyncio.get_running_loop().call_later(WATCH_SECONDS, self._watch)

    async def _draw(self) -> None:
        """Draw what an event led to once nothing that keys wait for is at work; what takes longer, the screen draws."""
        last: object = None
        for look in range(LOOKS_AT_ONCE + round(FRAME_SECONDS / PAUSE_SECONDS)):
            await asyncio.sleep(0 if look < LOOKS_AT_ONCE else PAUSE_SECONDS)
            screen = self._app.screen if self._app.screen_stack else None
            if self._waiting or self._is_closed or not isinstance(screen, DrawnOnce):
                return
            if _is_busy(last):
                continue
            last = next(iter(self._at_work() - self.restless), None)
            if last is None and not screen.prepare_frame():
                screen.draw_frame()
                return

    def _watch(self) -> None:
        """Tell once all has taken effect, for as long as work waits for that."""
        if not self._is_closed and not self._waiting and not _is_busy(self._busy):
            self._busy = next(iter(self._outstanding() - self.restless), None)
            if self._busy is None:
                self._foreground.answered()
        self._is_watched = self._foreground.is_waited_for and not self._is_closed
        if self._is_watched:
            asyncio.get_running_loop().call_later(WATCH_SECONDS, self._watch)

    async def _ready_for(self, event: events.Event) -> None:
        """Wait until an event can be routed."""
        while not self._stands():  # noqa: ASYNC110 - Textual tells of it only those who are part of it
            await asyncio.sleep(PAUSE_SECONDS)
        typing = self._typing
        if typing is not None and isinstance(event, events.Key) and event.is_printable:
            # Whatever a letter causes, the next one belongs into the same input.
            await self._settled(lambda: _busy((self._app, typing)))
            if self._app.focused is typing:
                return
        if not self._goes_on(event):
            await self._settled(self._outstanding)

    def _goes_on(self, event: events.Event) -> bool:
        """Whether an event of the mouse only goes on with the one before: a move, or the next notch of the wheel."""
        is_wheel = isinstance(event, events.MouseScrollUp | events.MouseScrollDown)
        return isinstance(event, events.MouseMove) or (is_wheel and type(event) is type(self._routed))

    def _stands(self) -> bool:
        """Whether there is a screen with all its widgets, laid out once."""
        app = self._app
        return app._dom_ready and bool(app.screen_stack) and app.screen.is_mounted

    async def _settled(self, outstanding: Callable[[], set[object]]) -> None:
        """Wait until nothing is outstanding, or for the longest time that it may take."""
        last: object = None
        for look in range(MOST_LOOKS):
            if self._is_closed:
                return
            if not _is_busy(last):
                found = outstanding()
                self.restless &= found
                if not (busy := found - self.restless):
                    return
                last = next(iter(busy))  # while it is busy, there is no need to look at all the others
                if len(busy) == 1 and isinstance(last, DrawnOnce) and not _is_busy(last):
                    last.prepare_frame()
            await asyncio.sleep(0 if look < LOOKS_AT_ONCE else PAUSE_SECONDS)
        self.restless |= outstanding()

    def _at_work(self) -> set[object]:
        app = self._app
        workers = {each for each in app.workers if each.group.startswith(_AWAITED) and not each.is_finished}
        return _busy([app, *app._registry]) | workers

    def _outstanding(self) -> set[object]:
        """What still follows from earlier events: busy pumps, awaited workers, a scroll or a layout that is due."""
        app, found = self._app, self._at_work()
        if app.animator._animations:
            found.add(app.animator)
        if app.screen_stack and _is_due(app.screen):
            found.add(app.screen)
        return found


def _is_due(screen: Any) -> bool:
    """Whether a screen has something to lay out, or to call once it has."""
    return screen._layout_required or screen._scroll_required or bool(screen._callbacks)


def _busy(pumps: Iterable[Any]) -> set[object]:
    """Those of some message pumps that handle a message, or have one.

    One that is still being mounted is left out: whatever waits for it is busy itself.
    """
    # One expression without calls: each key asks it of all pumps, more than once.
    return {
        pump
        for pump in pumps
        if pump._running
        and pump._is_mounted
        and (
            pump._next_callbacks
            or pump._pending_message is not None
            or (queue := pump._message_queue).values
            or not queue.ready_event._waiters
        )
    }


def _is_busy(found: object) -> bool:
    if isinstance(found, Worker):
        return not found.is_finished
    return isinstance(found, MessagePump) and bool(_busy((found,)))
