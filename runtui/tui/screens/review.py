"""The last look before a write: which run, which request, what changes from what to what.

Invariant: nothing is sent but by `y` or the button that says so. The focus rests on *no*, and enter there sends
nothing. The change, what speaks against it and what it does not do are in sight wherever the view is shown; the rest
is reached by scrolling.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input, Static

from runtui.domain.draft import MISSING, Draft
from runtui.domain.triage.service_actions import Operation, ServiceAction
from runtui.keys.actions import key_of
from runtui.tui.actions import bindings
from runtui.tui.screens.frame import ActionView
from runtui.tui.screens.panel import Panel
from runtui.tui.text import content
from runtui.tui.widgets.inputs import WhyLine

WHY_FIRST: Final = "This profile requires a reason: type one in the line above the answers."


class ReviewView(ActionView[str]):
    """Shows one draft as the change that it would be, or one action of the service; the answer is why it is made, empty
    where nothing was said.

    Args:
        operation: What would be sent.
        target: Where it would go, as pairs of a name and a value.
        undoes: The entry of the journal that it takes back.
        hint: What speaks against it.
        notes: What it leaves as it is, and what follows from it, in sentences.
        requires_why: Whether nothing is sent without a reason.
    """

    scope = "review"
    BINDINGS = [
        *bindings("review"),
        Binding("up", "scroll_facts(-1)", "scroll up"),
        Binding("down", "scroll_facts(1)", "scroll down"),
    ]
    DEFAULT_CSS = """
    ReviewView { layout: vertical; height: 1fr; }
    ReviewView VerticalScroll { height: 1fr; min-height: 3; padding: 0 1; scrollbar-size-vertical: 1; }
    ReviewView #review-notes { height: auto; padding: 0 1; }
    ReviewView Horizontal { height: 1; padding: 0 1; }
    ReviewView Button { margin: 0 2 0 0; }
    """

    def __init__(
        self,
        operation: Operation,
        target: Sequence[tuple[str, str]],
        *,
        undoes: int | None = None,
        hint: str = "",
        notes: Sequence[str] = (),
        requires_why: bool = False,
    ) -> None:
        super().__init__()
        self.operation = operation
        self.draft = operation if isinstance(operation, Draft) else None
        self._target, self._undoes, self._hint, self._notes = target, undoes, hint, notes
        self._why = WhyLine(key_of("why"), is_required=requires_why)

    @property
    def run_id(self) -> str:
        """The run that it is about."""
        return self.operation.run_id

    def compose(self) -> ComposeResult:
        """The change and its address, what speaks against it, the question."""
        with VerticalScroll(can_focus=False):
            yield Static(_facts(self.operation, self._target), id="review-facts", markup=False)
        yield Static(_notes(self.operation, self._hint, self._notes), id="review-notes", markup=False)
        yield self._why
        with Horizontal():
            yield Button(Content(f"No, back ({key_of('reject')})"), id="review-no", compact=True)
            yield Button(Content(f"Send ({key_of('send')})"), id="review-yes", compact=True)

    def title(self) -> Content:
        """The question."""
        if isinstance(self.operation, ServiceAction):
            return content(f"Review: {self.operation.words}?")
        return Content("Review: send this change?" if self._undoes is None else f"Undo change #{self._undoes}?")

    def take_focus(self) -> None:
        """The focus rests on *no*."""
        self.screen.set_focus(self.query_one("#review-no", Button))

    def show_in(self, panel: Panel) -> None:
        """The whole request."""
        panel.show_draft(self.operation)

    def action_scroll_facts(self, lines: int) -> None:
        """Some lines on, or back."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    @on(Button.Pressed, "#review-yes")
    async def _pressed(self) -> None:
        await self.action_perform("send")

    def action_send(self) -> None:
        """Send it, with the reason where one is required."""
        if self._why.is_lacking:
            self.set_status(WHY_FIRST, "warning", lambda: self._why.is_lacking)
            self._why.take_focus()
        else:
            self.answer(self._why.text)

    def action_why(self) -> None:
        """To the line for the reason."""
        self._why.take_focus()

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
        if self._why.has_keys:
            self.take_focus()
        else:
            self.answer()


def _facts(operation: Operation, target: Sequence[tuple[str, str]]) -> Content:
    """The change, then what else goes with it and where."""
    where = [Content.assemble((f"{name:10}", "$text-muted"), content(value)) for name, value in target]
    if isinstance(operation, ServiceAction):
        body = [Content.styled(operation.body_text(), "$text-muted")] if operation.parameters else []
        return Content("\n").join([*where, Content(""), *body])
    draft = operation
    names = max((len(change.field.name) for change in draft.changes()), default=0)
    lines = [
        Content.assemble(
            (f"{change.field.name:{names}}  ", "bold"),
            content(_value(change.before), "$text-error"),
            "  →  ",
            content(_value(change.after), "bold $text-success"),
        )
        for change in draft.changes()
    ]
    lines.append(Content(""))
    lines += where
    if extra := len(draft.body()) - 1 - len(draft.changes()):
        several = "property" if extra == 1 else "properties"
        lines.append(Content(f"Also sends {extra} unchanged required {several}; the Request tab has the body."))
    return Content("\n").join(lines)


def _notes(operation: Operation, hint: str, notes: Sequence[str]) -> Content:
    """What speaks against the change, and what it does not do."""
    lines = [content(f"! {hint}", "$text-warning")] if hint else []
    if isinstance(operation, ServiceAction):
        said = " ".join((*notes, "It cannot be undone, and is never sent twice."))
        return Content("\n").join([*lines, content(said)])
    lines += [content(f"! {sentence}", "$text-warning") for sentence in operation.warnings()]
    lines.append(Content(f"This rewrites the report: it neither stops nor repeats any work ({key_of('act')} does)."))
    return Content("\n").join(lines)


def _value(value: object) -> str:
    if value is None:
        return "null"
    return str(value) if value is not MISSING else "(not received)"
