"""Carries out many writes side by side: what several of them ask for goes out as one `$batch`, one commit.

Invariant: each save follows the protocol of `write` as if it were alone, and ends by itself. What one has to wait for
holds up no other. Nothing new goes out once it was stopped, or while it is held; what is on the wire is waited for.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from runtui.announcer import Announcer
from runtui.domain.report import Outcome
from runtui.errors import RuntuiError
from runtui.graph.batch import MAX_BATCH
from runtui.graph.retry import THROTTLING
from runtui.services.journal import Intent, RunBusyError
from runtui.services.writing.drive import WriteDriver
from runtui.services.writing.foreground import PIECE_SECONDS, Foreground
from runtui.services.writing.save import Save, Step
from runtui.services.writing.write import (
    Effect,
    Identify,
    Pause,
    Read,
    Recall,
    Record,
    RenewToken,
    Send,
    Settle,
    UpdateStore,
    Writing,
    write,
)

_logger: Final = logging.getLogger("runtui.write")

CONCURRENT_WRITES: Final = 4
"""Requests that are on the wire at once."""

_WIRE: Final = (Send, Read)
_FILES: Final = (Settle, UpdateStore, Recall, Record, Identify)
_WORK: Final = (*[_WIRE] * CONCURRENT_WRITES, _FILES, (RenewToken,))
"""What is carried out side by side, and of each what comes first: a change that has begun ends before another one
begins. Neither the disk nor somebody who signs in holds up the wire."""

_GOES_OUT: Final = (Read, Identify, Record, Send, RenewToken)
"""What is not begun while the changes are held."""

_MAY_BE_REPEATED: Final = THROTTLING | {401, 412}
"""Refusals that may lead to another try, so that nothing follows from them yet."""

_AT_ONCE: Final = 2 * MAX_BATCH
"""Changes that are recorded by one commit."""


@dataclass(slots=True)
class _Item:
    """One save on its way."""

    save: Save
    writing: Writing
    effect: Effect[Any]
    is_stopped: bool = False
    """Whether it is recorded as stopped, and asks for nothing more."""


class Bulk:
    """Some writes of different runs under way together; the journal knows them by `batch`. The driver carries out the
    effects. With `may_hold` the first refusal that other runs may meet too holds the rest, until `resume` or `stop`.
    Each piece of work on the event loop gives way to the `foreground`.
    """

    def __init__(
        self,
        driver: WriteDriver,
        batch: str,
        saves: Sequence[Save],
        *,
        may_hold: bool = False,
        foreground: Foreground,
    ) -> None:
        self.batch = batch
        self.saves = saves
        self._driver = driver
        self._may_hold = may_hold
        self._foreground = foreground
        self._is_computing = False
        """Whether a lane works through answers. The others wait, so that two of them never make one long piece."""
        self._ready: dict[type[Effect[Any]], deque[_Item]] = {kind: deque() for kinds in _WORK for kind in kinds}
        self._pauses: dict[asyncio.Task[None], _Item] = {}
        self._items: dict[int, _Item] = {}
        """Those that have not ended, by the number of the save."""
        self._news = asyncio.Event()
        self.is_stopped = False
        self.has_ended = False
        """Whether each of them has ended."""
        self.held_by: Save | None = None
        """The refusal that holds the rest."""
        self.changed: Announcer[Bulk] = Announcer()
        """Told when the rest is held and nothing is on the wire any more, and when all have ended."""
        self._begun = 0
        """Of the changes, how many have asked for the first thing."""
        self._resting = 0
        """Of those in `_WORK`, how many have nothing to do."""
        self._accepted: set[str] = set()
        """The titles of refusals that hold nothing any more."""
        self._announced: dict[int, Save] = {}

    async def run(self) -> None:
        """Carry all of them out; returns when each has ended. Cancelled, it ends them with no more than is known."""
        try:
            async with asyncio.TaskGroup() as lanes:
                lanes.create_task(self._begin())
                for kinds in _WORK:
                    lanes.create_task(self._carry_on(kinds))
        finally:
            for pause in tuple(self._pauses):
                pause.cancel()
            for item in self._ready[Send]:
                item.save = item.save._replace(step=Step.WAITING)  # it is recorded, and nothing of it was sent
            left = (*(item.save for item in self._items.values()), *self.saves[self._begun :])
            self._items.clear()
            for save in left:
                self._driver.break_off(save)
            self.has_ended = True
            self.changed.announce(self)

    async def _begin(self) -> None:
        """Have each ask for the first thing."""

        def begin(save: Save) -> _Item:
            writing = write(save, lambda: datetime.now(UTC))
            effect = next(writing)
            self._items[save.number] = item = _Item(effect.save, writing, effect)
            self._begun += 1
            return item

        for start in range(0, len(self.saves), _AT_ONCE):
            await self._take_in_all(map(begin, self.saves[start : start + _AT_ONCE]))

    async def _take_in_all(self, going_on: Iterable[_Item | None]) -> None:
        """Work through some changes (None is one that has ended), then queue what they ask for next, all together.

        Keys are handled in between. It runs to its end even when it is cancelled: nobody else knows yet what was
        answered to a change.
        """
        cancelled: asyncio.CancelledError | None = None
        items = []
        while cancelled is None:
            cancelled = await _unless_cancelled(self._foreground.yield_to_input())
            if not self._is_computing:
                break
        self._is_computing = True
        began = time.perf_counter()
        for item in going_on:
            if item is not None:
                items.append(item)
            if cancelled is None and time.perf_counter() - began > PIECE_SECONDS:
                cancelled = await _unless_cancelled(self._foreground.yield_to_input())
                began = time.perf_counter()
        self._is_computing = False
        for item in items:
            self._take_in(item)
        if cancelled is not None:
            raise cancelled

    @property
    def _is_over(self) -> bool:
        return not self._items and self._begun == len(self.saves)

    def resume(self) -> None:
        """Go on after a refusal; others with its title hold nothing any more."""
        if self.held_by is not None and self.held_by.fault is not None:
            self._accepted.add(self.held_by.fault.title)
        self.held_by = None
        self._news.set()

    def stop(self) -> None:
        """Begin nothing new: what waits ends as stopped, what is on the wire is waited for."""
        self.is_stopped = True
        self.held_by = None
        for pause, item in tuple(self._pauses.items()):
            pause.cancel()
            self._break_off(item)
        self._pauses.clear()
        for kind in _GOES_OUT:
            waiting, self._ready[kind] = self._ready[kind], deque()
            for item in waiting:
                self._take_in(item)
        self._news.set()

    async def _carry_on(self, kinds: Sequence[type[Effect[Any]]]) -> None:
        while not self._is_over:
            group = self._next_group(kinds)
            if not group:
                await self._rest()
                continue
            for item in group:
                self._announce(item.effect.save)
            replies = await self._driver.carry_out([item.effect for item in group])
            await self._take_in_all(map(self._answered, group, replies))
            await self._foreground.yield_to_input()
        self._news.set()

    def _answered(self, item: _Item, reply: object) -> _Item | None:
        """Give a change its reply; None where it has ended by that."""
        goes_on = self._advance(item, reply)
        if (fault := item.save.fault) is not None and fault.status not in _MAY_BE_REPEATED:
            self._hold_if_refused(item.save)
        return item if goes_on else None

    async def _rest(self) -> None:
        """Wait until there may be something to do."""
        self._resting += 1
        self._news.clear()
        try:
            if self._resting == len(_WORK) and self.held_by is not None:
                self.changed.announce(self)  # whoever is told may go on, or stop, at once
            await self._news.wait()
        finally:
            self._resting -= 1

    def _next_group(self, kinds: Sequence[type[Effect[Any]]]) -> list[_Item]:
        """Some changes that ask for the same now; none while there is nothing to be done."""
        for kind in kinds:
            waiting = self._ready[kind]
            if self.held_by is not None and kind in _GOES_OUT:
                ready = [item for item in waiting if item.effect.save.step is Step.SETTLING]  # they have been sent
            else:
                ready = list(islice(waiting, _AT_ONCE))
            if ready:
                most = MAX_BATCH if kind in _WIRE else _AT_ONCE
                if kind in _WIRE and ready[0].save.action is not None:
                    most = 1  # an action has no run that the answer in a batch could be told by
                group = ready[:most]
                for item in group:
                    waiting.remove(item)
                return group
        return []

    def _advance(self, item: _Item, reply: object) -> bool:
        """Have a change go on with its reply; whether it asks for something more."""
        if item.is_stopped:
            self._end_stopped(item, unrecorded=isinstance(reply, RuntuiError))
            return False
        try:
            if isinstance(reply, RuntuiError):
                item.effect = item.writing.throw(reply)
            else:
                item.effect = item.writing.send(reply)
        except StopIteration as end:
            del self._items[item.save.number]
            self._driver.end(end.value)
            gone = end.value.exchange is not None and end.value.exchange.is_gone  # of other runs that says nothing
            if not isinstance(reply, RunBusyError) and not gone:
                self._hold_if_refused(end.value)
            return False
        item.save = item.effect.save
        return True

    def _take_in(self, item: _Item) -> None:
        if self.is_stopped and isinstance(item.effect, Send):
            self._record_as_stopped(item, item.effect.intent)
        elif self.is_stopped and isinstance(item.effect, Record):
            item.save = item.save._replace(intent=None, step=Step.WAITING)
            self._break_off(item)
        elif self.is_stopped and item.save.may_be_stopped:
            self._break_off(item)
        elif isinstance(item.effect, Pause):
            self._announce(item.save)
            pause = asyncio.create_task(self._pause(item, item.effect.seconds), name=f"pause of {item.save.number}")
            self._pauses[pause] = item
        else:
            self._ready[type(item.effect)].append(item)
        self._news.set()

    async def _pause(self, item: _Item, seconds: float) -> None:
        await asyncio.sleep(seconds)
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - this is one
        del self._pauses[task]
        if self._advance(item, None):
            self._take_in(item)

    def _break_off(self, item: _Item) -> None:
        del self._items[item.save.number]
        self._driver.break_off(item.save)

    def _record_as_stopped(self, item: _Item, intent: Intent) -> None:
        """The journal has a change that is not sent: it is to know that."""
        item.is_stopped = True
        item.save = item.save._replace(step=Step.WAITING)
        item.effect = Settle(item.save, intent, Outcome.NOT_DONE, "", "It was stopped before it was sent.")
        self._ready[Settle].append(item)

    def _end_stopped(self, item: _Item, *, unrecorded: bool) -> None:
        del self._items[item.save.number]
        ended = item.save._replace(step=Step.ENDED, outcome=Outcome.NOT_DONE, stopped=True, unrecorded=unrecorded)
        self._driver.end(ended)

    def _hold_if_refused(self, save: Save) -> None:
        """Hold the rest after a refusal that others may meet as well."""
        if save.action is not None and save.entry is None:
            return  # the run itself spoke against it
        if not self._may_hold or self.is_stopped:
            return
        if save.fault is None or save.outcome_if_stopped is not Outcome.NOT_DONE:
            return
        if self.held_by is None and save.fault.title not in self._accepted:
            _logger.info("the rest is held: %s", save.fault.title)
            self.held_by = save

    def _announce(self, save: Save) -> None:
        if self._announced.get(save.number) != save:
            self._announced[save.number] = save
            self._driver.announce(save)


async def _unless_cancelled(waiting: Coroutine[Any, Any, None]) -> asyncio.CancelledError | None:
    """Wait; what says that it was cancelled."""
    try:
        await waiting
    except asyncio.CancelledError as error:
        return error
    return None
