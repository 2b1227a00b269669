"""What became of each change of a bulk change: it follows as they end.

Invariant: nothing happens here; leaving it stops nothing. An outcome that is found out later takes the place of an
unknown one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from textual.content import Content

from runtui.domain.report import Outcome
from runtui.services.journal import Entry
from runtui.services.writing.bulk import Bulk
from runtui.services.writing.follow import FollowedRun
from runtui.services.writing.save import Save
from runtui.tui.actions import bindings
from runtui.tui.resources import RESULTS, ResultRow
from runtui.tui.screens.frame import ActionView
from runtui.tui.screens.panel import Panel
from runtui.tui.text import content
from runtui.tui.widgets.read_list import ReadList
from runtui.tui.words import bulk_words


@dataclass(slots=True)
class BulkProgress:
    """One bulk change and how far each of its changes has come."""

    bulk: Bulk
    workflows: Mapping[str, str] = field(default_factory=dict)
    """The name of each run's workflow, by the run's id."""
    saves: dict[int, Save] = field(default_factory=dict)
    """By number, each as it was announced last."""
    settled: dict[str, Entry] = field(default_factory=dict)
    """By run id, what was found out of a change after it had ended."""
    followed: dict[str, FollowedRun] = field(default_factory=dict)
    """By run id, the run that its action has made, or stops, as it was read last."""
    asked_about: Save | None = None
    """The refusal about which a person was asked last."""

    @property
    def rows(self) -> list[ResultRow]:
        """One for each change."""
        return [
            ResultRow(
                self.saves.get(save.number, save),
                self.workflows.get(save.run_id, ""),
                self.settled.get(save.run_id),
                self.followed.get(save.run_id),
            )
            for save in self.bulk.saves
        ]

    @property
    def is_undo(self) -> bool:
        """Whether it takes other changes back."""
        return self.bulk.saves[0].undoes is not None

    @property
    def is_action(self) -> bool:
        """Whether it carries out actions of the service."""
        return self.bulk.saves[0].action is not None

    @property
    def held_by(self) -> Save | None:
        """The refusal that holds the rest, while there is a rest."""
        return None if self.bulk.has_ended else self.bulk.held_by

    @property
    def outcomes(self) -> Counter[Outcome | None]:
        """How many changes ended how; None: those on their way."""
        return Counter(row.outcome for row in self.rows)


class ResultsView(ActionView[None]):
    """The list of the changes."""

    scope = "results"
    shared = ("rows", "row", "wide")
    list: ReadList[ResultRow, str]
    BINDINGS = bindings("rows", "row", "wide", "results")

    def __init__(self) -> None:
        super().__init__()
        self.list = ReadList(RESULTS, name="results", sort="outcome")
        self.progress: BulkProgress | None = None
        self.outcomes: Counter[Outcome | None] = Counter()
        """Those that the list shows."""

    @property
    def row(self) -> ResultRow | None:
        """The change under the cursor."""
        return self.list.table.row_under_cursor()

    @property
    def chosen(self) -> Sequence[ResultRow]:
        """The marked rows; all where none is marked."""
        marks, rows = self.list.table.marks, self.progress.rows if self.progress is not None else []
        return [row for row in rows if row.save.run_id in marks] if marks else rows

    def open(self, progress: BulkProgress) -> None:
        """Show a bulk change as it is now."""
        if progress is not self.progress:
            self.progress = progress
            self.list.table.clear_marks()
            self.list.begin("")
        self.reload()

    def reload(self) -> None:
        """Follow what has ended since."""
        if self.progress is not None:
            self.outcomes = self.progress.outcomes
            self.list.put(self.progress.rows)
            self.post_message(self.Changed())

    def title(self) -> Content:
        """How many have ended, how, and what holds the rest."""
        progress = self.progress
        if progress is None:
            return Content()
        counted = bulk_words.counted(self.outcomes)
        if self.list.filter_text:
            counted = f"{self.list.table.total} shown, {counted}"
        parts = [self.list.title(counted, self.list.filter_text)]
        if progress.is_undo:
            parts.append(Content("  undo"))
        if progress.held_by is not None:
            parts.append(content("  held", "$text-warning"))
        return Content("").join(parts)

    def show_in(self, panel: Panel) -> None:
        """The run under the cursor."""
        if (row := self.row) is not None:
            panel.follow(row.save.run_id, row.outcome)

    def on_line_table_cursor_moved(self) -> None:
        """Another change: the panel shows its response."""
        panel, row = self.frame.chrome.panel, self.row
        if row is not None and panel.tab == "response" and self.frame in self.app.screen_stack:
            panel.show_save(row.save)

    def action_leave_results(self) -> None:
        """One step back: the filter first, then to where one came from."""
        if not self.list.clear():
            self.answer()
