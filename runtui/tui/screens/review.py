"""The last look before a write: which run or how many, which request, what changes from what to what.

Invariant: nothing is sent but by `y`, by the button that says so, or above MOST_BY_KEY runs by typing how many they
are. The focus rests on *no*, and enter there sends nothing. The change, what speaks against it and what it does not do
are in sight wherever the view is shown; the rest is reached by scrolling.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, Final, Literal, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual import events, on
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.visual import Visual

from runtui.domain.bulk_draft import MOST_BY_KEY, BulkDraft
from runtui.domain.draft import Draft, value_word
from runtui.domain.text import count_words
from runtui.domain.triage.service_actions import Operation, ServiceAction
from runtui.keys.actions import key_of
from runtui.tui.screens.frame import ActionView
from runtui.tui.screens.panel import Panel
from runtui.tui.text import content, wrapped
from runtui.tui.widgets.field_edit import EditLook, EditsLines, LineEdit

WHY_FIRST: Final = "This profile requires a reason: type one in the line above the answers."


class Review(NamedTuple):
    """What is asked."""

    question: Content
    operation: Operation | None
    """What would be sent, or the first of it; None while nothing is asked."""
    facts: Content
    """The change, and where it would go."""
    notes: Content
    """What speaks against it, and what it does not do."""
    requires_why: bool = False
    """Whether nothing is sent without a reason."""


NO_REVIEW: Final = Review(Content(), None, Content(), Content())
"""What a sheet shows that was never asked."""

Spot = Literal["why", "number", "no", "yes"]
"""What can have the keys in a review: a line to type into, or an answer."""

_TOLD_BODIES: Final = 3
"""Requests to many runs whose bodies are shown."""

_LEAST_FACTS: Final = 3
"""The lines that the notes leave to the change."""

_NUMBER: Final = 12
_ANSWER: Final = 16
"""Cells of the number that is typed, and of an answer."""


class ReviewSheet(EditsLines, can_focus=True, inherit_bindings=False):
    """Shows a review, with a line for the reason and the answers below it; one of these has the keys.

    Args:
        view: Asks, and is answered with the reason.
        why_key: The key that leads to the line for the reason.
        number: What has to be typed to send; empty where there are two answers to choose from.
    """

    ALLOW_SELECT = False
    BINDINGS = [
        Binding("up", "scroll_facts(-1)", "scroll up"),
        Binding("down", "scroll_facts(1)", "scroll down"),
        Binding("tab", "walk(1)", show=False),
        Binding("shift+tab", "walk(-1)", show=False),
        Binding("enter", "enter", show=False),
        *EditsLines.BINDINGS,
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"review-sheet--{name}"
        for name in ("line", "selection", "cursor", "placeholder", "answer", "answer-focus", "more")
    }
    """
    | Class | Description |
    | :- | :- |
    | `review-sheet--line` | A line to type into. |
    | `review-sheet--selection`, `review-sheet--cursor` | What is typed over next. |
    | `review-sheet--placeholder` | What stands in a line without a text. |
    | `review-sheet--answer`, `review-sheet--answer-focus` | An answer, and the one that enter gives. |
    | `review-sheet--more` | How many facts are below. |
    """
    DEFAULT_CSS = "ReviewSheet { height: 1fr; }"

    class Entered(Message):
        """Enter was pressed, or an answer was clicked."""

        def __init__(self, spot: Spot) -> None:
            super().__init__()
            self.spot = spot

    def __init__(self, view: ActionView[str], why_key: str, number: str = "") -> None:
        super().__init__()
        self._view = view
        self.review = NO_REVIEW
        self.why = LineEdit()
        self.number = LineEdit()
        self._why_label = f"why ({why_key}): "
        self._wanted = number
        self._spots: tuple[Spot, ...] = ("why", "number") if number else ("why", "no", "yes")
        self.spot: Spot = self._spots[1]
        """What has the keys."""
        self._top = 0
        """The first line of the facts in sight."""
        self._drawn: list[Strip] = []

    def ask(self, review: Review) -> None:
        """Show another review; nothing is typed yet, and the keys are where nothing is sent."""
        self.review = review
        self.why, self.number = LineEdit(), LineEdit()
        self._top, self.spot = 0, self._spots[1]
        self.draw()

    @property
    def _reason(self) -> str:
        """What was typed, in one line."""
        return " ".join(self.why.text.split())

    @property
    def _lacks_reason(self) -> bool:
        """Whether a reason has to be typed first."""
        return self.review.requires_why and not self._reason

    @property
    def has_number(self) -> bool:
        return bool(self._wanted) and self.number.text.strip() == self._wanted

    def go_to(self, spot: Spot) -> None:
        """Give the keys to the reason, the number or an answer."""
        self.spot = spot
        self.draw()
        self.post_message(ActionView.Changed())

    def focus_safe(self) -> None:
        """Give the keys to where nothing is sent."""
        self.go_to(self._spots[1])
        self.screen.set_focus(self)

    def send(self) -> None:
        """Answer with the reason; where one is required and there is none, go to its line."""
        if self._lacks_reason:
            self._view.frame.set_status(WHY_FIRST, "warning", lambda: self._lacks_reason)
            self.go_to("why")
        else:
            self._view.frame.dismiss(self._reason)

    def leave(self) -> None:
        """One step back: from the reason to the answers, then send nothing."""
        if self.spot == "why":
            self.focus_safe()
        else:
            self._view.frame.dismiss()

    # Keys and mouse

    @property
    def line(self) -> LineEdit | None:
        return self.why if self.spot == "why" else self.number if self.spot == "number" else None

    def edited(self) -> None:
        self.draw()
        self.post_message(ActionView.Changed())
        if self.spot == "number" and self.has_number:
            self.send()

    def action_walk(self, step: int) -> None:
        """Go on to the next of them; past the last answer, to the next widget."""
        at = self._spots.index(self.spot) + step
        if not self._wanted and not 0 <= at < len(self._spots):
            raise SkipAction
        self.go_to(self._spots[at % len(self._spots)])

    def action_enter(self) -> None:
        self.post_message(self.Entered(self.spot))

    def action_scroll_facts(self, lines: int) -> None:
        self._top += lines
        self.draw()

    @on(events.MouseScrollDown)
    @on(events.MouseScrollUp)
    def _wheel_turned(self, event: events.MouseScrollDown | events.MouseScrollUp) -> None:
        self.action_scroll_facts(1 if isinstance(event, events.MouseScrollDown) else -1)

    def on_click(self, event: events.Click) -> None:
        """Give the answer under the mouse, or the keys to the line there."""
        spot = event.style.meta.get("spot")
        if spot in ("no", "yes"):
            self.post_message(self.Entered(spot))
        elif spot is not None:
            self.go_to(spot)

    # Drawing

    @on(events.Focus)
    @on(events.Blur)
    @on(events.Resize)
    def _looks_otherwise(self) -> None:
        self.draw()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self.draw()

    def render_line(self, y: int) -> Strip:
        return self._drawn[y] if y < len(self._drawn) else Strip.blank(self.size.width, self.visual_style.rich_style)

    def draw(self) -> None:
        """Lay the lines out anew, and repaint those that are others."""
        if self.size:
            before, self._drawn = self._drawn, self._lines(self.size)
            for y, strip in enumerate(self._drawn):
                if before[y : y + 1] != [strip]:
                    self.refresh(Region(0, y, self.size.width, 1))

    def _lines(self, size: Size) -> list[Strip]:
        """The facts from the top, as many as there is room for; the rest from the bottom."""
        width = max(1, size.width - 2)
        facts, notes = self._wrapped(self.review.facts, width), self._wrapped(self.review.notes, width)
        notes = notes[: max(1, size.height - _LEAST_FACTS - 2)]
        room = max(0, size.height - len(notes) - 2)
        self._top = max(0, min(self._top, len(facts) - room))
        below = len(facts) - room - self._top
        blank = Strip.blank(size.width, self.visual_style.rich_style)
        seen = facts[self._top : self._top + room]
        return [*seen, *[blank] * (room - len(seen)), *notes, self._why_line(width), self._answers(width, below)]

    def _wrapped(self, text: Content, width: int) -> list[Strip]:
        text = Content("\n").join(piece for line in text.split("\n") for piece in wrapped(line, width))
        style = self.visual_style
        edge = Strip.blank(1, style.rich_style)
        return [Strip.join([edge, strip, edge]) for strip in Visual.to_strips(self, text, width, None, style)]

    def _why_line(self, width: int) -> Strip:
        needed = "required by this profile" if self.review.requires_why else "optional"
        return self._typed_line(self._why_label, self.why, "why", width, f"a sentence for the journal, {needed}")

    def _typed_line(self, label: str, edit: LineEdit, spot: Spot, width: int, placeholder: str = "") -> Strip:
        style, has_keys = self.visual_style.rich_style, self.spot == spot and self.has_focus
        room = max(1, width - len(label))
        marks = (self._style(name, partial=True) for name in ("selection", "cursor", "placeholder"))
        strip = edit.strip(room, EditLook(self._style("line"), *marks), has_keys=has_keys, placeholder=placeholder)
        line = Strip.join([Strip([Segment(f" {label}", style)]), strip, Strip([Segment(" ", style)])])
        return line.apply_meta({"spot": spot})

    def _answers(self, width: int, below: int) -> Strip:
        more = f"↓ {below} more" if below > 0 else ""
        if self._wanted:
            label = f"Type {self._wanted} to send: "
            first = self._typed_line(label, self.number, "number", len(label) + _NUMBER)
        else:
            blank = Strip([Segment("  ", self.visual_style.rich_style)])
            first = Strip.join([blank.crop(0, 1), self._answer("no"), blank, self._answer("yes"), blank])
        room = max(0, width + 1 - first.cell_length)
        return Strip.join([first, Strip([Segment(f"{more:>{room}} ", self._style("more"))])])

    def _answer(self, spot: Spot) -> Strip:
        words = f"No, back ({key_of('reject')})" if spot == "no" else f"Send ({key_of('send')})"
        style = self._style("answer-focus" if spot == self.spot and self.has_focus else "answer")
        return Strip([Segment(f"{words:^{_ANSWER}}", style)]).apply_meta({"spot": spot})

    def _style(self, name: str, *, partial: bool = False) -> Style:
        return self.get_component_rich_style(f"review-sheet--{name}", partial=partial)


class ReviewView(ActionView[str]):
    """Asks for one key; the answer is the reason, empty where none was typed.

    Args:
        is_bulk: Whether it is about many runs: keys then act on none of them.
    """

    scope = "review"

    def __init__(self, *, is_bulk: bool = False) -> None:
        super().__init__(name="bulk-review" if is_bulk else None)
        self.sheet = ReviewSheet(self, key_of("why"))
        self._is_bulk = is_bulk

    @property
    def draft(self) -> Draft | None:
        operation = self.sheet.review.operation
        return operation if isinstance(operation, Draft) and not self._is_bulk else None

    @property
    def run_id(self) -> str | None:
        operation = self.sheet.review.operation
        return operation.run_id if operation is not None and not self._is_bulk else None

    def compose(self) -> ComposeResult:
        yield self.sheet

    def title(self) -> Content:
        return self.sheet.review.question

    def take_focus(self) -> None:
        """The focus rests on *no*."""
        self.sheet.focus_safe()

    def show_in(self, panel: Panel) -> None:
        if self.sheet.review.operation is not None:
            panel.show_draft(self.sheet.review.operation)

    async def on_review_sheet_entered(self, event: ReviewSheet.Entered) -> None:
        """Give the answer; from the reason, go back to the answers."""
        event.stop()
        if event.spot == "yes":
            await self.frame.action_perform("send")
        elif event.spot == "no":
            self.action_reject()
        else:
            self.take_focus()

    def action_send(self) -> None:
        """Send it, with the reason where one is required."""
        self.sheet.send()

    def action_why(self) -> None:
        self.sheet.go_to("why")

    def action_leave_question(self) -> None:
        self.sheet.leave()

    def action_reject(self) -> None:
        self.frame.dismiss()


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
        self.sheet.focus_safe()

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

    `target` is where it would go, in pairs of a name and a value; `undoes` is the journal entry that it undoes; `hint`
    is a warning; `notes` are the consequences of an action, in sentences.
    """
    if isinstance(operation, ServiceAction):
        question = content(f"Review: {operation.words}?")
        body = [Content.styled(operation.body_text(), "$text-muted")] if operation.parameters else []
        facts = [*_target_lines(target), Content(""), *body]
    else:
        question = Content("Review: send this change?" if undoes is None else f"Undo change #{undoes}?")
        changes = [(each.field.name, value_word(each.before), value_word(each.after)) for each in operation.changes()]
        facts = [*_change_lines(changes), Content(""), *_target_lines(target)]
        if several := operation.unchanged_words():
            facts.append(Content(f"Also sends {several}; the Request tab has the body."))
    against = (*([hint] if hint else []), *operation.warnings())
    said = _notes_of(operation, against, notes)
    return Review(question, operation, Content("\n").join(facts), said, requires_why)


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
    notes = _notes_of(first, against, bulk.notes, "the reports")
    review = Review(question, first, _bulk_facts(bulk, target), notes, requires_why)
    view: NumberReviewView | ReviewView
    view = NumberReviewView(count) if count > MOST_BY_KEY else ReviewView(is_bulk=True)
    view.sheet.ask(review)
    return view


def _bulk_facts(bulk: BulkDraft, target: Sequence[tuple[str, str]]) -> Content:
    """The change by count, what is left out, where it goes, and the first bodies."""
    lines = _change_lines(list(bulk.changes()))
    if left_out := bulk.left_out_words():
        lines.append(content(f"left out: {left_out}", "$text-warning"))
    lines += [Content(""), *_target_lines(target), Content(""), Content.styled("The first requests", "$text-muted")]
    for draft in bulk.drafts[:_TOLD_BODIES]:
        lines.append(content(f"{'PATCH' if bulk.action is None else 'POST'} {draft.run_id}", "$text-muted"))
        lines.append(content(" ".join(draft.body_text().split())))
    return Content("\n").join(lines)


def _change_lines(changes: Sequence[tuple[str, str, str]]) -> list[Content]:
    """A line per property: its name, and the values before and after."""
    width = max((len(name) for name, _, _ in changes), default=0)
    return [
        Content.assemble(
            (f"{name:{width}}  ", "bold"), content(before, "$text-error"), "  →  ", content(after, "bold $text-success")
        )
        for name, before, after in changes
    ]


def _target_lines(target: Iterable[tuple[str, str]]) -> list[Content]:
    """A line per fact of where it goes: its name, and the value."""
    return [Content.assemble((f"{name:10}", "$text-muted"), content(value)) for name, value in target]


def _notes_of(
    operation: Operation, against: Iterable[str], notes: Iterable[str], reports: str = "the report"
) -> Content:
    """What speaks against a change, and what it does not do; of an action, what follows from it."""
    if isinstance(operation, ServiceAction):
        said = " ".join((*notes, "It cannot be undone, and is never sent twice."))
    else:
        for_that = f"For that, press {key_of('act')} in the list."
        said = f"This rewrites {reports}; it neither stops nor repeats any work. {for_that}"
    return Content("\n").join([*(content(f"! {sentence}", "$text-warning") for sentence in against), content(said)])
