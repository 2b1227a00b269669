"""The last look before many writes: how many, what changes from what to what, what is left out and why.

Invariant: nothing is sent but by `y`, or above MOST_BY_KEY runs by typing how many they are. The question says where
the requests go and what the first of them carry.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Input, Static

from runtui.domain.bulk_draft import MOST_BY_KEY, BulkDraft, runs_word
from runtui.keys.actions import key_of
from runtui.tui.actions import bindings
from runtui.tui.screens.frame import ActionView
from runtui.tui.screens.panel import Panel
from runtui.tui.screens.review import WHY_FIRST
from runtui.tui.text import content
from runtui.tui.widgets.inputs import LineInput, WhyLine

TOLD_BODIES: Final = 3
"""Requests whose bodies are shown."""

_SCROLLING: Final = (
    Binding("up", "scroll_facts(-1)", "scroll up"),
    Binding("down", "scroll_facts(1)", "scroll down"),
)


class BulkReview(Widget):
    """What a bulk change would do, where it would go, and what speaks against it.

    Args:
        bulk: The change.
        target: Where it would go, as pairs of a name and a value.
        hint: What speaks against it.
        requires_why: Whether nothing is sent without a reason.
    """

    DEFAULT_CSS = """
    BulkReview { layout: vertical; height: 1fr; }
    BulkReview VerticalScroll { height: 1fr; min-height: 3; padding: 0 1; scrollbar-size-vertical: 1; }
    BulkReview Static { height: auto; }
    BulkReview #review-notes { padding: 0 1; }
    """

    def __init__(
        self, bulk: BulkDraft, target: Sequence[tuple[str, str]], hint: str = "", *, requires_why: bool = False
    ) -> None:
        super().__init__()
        self.bulk = bulk
        self._target, self._hint = target, hint
        self.is_typed = len(bulk.drafts) > MOST_BY_KEY
        """Whether the number of runs has to be typed."""
        self.why = WhyLine("tab" if self.is_typed else key_of("why"), is_required=requires_why)

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False):
            yield Static(_facts(self.bulk, self._target), id="review-facts", markup=False)
        yield Static(_notes(self.bulk, self._hint), id="review-notes", markup=False)
        yield self.why

    @property
    def question(self) -> Content:
        """What is asked."""
        is_undo = any(number is not None for number in self.bulk.undoes)
        words = "Undo the changes to" if is_undo else "Review: send this change to"
        if (action := self.bulk.action) is not None:
            return content(f"Review: {action.words} · {runs_word(len(self.bulk.drafts))}?")
        return Content(f"{words} {runs_word(len(self.bulk.drafts))}?")

    def scroll(self, lines: int) -> None:
        """Some lines on, or back."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)


class BulkReviewView(ActionView[str]):
    """Asks for one key; the answer is why the changes are made, empty where nothing was said."""

    scope = "review"
    BINDINGS = [*bindings("review"), *_SCROLLING]
    DEFAULT_CSS = """
    BulkReviewView { layout: vertical; height: 1fr; }
    BulkReviewView Horizontal { height: 1; padding: 0 1; }
    BulkReviewView Button { margin: 0 2 0 0; }
    """

    def __init__(self, review: BulkReview) -> None:
        super().__init__(name="bulk-review")
        self.review = review

    def compose(self) -> ComposeResult:
        yield self.review
        with Horizontal():
            yield Button(Content(f"No, back ({key_of('reject')})"), id="review-no", compact=True)
            yield Button(Content(f"Send ({key_of('send')})"), id="review-yes", compact=True)

    def title(self) -> Content:
        """The question."""
        return self.review.question

    def take_focus(self) -> None:
        """The focus rests on *no*."""
        self.screen.set_focus(self.query_one("#review-no", Button))

    def show_in(self, panel: Panel) -> None:
        """The first request."""
        panel.show_draft(self.review.bulk.drafts[0])

    def action_scroll_facts(self, lines: int) -> None:
        self.review.scroll(lines)

    @on(Button.Pressed, "#review-yes")
    async def _pressed(self) -> None:
        await self.action_perform("send")

    def action_send(self) -> None:
        """Send them, with the reason where one is required."""
        if self.review.why.is_lacking:
            self.set_status(WHY_FIRST, "warning", lambda: self.review.why.is_lacking)
            self.review.why.take_focus()
        else:
            self.answer(self.review.why.text)

    def action_why(self) -> None:
        """To the line for the reason."""
        self.review.why.take_focus()

    @on(Input.Submitted)
    def _why_typed(self, event: Input.Submitted) -> None:
        """Back to the question."""
        event.stop()
        self.take_focus()

    @on(Button.Pressed, "#review-no")
    def action_reject(self) -> None:
        """Send nothing."""
        self.answer()

    def action_leave_review(self) -> None:
        """One step back: from the reason to the question, then send nothing."""
        if self.review.why.has_keys:
            self.take_focus()
        else:
            self.answer()


class NumberReviewView(ActionView[str]):
    """Asks for the number of runs; it is taken as soon as it stands there, once the reason does where one is required.
    The answer is the reason, empty where nothing was said.
    """

    scope = "number"
    BINDINGS = [*bindings("number"), *_SCROLLING]
    DEFAULT_CSS = """
    NumberReviewView { layout: vertical; height: 1fr; }
    NumberReviewView Horizontal { height: 1; padding: 0 1; }
    NumberReviewView Horizontal Static { width: auto; }
    NumberReviewView LineInput { width: 12; }
    """

    def __init__(self, review: BulkReview) -> None:
        super().__init__(name="bulk-review")
        self.review = review
        self._number = str(len(review.bulk.drafts))

    def compose(self) -> ComposeResult:
        yield self.review
        with Horizontal():
            yield Static(Content(f"Type {self._number} to send: "), markup=False)
            yield LineInput(id="review-number")

    def title(self) -> Content:
        """The question."""
        return self.review.question

    def take_focus(self) -> None:
        """The number is typed."""
        self.screen.set_focus(self._number_input)

    @property
    def _number_input(self) -> LineInput:
        return self.query_one("#review-number", LineInput)

    def show_in(self, panel: Panel) -> None:
        """The first request."""
        panel.show_draft(self.review.bulk.drafts[0])

    def action_scroll_facts(self, lines: int) -> None:
        self.review.scroll(lines)

    @on(Input.Changed, "#review-number")
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        if event.value.strip() == self._number:
            self._send()

    def _send(self) -> None:
        if self.review.why.is_lacking:
            self.set_status(WHY_FIRST, "warning", lambda: self.review.why.is_lacking)
            self.review.why.take_focus()
        else:
            self.answer(self.review.why.text)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        """From the reason on to the number; where that stands, send."""
        event.stop()
        if self._number_input.value.strip() == self._number:
            self._send()
        elif self.review.why.has_keys:
            self.take_focus()
        else:
            self.set_status(f"Type {self._number} to send; {key_of('leave_number')} goes back.")

    def action_leave_number(self) -> None:
        """One step back: from the reason to the number, then send nothing."""
        if self.review.why.has_keys:
            self.take_focus()
        else:
            self.answer()


def review_of(review: BulkReview) -> ActionView[str]:
    """The question that fits the number of runs."""
    return NumberReviewView(review) if review.is_typed else BulkReviewView(review)


def _facts(bulk: BulkDraft, target: Sequence[tuple[str, str]]) -> Content:
    """The change by count, what is left out, where it goes, and the first bodies."""
    changes = list(bulk.changes())
    names = max((len(name) for name, _, _ in changes), default=0)
    lines = [
        Content.assemble(
            (f"{name:{names}}  ", "bold"),
            content(before, "$text-error"),
            "  →  ",
            content(after, "bold $text-success"),
        )
        for name, before, after in changes
    ]
    if left_out := bulk.left_out_words():
        lines.append(content(f"left out: {left_out}", "$text-warning"))
    lines.append(Content(""))
    lines += [Content.assemble((f"{name:10}", "$text-muted"), content(value)) for name, value in target]
    lines += [Content(""), Content.styled("The first requests", "$text-muted")]
    for draft in bulk.drafts[:TOLD_BODIES]:
        lines.append(content(f"{'PATCH' if bulk.action is None else 'POST'} {draft.run_id}", "$text-muted"))
        lines.append(content(" ".join(draft.body_text().split())))
    return Content("\n").join(lines)


def _notes(bulk: BulkDraft, hint: str) -> Content:
    """What speaks against the change, and what it does not do."""
    against = [*([hint] if hint else []), *bulk.doubts, *bulk.warnings()]
    lines = [content(f"! {sentence}", "$text-warning") for sentence in against]
    if bulk.action is not None:
        said = " ".join((*bulk.notes, "It cannot be undone, and is never sent twice."))
    else:
        said = f"This rewrites the reports: it neither stops nor repeats any work ({key_of('act')} does)."
    lines.append(content(said))
    return Content("\n").join(lines)
