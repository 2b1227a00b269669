"""The first line of the screen, and its words about the listing."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from runtui.services.refresh import Progress
from runtui.services.workspace import Workspace
from runtui.settings import Settings
from runtui.tui.widgets.chrome import Headline, headline
from tests.tui.conftest import Opener

READ = datetime(2026, 11, 23, 10, 0, 0, tzinfo=UTC)
WAITS_UNTIL = datetime(2026, 11, 23, 10, 5, 12, tzinfo=UTC)


def headline_at(progress: Progress, runs: int = 0) -> Headline:
    """Return the headline of a session that has read so many runs."""
    settings = Settings(root="", tenant="Contoso", state_folder=Path())
    store = SimpleNamespace(count=lambda _query: runs)
    facts = {"settings": settings, "store": store, "progress": progress}
    workspace = SimpleNamespace(**facts, read_only=False, unsettled=(), sign_in=None)
    return headline(cast("Workspace", workspace))


def state(progress: Progress) -> str:
    return headline_at(progress).state


def test_while_the_server_wants_the_listing_to_wait_the_moment_it_goes_on_is_shown() -> None:
    waiting = state(Progress(listing=True, finished_at=READ, waiting_until=WAITS_UNTIL))
    assert waiting == f"waiting until {WAITS_UNTIL.astimezone():%H:%M:%S}"
    assert state(Progress(listing=True, finished_at=READ)) == f"as of {READ.astimezone():%H:%M:%S}"


def test_no_count_of_runs_is_shown_before_it_is_known() -> None:
    told = [headline_at(Progress(finished_at=read), runs).counts for runs, read in ((0, None), (0, READ), (3, None))]
    assert told == [(), ("0 runs",), ("3 runs",)]


STATES = ("as of 10:00:00 incomplete paused", "waiting until 10:05:12 incomplete", "reading…")
BADGES = ((), ("READ-ONLY",), ("SANDBOX: sign-in-expired",), ("SANDBOX: 503", "READ-ONLY"))


@pytest.mark.parametrize("columns", [80, 120])
async def test_tenant_badges_and_the_age_of_the_list_are_always_there_whole(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    async with open_session(runs=5, size=(columns, 24)) as session:
        monkeypatch.setattr(session.app.chrome, "show_headline", lambda: None)
        for state in STATES:
            for badges in BADGES:
                who = "a.long.account.name: sign in again"
                session.app.chrome.headline = Headline("Contoso Holding", badges, ("240 runs",), state, who)
                session.front.draw()
                await session.pilot.pause()
                header = session.header
                assert "Contoso Holding  " in header
                assert all(f" {badge} " in header for badge in badges)
                assert header.rstrip().endswith(f"  {state}"), "the program's name and the account give way"


async def test_a_long_tenant_keeps_both_ends_on_a_narrow_screen(open_session: Opener) -> None:
    async with open_session(runs=5, size=(60, 24)) as session:
        tenant = "contoso-holding-of-a-long-name-prod"
        session.app.chrome.headline = Headline(tenant, ("READ-ONLY",), (), "as of 10:00:00 incomplete", "lee")
        session.front.draw()
        await session.pilot.pause()
        header = session.header
        assert re.match(r" contoso-\S*…\S*-prod  ", header)
        assert "READ-ONLY" in header
        assert header.rstrip().endswith("as of 10:00:00 incomplete")
