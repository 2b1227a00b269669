"""Why runs failed: the causes in the runs of the list, one row per task and reason, and the runs of a cause.

Invariant: the rows come only from the store and are grouped in a thread, within the runs that the list showed when the
causes were opened. Results are read in the background while the causes are open, and go on if the runs of a cause are
listed before all are read: more runs may have it. The title says how much was read; an error is shown where the data
would be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from itertools import count
from typing import Final

from textual import work
from textual.content import Content
from textual.worker import Worker

from runtui.domain.results import Cause, TaskResult, fold_reason
from runtui.domain.rows import RunRow
from runtui.domain.times import now_ticks
from runtui.domain.triage.causes import CAUSE_COLUMNS, CauseRow, cause_rows
from runtui.errors import RuntuiError
from runtui.services.refresh import Progress
from runtui.services.results import runs_of_cause
from runtui.services.store.store import EVERY_RUN, RunQuery
from runtui.services.workspace import Workspace
from runtui.tui.features.feature import Feature, Features
from runtui.tui.keys import blocks_keys
from runtui.tui.resources import Resource, in_memory
from runtui.tui.screens.panel import REST_SECONDS, Panel
from runtui.tui.screens.runs import unread
from runtui.tui.screens.view import ActionView, Throttle
from runtui.tui.widgets.line_table import LineTable
from runtui.tui.widgets.row_list import ReadList
from runtui.tui.widgets.side_panel import none_selected
from runtui.tui.words import triage_words

MAX_FAILURES: Final = 100
"""The failures of a cause that are searched for different wordings and people."""

CAUSES: Final[Resource[CauseRow, str]] = in_memory(
    "Causes", "cause", CAUSE_COLUMNS, lambda row: row.cause.key, "No task failed in these runs."
)


class CausesView(ActionView[None]):
    """The list of causes. Marks on a cause are marks on its runs in the list."""

    scope = "causes"
    list: ReadList[CauseRow, str]

    def __init__(self, workspace: Workspace, runs: LineTable[RunRow, str]) -> None:
        super().__init__()
        self._workspace = workspace
        self._store = workspace.store
        self.list = ReadList(CAUSES, name="causes")
        self.shown = EVERY_RUN
        """The runs whose failed tasks are grouped."""
        self._runs = runs
        self._runs_of: dict[str, frozenset[str]] = {}
        """The runs of the causes that were marked here, by the causes' keys."""
        self._failures: tuple[str, Sequence[TaskResult]] = ("", ())
        """The key of a cause, and its latest failures."""
        self._progress = workspace.results.progress
        """How much was read when the failed tasks were grouped."""
        self._groupings = count(1)
        self._shown_grouping = 0
        """The number of the grouping that is shown: an earlier one that ends later is not."""
        self.drawing = Throttle(self, workspace.foreground, partial(self._group, "causes"))

    @property
    def cause(self) -> Cause | None:
        row = self.list.row
        return row.cause if row is not None else None

    def open(self, query: RunQuery) -> None:
        """Group the failed tasks of these runs; the next key waits for the stored ones."""
        self.shown = query
        self._group(blocks_keys("causes"))

    def reload(self) -> None:
        """Group the stored results again, a few times a second at most."""
        self.drawing.ask()

    def _group(self, group: str) -> Worker[None]:
        # Not a coroutine: of a worker that is cancelled before it begins, it would never be awaited.
        show = partial(self._show, self.shown)
        return self.run_worker(show, group=group, exclusive=True, description="group failed tasks")

    async def _show(self, query: RunQuery) -> None:
        """Show the causes, with the latest failures of the one in the panel."""
        progress, (key, _), number = self._workspace.results.progress, self._failures, next(self._groupings)
        failures: Sequence[TaskResult] = ()
        broken = ""
        try:
            causes: Sequence[Cause] = await asyncio.to_thread(self._workspace.results.causes, query)
            failures = await asyncio.to_thread(self._store.failures_of_cause, query, key, MAX_FAILURES) if key else ()
        except RuntuiError as error:
            causes, broken = (), str(error)
        if query == self.shown and number > self._shown_grouping:
            self._shown_grouping, self._progress = number, progress
            if self._failures[0] == key:
                self._failures = key, failures
            why = unread(self._workspace) or triage_words.why_no_causes(progress)
            self.list.put(cause_rows(causes), broken or why)
            self.post_message(self.Changed())  # the title says how much was read
            self._read_extensions([cause.extension_id for cause in causes])

    @work(group="extensions of causes", description="read custom task extensions")
    async def _read_extensions(self, ids: Sequence[str]) -> None:
        """Name tasks after the extensions that they run."""
        if await self._workspace.results.read_extensions(ids):
            self.reload()

    def title(self) -> Content:
        of = f"the runs /{self.shown.filter.text}" if self.shown.filter is not None else "all runs"
        return Content.assemble(self.list.heading(of), triage_words.reasons_read(self._progress))

    def show_in(self, panel: Panel) -> None:
        cause = self.cause
        if cause is None:
            panel.show_page(none_selected("cause"))
            return
        key, failures = self._failures
        panel.show_page(triage_words.cause_page(cause, failures if key == cause.key else (), now_ticks()))
        if key != cause.key:
            self._read_failures(cause.key, self.shown)

    @work(group="failures of a cause", exclusive=True, description="read the failures of a cause")
    async def _read_failures(self, key: str, query: RunQuery) -> None:
        await asyncio.sleep(REST_SECONDS)
        try:
            self._failures = key, await asyncio.to_thread(self._store.failures_of_cause, query, key, MAX_FAILURES)
        except RuntuiError as error:
            self.say(str(error), "error")
        self.post_message(self.Changed())

    # Marks on the runs

    def action_mark(self) -> None:
        """Mark all runs of the cause under the cursor; if all are marked, clear their marks."""
        if (cause := self.cause) is not None:
            self.run_worker(self._mark(cause), group=blocks_keys("mark a cause"), description="mark runs of a cause")
            self.list.table.action_cursor_down()

    async def _mark(self, cause: Cause) -> None:
        try:
            found = await asyncio.to_thread(self._store.ids, runs_of_cause(self.shown, cause))
        except RuntuiError as error:
            self.say(str(error), "error")
            return
        run_ids = self._runs_of[cause.key] = frozenset(found)
        is_marked = not run_ids <= self._runs.marks
        self._runs.set_marks(self._runs.marks | run_ids if is_marked else self._runs.marks - run_ids)
        self._follow_marks()
        self.say(triage_words.marks_set(cause, len(run_ids), is_marked=is_marked))
        self.post_message(self.Changed())

    def action_clear_marks(self) -> None:
        self._runs.set_marks(frozenset())
        self._follow_marks()
        self.post_message(self.Changed())

    def _follow_marks(self) -> None:
        """Mark the causes whose runs are all marked."""
        marks = self._runs.marks
        self.list.table.set_marks(frozenset(key for key, ids in self._runs_of.items() if ids and ids <= marks))

    def resumed(self) -> None:
        """Marks may have been set or cleared in the list."""
        self._follow_marks()


class Explaining(Feature):
    """The screen of the causes, and the way from one to its runs and back."""

    def __init__(self, features: Features) -> None:
        super().__init__(features)
        self.view = CausesView(self._workspace, self._runs.table)
        self.screen = self._chrome.install(self.view)
        self._lists_runs = False
        """Whether the causes were left for the runs of one."""

    def start(self) -> None:
        self.listen(self._workspace.results.changed, self._results_changed, only_newest=True)
        self.listen(self._workspace.refresh.changed, self._listing_changed, only_newest=True)

    async def action_causes(self) -> None:
        if self._chrome.front is self.screen:
            self.screen.dismiss()
        else:
            await self._open(self._runs.shown)

    async def _open(self, query: RunQuery) -> None:
        self._lists_runs = False
        self._workspace.results.read_in_background(query)
        await self._chrome.open(self.screen, self._dismissed, fill=lambda: self.view.open(query))

    async def _dismissed(self, _answer: None) -> None:
        if not self._lists_runs:
            await self._workspace.results.stop()

    def _results_changed(self, _progress: object) -> None:
        if self.screen.is_open:
            self.view.reload()
        elif self._lists_runs:
            self._runs.drawing.ask()

    def _listing_changed(self, progress: Progress) -> None:
        if not progress.listing and self.screen.is_open:
            self._workspace.results.read_in_background(self.view.shown)
            self.view.reload()

    def action_cause_runs(self) -> None:
        """Show the runs of the cause under the cursor in the list; one step back from there returns here."""
        if (cause := self.view.cause) is None:
            return
        query, results = self.view.shown, self._workspace.results
        found = runs_of_cause(query, cause).filter
        self._lists_runs = True
        self._chrome.go_to_list()
        if found is not None:
            words = f"{cause.task}: {fold_reason(cause.reason)}"
            self._runs.filter_by(found.text, words, partial(self._open, query))
            listed, said = self._runs.temporary, results.progress
            self._chrome.set_status(
                triage_words.runs_may_lack(said),
                shown_while=lambda: self._runs.temporary is listed and results.progress.reading == said.reading,
            )
