"""A run, opened: its users, the tasks of one, and the way back to the same row."""

from __future__ import annotations

from tests.tui.conftest import Opener, Session
from tests.tui.keyboard import type_keys


def left_text(session: Session) -> str:
    """What the left pane shows."""
    right = session.left.region.right
    return "\n".join(line[:right].rstrip() for line in session.text().splitlines())


async def to_the_failed_run(session: Session) -> str:
    """Put the cursor on a run that failed for some of its users; its id."""
    await session.press("slash")
    await session.type("status:completedWithErrors users>8")
    await session.press("enter")
    run_id = session.runs.table.cursor_id
    assert run_id is not None
    return run_id


async def test_enter_leads_to_the_tasks_of_a_user_and_esc_back_to_the_same_row(open_session: Opener) -> None:
    async with open_session(size=(140, 40)) as session:
        run_id = await to_the_failed_run(session)
        await session.press("enter")
        users = session.app.opening.users
        await session.until(lambda: users.list.rows)
        assert session.view == "users"
        failed = [row for row in users.list.rows if row.trouble is not None]
        assert users.list.table.total == len(users.list.rows) > len(failed) > 0
        first = users.list.table.row_under_cursor()
        assert first in failed, "the worst stand first"
        assert first.trouble is not None
        assert first.trouble.reason[:12] in left_text(session)
        assert "✗ failed" in left_text(session)

        await session.press("slash")
        await session.type("status:completed")
        await session.press("enter")
        assert users.list.table.total == len(users.list.rows) - len(failed)
        assert f"{users.list.table.total} of {len(users.list.rows)}" in session.text()
        await session.press("space", "j")
        await session.press("escape")
        assert users.list.table.total == len(users.list.rows)
        assert "1 marked" in session.text()
        await session.press("g")
        user_id = users.list.table.cursor_id

        await session.press("enter")
        tasks = session.app.opening.tasks
        assert session.view == "tasks"
        assert tasks.user is not None
        assert tasks.user.id == user_id
        assert [row.result.sequence for row in tasks.list.rows] == list(range(1, len(tasks.list.rows) + 1))
        worst = tasks.list.table.row_under_cursor()
        assert worst is not None
        assert worst.result.is_failed, "the cursor begins at what went wrong"
        await session.press("g", "s", "g")
        assert tasks.list.table.row_under_cursor() == worst
        assert worst.result.reason[:20] in session.text()
        await session.press("enter")
        assert session.panel.has_focus_within, "the task in full has the keys"
        await session.press("escape", "escape")
        assert (session.view, users.list.table.cursor_id) == ("users", user_id)
        await session.press("e")
        assert session.draft is not None
        assert session.draft.run_id == run_id
        await session.press("escape")
        assert session.view == "users"
        await session.press("escape")
        assert (session.view, session.runs.table.cursor_id) == ("runs", run_id)


async def test_keys_typed_ahead_reach_what_they_open(open_session: Opener) -> None:
    async with open_session(size=(80, 24)) as session:
        await session.until(lambda: session.is_prepared)
        await to_the_failed_run(session)
        await type_keys(session, ["enter", "/", "f", "a", "i", "l", "e", "d", "enter", "space"], "in one packet")
        assert session.view == "users"
        users = session.app.opening.users.list
        await session.until(lambda: users.rows)
        assert users.filter_text == "failed"
        assert session.app.focused is users.table
