"""The last look before a write: which run, which request, what changes from what to what.

Invariant: nothing is sent but by `y` or the button that says so. The focus rests on *no*, and enter there sends
nothing. The change, what speaks against it and what it does not do are in sight wherever the view is shown; the rest
is reached by scrolling.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Input, Static

from runtui.domain.draft import Draft, value_word
from runtui.domain.text import count_words
from runtui.domain.triage.service_actions import Operation, ServiceAction
from runtui.keys.actions import key_of
from runtui.tui.screens.frame import ActionView
from runtui.tui.screens.panel import Panel
from runtui.tui.text import content
from runtui.tui.widgets.inputs import WhyLine

WHY_FIRST: Final = "This profile requires a reason: type one in the line above the answers."


class Review(NamedTuple):
    """What is asked."""

    question: Content
    operation: Operation
    """What would be sent, or the first of it."""
    facts: Content
    """The change, and where it would go."""
    notes: Content
    """What speaks against it, and what it does not do."""
    requires_why: bool = False
    """Whether nothing is sent without a reason."""


class ReviewSheet(Widget):
    """Shows a review, with a line for the reason and the answers below it.

    Args:
        view: Asks, and is answered with the reason.
        review: What it asks.
        why_key: The key that leads to the line for the reason.
        answers: What answers.
    """

    BINDINGS = [
        Binding("up", "scroll_facts(-1)", "scroll up"),
        Binding("down", "scroll_facts(1)", "scroll down"),
    ]
    DEFAULT_CSS = """
    ReviewSheet { layout: vertical; height: 1fr; }
    ReviewSheet VerticalScroll { height: 1fr; min-height: 3; padding: 0 1; scrollbar-size-vertical: 1; }
    ReviewSheet #review-notes { height: auto; padding: 0 1; }
    ReviewSheet > Horizontal { height: 1; padding: 0 1; }
    """

    def __init__(self, view: ActionView[str], review: Review, why_key: str, *answers: Widget) -> None:
        super().__init__()
        self.review = review
        self.why = WhyLine(why_key, is_required=review.requires_why)
        self._view, self._answers = view, answers

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False):
            yield Static(self.review.facts, id="review-facts", markup=False)
        yield Static(self.review.notes, id="review-notes", markup=False)
        yield self.why
        yield Horizontal(*self._answers)

    def send(self) -> None:
        """Answer with the reason; where one is required and there is none, go to its line."""
        if self.why.is_lacking:
            self._view.frame.set_status(WHY_FIRST, "warning", lambda: self.why.is_lacking)
            self.why.take_focus()
        else:
            self._view.frame.dismiss(self.why.text)

    def leave(self) -> None:
        """One step back: from the reason to the answers, then send nothing."""
        if self.why.has_keys:
            self._view.take_focus()
        else:
            self._view.frame.dismiss()

    def action_scroll_facts(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)


class ReviewView(ActionView[str]):
    """Asks for one key; the answer is the reason, empty where none was typed.

    Args:
        review: What it asks.
        is_bulk: Whether it is about many runs: keys then act on none of them.
    """

    scope = "review"
    DEFAULT_CSS = """
    ReviewView { height: 1fr; }
    ReviewView Button { margin: 0 2 0 0; }
    """

    def __init__(self, review: Review, *, is_bulk: bool = False) -> None:
        super().__init__(name="bulk-review" if is_bulk else None)
        self._operation = None if is_bulk else review.operation
        no = Button(Content(f"No, back ({key_of('reject')})"), id="review-no", compact=True)
        yes = Button(Content(f"Send ({key_of('send')})"), id="review-yes", compact=True)
        self._sheet = ReviewSheet(self, review, key_of("why"), no, yes)

    @property
    def draft(self) -> Draft | None:
        return self._operation if isinstance(self._operation, Draft) else None

    @property
    def run_id(self) -> str | None:
        return self._operation.run_id if self._operation is not None else None

    def compose(self) -> ComposeResult:
        yield self._sheet

    def title(self) -> Content:
        return self._sheet.review.question

    def take_focus(self) -> None:
        """The focus rests on *no*."""
        self.screen.set_focus(self.query_one("#review-no", Button))

    def show_in(self, panel: Panel) -> None:
        panel.show_draft(self._sheet.review.operation)

    @on(Button.Pressed, "#review-yes")
    async def _pressed(self) -> None:
        await self.frame.action_perform("send")

    def action_send(self) -> None:
        """Send it, with the reason where one is required."""
        self._sheet.send()

    def action_why(self) -> None:
        self._sheet.why.take_focus()

    @on(Input.Submitted)
    def _why_typed(self, event: Input.Submitted) -> None:
        """Back to the question."""
        event.stop()
        self.take_focus()

    @on(Button.Pressed, "#review-no")
    def action_reject(self) -> None:
        self.frame.dismiss()

    def action_leave_question(self) -> None:
        self._sheet.leave()


def review_of(
    operation: Operation,
    target: Iterable[tuple[str, str]],
    *,
    undoes: int | None = None,
    hint: str = "",
    notes: Sequence[str] = (),
    requires_why: bool = False,
) -> Review:
    """What is asked about one draft, or one action of the service.

    `target` is where it would go, as pairs of a name and a value; `undoes` the entry of the journal that it takes back;
    `hint` what speaks against it; `notes` what follows from an action, in sentences.
    """
    if isinstance(operation, ServiceAction):
        question = content(f"Review: {operation.words}?")
        body = [Content.styled(operation.body_text(), "$text-muted")] if operation.parameters else []
        facts = [*target_lines(target), Content(""), *body]
    else:
        question = Content("Review: send this change?" if undoes is None else f"Undo change #{undoes}?")
        changes = [(each.field.name, value_word(each.before), value_word(each.after)) for each in operation.changes()]
        facts = [*change_lines(changes), Content(""), *target_lines(target)]
        if extra := len(operation.body()) - 1 - len(changes):
            several = count_words(extra, "unchanged required property", "unchanged required properties")
            facts.append(Content(f"Also sends {several}; the Request tab has the body."))
    against = (*([hint] if hint else []), *operation.warnings())
    said = notes_of(operation, against, notes)
    return Review(question, operation, Content("\n").join(facts), said, requires_why)


def change_lines(changes: Sequence[tuple[str, str, str]]) -> list[Content]:
    """A line per property: its name, and the values before and after."""
    width = max((len(name) for name, _, _ in changes), default=0)
    return [
        Content.assemble(
            (f"{name:{width}}  ", "bold"), content(before, "$text-error"), "  →  ", content(after, "bold $text-success")
        )
        for name, before, after in changes
    ]


def target_lines(target: Iterable[tuple[str, str]]) -> list[Content]:
    """A line per fact of where it goes: its name, and the value."""
    return [Content.assemble((f"{name:10}", "$text-muted"), content(value)) for name, value in target]


def notes_of(
    operation: Operation, against: Iterable[str], notes: Iterable[str], reports: str = "the report"
) -> Content:
    """What speaks against a change, and what it does not do; of an action, what follows from it."""
    if isinstance(operation, ServiceAction):
        said = " ".join((*notes, "It cannot be undone, and is never sent twice."))
    else:
        for_that = f"For that, press {key_of('act')} in the list."
        said = f"This rewrites {reports}; it neither stops nor repeats any work. {for_that}"
    return Content("\n").join([*(content(f"! {sentence}", "$text-warning") for sentence in against), content(said)])
