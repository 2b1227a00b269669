"""The first line of the screen, and its words about the listing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from runtui.services.refresh import Progress
from runtui.settings import Settings
from runtui.tui.widgets.chrome import headline

READ = datetime(2026, 11, 23, 10, 0, 0, tzinfo=UTC)
WAITS_UNTIL = datetime(2026, 11, 23, 10, 5, 12, tzinfo=UTC)


def state(progress: Progress) -> str:
    settings = Settings(root="", tenant="Contoso", state_folder=Path())
    return headline(settings, 0, progress).state


def test_while_the_server_wants_the_listing_to_wait_the_moment_it_goes_on_is_shown() -> None:
    waiting = state(Progress(listing=True, finished_at=READ, waiting_until=WAITS_UNTIL))
    assert waiting == f"waiting until {WAITS_UNTIL.astimezone():%H:%M:%S}"
    assert state(Progress(listing=True, finished_at=READ)) == f"as of {READ.astimezone():%H:%M:%S}"


def test_no_count_of_runs_is_shown_before_it_is_known() -> None:
    settings = Settings(root="", tenant="Contoso", state_folder=Path())
    told = [
        headline(settings, runs, Progress(finished_at=read)).counts for runs, read in ((0, None), (0, READ), (3, None))
    ]
    assert told == [(), ("0 runs",), ("3 runs",)]
