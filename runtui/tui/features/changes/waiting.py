"""Changes that wait until the service takes requests again: the countdown, and a key to stop one.

Invariant: a clock runs only while a change waits, and a newer message is left alone.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from textual.timer import Timer

from runtui.services.writing.write import Save, Step
from runtui.tui.actions import ActionContext
from runtui.tui.features.feature import Feature, Features
from runtui.tui.words import pages

COUNTDOWN_SECONDS: Final = 1.0
"""Seconds between two updates of the countdown."""


class Waiting(Feature):
    """The waiting saves, and the message with their countdown."""

    def __init__(self, features: Features) -> None:
        super().__init__(features)
        self.timer: Timer | None = None
        """Runs while a save waits."""
        self._sentence = ""
        """The last message; if another one replaces it, that one stays."""

    def extend(self, context: ActionContext) -> ActionContext:
        return context._replace(waiting=bool(self._waiting()))

    def _waiting(self) -> tuple[Save, ...]:
        """The waiting saves, the one under the cursor first."""
        run_id = self._chrome.front.view.run_id
        active = self._workspace.saves.active()
        paused = (save for save in active if save.step is Step.PAUSED and not save.batch)
        return tuple(sorted(paused, key=lambda save: save.run_id != run_id))

    def follow(self, save: Save) -> None:
        """Start or stop the clock after the progress of a save."""
        if save.step is Step.PAUSED and save.outcome is None:
            self._show_wait(save)
        if self._waiting() and self.timer is None:
            self.timer = self._chrome.app.set_interval(COUNTDOWN_SECONDS, self.tick)
        elif not self._waiting() and self.timer is not None:
            self.timer.stop()
            self.timer = None

    def tick(self) -> None:
        """Update the countdown, if it is shown and no other message has replaced it."""
        for save in self._waiting():
            self._chrome.panel.follow_save(save)
            if self._chrome.status.text == self._sentence:
                self._show_wait(save)

    def _show_wait(self, save: Save) -> None:
        """Show the countdown of a save, as long as it waits."""
        self._sentence = pages.wait_sentence(save, datetime.now(UTC))
        waits = lambda: save.number in {waiting.number for waiting in self._waiting()}  # noqa: E731
        self._chrome.set_status(self._sentence, "warning", waits)

    def action_stop_waiting(self) -> None:
        for save in self._waiting()[:1]:
            if not self._workspace.saves.stop(save.number):
                self._chrome.set_status(
                    "It is being sent again and can no longer be stopped.",
                    "warning",
                    lambda: save.number in {active.number for active in self._workspace.saves.active()},  # noqa: B023
                )
