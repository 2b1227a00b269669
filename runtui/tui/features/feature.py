"""What a feature is, and the features of one session.

Invariant: a feature is loaded and built at its key, or when it has something to report. From then on it follows the
services, which know no widget: they may announce from any thread, and listeners run on the event loop, in the order of
the announcements.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from importlib import import_module
from inspect import isawaitable
from typing import Any, Final, Generic, TypeVar
from weakref import finalize

from textual.message import Message
from textual.worker import Worker

from runtui.announcer import Announcer
from runtui.errors import RuntuiError
from runtui.keys.actions import FEATURE_OF
from runtui.tui.actions import ActionContext
from runtui.tui.screens.frame import Chrome, ViewScreen
from runtui.tui.screens.runs import RunsView
from runtui.tui.terminal import lay_out, needs_layout

FeatureT = TypeVar("FeatureT", bound="Feature")
_T = TypeVar("_T")

EventT = TypeVar("EventT")

FOLLOW_CHANGES: Final = ("changes.editing", "changes.bulk_sending", "changes.following", "changes.journaling")
"""The files of the features that report the outcome of a change."""


class Announced(Message, Generic[EventT]):
    """A service announced `announcement`; `listener` gets it."""

    def __init__(self, listener: Callable[[EventT], object], announcement: EventT, *, only_newest: bool) -> None:
        super().__init__()
        self._listener = listener
        self._announcement = announcement
        self._only_newest = only_newest

    def can_replace(self, message: Message) -> bool:
        """Of many announcements to one listener the last one is enough."""
        return self._only_newest and isinstance(message, Announced) and message._listener == self._listener

    async def deliver(self) -> None:
        outcome = self._listener(self._announcement)
        if isawaitable(outcome):
            await outcome


class Feature:
    """Something that a person can do: it has an `action_<id>` for each action of the registry that it owns. A feature
    in a file of this package is found by its file."""

    def __init__(self, features: Features) -> None:
        self._features = features
        self._chrome = features.chrome
        self._runs = features.runs
        self._workspace = features.chrome.workspace

    def start(self) -> None:
        """Follow the services from now on."""

    def extend(self, context: ActionContext) -> ActionContext:
        """Add the facts about possible actions that only this feature knows."""
        return context

    def stop_asking(self) -> None:
        """Let nothing wait for a person."""

    def end(self) -> None:
        """The screens are gone."""

    def listen(
        self,
        announcer: Announcer[EventT],
        listener: Callable[[EventT], object],
        *,
        only_newest: bool = False,
        wanted: Callable[[EventT], bool] = lambda _announcement: True,
    ) -> None:
        """Call `listener` on the event loop with each announcement of a service, and await it.

        `wanted` is called at once, in the service's thread. With `only_newest` a waiting announcement may be dropped
        for a newer one.
        """

        def announce(announcement: EventT) -> None:
            if wanted(announcement):
                self._chrome.app.post_message(Announced(listener, announcement, only_newest=only_newest))

        announcer.subscribe(announce)

    async def attempt(self, work: Awaitable[_T]) -> _T | None:
        """Return the result of some work; show a failure in the status line, and return None."""
        try:
            return await work
        except RuntuiError as error:
            self._chrome.set_status(str(error), "error")
            return None

    async def in_thread(self, call: Callable[[], _T]) -> _T | None:
        """Make a call that reads files in a thread; a failure is shown as by `attempt`."""
        return await self.attempt(asyncio.to_thread(call))

    def in_worker(
        self, work: Awaitable[object], group: str, saying: str = "", *, exclusive: bool = False
    ) -> Worker[None]:
        """Run some work in a worker, with the sentence `saying` in the status line meanwhile; a failure is shown there.

        The next key waits for a worker whose group `blocks_keys` names. An `exclusive` worker cancels the others of its
        group. Return the worker.
        """
        is_under_way = True
        if saying:
            self._chrome.set_status(saying, shown_while=lambda: is_under_way)

        async def guarded() -> None:
            nonlocal is_under_way
            try:
                await self.attempt(work)
            finally:
                is_under_way = False
                self._chrome.refresh()

        if isinstance(work, Coroutine):  # a worker that is cancelled before it starts awaits nothing
            finalize(guarded, work.close).atexit = False
        return self._chrome.app.run_worker(guarded, group=group, exclusive=exclusive, description=group)


def feature_in(name: str) -> type[Feature]:
    """Load the feature in a file of this package and return its class."""
    module = import_module(f"{__package__}.{name}")
    kinds = (kind for kind in vars(module).values() if isinstance(kind, type) and Feature in kind.__bases__)
    return next(kind for kind in kinds if kind.__module__ == module.__name__)


class Features:
    """The features of one session, by class: `chrome` is what its screens have in common, `runs` the list."""

    def __init__(self, chrome: Chrome, runs: RunsView) -> None:
        self.chrome = chrome
        self.runs = runs
        self._built: dict[type[Feature], Feature] = {}
        chrome.features = self

    def __getitem__(self, kind: type[FeatureT]) -> FeatureT:
        """Return a feature; build and start it first if necessary."""
        found = self._built.get(kind)
        if isinstance(found, kind):
            return found
        made = self._built[kind] = kind(self)
        made.start()
        return made

    def owners(self, action_id: str) -> Iterator[Feature]:
        if action_id in FEATURE_OF:
            yield self[feature_in(FEATURE_OF[action_id])]

    def extend(self, context: ActionContext) -> ActionContext:
        for feature in self.built:
            context = feature.extend(context)
        return context

    def build(self, *names: str) -> None:
        """Build the features in some files, in this order."""
        for name in names:
            self[feature_in(name)]

    def build_when(self, service: Announcer[EventT], *names: str) -> None:
        """Build the features in some files at the first announcement of a service, which they get too. The service
        announces on the event loop."""

        def wake(_announcement: EventT) -> None:
            end()
            self.build(*names)

        end = service.subscribe(wake)

    async def mount_when_idle(self, screen: Callable[[], ViewScreen[Any]]) -> None:
        """Mount what is likely to be opened next, while the person looks at something else.

        Its first layout leads to another one if it brings a scrollbar: that is done now, too.
        """
        wait_idle = self.chrome.keys.wait_idle
        await wait_idle()
        await self.chrome.prepare(mounted := screen())
        await wait_idle()
        while needs_layout(mounted) and not mounted.is_current:
            lay_out(mounted)
            await wait_idle()

    @property
    def built(self) -> Sequence[Feature]:
        return tuple(self._built.values())
