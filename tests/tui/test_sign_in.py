"""Signing in on the screen: by code, in a browser elsewhere, refused, expired, canceled, and signing out."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from textual import events

from runtui.auth.errors import not_signed_in
from runtui.auth.flows import DeviceCode
from runtui.command_line import token_source
from runtui.sandbox.authority.directory import DEMO_ADMIN
from runtui.services.store.store import EVERY_RUN
from runtui.services.workspace import Workspace
from runtui.session import empty_shared_store
from runtui.settings import Settings, SignInSettings
from runtui.tui.features.listing import Listing
from runtui.tui.widgets.chrome import Headline
from runtui.tui.words import sign_in_words
from tests.contract.scripted_authority import ScriptedAuthority
from tests.contract.sign_in_place import leave_a_run
from tests.tui.conftest import Opener
from tests.tui.sign_in_desk import Desk, is_in, listed, open_desk


@pytest.mark.parametrize("columns", [60, 120])
async def test_with_nobody_signed_in_the_ways_open_by_themselves_and_a_code_leads_to_the_list(
    tmp_path: Path, columns: int
) -> None:
    async with open_desk(tmp_path, size=(columns, 24)) as desk:
        await desk.sees_sign_in()
        assert "signed out" in desk.session.header
        assert "runs" not in desk.session.header, "nobody knows yet how many there are"
        assert "Contoso" in desk.session.header
        assert "Nobody is signed in." in desk.words
        assert "Browser elsewhere" in desk.words
        await desk.session.until(lambda: desk.status == "Sign in to list runs (A).")
        await desk.session.press("escape")
        assert desk.session.text().splitlines()[-1].startswith(" A account"), "the way on is the first hint"
        await desk.session.press("A")

        code = await desk.ask_for_code()
        assert "  ".join(code) in desk.session.text()
        assert "Open on any device: https://login.fake.test/devicelogin and type this code:" in desk.words
        assert re.search(r"This request comes from runtui on \S+ as user \S+\.", desk.words)
        assert "Never enter a code that someone sent you." in desk.words
        assert re.search(r"Waiting for you until \d\d:\d\d:\d\d\.", desk.words)

        desk.authority.approve(code)
        desk.polls.go_on()
        await listed(desk)
        assert desk.session.view == "runs"
        assert "lee.admin" in desk.session.header
        assert f"Signed in as {DEMO_ADMIN.username}, tenant {desk.authority.directory.tenant_id}." in desk.status
        assert "incomplete" not in desk.words


async def test_a_sign_in_left_for_the_list_leaves_the_panel_its_room(tmp_path: Path) -> None:
    async with open_desk(tmp_path, size=(80, 24), prepare=is_in) as desk:
        await listed(desk)
        session = desk.session
        await session.press("right_square_bracket", "A")
        await desk.sees_sign_in()
        assert session.app.chrome.is_zoomed
        await session.press("o")
        await session.until(lambda: session.view == "overview")
        await session.press("enter")
        assert session.view == "runs"
        assert session.panel.display


async def test_a_sign_in_goes_on_while_the_help_is_read(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await desk.sees_sign_in()
        code = await desk.ask_for_code()
        await desk.session.press("question_mark")
        assert desk.session.view == "help"
        desk.authority.approve(code)
        desk.polls.go_on()
        await listed(desk)
        assert desk.session.view == "help", "it is still there"
        await desk.session.press("escape")
        await desk.session.until(lambda: "account lee.admin@contoso.example" in desk.words)
        assert not desk.awaits_person
        await desk.session.press("escape")
        assert desk.session.view == "runs"


async def test_the_copy_key_copies_the_user_code_and_nothing_before_there_is_one(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await desk.sees_sign_in()
        await desk.session.press("y")
        assert (desk.session.app.clipboard, "nothing to copy" in desk.status) == ("", True)
        code = await desk.ask_for_code()
        await desk.session.press("y")
        assert desk.session.app.clipboard == code
        assert "Code: sent to the terminal (OSC 52)." in desk.status


async def test_the_copy_key_is_hinted_with_the_code(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await desk.sees_sign_in()
        assert "y copy" not in desk.session.text()
        desk.view.begin("device-code")
        await desk.session.pilot.pause()
        end = datetime.now(UTC) + timedelta(minutes=15)
        page = "https://login.example/device"
        desk.view.show_code(DeviceCode(user_code="ABCD1234", verification_uri=page, expires_at=end))
        await desk.session.pilot.pause()
        assert "y copy" in desk.session.text()


async def test_a_refusal_is_reported_in_words_with_what_an_administrator_needs(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await desk.sees_sign_in()
        desk.authority.refuse(await desk.ask_for_code())
        desk.polls.go_on()
        await desk.session.until(lambda: "was declined" in desk.words)
        await desk.session.press("y")
        assert "was declined" in desk.session.app.clipboard
        assert "\nCorrelation ID: " in desk.session.app.clipboard
        for word in ("Correlation ID: ", "Trace ID: ", "Timestamp: ", "→ Sign in again", "Device code"):
            assert word in desk.words
        assert "signed out" in desk.session.header
        await desk.sign_in_by_code()
        await listed(desk)


async def test_an_expired_code_is_reported_and_another_one_can_be_requested(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await desk.sees_sign_in()
        first = await desk.ask_for_code()
        desk.authority.expire(first)
        desk.polls.go_on()
        await desk.session.until(lambda: "The code has expired" in desk.words)
        assert not desk.awaits_person
        assert await desk.ask_for_code() != first


async def test_esc_gives_up_though_a_poll_is_under_way_and_succeeds(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await desk.sees_sign_in()
        code = await desk.ask_for_code()
        desk.authority.approve(code)
        desk.gate.close()
        desk.polls.go_on()
        await desk.gate.somebody_waits()
        await desk.session.press("escape")
        assert "Sign-in canceled." in desk.status
        assert "Nobody is signed in." in desk.words
        desk.gate.open()
        await desk.session.until(lambda: len(desk.secrets) > 1)  # the token came too late
        assert desk.sign_in.state.account is None
        assert (await desk.sign_in.load()).account is None

        await desk.session.press("escape")
        assert desk.session.view == "runs"
        assert "A signs in" in desk.status
        await desk.session.press("A")
        await desk.sees_sign_in()
        await desk.sign_in_by_code()
        await listed(desk)


@pytest.mark.parametrize("columns", [60, 120])
async def test_a_browser_elsewhere_ends_at_an_address_that_is_pasted(tmp_path: Path, columns: int) -> None:
    async with open_desk(tmp_path, size=(columns, 24)) as desk:
        await desk.sees_sign_in()
        await desk.session.press("down", "enter")
        await desk.session.until(lambda: desk.awaits_person)
        await desk.session.press("ctrl+y")
        address = desk.session.app.clipboard
        assert address.startswith("https://login.fake.test/")
        # Select with the mouse as a person does: whole lines, from one edge to the other.
        assert address in desk.session.text().replace("\n", "")
        assert "someone sent you" in desk.words, "without scrolling"

        landing = desk.authority.browse(address)
        for wrong, why in (
            ("hello", "This is not an address"),
            (landing.url.replace("localhost", "example.com"), "This is another address"),
            (landing.url.replace("state=", "state=x"), "belongs to another sign-in"),
        ):
            await paste(desk, wrong)
            await desk.session.press("enter")
            assert why in desk.words
            await desk.session.press("ctrl+u")
        await paste(desk, landing.url)
        await desk.session.press("enter")
        await listed(desk)
        assert "lee.admin" in desk.session.header
        assert desk.session.view == "runs"
        if columns >= 100:
            await desk.session.until(lambda: desk.session.panel.region.width > 0)


async def test_a_session_without_a_person_asks_nobody_whatever_the_service_wants(tmp_path: Path) -> None:
    async with open_desk(tmp_path, method="client-secret") as desk:
        await desk.session.until(lambda: desk.sign_in.state.error is not None)
        assert desk.sign_in.ask_person is None
        desk.sign_in.state = replace(desk.sign_in.state, error=not_signed_in("A person must consent."))
        desk.sign_in.changed.announce(desk.sign_in.state)
        await desk.session.settled()
        assert desk.session.view == "runs"
        assert "Sign in" not in desk.status


async def paste(desk: Desk, text: str) -> None:
    desk.session.app.post_message(events.Paste(text))
    await desk.session.pilot.pause()


async def test_a_browser_that_is_refused_is_reported(tmp_path: Path) -> None:
    async with open_desk(tmp_path, method="browser") as desk:
        await desk.sees_sign_in()
        await desk.session.press("enter")
        await desk.session.until(lambda: desk.awaits_person)
        assert "Open this in any browser" in desk.words, "the profile's own way comes first"
        await desk.session.press("ctrl+y")
        await paste(desk, desk.authority.browse(desk.session.app.clipboard, None).url)
        await desk.session.press("enter")
        await desk.session.until(lambda: "was declined" in desk.words)


async def test_in_a_demo_the_address_is_the_one_that_a_browser_can_open(tmp_path: Path) -> None:
    async with open_desk(tmp_path, demo="http://127.0.0.1:7/authority") as desk:
        await desk.sees_sign_in()
        assert "DEMO" in desk.words
        await desk.ask_for_code()
        assert "http://127.0.0.1:7/authority/devicelogin" in desk.words
        assert "login.fake.test" not in desk.words
        assert "It completes by itself in a few seconds" in " ".join(desk.words.split()), "declined and expired as well"


async def test_signing_out_asks_once_more_and_says_what_is_forgotten(tmp_path: Path) -> None:
    async with open_desk(tmp_path, prepare=is_in) as desk:
        await listed(desk)
        await desk.session.press("A")
        await desk.session.until(lambda: "account  lee.admin@contoso.example" in desk.session.text())
        await desk.session.press("O")
        assert "lee.admin" in desk.session.header
        assert "Press O again to sign out" in desk.status
        await desk.session.press("O")
        await desk.session.until(lambda: "signed out" in desk.session.header)
        assert "the tokens are deleted" in desk.status
        assert "Your browser is still signed in" in desk.status
        assert desk.sign_in.state.account is None
        await desk.session.press("O")
        assert "Nobody is signed in." in desk.status
        assert desk.session.runs.table.total > 0, "what was read stays"
        await desk.session.press("escape", "c")
        await desk.session.until(lambda: "Sign in again (A)." in " ".join(desk.session.text().split()))


async def test_rows_of_another_tenant_are_gone_before_the_list_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_a_run(tmp_path / "runs.db")
    async with open_desk(tmp_path, tenant_id="organizations") as desk:
        await desk.sees_sign_in()
        await desk.session.press("escape")
        workspace, seen = desk.session.workspace, list[int]()
        monkeypatch.setattr(workspace.refresh, "now", lambda **_: seen.append(workspace.store.count(EVERY_RUN)))
        await desk.session.press("A")
        await desk.sign_in_by_code()
        assert seen == [0]


@pytest.mark.parametrize(
    ("tenant", "username", "left"), [("organizations", "", 0), ("organizations", "lee", 1), ("contoso.example", "", 1)]
)
async def test_runs_of_a_possibly_different_account_are_forgotten_before_a_sign_in(
    tenant: str, username: str, left: int, tmp_path: Path
) -> None:
    how = SignInSettings(
        method="device-code", tenant_id=tenant, client_id="c", authority="https://login.example", username=username
    )
    settings = Settings(root="https://graph.example/beta", tenant="", sign_in=how, state_folder=tmp_path)
    token = token_source(settings)
    leave_a_run(tmp_path / "runs.db")
    workspace = Workspace(settings, tmp_path / "runs.db", token)
    await empty_shared_store(workspace)
    assert workspace.store.count(EVERY_RUN) == left
    await workspace.close()


async def test_a_session_with_a_token_by_hand_has_nobody_to_sign_in(open_session: Opener) -> None:
    async with open_session(runs=5) as session:
        await session.press("A")
        assert session.view == "runs"
        assert "Using a token you supplied" in session.text()


async def test_the_time_of_a_token_is_reported_when_it_is_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = ScriptedAuthority()
    authority.issuer.lifetime = 545
    async with open_desk(tmp_path, authority=authority, prepare=is_in) as desk:
        await listed(desk)
        assert re.search(r"lee\.admin · token [89] min", desk.session.header)
        monkeypatch.setattr(sign_in_words, "_time_left", lambda _state, _now: timedelta(minutes=2))
        desk.session.app.feature[Listing].tick()
        await desk.session.until(lambda: "lee.admin · token 2 min" in desk.session.header)


@pytest.mark.parametrize(("columns", "has_who"), [(60, False), (80, True), (120, True)])
async def test_the_account_gives_way_before_tenant_badges_and_age_and_after_the_counts(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch, columns: int, has_who: bool
) -> None:
    async with open_session(runs=5, size=(columns, 24)) as session:
        monkeypatch.setattr(session.app.chrome, "show_headline", lambda: None)
        badges = ("SANDBOX: 503", "READ-ONLY")
        session.app.chrome.headline = Headline(
            "Contoso Holding Limited", badges, ("240 runs",), "as of 10:00:00", "lee.admin"
        )
        session.front.draw()
        await session.pilot.pause()
        header = session.header
        assert (" Contoso Holding Limited  " in header) is (columns > 60)
        assert header.rstrip().endswith("as of 10:00:00")
        assert " SANDBOX: 503  READ-ONLY" in header
        assert ("lee.admin" in header) is has_who
        assert ("240 runs" in header) is (columns == 120)


async def test_a_permission_that_is_missing_is_reported_before_the_form_is_filled_in(tmp_path: Path) -> None:
    async with open_desk(tmp_path, size=(120, 40), write=False, prepare=is_in) as desk:
        await listed(desk)
        await desk.session.press("e")
        await desk.session.until(lambda: desk.session.view == "edit")
        assert "The token lacks LifecycleWorkflows.ReadWrite.All" in desk.status
        await desk.session.press("enter", "down", "enter", "ctrl+s")
        assert desk.session.view == "review", "it never blocks"
        assert "The token lacks LifecycleWorkflows.ReadWrite.All" in desk.words
        assert f"account {DEMO_ADMIN.username}" in desk.words


async def test_no_warning_about_a_permission_that_the_token_has(tmp_path: Path) -> None:
    async with open_desk(tmp_path, prepare=is_in) as desk:
        await listed(desk)
        await desk.session.press("e")
        await desk.session.until(lambda: desk.session.view == "edit")
        assert "may change runs" not in desk.words


async def test_no_method_is_cut_after_the_screen_was_small(tmp_path: Path) -> None:
    async with open_desk(tmp_path, size=(80, 24)) as desk:
        await desk.sees_sign_in()
        for size in ((60, 16), (80, 24)):
            await desk.session.pilot.resize_terminal(*size)
            await desk.session.settled()
            assert "paste the address where it ends" in desk.words
