"""The scenarios of a demo's sandbox: how it can misbehave, and which way is in force.

Invariant: the names and the sentences come from the sandbox; none is written here.
"""

from __future__ import annotations

from collections.abc import Callable

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from runtui.services.sandbox_control import SandboxControl
from runtui.tui.actions import Situation, bindings
from runtui.tui.messages import Left, ScenarioChosen
from runtui.tui.screens.acting import Acting
from runtui.tui.text import content, fit
from runtui.tui.widgets.option_lists import ChoiceList
from runtui.tui.widgets.pane_title import PaneTitle


class ScenariosView(Acting):
    """Shows what the sandbox offers."""

    BINDINGS = bindings("scenarios")
    DEFAULT_CSS = """
    ScenariosView { layout: vertical; height: 1fr; }
    ScenariosView ChoiceList { height: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }
    ScenariosView #scenario-summary { height: auto; max-height: 3; padding: 0 1; }
    """

    def __init__(self, situation: Callable[[], Situation], *, id: str) -> None:
        super().__init__(situation, id=id)
        self._names: tuple[str, ...] = ()
        self._summaries: tuple[str, ...] = ()

    def compose(self) -> ComposeResult:
        """Title, list, and the sentence of the one under the cursor, whole."""
        yield PaneTitle(id="scenarios-title")
        yield ChoiceList(id="scenario-list")
        yield Static(id="scenario-summary", markup=False)

    def open(self, sandbox: SandboxControl) -> None:
        """Show what there is; the cursor stands on the scenario in force."""
        self._names, self._summaries = tuple(sandbox.scenarios), tuple(sandbox.scenarios.values())
        width = max(map(cell_len, self._names), default=0)
        rows = self.query_one(ChoiceList)
        rows.clear_options()
        for name, summary in sandbox.scenarios.items():
            mark = "●" if name == sandbox.scenario else "○"
            rows.add_option(Option(content(f"{mark} {fit(name, width)}  {summary}")))
        rows.highlighted = self._names.index(sandbox.scenario) if sandbox.scenario in self._names else 0
        title = Content.assemble(("How the sandbox behaves", "bold"), "  ", content(sandbox.scenario))
        self.query_one("#scenarios-title", PaneTitle).show(title, active=True)

    def take_focus(self) -> None:
        """Give the list the keys."""
        self.query_one(ChoiceList).focus()

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Another one under the cursor."""
        event.stop()
        self.query_one("#scenario-summary", Static).update(content(self._summaries[event.option_index]))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A click on one."""
        event.stop()
        self.action_use_scenario()

    def action_use_scenario(self) -> None:
        """From the next request on."""
        index = self.query_one(ChoiceList).highlighted
        if index is not None:
            self.post_message(ScenarioChosen(self._names[index]))

    def action_leave_scenarios(self) -> None:
        """Change nothing."""
        self.post_message(Left())
