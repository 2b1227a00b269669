"""Which features there are, and what each of them needs.

Invariant: a feature is loaded and built when it is first asked for, and all of them once keys rest, so that the first
keys wait for no more than they need. Until then there is nothing that it could tell; from then on it follows the
services.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from runtui.domain.properties import EDITABLE
from runtui.tui.actions import Feature
from runtui.tui.features.leaving import Leaving
from runtui.tui.features.listing import Listing
from runtui.tui.screens.frame import Chrome
from runtui.tui.screens.runs import RunsView

if TYPE_CHECKING:
    from runtui.tui.features.acting import Acting
    from runtui.tui.features.arranging import Arranging
    from runtui.tui.features.bulk_editing import BulkEditing
    from runtui.tui.features.bulk_sending import BulkSending
    from runtui.tui.features.copying import Copying
    from runtui.tui.features.editing import Editing
    from runtui.tui.features.journaling import Journaling
    from runtui.tui.features.opening import Opening
    from runtui.tui.features.overviewing import Overviewing
    from runtui.tui.features.signing_in import SigningIn
    from runtui.tui.features.switching import Switching
    from runtui.tui.features.triage.explaining import Explaining
    from runtui.tui.features.triage.tracing import Tracing
    from runtui.tui.features.triage.triaging import Triaging

FeatureT = TypeVar("FeatureT", bound=Feature)


def _nothing() -> None:
    """Nobody is to be told."""


class Stages(NamedTuple):
    """Whom the screen tells how far it has come, once each."""

    begin: Callable[[], object] = _nothing
    """The first rows and keys are done with: there is time for the server now."""
    prepared: Callable[[], object] = _nothing
    """What is to stay is loaded and mounted."""


class Features:
    """The features of one session.

    Args:
        chrome: The frame.
        runs: The list, in which they begin.
    """

    def __init__(self, chrome: Chrome, runs: RunsView) -> None:
        self._chrome = chrome
        self._runs = runs
        self.leaving = Leaving(chrome, self.stop_asking)
        self.listing = Listing(chrome, runs)
        self.is_followed_up = False
        """Whether every feature is there, and has told what it found at the start."""
        chrome.features.append(self.listing)
        chrome.every_feature = self
        self.is_prepared = False
        """Whether what is not in sight at first is mounted."""

    def __iter__(self) -> Iterator[Feature]:
        """All of them, each built when it is its turn; those whose keys are pressed most come first."""
        yield self.listing
        yield self.switching
        yield self.arranging
        yield self.opening
        yield self.editing
        yield self.triaging
        yield self.bulk_editing
        yield self.bulk_sending
        yield self.acting
        yield self.explaining
        yield self.tracing
        yield self.overviewing
        yield self.journaling
        yield self.copying
        yield self.signing_in

    async def prepare(self, rest: Callable[[], Awaitable[None]], stages: Stages) -> None:
        """Whenever keys rest, load what was not asked for yet, then mount its places, so that no key waits for it.

        Args:
            rest: Waits until nothing that was typed is left to do.
            stages: Whom to tell how far it has come.
        """
        for _ in self:
            await rest()
        stages.begin()
        await asyncio.to_thread(_prepare_editing)
        await self.listing.is_read.wait()
        self.editing.tell_of_unlisted_drafts()
        self.is_followed_up = True
        if not self.is_prepared:
            for place in self._chrome.places:
                await rest()
                await self._chrome.prepare(place)
            # The first rows stand where they belong: from here on the cursor belongs to its run.
            self._runs.table.row_under_cursor(hold=True)
            stages.prepared()
            self.is_prepared = True

    def stop_asking(self) -> None:
        """Have nobody wait for a person to sign in."""
        if "signing_in" in vars(self):
            self.signing_in.stop_asking()

    def end(self) -> None:
        """The screens are gone: nobody can be asked any more."""
        if "signing_in" in vars(self):
            self.signing_in.end()

    def _started(self, feature: FeatureT) -> FeatureT:
        self._chrome.features.append(feature)
        feature.start()
        return feature

    @cached_property
    def acting(self) -> Acting:
        from runtui.tui.features.acting import Acting

        needs = (self.editing, self.bulk_editing, self.opening, self.overviewing.view)
        return self._started(Acting(self._chrome, *needs))

    @cached_property
    def arranging(self) -> Arranging:
        from runtui.tui.features.arranging import Arranging

        return self._started(Arranging(self._chrome, self._runs))

    @cached_property
    def bulk_editing(self) -> BulkEditing:
        from runtui.tui.features.bulk_editing import BulkEditing

        return self._started(BulkEditing(self._chrome, self._runs, self.editing, self.bulk_sending))

    @cached_property
    def bulk_sending(self) -> BulkSending:
        from runtui.tui.features.bulk_sending import BulkSending

        return self._started(BulkSending(self._chrome, self._runs))

    @cached_property
    def copying(self) -> Copying:
        from runtui.tui.features.copying import Copying

        return self._started(Copying(self._chrome))

    @cached_property
    def editing(self) -> Editing:
        from runtui.tui.features.editing import Editing

        return self._started(Editing(self._chrome, self._runs))

    @cached_property
    def explaining(self) -> Explaining:
        from runtui.tui.features.triage.explaining import Explaining

        return self._started(Explaining(self._chrome, self._runs))

    @cached_property
    def journaling(self) -> Journaling:
        from runtui.tui.features.journaling import Journaling

        return self._started(Journaling(self._chrome, self._runs, self.editing, self.bulk_sending))

    @cached_property
    def opening(self) -> Opening:
        from runtui.tui.features.opening import Opening

        return self._started(Opening(self._chrome))

    @cached_property
    def overviewing(self) -> Overviewing:
        from runtui.tui.features.overviewing import Overviewing

        return self._started(Overviewing(self._chrome, self._runs))

    @cached_property
    def signing_in(self) -> SigningIn:
        from runtui.tui.features.signing_in import SigningIn

        return self._started(SigningIn(self._chrome))

    @cached_property
    def switching(self) -> Switching:
        from runtui.tui.features.switching import Switching

        return self._started(Switching(self._chrome, self.leaving))

    @cached_property
    def tracing(self) -> Tracing:
        from runtui.tui.features.triage.tracing import Tracing

        return self._started(Tracing(self._chrome, self._runs, self.opening))

    @cached_property
    def triaging(self) -> Triaging:
        from runtui.tui.features.triage.triaging import Triaging

        return self._started(Triaging(self._chrome, self._runs, self.opening))


def _prepare_editing() -> None:
    """Load what the first edit needs."""
    for field in EDITABLE:
        field.problem(0)
