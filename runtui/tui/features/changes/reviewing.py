"""The review before anything is sent: one question for one change and for many.

Invariant: the review shows exactly what is sent, and who sends it where; only its answer sends anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from runtui.tui.features.feature import FOLLOW_CHANGES, Feature, Features
from runtui.tui.screens.frame import PREPARE, ViewScreen, when_answered
from runtui.tui.words import sign_in_words, write_words

if TYPE_CHECKING:
    from runtui.domain.bulk_draft import BulkDraft
    from runtui.tui.screens.review import ReviewView


class Reviewing(Feature):
    """The review, which every change passes. So it loads the features that follow a change, before the first one."""

    def __init__(self, features: Features) -> None:
        super().__init__(features)
        self._installed: tuple[ReviewView, ViewScreen[str]] | None = None
        """The review and its screen, loaded at the first review."""

    def start(self) -> None:
        self._features.build_when(self._workspace.saves.changed, *FOLLOW_CHANGES)

    def _load(self) -> tuple[ReviewView, ViewScreen[str]]:
        if self._installed is None:
            from runtui.tui.screens.review import ReviewView

            view = ReviewView()
            self._installed = view, self._chrome.install(view)
        return self._installed

    def mount_ahead(self) -> None:
        """Mount the review while the person looks at something else, because it is needed next."""
        if self._installed is None:
            self.in_worker(self._features.mount_when_idle(lambda: self._load()[1]), PREPARE)

    async def review(
        self,
        bulk: BulkDraft,
        about: Sequence[tuple[str, str]],
        send: Callable[[str], object],
        hint: str | None = None,
    ) -> None:
        """Ask whether to send one change, or many; `send` gets the reason.

        `about` says which runs it changes, in pairs of name and value. `hint` is a warning; None means the one about
        changes.
        """
        from runtui.tui.screens.review import review_of

        workspace = self._workspace
        sent = bulk.request_fact(" ".join(workspace.client.target(bulk.drafts[0])))
        review = review_of(
            bulk,
            (*about, *write_words.sent_from(workspace), sent),
            hint=sign_in_words.cannot_write(workspace.sign_in) if hint is None else hint,
            requires_why=workspace.settings.require_why,
        )
        view, screen = self._load()
        if screen.is_open:
            self._chrome.close(screen)
        await self._chrome.open(screen, when_answered(send), fill=lambda: view.sheet.ask(review))
        self._chrome.set_status("")
        self.show_request()

    def show_request(self) -> None:
        """Show the request in the panel. It may belong to another run: only now its tab comes to the front."""
        self._chrome.front.view.show_in(self._chrome.panel)
        self._chrome.panel.bring_forward("request")
        self._chrome.refresh()
