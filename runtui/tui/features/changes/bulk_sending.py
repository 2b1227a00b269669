"""Sends many changes: the question before, the result of each, and the keys for the results.

Invariant: only what a review confirmed is sent. A bulk change continues wherever the person is, and leaving its results
stops nothing; one sentence reports its end. An outcome that is settled later replaces an unknown one.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from textual.content import Content

from runtui.domain.bulk_draft import GONE, BulkDraft, actions_of, bulk_of, by_count
from runtui.domain.draft import Draft
from runtui.domain.report import Outcome
from runtui.domain.text import count_words
from runtui.domain.triage.service_actions import Operation, ServiceAction
from runtui.errors import UsageError
from runtui.services.records.journal import Entry
from runtui.services.records.journal_query import write_export
from runtui.services.sharing.formats import RecordFormat, record_lines
from runtui.services.store.store import StoredRun, stored_runs, workflow_names_of
from runtui.services.writing.bulk import Bulk
from runtui.services.writing.follow import FollowedRun
from runtui.services.writing.undo import drafts_to_undo
from runtui.services.writing.write import Save
from runtui.tui.actions import ActionContext
from runtui.tui.features.changes.lists import RESULTS, ResultRow
from runtui.tui.features.changes.reviewing import Reviewing
from runtui.tui.features.feature import Feature, Features
from runtui.tui.keys import blocks_keys
from runtui.tui.screens.frame import Chrome
from runtui.tui.screens.panel import Panel
from runtui.tui.screens.questions import Choice, Picker
from runtui.tui.screens.view import ActionView, Throttle
from runtui.tui.text import content
from runtui.tui.widgets.chrome import Severity
from runtui.tui.widgets.row_list import ReadList
from runtui.tui.widgets.side_panel import none_selected
from runtui.tui.words import write_words


@dataclass(slots=True)
class BulkProgress:
    """One bulk change and the progress of each of its changes."""

    bulk: Bulk
    results: dict[str, ResultRow]
    """Each change, by run id."""
    left_out: Collection[str] = ()
    """The ids of the chosen runs that it leaves out; they stay marked."""
    words: str = ""
    """The change or the action."""
    asked_about: Save | None = None
    """The last refusal that a person was asked about."""

    @property
    def is_action(self) -> bool:
        return self.bulk.saves[0].action is not None

    @property
    def kind(self) -> str:
        return "undo" if self.bulk.saves[0].undoes is not None else "action" if self.is_action else "change"

    @property
    def held_by(self) -> Save | None:
        """The refusal that holds the rest, if there is a rest."""
        return None if self.bulk.has_ended else self.bulk.held_by

    @property
    def outcomes(self) -> Counter[Outcome | None]:
        """The number of changes with each outcome; None for those in progress."""
        return Counter(row.outcome for row in self.results.values())


class ResultsView(ActionView[None]):
    """The list of the changes."""

    scope = "results"
    list: ReadList[ResultRow, str]

    def __init__(self, chrome: Chrome) -> None:
        super().__init__()
        self._chrome = chrome
        self.list = ReadList(RESULTS, name="results", sort="outcome")
        self.progress: BulkProgress | None = None
        self.outcomes: Counter[Outcome | None] = Counter()
        """The changes in the list."""

    @property
    def chosen(self) -> Sequence[ResultRow]:
        """The marked rows, or all if none is marked."""
        marks, rows = self.list.table.marks, [*self.progress.results.values()] if self.progress is not None else []
        return [row for row in rows if row.save.run_id in marks] if marks else rows

    def open(self, progress: BulkProgress) -> None:
        if progress is not self.progress:
            self.progress = progress
            self.list.begin("")
        self.reload()

    def reload(self) -> None:
        if self.progress is not None:
            self.outcomes = self.progress.outcomes
            self.list.put([*self.progress.results.values()])
            self.on_line_table_cursor_moved()
            self.post_message(self.Changed())

    def title(self) -> Content:
        progress = self.progress
        if progress is None:
            return Content()
        counted = write_words.bulk_counts(self.outcomes)
        if self.list.filter_text:
            counted = f"{self.list.table.total} shown, {counted}"
        parts = [self.list.title(counted)]
        if progress.held_by is not None:
            parts.append(content("  held", "$text-warning"))
        parts.append(content(f"  {progress.words}", "$text-muted"))
        return Content("").join(parts)

    def show_in(self, panel: Panel) -> None:
        if (row := self.list.row) is None:
            panel.show_page(none_selected("change"))
        else:
            panel.follow(row.save.run_id, row.outcome, lambda _: not self.list.table.is_untouched)  # rows move

    def on_line_table_cursor_moved(self) -> None:
        """Show the response of the change under the cursor in the panel, also when it makes progress."""
        panel, row = self._chrome.panel, self.list.row
        if row is not None and panel.tab == "response" and self.screen in self.app.screen_stack:
            panel.show_save(row.save)


RESULT_FORMATS: Final[tuple[RecordFormat, ...]] = ("jsonl", "csv")


class BulkSending(Feature):
    """The review of many changes, and their results."""

    def __init__(self, features: Features) -> None:
        super().__init__(features)
        self._reviewing = features[Reviewing]
        self.view = ResultsView(self._chrome)
        self.screen = self._chrome.install(self.view)
        self._changes: dict[str, BulkProgress] = {}
        """The bulk changes that have not ended, and the last one, by batch."""
        self._is_due = False
        """True while an announced save is not drawn."""
        self.drawing = Throttle(self._runs, self._workspace.foreground, self._draw)

    def start(self) -> None:
        self.listen(self._workspace.saves.changed, lambda _save: self.drawing.ask(), wanted=self._note)
        self.listen(self._workspace.reconciler.changed, self._entry_settled)

    def _note(self, save: Save) -> bool:
        """Keep the state of a save; return whether to announce it. One announcement leads to the drawing of all: a key
        waits for each message before it."""
        if (progress := self._changes.get(save.batch)) is not None:
            progress.results[save.run_id].save = save
        is_first = bool(save.batch) and not self._is_due
        self._is_due |= is_first
        return is_first

    def extend(self, context: ActionContext) -> ActionContext:
        context = context._replace(has_bulk=bool(self._changes))
        if self._chrome.front.view is not self.view or self.view.progress is None:
            return context
        outcomes = self.view.outcomes
        return context._replace(
            has_open=None in outcomes,
            has_done=Outcome.DONE in outcomes,
            has_not_done=Outcome.NOT_DONE in outcomes,
            is_action=self.view.progress.is_action,
        )

    # The review

    async def make_bulk(
        self,
        run_ids: Collection[str],
        make: Callable[[Sequence[StoredRun], Collection[str], Collection[str]], BulkDraft],
    ) -> BulkDraft | None:
        """Call `make` with the runs as listed, the ids of those with a change in progress, and the ids of those no
        longer listed; None if they cannot be read."""

        def from_list() -> BulkDraft:
            runs = {run.run_id: run for run in stored_runs(self._workspace.store, run_ids)}
            busy = [run_id for run_id in runs if self._workspace.saves.of_run(run_id) is not None]
            return make([*runs.values()], busy, [run_id for run_id in run_ids if run_id not in runs])

        return await self.in_thread(from_list)

    async def ask(self, bulk: BulkDraft, hint: str | None = None, *, sent: Callable[[], None] = lambda: None) -> None:
        """Ask whether to send these drafts or actions.

        `hint` is as in `Reviewing.review`; `sent` is called once they are being sent.
        """
        if not bulk.drafts:
            words = f"There is nothing to send: {bulk.left_out_words() or 'no run is chosen'}."
            self._chrome.set_status(words, "warning")
            return
        store = self._workspace.store
        found = await self.in_thread(lambda: workflow_names_of(store, [draft.run_id for draft in bulk.drafts]))
        names = found or {}
        about = [("workflows", by_count(Counter(names.values()), "workflow"))]
        await self._reviewing.review(bulk, about, partial(self._send, bulk, names, sent), hint)

    async def _send(self, bulk: BulkDraft, names: Mapping[str, str], sent: Callable[[], None], why: str) -> None:
        """Hand the drafts to the save queue, and show their results."""
        try:
            under_way = self._workspace.saves.submit_many(bulk.drafts, why=why)
        except UsageError as error:
            self._chrome.set_status(str(error), "error")
            return
        results = {save.run_id: ResultRow(save, names.get(save.run_id, "")) for save in under_way.saves}
        progress = BulkProgress(under_way, results, bulk.left_out)
        self._changes = {batch: earlier for batch, earlier in self._changes.items() if not earlier.bulk.has_ended}
        self._changes[under_way.batch] = progress  # before the first await: each state of a save is announced once
        self.listen(under_way.changed, self._bulk_changed)
        sent()
        if self._chrome.front.view is self._runs:
            self._runs.table.set_marks(self._runs.table.marks.difference(draft.run_id for draft in bulk.drafts))
        progress.words = await asyncio.to_thread(write_words.bulk_summary, bulk)
        await self._show(progress)
        self.view.show_in(self._chrome.panel)  # it is about another run: its tab comes forward once it is there
        self._chrome.panel.bring_forward("response")
        self.view.on_line_table_cursor_moved()

    # The results

    async def action_bulk(self) -> None:
        """Show the results that wait for a person, else the last ones; or close them."""
        if self._chrome.front is self.screen:
            self.screen.dismiss()
            return
        shown = [progress for progress in self._changes.values() if progress.held_by is not None]
        await self._show((shown or list(self._changes.values()))[-1])

    async def _show(self, progress: BulkProgress) -> None:
        await self._chrome.open(self.screen, fill=partial(self.view.open, progress))
        self._chrome.set_status("")
        if progress.held_by is not None:
            await self.action_stop_bulk()

    def _draw(self) -> None:
        self._is_due = False
        self._runs.table.tick()
        if self.view.is_attached and self.screen.is_open:  # the app may be quitting
            self.view.reload()
        if (shown := self._chrome.panel.save_shown) is not None and shown.batch in self._changes:
            self._chrome.panel.show_save(self._changes[shown.batch].results[shown.run_id].save)
        self._chrome.refresh()

    def _entry_settled(self, entry: Entry) -> None:
        if (progress := self._changes.get(entry.batch)) is not None and entry.is_settled:
            progress.results[entry.run_id].settled = entry
            self.drawing.ask()

    def note_followed(self, save: Save, found: FollowedRun) -> None:
        if (progress := self._changes.get(save.batch)) is not None:
            progress.results[save.run_id].followed = found
            self.drawing.ask()

    async def _bulk_changed(self, bulk: Bulk) -> None:
        """Report that all have ended, or that a refusal holds the rest."""
        progress = self._changes.get(bulk.batch)
        if progress is None:
            return
        is_in_sight = self._chrome.front is self.screen and self.view.progress is progress
        outcomes = progress.outcomes
        if bulk.has_ended:
            good = set(outcomes) == {Outcome.DONE}
            severity: Severity = "success" if good else "warning"
            marked = len(self._runs.table.marks.intersection(progress.left_out))
            words = write_words.bulk_ended(outcomes, progress.kind, marked, is_in_sight=is_in_sight)
            self._chrome.set_status(words, severity)
        elif (save := bulk.held_by) is not None and save is not progress.asked_about:
            progress.asked_about = save
            words = write_words.bulk_held(save, outcomes[None], is_in_sight=is_in_sight)
            self._chrome.set_status(words, "warning", lambda: bulk.held_by is save)
            if is_in_sight and self._chrome.is_in_front(self.view):
                await self.action_stop_bulk()
        self._draw()

    async def action_stop_bulk(self) -> None:
        """Stop the unsent changes; if a refusal holds them, ask whether to go on."""
        progress = self.view.progress
        if progress is None:
            return
        bulk, left = progress.bulk, progress.outcomes[None]
        if (save := bulk.held_by) is None:
            bulk.stop()
            self._chrome.front.set_status(
                "Stopped; waiting for the changes in progress.", shown_while=lambda: not bulk.has_ended
            )
            return

        progress.asked_about = save

        def decided(goes_on: bool) -> None:
            if bulk.held_by is save:
                (bulk.resume if goes_on else bulk.stop)()
                self.drawing.ask()

        choices: list[Choice[Any]] = [
            Choice(None, "Decide later: nothing is sent meanwhile"),
            Choice(False, f"Stop: send nothing to the other {count_words(left, 'run')}"),
            Choice(True, "Continue, and do not stop again for this kind of refusal"),
        ]
        about = write_words.held_question(save, left)
        await self._chrome.ask(Picker("Continue after a refusal?", choices, about=about), decided)

    async def action_open_result(self) -> None:
        if (row := self.view.list.row) is None:
            return
        number, panel = row.save.entry, self._chrome.panel
        journal, entry = self._workspace.journal, None
        if number is not None and row.outcome is not None:  # else the entry tells of an earlier try
            entry = await self.in_thread(lambda: journal.entry(number))
        self._chrome.show_panel()
        if entry is not None:
            panel.show_entry(entry)
        else:
            panel.show_save(row.save)
        panel.choose("response")
        self._chrome.refresh()

    async def action_retry(self) -> None:
        rows = [row for row in self.view.chosen if row.outcome is Outcome.NOT_DONE]
        undone = [row.save.undoes for row in rows if row.save.undoes is not None]
        if undone:
            await self.review_undo(undone)
            return
        bulk = await self._again({row.save.run_id: row.save.operation for row in rows})
        if bulk is not None:
            await self.ask(bulk)

    async def _again(self, operations: Mapping[str, Operation]) -> BulkDraft | None:
        """Make the same changes or actions for the current runs; `operations` are by run id."""
        actions = {run_id: action for run_id, action in operations.items() if isinstance(action, ServiceAction)}
        if actions:
            return await self.make_bulk(actions, partial(actions_of, lambda _, run_id: actions[run_id]))

        def make_bulk(runs: Sequence[StoredRun], busy: Collection[str], gone: Collection[str]) -> BulkDraft:
            found = ((operations[run.run_id], run.raw) for run in runs)
            drafts = {draft.run_id: draft.rebased(received) for draft, received in found if isinstance(draft, Draft)}
            return bulk_of({**dict.fromkeys(gone, GONE), **drafts}, busy)

        return await self.make_bulk(operations, make_bulk)

    async def action_undo_bulk(self) -> None:
        rows = [row for row in self.view.chosen if row.outcome is Outcome.DONE]
        numbers = [row.save.entry for row in rows if row.save.entry is not None]
        await self.review_undo(numbers)

    async def review_undo(self, numbers: Sequence[int]) -> None:
        """Ask whether to undo these journal entries, based on the runs in the list."""
        bulk = await self.in_thread(lambda: self._undo_of(numbers))
        if bulk is not None:
            await self.ask(bulk)

    def _undo_of(self, numbers: Sequence[int]) -> BulkDraft:
        """Return the drafts that undo some entries. It reads files."""
        workspace = self._workspace
        entries = [entry for number in numbers if (entry := workspace.journal.entry(number)) is not None]
        runs = stored_runs(workspace.store, [entry.run_id for entry in entries])
        busy = {entry.run_id for entry in entries if workspace.saves.of_run(entry.run_id) is not None}
        return drafts_to_undo(entries, {run.run_id: run.raw for run in runs}, workspace.settings.body_mode, busy)

    async def action_export_results(self) -> None:
        if rows := list(self.view.chosen):
            choices = [Choice(form, write_words.FORMATS[form]) for form in RESULT_FORMATS]
            question = Picker("Export the results", choices)
            await self._chrome.ask(
                question, lambda form: self.in_worker(self._export(rows, form), blocks_keys("export"))
            )

    async def _export(self, rows: Sequence[ResultRow], form: RecordFormat) -> None:
        records = [write_words.result_object(row) for row in rows]
        folder = self._workspace.journal.path.parent
        lines = record_lines(records, form, tuple(records[0]))
        path = await asyncio.to_thread(write_export, folder, f"results.{form}", lines)
        self._chrome.set_status(write_words.export_written(path, len(rows)), "success")
