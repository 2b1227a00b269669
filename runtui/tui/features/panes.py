"""The two panes: which one has the keys, how much room each gets, and the tabs and the search of the side panel."""

from __future__ import annotations

from runtui.keys.actions import ACTION_BY_ID
from runtui.tui.actions import why_not
from runtui.tui.features.feature import Feature


class Panes(Feature):
    """Switches between panes, and between tabs."""

    def action_next_tab(self) -> None:
        self._step_tab(1)

    def action_previous_tab(self) -> None:
        self._step_tab(-1)

    def _step_tab(self, by: int) -> None:
        """Show another tab of the panel; a hidden panel opens as it was left."""
        front = self._chrome.front
        if front.shows_panel:
            self._chrome.panel.step(by)
        self._chrome.show_panel()
        front.draw()

    async def action_next_match(self) -> None:
        """Go to the next match; without a search, to the next run that needs a person."""
        front = self._chrome.front
        if front.panel.search is not None:
            front.panel.search.step(1)
        elif ACTION_BY_ID["next_problem"].scope in front.scopes:
            await front.action_perform("next_problem")
        else:
            front.remark(why_not(ACTION_BY_ID["previous_match"], self._chrome.context()) or "", "warning")

    def action_leave_panel(self) -> None:
        """Go one step back: end the search first, then leave the panel, which stays as it is."""
        front = self._chrome.front
        if front.panel.search is not None:
            front.panel.search.close()
            front.draw()
        else:
            self._chrome.zoom(False)
            front.view.take_focus()

    def action_zoom(self) -> None:
        self._chrome.zoom(not self._chrome.is_zoomed)

    def action_focus_left(self) -> None:
        front = self._chrome.front
        if front.has_keys_in_panel:
            self._chrome.zoom(False)
        front.view.take_focus()

    def action_focus_panel(self) -> None:
        front = self._chrome.front
        self._chrome.show_panel()
        front.give_room()
        front.panel.take_focus()
