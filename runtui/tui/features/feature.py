"""What a feature is, and those of one session.

Invariant: a feature is loaded and built when it is first asked for. Until then there is nothing that it could tell;
from then on it follows the services.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pkgutil import resolve_name
from typing import TypeVar

from runtui.errors import RuntuiError
from runtui.tui.actions import ActionContext
from runtui.tui.screens.frame import Chrome
from runtui.tui.screens.runs import RunsView

FeatureT = TypeVar("FeatureT", bound="Feature")
_T = TypeVar("_T")


class Feature:
    """What a person can do across screens: it has an `action_<id>` for each action of the registry that it owns."""

    def __init__(self, features: Features) -> None:
        self._features = features
        self._chrome = features.chrome
        self._runs = features.runs
        self._workspace = features.chrome.workspace

    def start(self) -> None:
        """Follow the services, from the moment at which it was built."""

    def extend(self, context: ActionContext) -> ActionContext:
        """Add what this feature alone knows of what can be done now."""
        return context

    def stop_asking(self) -> None:
        """Have nobody wait for a person."""

    def end(self) -> None:
        """The screens are gone."""

    async def attempt(self, work: Awaitable[_T]) -> _T | None:
        """What comes of some work; what fails is told, and gives None."""
        try:
            return await work
        except RuntuiError as error:
            self._chrome.set_status(str(error), "error")
            return None

    async def in_thread(self, call: Callable[[], _T]) -> _T | None:
        """The same of a call that reads files."""
        return await self.attempt(asyncio.to_thread(call))

    def aside(self, work: Awaitable[object], group: str, saying: str = "", *, exclusive: bool = False) -> None:
        """Do what takes a while beside the screen; what fails is told.

        Args:
            work: What is done.
            group: Of the worker; of one that `awaited` names, the next key waits for it.
            saying: Stands in the status line meanwhile.
            exclusive: Whether it takes the place of what the group does.
        """
        is_under_way = True
        if saying:
            self._chrome.set_status(saying, holds=lambda: is_under_way)

        async def guarded() -> None:
            nonlocal is_under_way
            try:
                await self.attempt(work)
            finally:
                is_under_way = False
                self._chrome.refresh()

        self._chrome.app.run_worker(guarded(), group=group, exclusive=exclusive, description=group)


class Features:
    """The features of one session, by their classes.

    Args:
        chrome: The frame.
        runs: The list, in which they begin.
        every: The places of their classes, such as `package.module:Class`, in the order in which they are built.
    """

    def __init__(self, chrome: Chrome, runs: RunsView, every: Sequence[str]) -> None:
        self.chrome = chrome
        self.runs = runs
        self._every = every
        self._built: dict[type[Feature], Feature] = {}
        chrome.owners = self

    def __getitem__(self, kind: type[FeatureT]) -> FeatureT:
        """A feature, built and started where it is not."""
        found = self._built.get(kind)
        if found is None:
            found = self._built[kind] = kind(self)
            self.chrome.extensions.append(found.extend)
            found.start()
        assert isinstance(found, kind)  # noqa: S101 - for the type checker
        return found

    def __iter__(self) -> Iterator[Feature]:
        """All of them, each built when it is its turn."""
        for place in self._every:
            kind: type[Feature] = resolve_name(place)
            yield self[kind]

    @property
    def built(self) -> Sequence[Feature]:
        return tuple(self._built.values())
