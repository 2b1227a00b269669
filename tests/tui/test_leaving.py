"""Leaving at a moment when the screen is still being built."""

from __future__ import annotations

from tests.tui.conftest import Opener


async def test_leaving_waits_until_no_view_is_half_mounted(open_session: Opener) -> None:
    async with open_session(runs=5) as session:
        async with session.workbench.left._preparing:
            await session.press("q")
            assert session.app.return_code is None
        await session.until(lambda: session.app.return_code == 0)
