"""Which features there are, and getting ready all that the first keys did not ask for.

Invariant: all features are loaded once keys rest, and then the places mounted that are opened most, so that the first
keys wait for no more than they need. What is drawn, or judges values, takes megabytes: it waits for its key.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import cache
from importlib import import_module
from itertools import chain
from typing import Final, NamedTuple

from runtui.tui import features
from runtui.tui.features.feature import Feature, Features
from runtui.tui.features.listing import Listing

PRESSED_MOST: Final = (
    "listing", "panes", "helping", "switching", "arranging", "opening", "changes.editing", "triage.triaging",
    "changes.bulk_editing",
)  # fmt: skip
"""The files of the features that are built first."""


def every_feature() -> Iterator[type[Feature]]:
    """The classes of all features: those in any file of this package, each loaded when it is its turn."""
    yield from chain.from_iterable(map(_in_file, PRESSED_MOST))
    yield from chain.from_iterable(_in_file(name) for name in _files() if name not in PRESSED_MOST)


def _in_file(name: str) -> Iterator[type[Feature]]:
    module = import_module(f"{features.__name__}.{name}")
    for kind in vars(module).values():
        if isinstance(kind, type) and Feature in kind.__bases__ and kind.__module__ == module.__name__:
            yield kind


@cache
def _files() -> tuple[str, ...]:
    from pkgutil import walk_packages

    here = f"{features.__name__}."
    found = walk_packages(features.__path__, here)
    return tuple(file.name.removeprefix(here) for file in found if not file.ispkg)


class Stages(NamedTuple):
    """Whom the screen tells how far it has come, once each."""

    begin: Callable[[], object] = lambda: None
    """The first rows and keys are done with: there is time for the server now."""
    prepared: Callable[[], object] = lambda: None
    """What is to stay is loaded and mounted."""


class Preparation:
    """What is done while keys rest, until nothing is left for a key to wait for."""

    def __init__(self, wired: Features) -> None:
        self._wired = wired
        self.is_followed_up = False
        """Whether every feature is there, and has told what it found at the start."""
        self.is_prepared = False
        """Whether what is mounted before its key is mounted."""

    async def prepare(self, rest: Callable[[], Awaitable[None]], stages: Stages) -> None:
        """Whenever keys rest (`rest` waits until nothing that was typed is left to do), load what was not asked for
        yet, then mount the places that are opened most.
        """
        chrome = self._wired.chrome
        await rest()
        if chrome.workspace.progress is not None:  # it was begun before the screen, and may be held for the first keys
            chrome.workspace.refresh.start()
        await chrome.workspace.load_triage()
        for _ in self._wired:
            await rest()
        from runtui.tui.features.changes.editing import Editing

        stages.begin()
        await self._wired[Listing].is_read.wait()
        self._wired[Editing].tell_of_unlisted_drafts()
        self.is_followed_up = True
        if not self.is_prepared:
            for place in chrome.places:
                await rest()
                await chrome.prepare(place)
            await rest()
            # The first rows stand where they belong: from here on the cursor belongs to its run.
            self._wired.runs.table.row_under_cursor(hold=True)
            stages.prepared()
            self.is_prepared = True
