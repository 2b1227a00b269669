"""The frame: two panes, a line above them and two below; which pane has the keys, and which is in sight.

Invariant: views take each other's place; only a dropdown's list and the palette are laid over them. The frame knows
where the keys go and what is zoomed, and nothing of runs. Only the panes' own styles change with that: a
class on the screen would have Textual match every widget's styles anew.
"""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import Container
from textual.screen import Screen
from textual.widgets import Input

from runtui.domain.columns import WIDE
from runtui.services.workspace import Workspace
from runtui.tui.actions import ACTION_BY_ID, Scope, Situation, bindings, in_scopes
from runtui.tui.messages import Left, Said
from runtui.tui.screens.left_pane import LeftPane
from runtui.tui.screens.run_panel import RunPanel
from runtui.tui.widgets.header_line import HeaderLine
from runtui.tui.widgets.hint_bar import HintBar
from runtui.tui.widgets.status_line import Holds, Severity, StatusLine, for_good


class Frame(Screen[None]):
    """A screen of two panes."""

    BINDINGS = bindings("app", "panel")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]

    def __init__(self, workspace: Workspace, *, columns: int) -> None:
        """Lay out a workspace.

        Args:
            workspace: The services, connected.
            columns: The width of the terminal now, so that the first layout is the right one.
        """
        super().__init__(classes="-wide" if columns >= WIDE else "-narrow")
        self._workspace = workspace
        self._keys_go_to_panel = False
        self._zoomed = False

    def compose(self) -> ComposeResult:
        """Lay everything out once; views only change places."""
        yield HeaderLine(id="header")
        with Container(id="body"):
            yield LeftPane(self._workspace, self.situation, id="left")
            yield RunPanel(self._workspace, id="panel")
        yield StatusLine(id="status")
        yield HintBar(id="hints")

    @property
    def left(self) -> LeftPane:
        """The pane of list, form, review and help."""
        return self.query_one(LeftPane)

    @property
    def panel(self) -> RunPanel:
        """The side panel."""
        return self.query_one(RunPanel)

    def situation(self) -> Situation:
        """What can be done now."""
        raise NotImplementedError

    # Words

    def on_said(self, event: Said) -> None:
        """Say what a view has to say, as long as that view is in sight."""
        view = self.left.view
        self.say(event.text, event.severity, lambda: self.left.view == view and event.holds())

    def say(self, text: str, severity: Severity = "information", holds: Holds = for_good) -> None:
        """Put a sentence into the status line, where it stands as long as it holds."""
        self.query_one(StatusLine).say(text, severity, holds)

    def refresh_chrome(self) -> None:
        """Draw what depends on the situation; what is the same is not drawn."""
        in_panel = self._keys_go_to_panel
        self.panel.mark_active(in_panel)
        self.left.runs.describe(active=not in_panel)
        hints = self.query_one(HintBar)
        hints.actions = in_scopes("panel", "app") if in_panel else in_scopes(self.left.view, "app")
        hints.situation = self.situation()
        hints.typing = isinstance(self.focused, Input)
        self.query_one(StatusLine).check()

    # Panes

    def open_panel(self) -> None:
        """Bring the panel into sight where it is not always there."""
        self.panel.add_class("-open")

    def on_left_pane_view_changed(self, _event: LeftPane.ViewChanged) -> None:
        """Another view stands at the left: the form has its request beside it."""
        draft = self.left.edited
        self.panel.set_class(draft is not None, "-editing")
        if draft is not None:
            self.panel.show_draft(draft)
            self.panel.choose("request")
        self.refresh_chrome()

    def on_left(self, _event: Left) -> None:
        """Esc in the list: the panel goes, where it can, and the last word with it."""
        self.panel.remove_class("-open")
        self._zoom(False)
        self.say("")

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Keys go elsewhere."""
        self._keys_go_to_panel = self.panel in event.widget.ancestors_with_self
        self._zoom(self._zoomed)
        self.refresh_chrome()

    def _zoom(self, zoomed: bool) -> None:
        self._zoomed = zoomed
        self.left.display = not (zoomed and self._keys_go_to_panel)
        self.panel.set_class(zoomed and self._keys_go_to_panel, "-alone")
        self.panel.set_class(zoomed and not self._keys_go_to_panel, "-away")

    # Actions

    async def perform(self, action_id: str) -> None:
        """Run any action by its id, as the palette does."""
        action = ACTION_BY_ID[action_id]
        if reason := action.reason(self.situation()) if action.scope in ("app", "panel") else None:
            self.say(reason, "warning", lambda: action.reason(self.situation()) == reason)
        elif action.scope in ("app", "panel"):
            await self.run_action(action.call or action.id)
        elif action.scope == self.left.view:
            await self.left.acting_view().action_perform(action_id)

    async def action_perform(self, action_id: str) -> None:
        """What a key asks for that can be refused with a reason."""
        await self.perform(action_id)

    def current_scopes(self) -> tuple[Scope, ...]:
        """Where the actions that make sense now belong to."""
        return (self.left.view, "panel", "app")

    def action_step_tab(self, by: int) -> None:
        """To the next tab of the panel, or the one before."""
        self.open_panel()
        self.panel.step(by)

    def action_leave_panel(self) -> None:
        """Back from the panel, which stays as it is."""
        self._zoom(False)
        self.left.take_focus()

    def action_zoom(self) -> None:
        """The focused pane alone, or both."""
        self._zoom(not self._zoomed)

    def action_focus_left(self) -> None:
        """To the list, the form, the review or the help."""
        if self._keys_go_to_panel:
            self._zoom(False)
        self.left.take_focus()

    def action_focus_panel(self) -> None:
        """To the panel."""
        if not self._keys_go_to_panel:
            self._zoom(False)
        self.open_panel()
        self.panel.take_focus()

    async def action_help(self) -> None:
        """The help takes the left pane."""
        await self.left.prepare()
        self.left.show("help")
