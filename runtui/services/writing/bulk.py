"""Carries out writes, one or many side by side: effects of several writes share one `$batch` or one commit.

Invariant: each save follows the protocol of `write` as if it were alone, and ends by itself. A wait of one delays no
other. A save is announced before each of its effects starts. Nothing more is sent once the bulk change is stopped, or
while it is held; requests in progress are awaited. What was read long before its change can begin is read again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final

from runtui.announcer import Announcer
from runtui.domain.report import Outcome
from runtui.graph.batch import MAX_BATCH
from runtui.graph.retry import Retry, retry_of
from runtui.services.foreground import PIECE_SECONDS, Foreground
from runtui.services.records.journal import RunBusyError
from runtui.services.tasks import uncancelled
from runtui.services.writing.drive import WriteDriver
from runtui.services.writing.write import (
    Effect,
    Identify,
    OutdatedError,
    Pause,
    Read,
    Recall,
    Record,
    RenewToken,
    Save,
    Send,
    Settle,
    Step,
    UpdateStore,
    Writing,
    write,
)

_logger: Final = logging.getLogger("runtui.write")

CONCURRENT_WRITES: Final = 4
"""The most concurrent batches."""

_WIRE: Final = (Send, Read)
_FILES: Final = (Settle, UpdateStore, Recall, Record, Identify)
_WORK: Final = (*[_WIRE] * CONCURRENT_WRITES, _FILES, (RenewToken,))
"""The lanes that run side by side, each with its kinds of effects by priority: a change in progress ends before another
one begins. Neither the disk nor a sign-in holds up the requests."""

_GOES_OUT: Final = (Read, Identify, Record, Send, RenewToken)
"""The effects that do not start while the changes are held."""

LONGEST_AGE: Final = timedelta(minutes=2)
"""The longest time from the reading of a run to its change. A slow service takes less for the requests before the
change; a process that is stopped, or a machine that sleeps, may take days."""

_AT_ONCE: Final = 2 * MAX_BATCH
"""The most changes that one commit records."""


@dataclass(slots=True)
class _Item:
    """One save in progress."""

    save: Save
    writing: Writing
    effect: Effect[Any]
    announced: Save | None = None


class Bulk:
    """Writes of different runs in progress together; the journal groups several by `batch`, which is empty for one.

    The driver carries out the effects. With `may_hold` the first refusal that may affect other runs too holds the rest,
    until `resume` or `stop`. Each piece of work on the event loop gives way to the `foreground`.
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
        self._computing = asyncio.Lock()
        """Held by the lane that processes answers, so that two lanes never form one long piece."""
        self._ready: dict[type[Effect[Any]], deque[_Item]] = {kind: deque() for kinds in _WORK for kind in kinds}
        self._pauses: dict[asyncio.Task[None], _Item] = {}
        self._items: dict[int, _Item] = {}
        """The saves that have not ended, by number."""
        self._news = asyncio.Event()
        self.is_stopped = False
        self.has_ended = False
        self.held_by: Save | None = None
        """The save whose refusal holds the rest."""
        self.changed: Announcer[Bulk] = Announcer()
        """Announces that the rest is held and no request is in progress, and the end of all."""
        self._begun = 0
        self._resting = 0
        """The number of lanes without work."""
        self._accepted: set[str] = set()
        """The titles of refusals that no longer hold the rest."""

    async def run(self) -> None:
        """Carry out all saves; return when each has ended. If cancelled, each ends with what is known."""
        try:
            async with asyncio.TaskGroup() as lanes:
                lanes.create_task(self._begin())
                for kinds in _WORK:
                    lanes.create_task(self._carry_on(kinds))
        except ExceptionGroup as defects:
            raise defects if len(defects.exceptions) > 1 else defects.exceptions[0] from None
        finally:
            for pause in tuple(self._pauses):
                pause.cancel()
            for item in (*self._ready[Record], *self._ready[Send]):
                item.save = _not_begun(item)
            left = (*(item.save for item in self._items.values()), *self.saves[self._begun :])
            self._items.clear()
            for save in left:
                self._driver.break_off(save)
            self.has_ended = True
            self.changed.announce(self)

    async def _begin(self) -> None:
        """Let each save ask for its first effect."""

        def begin(save: Save) -> _Item:
            writing = write(save)
            effect = next(writing)
            self._items[save.number] = item = _Item(effect.save, writing, effect)
            self._begun += 1
            return item

        for start in range(0, len(self.saves), _AT_ONCE):
            await uncancelled(self._take_in_all(map(begin, self.saves[start : start + _AT_ONCE])))

    async def _take_in_all(self, going_on: Iterable[_Item | None]) -> None:
        """Process some changes (None is one that has ended), then queue their next effects all together. Keys are
        handled in between."""
        async with self._computing:
            await self._foreground.yield_to_input()
            items, began = [], time.perf_counter()
            for item in going_on:
                items += [item] if item is not None else []
                if time.perf_counter() - began > PIECE_SECONDS:
                    await self._foreground.yield_to_input()
                    began = time.perf_counter()
        for item in items:
            self._take_in(item)

    def resume(self) -> None:
        """Continue after a refusal; further ones with its title do not hold the rest. A person may have taken long to
        decide: what was read before is read again."""
        if self.held_by is None:
            return
        if self.held_by.fault is not None:
            self._accepted.add(self.held_by.fault.title)
        self.held_by = None
        for kind in (Identify, Record, Send):
            waiting, self._ready[kind] = self._ready[kind], deque()
            self._read_again(waiting)
        self._news.set()

    def stop(self) -> None:
        """Send nothing more: waiting changes end as stopped, requests in progress are awaited."""
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
        while self._items or self._begun < len(self.saves):
            group = self._next_group(kinds)
            if not group:
                await self._rest()
                continue
            now = datetime.now(UTC)
            outdated = [item for item in group if _is_outdated(item.effect, now)]
            self._read_again(outdated)
            if not (group := [item for item in group if item not in outdated]):
                continue
            for item in group:
                self._announce(item)
            replies = await self._driver.carry_out([item.effect for item in group])
            await uncancelled(self._take_in_all(map(self._answered, group, replies)))  # nobody else knows the answers
            await self._foreground.yield_to_input()
        self._news.set()

    def _read_again(self, items: Iterable[_Item]) -> None:
        for item in items:
            if self._advance(item, OutdatedError()):
                self._take_in(item)

    def _answered(self, item: _Item, reply: object) -> _Item | None:
        """Give a change its reply; return None if that ended it."""
        goes_on, exchange = self._advance(item, reply), item.save.exchange
        has_new_token = item.save.has_new_token
        if exchange and retry_of(exchange, 1, has_new_token=has_new_token, for_change=True) is Retry.NEVER:
            self._hold_if_refused(item.save)  # a refusal that leads to another try does not count yet
        return item if goes_on else None

    async def _rest(self) -> None:
        self._resting += 1
        self._news.clear()
        try:
            if self._resting == len(_WORK) and self.held_by is not None:
                self.changed.announce(self)  # a listener may call resume or stop at once
            await self._news.wait()
        finally:
            self._resting -= 1

    def _next_group(self, kinds: Sequence[type[Effect[Any]]]) -> list[_Item]:
        """Return some changes that need the same kind of effect now; empty if there is no work."""
        for kind in kinds:
            waiting = self._ready[kind]
            if self.held_by is not None and kind in _GOES_OUT:
                ready = [item for item in waiting if item.effect.save.step is Step.SETTLING]  # they have been sent
            else:
                ready = list(islice(waiting, _AT_ONCE))
            if ready:
                most = MAX_BATCH if kind in _WIRE else _AT_ONCE
                if kind in _WIRE and ready[0].save.action is not None:
                    most = 1  # the answer to an action in a batch could not be matched to a run
                group = ready[:most]
                for item in group:
                    waiting.remove(item)
                return group
        return []

    def _advance(self, item: _Item, reply: object) -> bool:
        """Let a change continue with its reply; return whether it needs another effect."""
        try:
            if isinstance(reply, Exception):
                item.effect = item.writing.throw(reply)
            else:
                item.effect = item.writing.send(reply)
        except StopIteration as end:
            del self._items[item.save.number]
            self._driver.end(end.value)
            gone = end.value.exchange is not None and end.value.exchange.is_gone  # this says nothing about other runs
            if not isinstance(reply, RunBusyError) and not gone:
                self._hold_if_refused(end.value)
            return False
        item.save = item.effect.save
        return True

    def _take_in(self, item: _Item) -> None:
        if self.is_stopped and isinstance(item.effect, Send):
            if self._advance(item, None):
                self._ready[type(item.effect)].append(item)  # it is recorded that it was not sent
        elif self.is_stopped and isinstance(item.effect, Record):
            item.save = _not_begun(item)
            self._break_off(item)
        elif self.is_stopped and item.save.may_be_stopped:
            self._break_off(item)
        elif isinstance(item.effect, Pause):
            self._announce(item)
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

    def _hold_if_refused(self, save: Save) -> None:
        """Hold the rest after a refusal that others may meet as well."""
        if save.action is not None and save.entry is None:
            return  # the state of the run itself caused it
        if not self._may_hold or self.is_stopped:
            return
        if save.fault is None or save.outcome_so_far is not Outcome.NOT_DONE:
            return
        if self.held_by is None and save.fault.title not in self._accepted:
            _logger.info("the rest is held: %s", save.fault.title)
            self.held_by = save

    def _announce(self, item: _Item) -> None:
        if item.announced != item.save:
            item.announced = item.save
            self._driver.announce(item.save)


def _is_outdated(effect: Effect[Any], now: datetime) -> bool:
    """Return whether a run was read too long ago to be changed now. The clock may have been set back meanwhile."""
    return isinstance(effect, Record | Send) and abs(now - effect.read_at) > LONGEST_AGE


def _not_begun(item: _Item) -> Save:
    """Return the save if its next effect never begins: one that is not recorded has no intent, none was sent."""
    save = item.save._replace(step=Step.WAITING)
    return save._replace(intent=None) if isinstance(item.effect, Record) else save
