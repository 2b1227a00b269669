"""The profiles of config.toml: which one is open, and which one to open in its place.

Invariant: a profile that leads nowhere is shown with the reason, and never opened.
"""

from __future__ import annotations

from collections.abc import Callable

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from runtui.profiles import Profile, Profiles, sign_in_word
from runtui.tui.actions import Situation, bindings
from runtui.tui.messages import Left, ProfileChosen
from runtui.tui.screens.acting import Acting
from runtui.tui.text import content, fit
from runtui.tui.widgets.option_lists import ChoiceList
from runtui.tui.widgets.pane_title import PaneTitle


class ProfilesView(Acting):
    """Shows where one can go on to."""

    BINDINGS = bindings("profiles")
    DEFAULT_CSS = """
    ProfilesView { layout: vertical; height: 1fr; }
    ProfilesView ChoiceList { height: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }
    ProfilesView #profile-facts { height: auto; max-height: 4; padding: 0 1; }
    """

    def __init__(self, situation: Callable[[], Situation], *, id: str) -> None:
        super().__init__(situation, id=id)
        self._profiles: tuple[Profile, ...] = ()
        self._present = ""

    def compose(self) -> ComposeResult:
        """Title, list, and where the one under the cursor leads."""
        yield PaneTitle(id="profiles-title")
        yield ChoiceList(id="profile-list")
        yield Static(id="profile-facts", markup=False)

    def open(self, profiles: Profiles, present: str) -> None:
        """Show what there is; the cursor stands on the profile that is open."""
        self._profiles, self._present = tuple(profiles), present
        width = max((cell_len(profile.name) for profile in self._profiles), default=0)
        rows = self.query_one(ChoiceList)
        rows.clear_options()
        for profile in self._profiles:
            mark = "●" if profile.name == present else "○"
            rows.add_option(Option(content(f"{mark} {fit(profile.name, width)}  {_summary(profile)}")))
        names = [profile.name for profile in self._profiles]
        rows.highlighted = names.index(present) if present in names else 0
        title = Content.assemble(("Profiles", "bold"), "  ", content(present))
        self.query_one("#profiles-title", PaneTitle).show(title, active=True)

    def take_focus(self) -> None:
        """Give the list the keys."""
        self.query_one(ChoiceList).focus()

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Another one under the cursor."""
        event.stop()
        self.query_one("#profile-facts", Static).update(content(_facts(self._profiles[event.option_index])))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A click on one."""
        event.stop()
        self.action_open_profile()

    def action_open_profile(self) -> None:
        """Open it in the place of the present one, which itself is just gone back to."""
        index = self.query_one(ChoiceList).highlighted
        if index is not None:
            name = self._profiles[index].name
            self.post_message(Left() if name == self._present else ProfileChosen(name))

    def action_leave_profiles(self) -> None:
        """Stay."""
        self.post_message(Left())


def _summary(profile: Profile) -> str:
    if profile.settings is None:
        return "cannot be opened"
    return f"{profile.settings.tenant}{'  READ-ONLY' if profile.settings.read_only else ''}"


def _facts(profile: Profile) -> str:
    if profile.settings is None:
        return profile.problem
    return f"{profile.settings.root}, signs in by {sign_in_word(profile.settings)}"
