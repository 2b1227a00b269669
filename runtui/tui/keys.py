"""The input queue: routes each key, paste or mouse event only when the one before has taken effect.

Textual routes a key to the widget with the focus at its arrival. The effects of the key before (a focus that moves, a
view that opens, rows that are counted) may still be in the queues of other widgets. Over SSH several keys arrive in one
packet, so each would act on a state that the person has not seen.

Invariant: the same keys lead to the same state, whether typed slowly or arriving at once, and none is routed before a
screen is mounted. The effect of the last one is drawn in one frame. Keys never wait for the network or a save, only for
messages, the layout, and workers in a `blocks_keys` group; an action on a row waits a little for the first rows. A pump
or a worker that never comes to rest delays keys once, for a limited time, unless the keys would act on another screen;
even then, a key that quits is routed after that time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Container, Iterable
from itertools import count
from time import monotonic
from typing import Any, Final, TypeGuard

from textual import events
from textual.app import App
from textual.message import Message
from textual.message_pump import MessagePump
from textual.widget import Widget
from textual.worker import Worker

from runtui.prelude.terminal import TAKEOVER
from runtui.services.foreground import Foreground
from runtui.tui.output import DifferentialOutput, DrawnOnce, has_pending_changes

CHECKS_AT_ONCE: Final = 100
"""The number of checks, without a pause, whether the app has settled; no action takes more than 60 of them."""

PAUSE_SECONDS: Final = 0.002
"""The pause between two later checks."""

WATCH_SECONDS: Final = 0.004
"""The time between two checks for background work that waits; most keys have taken effect by then."""

FRAME_SECONDS: Final = 1 / 30
"""The time by which Textual has drawn a change; it draws at most 60 times a second."""

MAX_CHECKS: Final = CHECKS_AT_ONCE + 2_500
"""The number of checks after which keys no longer wait: 5 s, or more on a slow machine."""

_AWAITED: Final = "keys wait for "
_AWAITED_TO_ITS_END: Final = f"{_AWAITED}the end of "

TypedAhead = tuple[events.Event, ...]
"""Events that were read but not routed, oldest first."""


def blocks_keys(group: str, *, to_its_end: bool = False) -> str:
    """Return the name of a worker group that the next key waits for.

    Use it for local work that a key starts and the next key depends on, such as counting filtered rows; never for the
    network. Keys wait for a limited time, or `to_its_end` if the work opens the screen that they are meant for.
    """
    return f"{_AWAITED_TO_ITS_END if to_its_end else _AWAITED}{group}"


def is_from_terminal(message: Message) -> TypeGuard[events.InputEvent | events.Paste]:
    """Return whether a message is a key, a paste or a mouse event that the app has not forwarded yet."""
    return isinstance(message, events.InputEvent | events.Paste) and not message.is_forwarded


def is_at_work(worker: Worker[Any]) -> bool:
    """Return whether a worker has not ended. Textual removes one that is cancelled before it starts, but never calls it
    finished."""
    return not worker.is_finished and worker in worker.node.workers


class KeyQueue:
    """Queues the terminal's events and routes them in order. All of it runs on the event loop.

    Args:
        app: The app that gets the events.
        route: Hands one event to the app's own queue.
        typed_ahead: Events that the previous app read but did not route.
        foreground: Told when all events have taken effect, if background work waits for that; None without such work.
        quitting: The keys that quit on every screen.
    """

    def __init__(
        self,
        app: App[Any],
        route: Callable[[Message], bool],
        typed_ahead: Iterable[events.Event] = (),
        foreground: Foreground | None = None,
        quitting: Container[str] = (),
    ) -> None:
        self._app = app
        self._route = route
        self._quitting = quitting
        self._foreground = foreground or Foreground()
        self._waiting: deque[events.Event | Callable[[], object]] = deque(typed_ahead)
        """The events to route, and in between the callbacks of `call_when_routed`."""
        self._routed: events.Event | None = None
        self._routed_at = 0.0
        self._typing: Widget | None = None
        """The widget that took the last event, if that was a letter."""
        self.timed_out: set[object] = set()
        """The objects that did not settle in time; keys wait for one again once it has settled."""
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False
        self._is_watched = False
        """True while `_watch` is scheduled."""
        self._busy: object = None
        """The object that the last check found busy; while it is, the others need no check."""

    def __len__(self) -> int:
        """Return the number of events that are not routed yet."""
        return sum(not callable(waiting) for waiting in self._waiting)

    def put(self, event: events.Event) -> None:
        """Queue an event; it is routed at once if nothing is before it."""
        self._waiting.append(event)
        self.start()

    def drop(self) -> None:
        """Forget the events that wait: an earlier key did not do what they rely on."""
        self._waiting = deque(filter(callable, self._waiting))

    def call_when_routed(self, call: Callable[[], object]) -> None:
        """Call `call` when all events queued so far are routed, or at `close`.

        The input thread waits for that, which keeps this queue short.
        """
        self._waiting.append(call)
        if self._is_closed:
            self.close()
        self.start()

    async def wait_settled(self) -> None:
        """Wait until all queued events have taken effect."""
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])
        await self._wait_settled(self._outstanding)

    async def wait_idle(self) -> None:
        """Wait until all queued events have taken effect and are drawn."""
        while TAKEOVER.is_ahead:  # noqa: ASYNC110 - the driver ends it without an event to wait for
            await asyncio.sleep(FRAME_SECONDS)
        while True:
            await self.wait_settled()
            if (due := self._routed_at + FRAME_SECONDS - monotonic()) <= 0:
                return
            await asyncio.sleep(due)

    def start(self) -> None:
        if self._waiting and not self._is_closed and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._route_all(), name="route keys")

    def close(self) -> TypedAhead:
        """Stop routing; return the events that are not routed."""
        self._is_closed = True
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        left = tuple(event for event in self._waiting if not callable(event))
        calls, self._waiting = filter(callable, self._waiting), deque(left)
        for call in calls:
            call()
        return left

    async def _route_all(self) -> None:
        while self._waiting:
            first = self._waiting[0]
            if callable(first):
                self._waiting.popleft()
                first()
            else:
                await self._route_next(first)
            app = self._app
            if isinstance(app, DifferentialOutput) and not self._waiting and not isinstance(first, events.MouseMove):
                app.defers_frames = True
                try:
                    await self._draw()
                finally:
                    app.defers_frames = False

    async def _route_next(self, event: events.Event) -> None:
        await self._ready_for(event)
        if event not in self._waiting:  # dropped meanwhile
            return
        self._waiting.popleft()
        focused = self._app.focused
        self._typing = None
        if isinstance(event, events.Key) and focused is not None:
            self._typing = focused if focused.check_consume_key(event.key, event.character) else None
        self._routed, self._routed_at = event, monotonic()
        self._route(event)
        if self._foreground.has_waiters and not self._is_watched:
            self._is_watched = True
            asyncio.get_running_loop().call_later(WATCH_SECONDS, self._watch)

    async def _draw(self) -> None:
        """Draw the effect of an event as soon as it is complete; if that takes long, leave it to the screen's clock."""
        last: object = None
        for look in range(CHECKS_AT_ONCE + round(FRAME_SECONDS / PAUSE_SECONDS)):
            await asyncio.sleep(0 if look < CHECKS_AT_ONCE else PAUSE_SECONDS)
            screen = self._app.screen if self._app.screen_stack else None
            if self._waiting or self._is_closed or not isinstance(screen, DrawnOnce):
                return
            if _is_busy(last):
                continue
            last = next(iter(self._at_work() - self.timed_out), None)
            if last is None and not screen.prepare_frame():
                screen.draw_frame()
                return

    def _watch(self) -> None:
        """Tell `foreground` once all events have taken effect; check again while work waits for that."""
        if not self._is_closed and not self._waiting and not _is_busy(self._busy):
            self._busy = next(iter(self._outstanding() - self.timed_out), None)
            if self._busy is None:
                self._foreground.note_handled()
        self._is_watched = self._foreground.has_unhandled_input and not self._is_closed
        if self._is_watched:
            asyncio.get_running_loop().call_later(WATCH_SECONDS, self._watch)

    async def _ready_for(self, event: events.Event) -> None:
        while not self._is_mounted():  # noqa: ASYNC110 - Textual has no public event for it
            await asyncio.sleep(PAUSE_SECONDS)
        typing = self._typing
        if typing is not None and isinstance(event, events.Key) and event.is_printable:
            # The next letter goes into the same input, whatever else this one causes.
            await self._wait_settled(lambda: _busy((self._app, typing)))
            if self._app.focused is typing:
                return
        if not self._continues_last(event):
            await self._wait_settled(self._outstanding)

    def _continues_last(self, event: events.Event) -> bool:
        """Return whether a mouse event continues the one before: a move, or the next notch of the wheel."""
        is_wheel = isinstance(event, events.MouseScrollUp | events.MouseScrollDown)
        return isinstance(event, events.MouseMove) or (is_wheel and type(event) is type(self._routed))

    def _is_mounted(self) -> bool:
        """Return whether the screen in front is mounted with all its widgets."""
        app = self._app
        return app._dom_ready and bool(app.screen_stack) and app.screen.is_mounted

    async def _wait_settled(self, outstanding: Callable[[], set[object]]) -> None:
        """Wait until nothing is outstanding: at most MAX_CHECKS checks, not counting a worker awaited to its end."""
        last: object = None
        patience = MAX_CHECKS
        for look in count():
            if self._is_closed:
                return
            if not _is_busy(last):
                found = outstanding()
                self.timed_out &= found
                if not (busy := found - self.timed_out):
                    return
                last = max(busy, key=_is_awaited_to_its_end)  # while this one is busy, the others need no check
                if len(busy) == 1 and isinstance(last, DrawnOnce) and not _is_busy(last):
                    last.prepare_frame()
            patience -= not _is_awaited_to_its_end(last)
            if not patience:
                break
            if look >= MAX_CHECKS:
                self._route_quitting()
            await asyncio.sleep(0 if look < CHECKS_AT_ONCE else PAUSE_SECONDS)
        self.timed_out |= outstanding()

    def _route_quitting(self) -> None:
        """Route a key that quits, if one waits, and drop all others."""
        waiting = (event for event in self._waiting if isinstance(event, events.Key) and event.key in self._quitting)
        if (quits := next(waiting, None)) is not None:
            self.drop()
            self._route(quits)

    def _at_work(self) -> set[object]:
        app = self._app
        workers = {each for each in app.workers if each.group.startswith(_AWAITED) and is_at_work(each)}
        return _busy([app, *app._registry]) | workers

    def _outstanding(self) -> set[object]:
        """Return what earlier events still cause: busy pumps, awaited workers, a pending scroll or layout."""
        app, found = self._app, self._at_work()
        if app.animator._animations:
            found.add(app.animator)
        if app.screen_stack and has_pending_changes(app.screen):
            found.add(app.screen)
        return found


def _busy(pumps: Iterable[Any]) -> set[object]:
    """Return the message pumps that are handling a message or have one queued.

    A pump that is still being mounted is left out: its parent is busy meanwhile.
    """
    # One expression without calls, since it runs for all pumps several times per key.
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


def _is_awaited_to_its_end(found: object) -> bool:
    return isinstance(found, Worker) and found.group.startswith(_AWAITED_TO_ITS_END)


def _is_busy(found: object) -> bool:
    if isinstance(found, Worker):
        return is_at_work(found)
    return isinstance(found, MessagePump) and bool(_busy((found,)))
