"""The first line of the screen, and its words about the listing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from runtui.services.refresh import Progress
from runtui.services.workspace import Workspace
from runtui.settings import Settings
from runtui.tui.widgets.chrome import Headline, headline

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
