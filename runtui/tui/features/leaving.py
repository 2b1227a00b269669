"""Leaving: for good, for another profile, or for the shell and back.

Invariant: changes in progress are awaited for a limited time, and the person is told the effect of leaving earlier,
also with drafts that could not be saved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from runtui.domain.text import count_words
from runtui.keys.actions import key_of
from runtui.settings import Settings
from runtui.tui.features.feature import Feature, Features

if TYPE_CHECKING:
    from runtui.services.writing.write import Save

QUIT_SECONDS: Final = 10.0
"""How long quitting waits for changes in progress; after that the person is told and may quit anyway."""


class Leaving(Feature):
    """The way out."""

    def __init__(self, features: Features) -> None:
        super().__init__(features)
        self.next_profile: Settings | None = None
        """The session to open next; None to leave for good."""
        self._told_of: frozenset[int] = frozenset()
        """The numbers of the changes that the person was told of; the key pressed again does not wait for them."""

    def leave(self, next_profile: Settings | None) -> None:
        """Leave once no change is in progress, or when asked a second time, for another profile or (None) for good."""
        if count := self._workspace.unsaved_drafts:
            fault = self._workspace.drafts.fault
            if not self._chrome.has_confirmed(
                f"Not saved: {count_words(count, 'draft')}. {key_of('quit')} again quits. {fault}"
            ):
                return
        self.next_profile = next_profile
        self.stop_asking_all()
        saves = self._workspace.active_saves
        numbers = frozenset(save.number for save in saves)
        if numbers <= self._told_of:
            self._chrome.app.exit(return_code=0)
            return
        self._told_of = numbers
        words = f"Waiting for {count_words(len(saves), 'change')} in progress; {key_of('quit')} again quits at once."
        self._chrome.set_status(words, "warning", self._is_saving)
        self._chrome.app.run_worker(self._leave_after_saves(), group="quit", description="quit", exit_on_error=True)

    def action_suspend(self) -> None:
        """Stop until the shell resumes this process; answers that arrive meanwhile are read then."""
        self._chrome.app.action_suspend_process()

    async def _leave_after_saves(self) -> None:
        """Leave when all changes in progress are done; stay if one is not, so that the person sees why."""
        from runtui.domain.report import Outcome

        saves = self._workspace.saves
        seen: list[Save] = []
        unsubscribe = saves.changed.subscribe(seen.append)
        try:
            open_saves = await saves.drain(QUIT_SECONDS)
        finally:
            unsubscribe()
        if open_saves:
            self.next_profile = None
            self._chrome.set_status(_left_open(self._workspace.active_saves), "error", self._is_saving)
            return
        if all(save.active or save.outcome is Outcome.DONE for save in seen):
            self._chrome.app.exit(return_code=0)
        else:
            self.next_profile = None

    def stop_asking_all(self) -> None:
        """Let no change wait for a person, for example for a sign-in, because that would delay the end."""
        for feature in self._features.built:
            feature.stop_asking()

    def _is_saving(self) -> bool:
        return bool(self._workspace.active_saves)


def _left_open(saves: Sequence[Save]) -> str:
    """Say what leaving now would mean for changes in progress."""
    counted, key = count_words(len(saves), "save"), key_of("quit")
    if all(save.may_be_stopped for save in saves):
        return f"{counted} not sent yet. {key} quits anyway and cancels; drafts are kept."
    return f"{counted} without an answer. {key} quits anyway: the outcome is unknown."
