"""Copying on every screen: the choices, the destination, and the message."""

from __future__ import annotations

import json

import pytest

from runtui.domain.text import visible
from runtui.graph.exchange import Exchange
from runtui.services.store.store import EVERY_RUN
from runtui.tui.features.copying import SelectionPage
from runtui.tui.features.opening import Opening
from runtui.tui.features.triage.explaining import Explaining
from runtui.tui.features.triage.overviewing import Overviewing
from tests import there
from tests.tui.conftest import Opener, Session
from tests.tui.keyboard import type_keys
from tests.tui.test_undo import change
from tests.tui.wires import Graph


async def go_to_failed_run(session: Session) -> str:
    """Move the cursor to a run with failed users; return its id."""
    rows = session.workspace.store.window(EVERY_RUN, 0, 50)
    line, row = next((line, row) for line, row in enumerate(rows) if row.number("failedUsers"))
    await session.press(*["j"] * line)
    return row.id


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_two_keys_copy_the_hand_over_of_a_run(open_session: Opener, size: tuple[int, int]) -> None:
    async with open_session(size=size) as session:
        run_id = await go_to_failed_run(session)
        await session.press("y", "h")
        await session.until(lambda: session.app.clipboard)
        page = session.app.clipboard
        assert page.startswith("# Hand-over: `")
        assert f"- run: `{run_id}`" in page
        results = there(session.workspace.store.results_of(run_id))
        failed = next(task for task in results.tasks if task.is_failed)
        assert visible(failed.reason) in page
        assert "Hand-over: sent to the terminal (OSC 52)." in str(session.text())
        assert session.view == "runs"
        assert session.runs.run_id == run_id
        await session.press("at")
        assert "Hand-over" not in session.text(), "it is about what was copied elsewhere"


async def copied(session: Session, *keys: str) -> str:
    """Press keys and return the text that they copy."""
    session.app._clipboard = ""
    await session.press(*keys)
    await session.until(lambda: session.app.clipboard)
    return session.app.clipboard


async def test_every_place_offers_the_thing_under_its_cursor(open_session: Opener) -> None:
    async with open_session() as session:
        run_id = await go_to_failed_run(session)
        assert await copied(session, "y", "y") == run_id
        curl = await copied(session, "y", *"jjjj", "enter")
        assert curl.startswith("curl ")
        assert f"/runs/{run_id}" in curl
        assert "$TOKEN" in curl
        await session.press("y", *"jjjjj", "enter")
        assert "only to a Microsoft cloud" in session.text(), (
            "the sandbox is none: Graph PowerShell cannot sign in to it"
        )
        await session.press("escape", "enter")
        await session.until(lambda: session.app.feature[Opening].users.list.rows)
        await session.press("y")
        (user, *_) = session.app.feature[Opening].users.list.shown.rows
        assert await copied(session, "y") == user.id
        await session.press("enter")
        await session.until(lambda: session.app.feature[Opening].tasks.list.rows)
        task = there(session.app.feature[Opening].tasks.list.table.row_under_cursor())
        assert task.result.reason in await copied(session, "y", "y")
        assert json.loads(await copied(session, "y", "end", "enter")) == task.result.received
        await session.press("escape", "escape", "c")
        view = session.app.feature[Explaining].view
        await session.until(lambda: not session.workspace.results.progress.reading and view.cause is not None)
        assert (await copied(session, "y", "h")).startswith(f"# Hand-over: `{there(view.cause).task}`")
        await session.press("escape", "o")
        await session.until(lambda: session.app.feature[Overviewing].view.list.row is not None)
        row = there(session.app.feature[Overviewing].view.list.row)
        assert await copied(session, "y", "y") == row.workflow.id
        await session.press("y", "h")
        assert "Only a run, change or cause" in session.text()


async def test_an_opened_run_without_a_user_under_the_cursor_is_copied_itself(open_session: Opener) -> None:
    async with open_session() as session:
        run_id = await go_to_failed_run(session)
        await session.press("enter")
        await session.until(lambda: session.app.feature[Opening].users.list.rows)
        await session.press("slash", *"nobody", "enter")
        await session.until(lambda: not session.app.feature[Opening].users.list.shown.rows)
        assert await copied(session, "y", "y") == run_id
        assert f"- run: `{run_id}`" in await copied(session, "y", "h")


async def test_the_journal_offers_the_change_under_its_cursor(open_session: Opener) -> None:
    async with open_session(graph=Graph()) as session:
        entry = await change(session)
        await session.press("J")
        await session.until(lambda: session.journal.entries)
        await session.press("y")
        await session.until(lambda: "Copy" in session.text())
        assert (await copied(session, "h")).startswith("# Hand-over: ")
        assert f"client-request-id: `{entry.client_request_id}`" in session.app.clipboard


async def test_marked_rows_are_copied_together(open_session: Opener) -> None:
    async with open_session() as session:
        await go_to_failed_run(session)
        await session.press("enter")
        users = session.app.feature[Opening].users.list
        await session.until(lambda: len(users.shown.rows) > 1)
        await session.press("space", "space", "y")
        await session.until(lambda: "the 2 marked rows" in session.text())
        text = await copied(session, "slash", *"marked row", "enter", "enter")
        (_, first, second, _) = text.splitlines()
        assert all(user.name in line for user, line in zip(users.shown.rows, (first, second), strict=False))


async def test_the_panel_offers_the_request_under_its_cursor(open_session: Opener) -> None:
    async with open_session() as session:
        await go_to_failed_run(session)
        await session.until(lambda: "Reading what its" not in session.app.chrome.panel.text())  # a line more in the log
        await session.press("e")  # the run is read
        await session.until(lambda: session.workspace.exchanges)
        await session.press("escape", "greater_than_sign")
        while session.panel.tab != "log":
            await session.press("right_square_bracket")
        exchange = session.app.chrome.panel.in_front
        assert isinstance(exchange, Exchange)
        assert exchange.client_request_id in await copied(session, "y", "y")
        await session.press("y", "j")
        curl = await copied(session, "y")
        assert exchange.url in curl


async def test_keys_at_once_copy_the_run_that_the_panel_has_not_come_to_yet(open_session: Opener) -> None:
    async with open_session() as session:
        await session.panel_rested()
        before = session.runs.run_id
        await type_keys(session, ["j", ">", "y", "y"], "in one packet")
        await session.until(lambda: session.app.clipboard)
        assert session.runs.run_id != before
        assert f'"id": "{session.runs.run_id}"' in session.app.clipboard


async def test_a_text_can_be_shown_alone_or_written_to_a_file(open_session: Opener) -> None:
    async with open_session(size=(80, 24)) as session:
        run_id = await go_to_failed_run(session)
        await session.press("y", "t")
        assert isinstance(session.app.screen, SelectionPage)
        assert session.header.rstrip() == run_id
        await session.press("escape")
        assert session.view == "runs"
        await session.press("y", "j", "t")
        await session.until(lambda: "too long or too wide for this screen; y then E writes it" in session.text())
        await session.press("y", *"jjj", "E")
        assert "not a Microsoft cloud" in session.text(), "the sandbox has no portal"
        await session.press("k", "k", "E")
        folder = session.workspace.settings.state_folder
        await session.until(lambda: list(folder.rglob("copied-*")))
        (file,) = folder.rglob("copied-*")
        assert f"`{run_id}`" in file.read_text("utf-8")
        assert session.app.clipboard == ""
        await session.press("y", *"jjj", "t", "g", "enter")
        await session.until(lambda: session.app.clipboard == run_id)


async def test_a_preview_has_four_lines_and_a_mark_where_it_is_cut(open_session: Opener) -> None:
    async with open_session(size=(60, 16)) as session:
        await session.press("y", "slash", *"curl", "enter")
        about = session.find("#picker-about")
        assert (about.size.height, session.inside(about).rstrip()[-1]) == (4, "…")
        await session.pilot.resize_terminal(80, 24)
        assert there(session.runs.run_id) in "".join(session.inside(about).split())
        await session.press("slash", "ctrl+u", *"portal", "enter")
        assert about.size.height == 1
