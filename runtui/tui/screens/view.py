"""What a screen shows in its left pane: a view, with its actions and, if it is a question, its answer; and how often a
view that keeps changing is redrawn.

Invariant: a view knows its list and the panel beside it, but not the frame around it. It asks the screen for an action
by its id, and tells it by messages what to say and that something has changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic

from textual import events, on
from textual.app import ComposeResult
from textual.content import Content
from textual.message import Message
from textual.message_pump import MessagePump
from textual.screen import ScreenResultType
from textual.widget import Widget
from textual.worker import Worker

from runtui.keys.actions import VIEWS, Scope
from runtui.services.foreground import Foreground
from runtui.tui.actions import bindings
from runtui.tui.keys import is_at_work
from runtui.tui.screens.panel import Panel
from runtui.tui.widgets.chrome import Condition, Severity, Status, always
from runtui.tui.widgets.line_table import LineTable
from runtui.tui.widgets.row_list import RowList

if TYPE_CHECKING:
    from runtui.domain.draft import Draft


RELOAD_SECONDS: Final = 0.25
"""The least time between two redraws of a list that keeps changing."""

LONGEST_REST: Final = 4
"""The most time between them, in RELOAD_SECONDS: a count still moves every second."""

MAX_DELAYS: Final = 7
"""How often a redraw is put off while a person types; with `RELOAD_SECONDS` that makes two seconds."""


class Throttle:
    """Calls `call` at the first request, and once after the last. In between it rests for `RELOAD_SECONDS`, then twice
    as long after each call, up to `LONGEST_REST`. If a person types then, it waits for a pause between keys, up to two
    seconds. If the last call returned a worker, it also waits for the end of that: restarted again and again, a slow
    one would never end.
    """

    def __init__(self, owner: MessagePump, foreground: Foreground, call: Callable[[], object]) -> None:
        self._owner = owner
        self._foreground = foreground
        self._call = call
        self._put_off = 0
        self._rests = 1
        """How long the next call rests, in RELOAD_SECONDS."""
        self._is_resting = False
        self._is_due = False
        self._called: object = None

    def ask(self) -> None:
        if self._is_resting:
            self._is_due = True
            return
        self._rest(self._rests)
        self._rests = min(self._rests * 2, LONGEST_REST)
        self._called = self._call()

    def _rest(self, rests: int = 1) -> None:
        self._is_resting = True
        self._owner.set_timer(RELOAD_SECONDS * rests, self._rested)

    def _rested(self) -> None:
        self._is_resting = False
        if not self._is_due:
            self._rests = 1
        elif isinstance(self._called, Worker) and is_at_work(self._called):
            self._rest()
        elif self._put_off < MAX_DELAYS and self._foreground.had_input_within(RELOAD_SECONDS):
            self._put_off += 1
            self._rest()
        else:
            self._put_off, self._is_due = 0, False
            self.ask()


class ActionView(Widget, Generic[ScreenResultType]):
    """The content of a screen's left pane: a widget with its actions; a question also has an answer."""

    scope: ClassVar[Scope]
    """The registry scope of this view's own actions. The view, its list, its screen or a feature has an `action_<id>`
    for each of them, and for each action of the scopes that the view shares."""
    more_scopes: tuple[Scope, ...] = ()
    """Further scopes whose actions work here."""
    needs_panel: ClassVar[bool] = False
    """True if the panel is shown on a narrow terminal even without a draft."""
    changes_marked: ClassVar[bool] = False
    """True if a change that starts here applies to the marked rows, if any."""
    list: RowList[Any, Any] | None = None
    """The view's list; None if it has none."""
    owner: object = None
    """The feature whose actions count for this view, where another feature has some with the same ids; None if there is
    none."""
    leaves_panel: ClassVar[bool] = False
    """True if the panel keeps showing what the view behind chooses, as behind a question."""
    holds_letters: ClassVar[bool] = False
    """True if the letters of other screens do nothing here, as in most questions: they belong to the answer."""
    asked_by: str = ""
    """The id of the action that asks this question on every screen; while it is open, the action closes it instead."""
    first_rows: asyncio.Event | None = None
    """Set once the list has rows, or is read and has none; None if keys need not wait for that."""
    opens: ClassVar[str] = ""
    """The id of the action for enter in a line, a click on a choice or a double click on a row."""
    DEFAULT_CSS = """
    ActionView { height: 1fr; }
    ActionView Static { height: auto; padding: 0 1; }
    """

    class Changed(Message):
        """The title, the draft or the possible actions have changed."""

        def can_replace(self, message: Message) -> bool:
            """One redraw covers several changes."""
            return isinstance(message, ActionView.Changed)

    class Said(Message):
        """There is something to say in the status line while this view is in front."""

        def __init__(self, status: Status) -> None:
            super().__init__()
            self.status = status

    def __init_subclass__(cls, **options: Any) -> None:
        """Set BINDINGS from the view's scopes before Textual reads them."""
        if "BINDINGS" not in vars(cls):
            cls.BINDINGS = bindings(cls.scope, *VIEWS[cls.scope])
        super().__init_subclass__(**options)

    def compose(self) -> ComposeResult:
        if self.list is not None:
            yield self.list

    @property
    def draft(self) -> Draft | None:
        """The draft that the view shows; None if there is none."""
        return None

    @property
    def run_id(self) -> str | None:
        """The id of the run that keys act on here; None if there is none, or the draft is of many."""
        return (self.draft.run_id or None) if self.draft is not None else None

    @property
    def scopes(self) -> tuple[Scope, ...]:
        return (self.scope, *VIEWS[self.scope], *self.more_scopes)

    def title(self) -> Content:
        """Return the title of the left pane."""
        raise NotImplementedError

    def take_focus(self) -> None:
        """Focus this view; by default its list, else its first widget that takes keys."""
        first = next((part for part in self.walk_children(Widget) if part.can_focus), None)
        self.screen.set_focus(self.list.table if self.list is not None else first)

    def resumed(self) -> None:
        """Catch up with what happened while another screen was in front."""

    def show_in(self, panel: Panel) -> None:
        """Choose what the side panel shows beside this view."""

    def before(self, action_id: str) -> None:
        """Update this view before `why_not` checks an action of its scope."""

    def say(self, text: str, severity: Severity = "information", shown_while: Condition = always) -> None:
        """Show a sentence in the status line while this view is in front and `shown_while` returns True."""
        self.post_message(self.Said(Status(text, severity, shown_while)))

    async def perform(self, action_id: str) -> None:
        """Run an action of the registry as its key would."""
        await self.run_action(f"screen.perform('{action_id}')")

    def dismiss(self, answer: ScreenResultType | None = None) -> None:
        """Close the screen of this view; None is no answer."""
        self.screen.dismiss(answer)

    @on(LineTable.CursorMoved)
    @on(RowList.Marked)
    def _rows_changed(self, event: Message) -> None:
        """Report that the cursor or the marks changed, and with them the possible actions."""
        event.stop()
        self.post_message(self.Changed())

    @on(events.Click)
    async def _clicked(self, event: events.Click) -> None:
        if self.opens and event.chain == 2 and self.list is not None and event.widget is self.list.table:
            await self.perform(self.opens)

    async def on_option_list_option_selected(self, event: Message) -> None:
        event.stop()
        if self.opens:
            await self.perform(self.opens)

    def action_leave_view(self) -> None:
        """Go one step back: clear the filter; without a filter, close the screen."""
        if self.list is None or not self.list.clear():
            self.dismiss()

    def action_leave_question(self) -> None:
        self.dismiss()
