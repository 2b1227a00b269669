"""Loads features, and prepares what the first keys did not need.

Invariant: a feature is loaded at its key, or when it has something to report. Code and mounted screens take megabytes:
once keys rest, only the form and the help are prepared, because they must open at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

from runtui.errors import RuntuiError
from runtui.services.store import EVERY_RUN
from runtui.tui.features.feature import FOLLOW_CHANGES, Features
from runtui.tui.features.listing import Listing


class Stages(NamedTuple):
    """The stages of the start that the screen reports, once each."""

    begin: Callable[[], object] = lambda: None
    """The first rows are drawn and the first keys handled: there is time for the server."""
    prepared: Callable[[], object] = lambda: None
    """Everything that is prepared is loaded and mounted."""


class Preparation:
    """The work that is done while keys rest, until no key has to wait for anything."""

    def __init__(self, features: Features) -> None:
        self._features = features
        self.is_followed_up = False
        """True once every feature with news at the start is loaded, and has reported them."""
        self.is_prepared = False
        """True once the form and the help are mounted."""

    async def prepare(self, stages: Stages) -> None:
        """Whenever keys rest, load what is still needed, then mount the form and the help."""
        features, workspace = self._features, self._features.chrome.workspace
        await features.wait_idle()
        if workspace.progress is not None or not workspace.store.count(EVERY_RUN):  # it was held for the first keys
            workspace.refresh.start()
        await workspace.load_triage()
        with suppress(RuntuiError):  # the reconciler reports a journal that cannot be read
            await workspace.drop_done_drafts()
        for name in self._have_news():
            await features.wait_idle()
            features.build(name)
        features.build_when(workspace.reconciler.changed, *FOLLOW_CHANGES)
        features.build_when(workspace.reconciler.failed, *FOLLOW_CHANGES)
        await features.wait_idle()
        stages.begin()
        await features[Listing].is_read.wait()
        from runtui.tui.features.changes.editing import Editing

        features[Editing].tell_of_unlisted_drafts()
        self.is_followed_up = True
        if not self.is_prepared:
            await features.mount_when_idle(lambda: features[Editing].screen)
            await features.wait_idle()
            from runtui.tui.features.helping import Helping

            await features.mount_when_idle(lambda: features[Helping].screen)
            await features.wait_idle()
            # The first rows are in place: from here on the cursor belongs to its run.
            features.runs.table.row_under_cursor(pin=True)
            stages.prepared()
            self.is_prepared = True

    def _have_news(self) -> Iterator[str]:
        """Return the files of the features that report something by themselves, and of the form: it opens at once."""
        workspace = self._features.chrome.workspace
        yield "changes.editing"
        yield "triage.triaging"
        if workspace.sign_in is not None:
            yield "signing_in"
        drafts, reconciler = workspace.drafts, workspace.reconciler
        trouble = drafts.fault or reconciler.fault or reconciler.broken
        if trouble or len(drafts) or reconciler.unsettled or reconciler.settled:
            yield from FOLLOW_CHANGES
