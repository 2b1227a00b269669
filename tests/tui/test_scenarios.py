"""The scenario picker of the demo: it offers what the sandbox has; the choice is always visible in the first line."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from runtui.errors import RuntuiError
from runtui.prelude.first_paint import FirstPaint
from runtui.sandbox.scenarios import summaries
from runtui.tui.widgets.chrome import HintBar
from tests.tui.conftest import Opener


class Sandbox:
    """The sandbox control of a demo, without a process."""

    def __init__(self, scenario: str = "none") -> None:
        self.scenarios: Mapping[str, str] = summaries()
        self.scenario = scenario
        self.authority = ""
        self.fault: RuntuiError | None = None

    async def use_scenario(self, name: str) -> None:
        if self.fault is not None:
            raise self.fault
        self.scenario = name


async def test_every_scenario_is_listed_with_its_sentence_and_enter_uses_it(open_session: Opener) -> None:
    sandbox = Sandbox()
    async with open_session(runs=12, size=(200, 60), sandbox=sandbox) as session:
        await session.press("M")
        assert session.view == "picker"
        for name, summary in sandbox.scenarios.items():
            assert re.search(rf"[●○] {re.escape(name)} +{re.escape(summary[:60])}", session.text()), name
        assert "● none" in session.text()
        await session.press("j", "enter")
        assert sandbox.scenario == "429-seconds"
        assert session.view == "runs"
        assert "SANDBOX: 429-seconds" in session.header
        assert sandbox.scenarios["429-seconds"] in session.status.text
        await session.press("M")
        assert "● 429-seconds" in session.text()
        assert sandbox.scenarios["429-seconds"] in session.text()
        await session.press("g", "enter")
        assert sandbox.scenario == "none"
        assert " SANDBOX  " in session.header


async def test_at_80_columns_the_badge_is_whole(open_session: Opener) -> None:
    sandbox = Sandbox()
    async with open_session(
        runs=3, size=(80, 24), sandbox=sandbox, tenant="A tenant with quite a long name of its own"
    ) as session:
        for sandbox.scenario in [*summaries(), "a-name-longer-than-any"]:
            session.app.chrome.show_headline()
            await session.settled()
            words = "SANDBOX" if sandbox.scenario == "none" else f"SANDBOX: {sandbox.scenario}"
            assert f" {words} " in session.header + " "


@pytest.mark.parametrize("key", ["escape", "M"])
async def test_leaving_changes_nothing_and_leads_back(open_session: Opener, key: str) -> None:
    sandbox = Sandbox("slow")
    async with open_session(runs=12, sandbox=sandbox) as session:
        await session.press("J", "M")
        assert session.view == "picker"
        await session.press("down", key)
        assert session.view == "journal"
        assert sandbox.scenario == "slow"


async def test_an_ended_sandbox_is_reported(open_session: Opener) -> None:
    sandbox = Sandbox()
    sandbox.fault = RuntuiError("The sandbox has ended", "It takes no scenario any more.")
    async with open_session(runs=12, sandbox=sandbox) as session:
        await session.press("M", "j", "enter")
        assert "The sandbox has ended" in session.status.text
        assert "429" not in session.header


async def test_on_a_server_it_says_that_it_is_for_the_demo_alone(open_session: Opener) -> None:
    async with open_session(runs=12, size=(200, 40)) as session:
        await session.press("M")
        assert session.view == "runs"
        assert "runtui demo" in session.status.text
        assert "M simulate" not in str(session.find(HintBar).render())


async def test_in_a_demo_the_hint_bar_shows_the_key_at_80_columns(open_session: Opener) -> None:
    async with open_session(runs=12, size=(80, 24), sandbox=Sandbox()) as session:
        assert "M simulate" in session.text().splitlines()[-1]


async def test_the_first_paint_shows_it_too(open_session: Opener) -> None:
    async with open_session(runs=3) as session:
        for sandbox, words in ((Sandbox("slow"), "SANDBOX: slow"), (Sandbox(), "SANDBOX"), (None, "SANDBOX")):
            paint = FirstPaint(session.workspace.settings, 80, 24, sandbox)
            first = paint.lines(session.workspace.store, session.workspace.preferences.kept)[0]
            assert first.rstrip().endswith(words), first
