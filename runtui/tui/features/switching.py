"""Going on to something else: another profile, another scenario of a demo, read-only, a theme, the help.

Invariant: a profile that leads nowhere is shown with the reason, and never opened. Names and sentences of scenarios
come from the sandbox.
"""

from __future__ import annotations

from rich.cells import cell_len
from textual.content import Content

from runtui.errors import RuntuiError
from runtui.profiles import Profile, Profiles, sign_in_word
from runtui.settings import Settings
from runtui.tui.features.feature import Feature
from runtui.tui.features.leaving import Leaving
from runtui.tui.screens.help import HelpView
from runtui.tui.screens.picker import Choice, Picker
from runtui.tui.text import content, fit
from runtui.tui.themes import THEMES
from runtui.tui.words import entry_words


class Switching(Feature):
    """What this session is about, and how it behaves."""

    async def action_profiles(self) -> None:
        """Choose another profile of config.toml, and open it in the place of this one."""
        if (profiles := self._chrome.profiles) is None:
            return
        present = self._workspace.settings.profile
        names = [profile.name for profile in profiles]
        width = max(map(cell_len, names), default=0)
        choices = [self._choice_of(profiles, profile, width) for profile in profiles]

        def chosen(settings: Settings | None) -> None:
            if settings is not None and settings.profile != present:
                self._features[Leaving].leave(settings)

        title = Content.assemble(("Profiles", "bold"), "  ", content(present))
        at = names.index(present) if present in names else 0
        await self._chrome.ask(Picker("profiles", title, choices, at=at), chosen)

    def _choice_of(self, profiles: Profiles, profile: Profile, width: int) -> Choice[Settings]:
        """A profile, its name in so many cells, with what it leads to or why it leads nowhere."""
        present = self._workspace.settings
        line = f"{_mark(profile.name == present.profile)} {fit(profile.name, width)}  {_summary(profile)}"
        if profile.name == present.profile:
            return Choice(present, line, _facts(profile))
        try:
            return Choice(profiles.next_profile(profile.name, present), line, _facts(profile))
        except RuntuiError as error:
            return Choice(present, line, _facts(profile), refusal=str(error))

    async def action_simulate(self) -> None:
        """Simulate a fault: choose what the demo's sandbox does from its next request on."""
        if (sandbox := self._chrome.sandbox) is None:
            return
        names = list(sandbox.scenarios)
        width = max(map(cell_len, names), default=0)
        choices = [
            Choice(name, f"{_mark(name == sandbox.scenario)} {fit(name, width)}  {summary}", summary)
            for name, summary in sandbox.scenarios.items()
        ]

        async def chosen(name: str | None) -> None:
            if name is None:
                return
            try:
                await sandbox.use_scenario(name)
            except RuntuiError as error:
                self._chrome.set_status(str(error), "error")
                return
            self._chrome.show_headline()
            words = f"Simulating: {sandbox.scenarios[name]}"
            self._chrome.set_status(words, holds=lambda: sandbox.scenario == name)
            self._chrome.refresh()

        title = Content.assemble(("Simulate a fault", "bold"), "  ", content(sandbox.scenario))
        at = names.index(sandbox.scenario) if sandbox.scenario in names else 0
        await self._chrome.ask(Picker("scenarios", title, choices, at=at), chosen)

    def action_read_only(self) -> None:
        """Toggle read-only; a session that began read-only stays so."""
        workspace = self._workspace
        workspace.toggle_read_only()
        words = entry_words.read_only(entry_words.why_read_only(workspace), len(workspace.saves.active()))
        now = workspace.read_only
        self._chrome.set_status(words, "warning" if now else "information", lambda: workspace.read_only == now)
        self._chrome.show_headline()
        self._chrome.refresh()

    def action_theme(self) -> None:
        """Change to the next theme."""
        app, names = self._chrome.app, list(THEMES)
        app.theme = names[(names.index(app.theme) + 1) % len(names)] if app.theme in names else names[0]
        self._workspace.preferences.keep(theme=app.theme)

    async def action_help(self) -> None:
        """Show the keys, and run the one that is chosen."""

        async def chosen(action_id: str | None) -> None:
            if action_id is not None:
                await self._chrome.front.run_by_name(action_id)

        await self._chrome.ask(HelpView(self._chrome.front.scopes_of_keys), chosen)


def _mark(is_present: bool) -> str:
    return "●" if is_present else "○"


def _summary(profile: Profile) -> str:
    if profile.settings is None:
        return "cannot be opened"
    return f"{profile.settings.tenant}{'  READ-ONLY' if profile.settings.read_only else ''}"


def _facts(profile: Profile) -> str:
    if profile.settings is None:
        return profile.problem
    return f"{profile.settings.root}, signs in by {sign_in_word(profile.settings)}"
