"""Memory: at rest it holds only what a key needs at once, and it does not grow over an evening of refreshes."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
from textual.strip import Strip

from runtui.domain import properties
from runtui.tui.screens.frame import ViewScreen
from tests.tui.conftest import Opener, Session
from tests.tui.wires import Graph

STATM = Path("/proc/self/statm")
"""The sizes of this process in pages (proc(5)); the second is the resident set."""

WARM_UP = 30
LISTINGS = 300
MAX_GROWTH = 2 * 1024 * 1024


async def list_again(session: Session, times: int) -> None:
    """Read all runs again several times; wait each time until the listing has ended."""
    for _ in range(times):
        await list_once(session)


async def list_once(session: Session) -> None:
    refresh = session.workspace.refresh
    before = refresh.progress.finished_at
    refresh.now()
    await session.until(lambda: refresh.progress.finished_at not in (None, before))


async def first_listing_followed_up(session: Session) -> None:
    """Wait until the work that follows the first listing is done."""
    await session.until(lambda: session.workspace.refresh.progress.finished_at is not None)
    await session.until(lambda: not any(worker.is_running for worker in session.app.workers))


async def test_a_refresh_hides_nothing_from_the_garbage_collector(open_session: Opener) -> None:
    async with open_session(wire=Graph().wire, ahead=True) as session:
        await first_listing_followed_up(session)
        frozen = gc.get_freeze_count()
        assert frozen > 0
        await list_again(session, 5)
        await first_listing_followed_up(session)
        assert gc.get_freeze_count() <= frozen


def strips() -> list[Strip]:
    gc.unfreeze()  # frozen objects are not listed
    return [found for found in gc.get_objects() if type(found) is Strip]


async def test_a_drawn_line_keeps_one_copy_and_no_pieces(open_session: Opener) -> None:
    of_others = strips()
    async with open_session() as session:
        await first_listing_followed_up(session)
        session.app.screen._compositor.render_strips(session.app.size)
        known = set(map(id, of_others))
        lines = [strip for strip in strips() if id(strip) not in known]
        copies = [copy for line in lines for copy in line._filter_cache._cache.values()]
        assert copies
        assert not [line for line in lines if line._divide_cache]
        assert not [copy for copy in copies if copy._filter_cache]


async def test_at_rest_few_places_are_mounted_and_nothing_that_judges_values_is_loaded(open_session: Opener) -> None:
    properties._validator.cache_clear()
    async with open_session(ahead=True) as session:
        await first_listing_followed_up(session)
        assert mounted(session) == {"edit", "help"}
        assert properties._validator.cache_info().misses == 0
        assert {type(feature).__name__ for feature in session.app.feature.built} == {
            "Editing", "Helping", "Listing", "Triaging",
        }  # fmt: skip
        await session.press("e")
        await session.until(lambda: properties._validator.cache_info().misses == 3)  # text, count and date-time
        assert mounted(session) == {"edit", "help"}
        await session.press("enter", "down", "enter")
        await session.until(lambda: mounted(session) == {"edit", "help", "review"})


def mounted(session: Session) -> set[str]:
    """Return the scopes of the views that are mounted beside the list."""
    frames = [screen for screen in session.app._installed_screens.values() if isinstance(screen, ViewScreen)]
    return {frame.view.scope for frame in frames if frame.is_mounted}


@pytest.mark.slow
@pytest.mark.skipif(not STATM.exists(), reason="the resident set is read from /proc")
async def test_memory_does_not_grow_with_the_number_of_refreshes(open_session: Opener) -> None:
    async with open_session(ahead=True) as session:
        await list_again(session, WARM_UP)
        before = resident_bytes()
        await list_again(session, LISTINGS)
        growth = resident_bytes() - before
        print(f"\n{LISTINGS} listings of 240 runs: {growth / 1024:.0f} KiB more (limit {MAX_GROWTH // 1024})")
        assert growth < MAX_GROWTH


def resident_bytes() -> int:
    """Return the resident memory of this process after a garbage collection."""
    gc.collect()
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
