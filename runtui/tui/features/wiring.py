"""Which features there are, and getting ready all that the first keys did not ask for.

Invariant: all features are loaded once keys rest, and then their places mounted, so that the first keys wait for no
more than they need, and the later ones for nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from runtui.domain.properties import EDITABLE
from runtui.tui.features.feature import Features
from runtui.tui.features.listing import Listing

EVERY_FEATURE: Final = (
    "runtui.tui.features.listing:Listing",
    "runtui.tui.features.leaving:Leaving",
    "runtui.tui.features.switching:Switching",
    "runtui.tui.features.arranging:Arranging",
    "runtui.tui.features.opening:Opening",
    "runtui.tui.features.editing:Editing",
    "runtui.tui.features.waiting:Waiting",
    "runtui.tui.features.triage.triaging:Triaging",
    "runtui.tui.features.bulk.editing:BulkEditing",
    "runtui.tui.features.bulk.sending:BulkSending",
    "runtui.tui.features.triage.following:Following",
    "runtui.tui.features.acting:Acting",
    "runtui.tui.features.triage.explaining:Explaining",
    "runtui.tui.features.triage.tracing:Tracing",
    "runtui.tui.features.overviewing:Overviewing",
    "runtui.tui.features.journaling:Journaling",
    "runtui.tui.features.copying:Copying",
    "runtui.tui.features.signing_in:SigningIn",
)
"""In the order in which they are built: those whose keys are pressed most come first."""


class Stages(NamedTuple):
    """Whom the screen tells how far it has come, once each."""

    begin: Callable[[], object] = lambda: None
    """The first rows and keys are done with: there is time for the server now."""
    prepared: Callable[[], object] = lambda: None
    """What is to stay is loaded and mounted."""


class Preparation:
    """What is done while keys rest, until nothing is left for a key to wait for."""

    def __init__(self, features: Features) -> None:
        self._features = features
        self.is_followed_up = False
        """Whether every feature is there, and has told what it found at the start."""
        self.is_prepared = False
        """Whether what is not in sight at first is mounted."""

    async def prepare(self, rest: Callable[[], Awaitable[None]], stages: Stages) -> None:
        """Whenever keys rest, load what was not asked for yet, then mount its places.

        Args:
            rest: Waits until nothing that was typed is left to do.
            stages: Whom to tell how far it has come.
        """
        from runtui.tui.features.editing import Editing

        chrome = self._features.chrome
        for _ in self._features:
            await rest()
        stages.begin()
        await asyncio.to_thread(_prepare_editing)
        await self._features[Listing].is_read.wait()
        self._features[Editing].tell_of_unlisted_drafts()
        self.is_followed_up = True
        if not self.is_prepared:
            for place in chrome.places:
                await rest()
                await chrome.prepare(place)
            # The first rows stand where they belong: from here on the cursor belongs to its run.
            self._features.runs.table.row_under_cursor(hold=True)
            stages.prepared()
            self.is_prepared = True


def _prepare_editing() -> None:
    """Load what the first edit needs."""
    for field in EDITABLE:
        field.problem(0)
