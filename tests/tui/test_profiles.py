"""Switching profile in the terminal UI."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtui.config import read_config
from runtui.profiles import Profiles
from runtui.tui.features import leaving
from runtui.tui.features.leaving import Leaving
from tests import canary, there
from tests.tui.conftest import ROOT, Opener
from tests.tui.test_faults import HeldBack
from tests.tui.wires import Graph

FILE = f"""\
[profiles.prod]
root = "{ROOT}"
tenant = "Contoso"

[profiles.lab]
root = "{ROOT}"
tenant = "Lab of [b]Contoso"
read-only = true

[profiles.far]
root = "https://far.example/beta"
"""


@pytest.fixture
def profiles(tmp_path: Path) -> Profiles:
    path = tmp_path / "config.toml"
    path.write_text(FILE)
    return Profiles(read_config(path), {}, {"RUNTUI_STATE": str(tmp_path), "RUNTUI_TOKEN": canary.TOKEN})


async def test_the_profiles_are_listed_and_the_chosen_one_is_handed_on(
    open_session: Opener, profiles: Profiles
) -> None:
    async with open_session(size=(80, 24), runs=5, profiles=profiles, profile="prod") as session:
        await session.press("P")
        assert "● prod  Contoso" in session.text()
        assert "○ lab   Lab of [b]Contoso  READ-ONLY" in session.text()
        await session.press("j")
        assert f"{ROOT}, signs in by token" in session.text()
        await session.press("enter")
        following = there(session.app.feature[Leaving].next_profile)
        assert (following.profile, following.read_only) == ("lab", True)
        assert session.app.is_followed


async def test_another_profile_is_opened_while_the_log_is_visible(open_session: Opener, profiles: Profiles) -> None:
    """The list below has no log yet, and appears once more while the session ends."""
    async with open_session(runs=5, profiles=profiles, profile="prod") as session:
        await session.press("P", "j", *["right_square_bracket"] * 3)
        assert session.app.chrome.panel.tab == "log"
        await session.press("enter")
        assert session.app.is_followed


async def test_choosing_the_current_profile_only_goes_back(open_session: Opener, profiles: Profiles) -> None:
    async with open_session(runs=5, profiles=profiles, profile="prod") as session:
        await session.press("P", "enter")
        assert session.view == "runs"
        await session.press("P", "P")
        assert session.view == "runs"
        assert session.app.feature[Leaving].next_profile is None


async def test_a_profile_that_cannot_be_opened_from_here_says_why(open_session: Opener, profiles: Profiles) -> None:
    async with open_session(size=(80, 24), runs=5, profiles=profiles, profile="prod") as session:
        await session.press("P", "j", "j")
        assert "RUNTUI_TOKEN, which was given for" in session.text()
        assert "set a token-file in the profile." in " ".join(session.inside(session.left).split())
        await session.press("enter")
        assert "far cannot be opened from here." in session.status.text
        assert session.app.feature[Leaving].next_profile is None
        assert session.view == "picker"


async def test_without_another_profile_the_key_says_so(open_session: Opener, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f'[profiles.prod]\nroot = "{ROOT}"\n')
    for only in (Profiles(read_config(path), {}, {}), None):
        async with open_session(runs=5, profiles=only) as session:
            await session.press("P")
            assert "There is no other profile" in session.text()
            assert session.view == "runs"


async def test_leaving_for_good_forgets_the_profile_that_was_to_follow(
    open_session: Opener, profiles: Profiles
) -> None:
    async with open_session(runs=5, profiles=profiles, profile="prod") as session:
        await session.press("P", "j", "enter")
        assert session.app.feature[Leaving].next_profile is not None
        session.app.end_unattended()
        assert not session.app.is_followed


async def test_a_change_in_progress_is_awaited_before_the_other_profile_opens(
    open_session: Opener, profiles: Profiles
) -> None:
    wire = HeldBack(Graph())
    async with open_session(wire=wire, profiles=profiles, profile="prod") as session:
        await wire.hold_a_save(session)
        await session.press("P", "j", "enter")
        assert "Waiting for 1 change in progress" in session.text()
        assert session.app.return_code is None
        wire.released.set()
        await session.until(lambda: session.app.return_code == 0)
        assert session.app.is_followed


async def test_q_while_a_save_is_waited_for_leaves_for_good(open_session: Opener, profiles: Profiles) -> None:
    wire = HeldBack(Graph())
    async with open_session(wire=wire, profiles=profiles, profile="prod") as session:
        await wire.hold_a_save(session)
        await session.press("P", "j", "enter", "q")
        assert session.app.return_code == 0
        assert session.app.feature[Leaving].next_profile is None


async def test_an_unfinished_change_keeps_the_current_profile(
    open_session: Opener, profiles: Profiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaving, "QUIT_SECONDS", 0.05)
    wire = HeldBack(Graph())
    async with open_session(wire=wire, profiles=profiles, profile="prod") as session:
        await wire.hold_a_save(session)
        await session.press("P", "j", "enter")
        await session.until(lambda: "outcome is unknown" in session.text())
        assert session.app.feature[Leaving].next_profile is None
        assert session.app.return_code is None
