"""The review before a write: which runs, which request, which values before and after.

Invariant: only the key of `send`, the Send button or, above MAX_BY_KEY runs, their number and enter send anything. The
focus starts on *no*, where enter sends nothing. The change, its warnings and what it does not do are always visible;
the rest, and what a small screen cuts of these, can be scrolled to.
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

from runtui.domain.bulk_draft import MAX_BY_KEY, BulkDraft
from runtui.domain.draft import Draft
from runtui.domain.text import count_words
from runtui.keys.actions import key_of
from runtui.tui.screens.panel import Panel
from runtui.tui.screens.view import ActionView
from runtui.tui.text import content, in_lines, wrapped
from runtui.tui.widgets.field_edit import EditLook, EditsLines, LineEdit

WHY_FIRST: Final = "This profile requires a reason: type one in the line above the answers."


Item = Literal["why", "number", "no", "yes"]
"""The parts of a review that can have the focus: a line to type into, or an answer."""


class Review(NamedTuple):
    """The contents of a review."""

    question: Content
    bulk: BulkDraft
    """What is to be sent: empty, or one operation or many."""
    facts: Content
    """The change and its target."""
    notes: Content
    """Warnings, and what the change does not do."""
    requires_why: bool = False
    """Whether a reason must be typed before it is sent."""

    @property
    def number(self) -> str:
        """The number to type, before enter sends; empty for the two answers *no* and *send*."""
        return str(count) if (count := len(self.bulk.drafts)) > MAX_BY_KEY else ""

    @property
    def items(self) -> tuple[Item, ...]:
        """The parts that can have the focus, from the top."""
        return ("why", "number") if self.number else ("why", "no", "yes")

    @property
    def start(self) -> Item:
        """The part that has the focus at first, where enter sends nothing."""
        return "number" if self.number else "no"

    @property
    def number_first(self) -> str:
        """Say that the number must be typed before it is sent."""
        return f"Type {self.number} to send; {key_of('leave_question')} goes back."


NO_REVIEW: Final = Review(Content(), BulkDraft((), {}), Content(), Content())
"""The empty review."""

_SHOWN_BODIES: Final = 3
"""The number of requests of a bulk change whose bodies are shown."""

_MIN_FACT_LINES: Final = 3
"""The lines that the notes leave for the facts."""

_NUMBER: Final = 12
_ANSWER: Final = 16
"""Widths in cells: of the number's input, and of an answer."""


class ReviewSheet(EditsLines, can_focus=True, inherit_bindings=False):
    """Shows a review, with a line for the reason and the answers below it; one of these has the focus."""

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
        for name in ("line", "selection", "cursor", "placeholder", "answer", "answer-focus", "more", "wrong")
    }
    DEFAULT_CSS = "ReviewSheet { height: 1fr; }"

    class Entered(Message):
        """Enter was pressed on a part, or an answer was clicked."""

        def __init__(self, item: Item) -> None:
            super().__init__()
            self.item = item

    def __init__(self) -> None:
        super().__init__()
        self.review = NO_REVIEW
        self.why = LineEdit()
        self.number = LineEdit()
        self.item: Item = "no"
        """The part with the focus."""
        self._top = 0
        """The first visible line of the facts."""
        self._drawn: list[Strip] = []

    def ask(self, review: Review) -> None:
        """Show another review, with empty lines and the focus where enter sends nothing."""
        self.review = review
        self.why, self.number = LineEdit(), LineEdit()
        self._top, self.item = 0, review.start
        self.draw()

    @property
    def reason(self) -> str:
        """The typed reason, with single blanks."""
        return " ".join(self.why.text.split())

    @property
    def lacks_reason(self) -> bool:
        """True if a reason is required and missing."""
        return self.review.requires_why and not self.reason

    @property
    def has_number(self) -> bool:
        """True if the number to type is typed."""
        return bool(self.review.number) and self.number.text.strip() == self.review.number

    def go_to(self, item: Item) -> None:
        self.item = item
        self.draw()
        self.post_message(ActionView.Changed())

    # Keys and mouse

    @property
    def line(self) -> LineEdit | None:
        return self.why if self.item == "why" else self.number if self.item == "number" else None

    def edited(self) -> None:
        self.draw()
        self.post_message(ActionView.Changed())

    def action_walk(self, step: int) -> None:
        """Go to the next part; past the last answer, let Textual go to the next widget."""
        at = self.review.items.index(self.item) + step
        if not self.review.number and not 0 <= at < len(self.review.items):
            raise SkipAction
        self.go_to(self.review.items[at % len(self.review.items)])

    def action_enter(self) -> None:
        self.post_message(self.Entered(self.item))

    def action_scroll_facts(self, lines: int) -> None:
        self._top += lines
        self.draw()

    @on(events.MouseScrollDown)
    @on(events.MouseScrollUp)
    def _wheel_turned(self, event: events.MouseScrollDown | events.MouseScrollUp) -> None:
        self.action_scroll_facts(1 if isinstance(event, events.MouseScrollDown) else -1)

    def on_click(self, event: events.Click) -> None:
        """Give the clicked answer, or focus the clicked line."""
        item = event.style.meta.get("item")
        if item in ("no", "yes"):
            self.post_message(self.Entered(item))
        elif item is not None:
            self.go_to(item)

    # Drawing

    @on(events.Focus)
    @on(events.Blur)
    @on(events.Resize)
    def _look_changed(self) -> None:
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
        """Return the lines: at the top as many facts as fit, at the bottom notes, reason and answers. Notes that leave
        too little room are cut there, and follow the facts in full."""
        width = max(1, size.width - 2)
        facts, notes = self._wrapped(self.review.facts, width), self._wrapped(self.review.notes, width)
        if len(notes) > (most := max(1, size.height - _MIN_FACT_LINES - 2)):
            facts, notes = [*facts, *notes], self._wrapped(in_lines(self.review.notes, width, most), width)
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
        key = "tab" if self.review.number else key_of("why")
        return self._typed_line(f"why ({key}): ", self.why, "why", width, f"a sentence for the journal, {needed}")

    def _typed_line(self, label: str, edit: LineEdit, item: Item, width: int, placeholder: str = "") -> Strip:
        style, has_keys = self.visual_style.rich_style, self.item == item and self.has_focus
        room = max(1, width - len(label))
        marks = (self._style(name, partial=True) for name in ("selection", "cursor", "placeholder"))
        strip = edit.strip(room, EditLook(self._style("line"), *marks), has_keys=has_keys, placeholder=placeholder)
        line = Strip.join([Strip([Segment(f" {label}", style)]), strip, Strip([Segment(" ", style)])])
        return line.apply_meta({"item": item})

    def _answers(self, width: int, below: int) -> Strip:
        more, style = f"↓ {below} more" if below > 0 else "", self._style("more")
        if self.has_number:
            more = " · ".join(filter(None, (more, "enter sends")))
        if not self.review.number.startswith(self.number.text.strip()):
            more, style = f"type only {self.review.number}", self._style("wrong")
        if self.review.number:
            label = f"Type {self.review.number} to send: "
            first = self._typed_line(label, self.number, "number", len(label) + _NUMBER)
        else:
            blank = Strip([Segment("  ", self.visual_style.rich_style)])
            first = Strip.join([blank.crop(0, 1), self._answer("no"), blank, self._answer("yes"), blank])
        room = max(0, width + 1 - first.cell_length)
        return Strip.join([first, Strip([Segment(f"{more:>{room}} ", style)])])

    def _answer(self, item: Item) -> Strip:
        words = f"No, back ({key_of('reject')})" if item == "no" else f"Send ({key_of('send')})"
        style = self._style("answer-focus" if item == self.item and self.has_focus else "answer")
        return Strip([Segment(f"{words:^{_ANSWER}}", style)]).apply_meta({"item": item})

    def _style(self, name: str, *, partial: bool = False) -> Style:
        return self.get_component_rich_style(f"review-sheet--{name}", partial=partial)


class ReviewView(ActionView[str]):
    """The review as a view: it shows one at a time. Its result is the reason, empty if none was typed."""

    scope = "review"
    holds_letters = True

    def __init__(self) -> None:
        super().__init__()
        self.sheet = ReviewSheet()

    def compose(self) -> ComposeResult:
        yield self.sheet

    def title(self) -> Content:
        return self.sheet.review.question

    def take_focus(self) -> None:
        self.sheet.go_to(self.sheet.review.start)
        self.screen.set_focus(self.sheet)

    def show_in(self, panel: Panel) -> None:
        if drafts := self.sheet.review.bulk.drafts:
            panel.show_draft(drafts[0])

    @property
    def draft(self) -> Draft | None:
        """None for many runs: keys then act on no single run."""
        one = self.sheet.review.bulk.one
        return one if isinstance(one, Draft) else None

    @property
    def run_id(self) -> str | None:
        one = self.sheet.review.bulk.one
        return one.run_id if one is not None else None

    async def on_review_sheet_entered(self, event: ReviewSheet.Entered) -> None:
        """Act on the entered answer; enter in the reason goes back to the answers or, with the right number, sends."""
        event.stop()
        if event.item == "yes" or self.sheet.has_number:
            await self.perform("send")
        elif event.item == "no":
            self.action_reject()
        elif event.item == "why":
            self.take_focus()
            self.post_message(self.Changed())  # Textual ends the sheet's own here, where its sender is handling
        else:
            self.say(self.sheet.review.number_first)

    def action_send(self) -> None:
        """Dismiss the review with the reason; if that or the number is missing, say so instead."""
        sheet = self.sheet
        if sheet.review.number and not sheet.has_number:
            self.say(sheet.review.number_first)
        elif sheet.lacks_reason:
            self.say(WHY_FIRST, "warning", lambda: sheet.lacks_reason)
            sheet.go_to("why")
        else:
            self.dismiss(sheet.reason)

    def action_why(self) -> None:
        self.sheet.go_to("why")

    action_reject = ActionView.action_leave_question

    def action_leave_question(self) -> None:
        """Go from the reason back to the answers; from there, dismiss the review without sending."""
        if self.sheet.item == "why":
            self.take_focus()
        else:
            self.dismiss()


def review_of(bulk: BulkDraft, target: Iterable[tuple[str, str]], *, hint: str, requires_why: bool) -> Review:
    """Return the review of a change or an action of the service, of one run or of many.

    `target` says where it goes, in pairs of name and value; `hint` is a warning. Above MAX_BY_KEY runs it asks for
    their number.
    """
    facts = _change_lines([*bulk.changes()])
    if left_out := bulk.left_out_words():
        facts.append(content(f"left out: {left_out}", "$text-warning"))
    facts += [Content("")] if facts else []
    facts += [Content.assemble((f"{name:10} ", "$text-muted"), content(value)) for name, value in target]
    if also_sent := bulk.also_sent():
        facts.append(Content(f"{also_sent}{'; the Request tab has the body' if bulk.is_one else ''}."))
    facts += _bodies(bulk)
    against = (*([hint] if hint else []), *bulk.doubts, *bulk.warnings())
    question, notes = content(_question(bulk)), _notes_of(bulk, against)
    return Review(question, bulk, Content("\n").join(facts), notes, requires_why)


def _question(bulk: BulkDraft) -> str:
    runs = "" if bulk.is_one else count_words(len(bulk.drafts), "run")
    if bulk.action is not None:
        return f"Review: {bulk.action.words}{f' · {runs}' if runs else ''}?"
    if (number := bulk.drafts[0].undoes) is not None:
        return f"Undo the changes to {runs}?" if runs else f"Undo change #{number}?"
    return f"Review: send this change{f' to {runs}' if runs else ''}?"


def _bodies(bulk: BulkDraft) -> list[Content]:
    """Return the first request bodies of many, or that of an action; the Request tab has that of a change."""
    if bulk.is_one:
        body = bulk.action.body_text() if bulk.action is not None else ""
        return [Content(""), Content.styled(body, "$text-muted")] if body else []
    lines = [Content(""), Content.styled("The first requests", "$text-muted")]
    for draft in bulk.drafts[:_SHOWN_BODIES]:
        lines.append(content(f"{'PATCH' if bulk.action is None else 'POST'} {draft.run_id}", "$text-muted"))
        lines.append(content(" ".join(draft.body_text().split())))
    return lines


def _change_lines(changes: Sequence[tuple[str, str, str]]) -> list[Content]:
    """Return a line per property: its name, and the values before and after."""
    width = max((len(name) for name, _, _ in changes), default=0)
    return [
        Content.assemble(
            (f"{name:{width}}  ", "bold"), content(before, "$text-error"), "  →  ", content(after, "bold $text-success")
        )
        for name, before, after in changes
    ]


def _notes_of(bulk: BulkDraft, against: Iterable[str]) -> Content:
    """Return the warnings (`against`), then the consequences of an action or what a change does not do."""
    if bulk.action is not None:
        said = " ".join((*bulk.notes, "It cannot be undone, and is never sent twice."))
    else:
        reports = "report" if bulk.is_one else "reports"
        instead = f"To do that, press {key_of('act')} in the list."
        said = f"This edits the {reports} only; no work is stopped or repeated. {instead}"
    return Content("\n").join([*(content(f"! {sentence}", "$text-warning") for sentence in against), content(said)])
