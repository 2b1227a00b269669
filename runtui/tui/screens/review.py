"""The review before a write: which runs, which request, which values before and after.

Invariant: only the key of `send`, the Send button or, above MAX_BY_KEY runs, typing their number sends anything. The
focus starts on *no*, where enter sends nothing. The change, its warnings and what it does not do are always visible;
the rest can be scrolled to.
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
from textual.strip import Strip
from textual.visual import Visual

from runtui.domain.bulk_draft import MAX_BY_KEY, BulkDraft
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
    """The contents of a review."""

    question: Content
    operation: Operation | None
    """The operation to send, or the first of many; None in an empty review."""
    facts: Content
    """The change and its target."""
    notes: Content
    """Warnings, and what the change does not do."""
    requires_why: bool = False
    """Whether a reason must be typed before it is sent."""


NO_REVIEW: Final = Review(Content(), None, Content(), Content())
"""The empty review."""

Item = Literal["why", "number", "no", "yes"]
"""The parts of a review that can have the focus: a line to type into, or an answer."""

_SHOWN_BODIES: Final = 3
"""The number of requests of a bulk change whose bodies are shown."""

_MIN_FACT_LINES: Final = 3
"""The lines that the notes leave for the facts."""

_NUMBER: Final = 12
_ANSWER: Final = 16
"""Widths in cells: of the number's input, and of an answer."""


class ReviewSheet(EditsLines, can_focus=True, inherit_bindings=False):
    """Shows a review, with a line for the reason and the answers below it; one of these has the focus.

    Args:
        view: The question; its screen is dismissed with the reason.
        why_key: The key that goes to the line for the reason.
        number: The number to type to send; empty for the two answers *no* and *send*.
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
    | `review-sheet--selection`, `review-sheet--cursor` | The selection, the cursor. |
    | `review-sheet--placeholder` | The text of an empty line. |
    | `review-sheet--answer`, `review-sheet--answer-focus` | An answer, and the one that enter gives. |
    | `review-sheet--more` | The number of facts below. |
    """
    DEFAULT_CSS = "ReviewSheet { height: 1fr; }"

    def __init__(self, view: ReviewView | NumberReviewView, why_key: str, number: str = "") -> None:
        super().__init__()
        self._view = view
        self.review = NO_REVIEW
        self.why = LineEdit()
        self.number = LineEdit()
        self._why_label = f"why ({why_key}): "
        self._wanted = number
        self._items: tuple[Item, ...] = ("why", "number") if number else ("why", "no", "yes")
        self.item: Item = self._items[1]
        """The part with the focus."""
        self._top = 0
        """The first visible line of the facts."""
        self._drawn: list[Strip] = []

    def ask(self, review: Review) -> None:
        """Show another review, with empty lines and the focus where enter sends nothing."""
        self.review = review
        self.why, self.number = LineEdit(), LineEdit()
        self._top, self.item = 0, self._items[1]
        self.draw()

    @property
    def _reason(self) -> str:
        """The typed reason, with single blanks."""
        return " ".join(self.why.text.split())

    @property
    def _lacks_reason(self) -> bool:
        """True if a reason is required and missing."""
        return self.review.requires_why and not self._reason

    @property
    def has_number(self) -> bool:
        return bool(self._wanted) and self.number.text.strip() == self._wanted

    def go_to(self, item: Item) -> None:
        """Focus the reason, the number or an answer."""
        self.item = item
        self.draw()
        self.post_message(ActionView.Changed())

    def focus_safe(self) -> None:
        """Focus the part where enter sends nothing: *no*, or the number."""
        self.go_to(self._items[1])
        self.screen.set_focus(self)

    def send(self) -> None:
        """Dismiss the review with the reason; if a required one is missing, go to its line instead."""
        if self._lacks_reason:
            self._view.view_screen.set_status(WHY_FIRST, "warning", lambda: self._lacks_reason)
            self.go_to("why")
        else:
            self._view.view_screen.dismiss(self._reason)

    def leave(self) -> None:
        """Go from the reason back to the answers; from there, dismiss the review without sending."""
        if self.item == "why":
            self.focus_safe()
        else:
            self._view.view_screen.dismiss()

    # Keys and mouse

    @property
    def line(self) -> LineEdit | None:
        return self.why if self.item == "why" else self.number if self.item == "number" else None

    def edited(self) -> None:
        self.draw()
        self.post_message(ActionView.Changed())
        if self.item == "number" and self.has_number:
            self.send()

    def action_walk(self, step: int) -> None:
        """Go to the next part; past the last answer, let Textual go to the next widget."""
        at = self._items.index(self.item) + step
        if not self._wanted and not 0 <= at < len(self._items):
            raise SkipAction
        self.go_to(self._items[at % len(self._items)])

    async def action_enter(self) -> None:
        await self._view.entered(self.item)

    def action_scroll_facts(self, lines: int) -> None:
        self._top += lines
        self.draw()

    @on(events.MouseScrollDown)
    @on(events.MouseScrollUp)
    def _wheel_turned(self, event: events.MouseScrollDown | events.MouseScrollUp) -> None:
        self.action_scroll_facts(1 if isinstance(event, events.MouseScrollDown) else -1)

    async def on_click(self, event: events.Click) -> None:
        """Give the clicked answer, or focus the clicked line."""
        item = event.style.meta.get("item")
        if item in ("no", "yes"):
            await self._view.entered(item)
        elif item is not None:
            self.go_to(item)

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
        """Build the lines again, and repaint those that changed."""
        if self.size:
            before, self._drawn = self._drawn, self._lines(self.size)
            for y, strip in enumerate(self._drawn):
                if before[y : y + 1] != [strip]:
                    self.refresh(Region(0, y, self.size.width, 1))

    def _lines(self, size: Size) -> list[Strip]:
        """Return the lines: at the top as many facts as fit, at the bottom notes, reason and answers."""
        width = max(1, size.width - 2)
        facts, notes = self._wrapped(self.review.facts, width), self._wrapped(self.review.notes, width)
        notes = notes[: max(1, size.height - _MIN_FACT_LINES - 2)]
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

    def _typed_line(self, label: str, edit: LineEdit, item: Item, width: int, placeholder: str = "") -> Strip:
        style, has_keys = self.visual_style.rich_style, self.item == item and self.has_focus
        room = max(1, width - len(label))
        marks = (self._style(name, partial=True) for name in ("selection", "cursor", "placeholder"))
        strip = edit.strip(room, EditLook(self._style("line"), *marks), has_keys=has_keys, placeholder=placeholder)
        line = Strip.join([Strip([Segment(f" {label}", style)]), strip, Strip([Segment(" ", style)])])
        return line.apply_meta({"item": item})

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

    def _answer(self, item: Item) -> Strip:
        words = f"No, back ({key_of('reject')})" if item == "no" else f"Send ({key_of('send')})"
        style = self._style("answer-focus" if item == self.item and self.has_focus else "answer")
        return Strip([Segment(f"{words:^{_ANSWER}}", style)]).apply_meta({"item": item})

    def _style(self, name: str, *, partial: bool = False) -> Style:
        return self.get_component_rich_style(f"review-sheet--{name}", partial=partial)


class _ShowsSheet:
    """A mixin for both reviews, whose sheet shows everything and asks the question."""

    sheet: ReviewSheet

    def title(self) -> Content:
        return self.sheet.review.question

    def take_focus(self) -> None:
        self.sheet.focus_safe()

    def show_in(self, panel: Panel) -> None:
        if self.sheet.review.operation is not None:
            panel.show_draft(self.sheet.review.operation)

    def action_leave_question(self) -> None:
        self.sheet.leave()


class ReviewView(_ShowsSheet, ActionView[str]):
    """A review that one key answers; its result is the reason, empty if none was typed.

    Args:
        is_bulk: Whether it is about many runs; keys then act on no single run.
    """

    scope = "review"

    def __init__(self, *, is_bulk: bool = False) -> None:
        super().__init__(name="bulk-review" if is_bulk else None)
        self.sheet = ReviewSheet(self, key_of("why"))
        self._is_bulk = is_bulk

    def compose(self) -> ComposeResult:
        yield self.sheet

    @property
    def draft(self) -> Draft | None:
        operation = self.sheet.review.operation
        return operation if isinstance(operation, Draft) and not self._is_bulk else None

    @property
    def run_id(self) -> str | None:
        operation = self.sheet.review.operation
        return operation.run_id if operation is not None and not self._is_bulk else None

    async def entered(self, item: Item) -> None:
        """Act on the entered answer; enter in the reason goes back to the answers."""
        if item == "yes":
            await self.view_screen.action_perform("send")
        elif item == "no":
            self.action_reject()
        else:
            self.take_focus()

    def action_send(self) -> None:
        """Send it with the reason; if a required one is missing, go to its line."""
        self.sheet.send()

    def action_why(self) -> None:
        self.sheet.go_to("why")

    def action_reject(self) -> None:
        self.view_screen.dismiss()


class NumberReviewView(_ShowsSheet, ActionView[str]):
    """A review that typing the number of runs answers, without enter; a required reason must be typed first.

    Its result is the reason, empty if none was typed.
    """

    scope = "question"

    def __init__(self, count: int) -> None:
        super().__init__(name="bulk-review")
        self.sheet = ReviewSheet(self, "tab", str(count))
        self._count = count

    def compose(self) -> ComposeResult:
        yield self.sheet

    async def entered(self, item: Item) -> None:
        """Send if the number is right; else enter in the reason goes to the number."""
        if self.sheet.has_number:
            self.sheet.send()
        elif item == "why":
            self.take_focus()
        else:
            self.view_screen.set_status(f"Type {self._count} to send; {key_of('leave_question')} goes back.")


def review_of(
    operation: Operation,
    target: Iterable[tuple[str, str]],
    *,
    undoes: int | None = None,
    hint: str = "",
    notes: Sequence[str] = (),
    requires_why: bool = False,
) -> Review:
    """Return the review of one draft or one action of the service.

    `target` says where it goes, in pairs of name and value; `undoes` is the number of the journal entry that it undoes;
    `hint` is a warning; `notes` are the consequences of an action, as sentences.
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
    """Return the review of a bulk change; above MAX_BY_KEY runs it asks for their number. `target` and `hint` are as
    in `review_of`.
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
    view = NumberReviewView(count) if count > MAX_BY_KEY else ReviewView(is_bulk=True)
    view.sheet.ask(review)
    return view


def _bulk_facts(bulk: BulkDraft, target: Sequence[tuple[str, str]]) -> Content:
    """Return the changes with their counts, the runs left out, the target and the first request bodies."""
    lines = _change_lines(list(bulk.changes()))
    if left_out := bulk.left_out_words():
        lines.append(content(f"left out: {left_out}", "$text-warning"))
    lines += [Content(""), *_target_lines(target), Content(""), Content.styled("The first requests", "$text-muted")]
    for draft in bulk.drafts[:_SHOWN_BODIES]:
        lines.append(content(f"{'PATCH' if bulk.action is None else 'POST'} {draft.run_id}", "$text-muted"))
        lines.append(content(" ".join(draft.body_text().split())))
    return Content("\n").join(lines)


def _change_lines(changes: Sequence[tuple[str, str, str]]) -> list[Content]:
    """Return a line per property: its name, and the values before and after."""
    width = max((len(name) for name, _, _ in changes), default=0)
    return [
        Content.assemble(
            (f"{name:{width}}  ", "bold"), content(before, "$text-error"), "  →  ", content(after, "bold $text-success")
        )
        for name, before, after in changes
    ]


def _target_lines(target: Iterable[tuple[str, str]]) -> list[Content]:
    """Return a line per pair of name and value."""
    return [Content.assemble((f"{name:10}", "$text-muted"), content(value)) for name, value in target]


def _notes_of(
    operation: Operation, against: Iterable[str], notes: Iterable[str], reports: str = "the report"
) -> Content:
    """Return the warnings (`against`), then the consequences of an action or what a change does not do."""
    if isinstance(operation, ServiceAction):
        said = " ".join((*notes, "It cannot be undone, and is never sent twice."))
    else:
        for_that = f"For that, press {key_of('act')} in the list."
        said = f"This rewrites {reports}; it neither stops nor repeats any work. {for_that}"
    return Content("\n").join([*(content(f"! {sentence}", "$text-warning") for sentence in against), content(said)])
