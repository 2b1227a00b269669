"""Switches profile, sandbox scenario, read-only and theme.

Invariant: a profile that cannot be used is shown with the reason, and never opened. Names and sentences of scenarios
come from the sandbox.
"""

from __future__ import annotations

from runtui.profiles import Profile, sign_in_word
from runtui.services.workspace import NO_FAULT
from runtui.settings import Settings
from runtui.tui.actions import why_read_only
from runtui.tui.features.feature import Feature
from runtui.tui.features.leaving import Leaving
from runtui.tui.screens.questions import Choice, Picker, marked_lines
from runtui.tui.themes import THEMES
from runtui.tui.words import write_words


class Switching(Feature):
    """The server and the behaviour of this session."""

    async def action_profiles(self) -> None:
        if (profiles := self._chrome.profiles) is None:
            return
        present = self._workspace.settings
        seen = list(profiles.seen_from(present))
        at = next((place for place, profile in enumerate(seen) if profile.name == present.profile), None)
        lines = marked_lines([(profile.name, _summary(profile)) for profile in seen], at)
        opened = [profile.settings or present for profile in seen]
        refusals = ["" if place == at else profile.problem for place, profile in enumerate(seen)]
        choices = [
            Choice(settings, line, refusal or _facts(settings), refusal)
            for settings, line, refusal in zip(opened, lines, refusals, strict=True)
        ]

        def chosen(settings: Settings) -> None:
            if settings.profile != present.profile:
                self._features[Leaving].leave(settings)

        question = Picker("Profiles", choices, asked_by="profiles", of=present.profile, at=at or 0)
        await self._chrome.ask(question, chosen)

    async def action_simulate(self) -> None:
        if (sandbox := self._chrome.sandbox) is None:
            return
        names = list(sandbox.scenarios)
        at = names.index(sandbox.scenario) if sandbox.scenario in names else None
        lines = zip(sandbox.scenarios.items(), marked_lines([*sandbox.scenarios.items()], at), strict=True)
        choices = [Choice(name, line, summary) for (name, summary), line in lines]

        async def simulate(name: str) -> None:
            await sandbox.use_scenario(name)
            self._chrome.show_headline()
            words = sandbox.scenarios[name]
            words = words if name == NO_FAULT else f"Simulating: {words}"
            self._chrome.set_status(words, shown_while=lambda: sandbox.scenario == name)
            self._chrome.refresh()

        question = Picker("Simulate a fault", choices, asked_by="simulate", of=sandbox.scenario, at=at or 0)
        await self._chrome.ask(question, lambda name: self.attempt(simulate(name)))

    def action_read_only(self) -> None:
        """Toggle read-only; a session that started read-only stays so."""
        workspace = self._workspace
        workspace.toggle_read_only()
        words = write_words.read_only_toggled(why_read_only(workspace), len(workspace.active_saves))
        now = workspace.read_only
        self._chrome.set_status(words, "warning" if now else "information", lambda: workspace.read_only == now)
        self._chrome.show_headline()
        self._chrome.refresh()

    def action_theme(self) -> None:
        app, names = self._chrome.app, list(THEMES)
        app.theme = names[(names.index(app.theme) + 1) % len(names)]
        self._workspace.preferences.keep(theme=app.theme)


def _summary(profile: Profile) -> str:
    if profile.settings is None:
        return "cannot be opened"
    return f"{profile.settings.tenant}{'  READ-ONLY' if profile.settings.read_only else ''}"


def _facts(settings: Settings) -> str:
    return f"{settings.root}, signs in by {sign_in_word(settings)}"
