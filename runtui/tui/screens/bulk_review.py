"""The last look before many writes: how many, what changes from what to what, what is left out and why.

Invariant: nothing is sent but by `y`, or above MOST_BY_KEY runs by typing how many they are. The question says where
the requests go and what the first of them carry.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from textual.app import ComposeResult
from textual.content import Content

from runtui.domain.bulk_draft import MOST_BY_KEY, BulkDraft
from runtui.domain.text import count_words
from runtui.keys.actions import key_of
from runtui.tui.screens.frame import ActionView
from runtui.tui.screens.panel import Panel
from runtui.tui.screens.review import (
    Review,
    ReviewSheet,
    ReviewView,
    change_lines,
    notes_of,
    target_lines,
)
from runtui.tui.text import content

TOLD_BODIES: Final = 3
"""Requests whose bodies are shown."""


class NumberReviewView(ActionView[str]):
    """Asks for the number of runs; it is taken as soon as it stands there, once the reason does where one is required.
    The answer is the reason, empty where none was typed.
    """

    scope = "question"

    def __init__(self, count: int) -> None:
        super().__init__(name="bulk-review")
        self.sheet = ReviewSheet(self, "tab", str(count))
        self._count = count

    def compose(self) -> ComposeResult:
        yield self.sheet

    def title(self) -> Content:
        return self.sheet.review.question

    def take_focus(self) -> None:
        """The number is typed."""
        self.sheet.rest()

    def show_in(self, panel: Panel) -> None:
        if self.sheet.review.operation is not None:
            panel.show_draft(self.sheet.review.operation)

    def on_review_sheet_entered(self, event: ReviewSheet.Entered) -> None:
        """From the reason on to the number; where that stands, send."""
        event.stop()
        if self.sheet.has_number:
            self.sheet.send()
        elif event.spot == "why":
            self.take_focus()
        else:
            self.frame.set_status(f"Type {self._count} to send; {key_of('leave_question')} goes back.")

    def action_leave_question(self) -> None:
        self.sheet.leave()


def bulk_review(
    bulk: BulkDraft, target: Sequence[tuple[str, str]], hint: str = "", *, requires_why: bool = False
) -> ActionView[str]:
    """The question that fits the number of runs. `target` says where the change would go, in pairs of a name and a
    value; `hint` what speaks against it.
    """
    count, first = len(bulk.drafts), bulk.drafts[0]
    if bulk.action is not None:
        question = content(f"Review: {bulk.action.words} · {count_words(count, 'run')}?")
    else:
        is_undo = any(number is not None for number in bulk.undoes)
        words = "Undo the changes to" if is_undo else "Review: send this change to"
        question = Content(f"{words} {count_words(count, 'run')}?")
    against = (*([hint] if hint else []), *bulk.doubts, *bulk.warnings())
    notes = notes_of(first, against, bulk.notes, "the reports")
    review = Review(question, first, _facts(bulk, target), notes, requires_why)
    view: NumberReviewView | ReviewView
    view = NumberReviewView(count) if count > MOST_BY_KEY else ReviewView(is_bulk=True)
    view.sheet.ask(review)
    return view


def _facts(bulk: BulkDraft, target: Sequence[tuple[str, str]]) -> Content:
    """The change by count, what is left out, where it goes, and the first bodies."""
    lines = change_lines(list(bulk.changes()))
    if left_out := bulk.left_out_words():
        lines.append(content(f"left out: {left_out}", "$text-warning"))
    lines += [Content(""), *target_lines(target), Content(""), Content.styled("The first requests", "$text-muted")]
    for draft in bulk.drafts[:TOLD_BODIES]:
        lines.append(content(f"{'PATCH' if bulk.action is None else 'POST'} {draft.run_id}", "$text-muted"))
        lines.append(content(" ".join(draft.body_text().split())))
    return Content("\n").join(lines)
