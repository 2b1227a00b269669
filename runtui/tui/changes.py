"""The part of the screen that follows changes: sending them, how they wait, and what became of them.

Invariant: nothing is sent from here but what a review confirmed. A clock runs only while a save waits.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from textual.timer import Timer

from runtui.errors import RuntuiError, UsageError
from runtui.graph.exchange import Outcome
from runtui.services.workspace import Workspace
from runtui.services.write import Save, Step
from runtui.tui import draft_words, entry_words, pages
from runtui.tui.bridge import JournalFailed, SaveChanged, SettlingChanged
from runtui.tui.drafting import Drafting
from runtui.tui.messages import SendConfirmed
from runtui.tui.widgets.status_line import Severity, StatusLine

COUNTDOWN_SECONDS: Final = 1.0
"""How often the time that a save still waits is told."""


class Changes(Drafting):
    """A frame that knows how runs are changed."""

    def __init__(self, workspace: Workspace, *, columns: int) -> None:
        """Lay out a workspace.

        Args:
            workspace: The services, connected.
            columns: The width of the terminal now, so that the first layout is the right one.
        """
        super().__init__(workspace, columns=columns)
        self._sent: set[int] = set()
        """The entries of this session: what became of them is no news of an earlier one."""
        self._countdown: Timer | None = None
        """Runs while a save waits."""
        self._last_sent = ""
        """The run whose change was confirmed last."""
        self._told_wait = ""
        """The last sentence of the countdown; once another one stands there, it is left alone."""

    def show_headline(self) -> None:
        """Draw the first line as things stand."""
        raise NotImplementedError

    # Sending

    def on_send_confirmed(self, event: SendConfirmed) -> None:
        """Hand the draft to the write path and go back to the list, or to the journal."""
        try:
            self._workspace.saves.submit(event.draft, undoes=event.undoes)
        except UsageError as error:
            self.say(str(error), "error")
        else:
            self._last_sent = event.draft.run_id
            self.open_panel()
            self.panel.choose("response")
        self.left.leave("review", *(("edit",) if event.undoes is None else ()))

    async def on_save_changed(self, event: SaveChanged) -> None:
        """A save went on: its row says so, and the panel; when it ended, so does the status line."""
        save = event.save
        if save.entry is not None:
            self._sent.add(save.entry)
        self.left.runs.table.flags_changed(save.run_id)
        if self.left.view != "journal":  # there the panel shows the entry under the cursor
            self.panel.show_save(save)
        if save.outcome is not None:
            good = save.outcome is Outcome.DONE and not save.ignored and not save.unrecorded
            failed = save.outcome is Outcome.NOT_DONE
            severity: Severity = "success" if good else "error" if failed else "warning"
            self.say(self._save_words(save), severity, lambda: not failed or self._is_kept(save))
        elif save.step is Step.PAUSED:
            self._say_wait(save)
        self._count_down_while_waiting()
        self.refresh_chrome()
        if save.conflicts and not save.row_is_stale and save.undoes is None and self._is_looking_at(save.run_id):
            await self.left.edit(save.run_id)

    def _is_kept(self, save: Save) -> bool:
        """Whether the draft of a save is there to be sent again; what was to be undone has none."""
        return save.undoes is not None or save.run_id in self._workspace.drafts

    def _is_looking_at(self, run_id: str) -> bool:
        """Whether the person still waits before this run: only then may its values in conflict take the screen.

        No key of the list does harm there: what is chosen is not sent before another `y` in the review. A run that the
        filter hides since it changed has no row to wait at.
        """
        table = self.left.runs.table
        is_in_list = self.app.screen is self and self.left.view == "runs" and self.focused is table
        is_hidden = run_id == self._last_sent and not table.finds(run_id)
        return is_in_list and (table.cursor_id == run_id or is_hidden)

    def _save_words(self, save: Save) -> str:
        words = pages.save_words(save)
        if save.outcome is Outcome.DONE and not self.left.runs.table.finds(save.run_id):
            words += " The filter no longer shows the run."
        return words

    # Waiting

    def waiting(self) -> tuple[Save, ...]:
        """The saves that wait until the service takes requests again, the one under the cursor first."""
        if not self._workspace.connected:
            return ()
        run_id = self.left.runs.table.cursor_id
        paused = (save for save in self._workspace.saves.active() if save.step is Step.PAUSED)
        return tuple(sorted(paused, key=lambda save: save.run_id != run_id))

    def _count_down_while_waiting(self) -> None:
        if self.waiting() and self._countdown is None:
            self._countdown = self.set_interval(COUNTDOWN_SECONDS, self.count_down)
        elif not self.waiting() and self._countdown is not None:
            self._countdown.stop()
            self._countdown = None

    def count_down(self) -> None:
        """Tell how long saves still wait, where it was told before and nothing else has taken its place."""
        status = self.query_one(StatusLine)
        for save in self.waiting():
            self.panel.follow_save(save)
            if status.text == self._told_wait:
                self._say_wait(save)

    def _say_wait(self, save: Save) -> None:
        """Tell how long a save still waits, as long as it does."""
        self._told_wait = pages.wait_sentence(save, datetime.now(UTC))
        self.say(self._told_wait, "warning", lambda: save.number in {waiting.number for waiting in self.waiting()})

    def action_give_up(self) -> None:
        """Stop a save that waits: the one under the cursor, or the oldest."""
        for save in self.waiting()[:1]:
            if not self._workspace.saves.stop(save.number):
                self.say(
                    "It is on its way again and cannot be stopped.",
                    "warning",
                    lambda: save.number in {active.number for active in self._workspace.saves.active()},  # noqa: B023
                )

    # Read-only

    def action_read_only(self) -> None:
        """Refuse writing, or allow it again; a session that began read-only stays so."""
        workspace = self._workspace
        workspace.toggle_read_only()
        words = entry_words.read_only(entry_words.why_read_only(workspace), len(workspace.saves.active()))
        now = workspace.read_only
        self.say(words, "warning" if now else "information", lambda: workspace.read_only == now)
        self.show_headline()
        self.refresh_chrome()

    # What is unknown, and what was left

    def tell_what_was_left(self) -> None:
        """What was found from the last time: changes whose outcome was not known, and drafts, or why there are none."""
        workspace = self._workspace
        drafts, reconciler = workspace.drafts, workspace.reconciler
        if (trouble := reconciler.fault or reconciler.broken) is not None:
            self._say_trouble(trouble)
            return
        found = {entry.number: entry for entry in (*reconciler.unsettled.values(), *reconciler.settled.values())}
        earlier = [entry for number, entry in found.items() if number not in self._sent]
        if drafts.fault is not None or not earlier:
            self.tell_of_drafts()
        else:
            words = (entry_words.found_at_start(earlier), draft_words.kept(len(drafts)))
            self.say(" ".join(filter(None, words)), "warning" if reconciler.unsettled else "information")

    def on_journal_failed(self, event: JournalFailed) -> None:
        """Nothing can be sent, or what was sent before is not shown."""
        self._say_trouble(event.trouble)

    def _say_trouble(self, trouble: RuntuiError) -> None:
        reconciler, words = self._workspace.reconciler, str(trouble)
        self.say(words, "error", lambda: words in (str(reconciler.fault), str(reconciler.broken)))

    def on_settling_changed(self, event: SettlingChanged) -> None:
        """A change is known to be unknown, or what became of it was found out."""
        entry = event.entry
        self.left.runs.table.flags_changed(entry.run_id)
        if event.at_start and entry.number not in self._sent:
            self.tell_what_was_left()
        elif entry.is_settled:
            self.say(entry_words.settled(entry), "success" if entry.outcome is Outcome.DONE else "warning")
        self.show_headline()
        self.refresh_chrome()
