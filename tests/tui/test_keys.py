"""The same keys lead to the same state, typed slowly, in pairs, or in one packet."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from textual.widgets import Input
from textual.worker import Worker

from runtui.domain.draft import Draft
from runtui.keys.actions import ACTIONS
from runtui.services.foreground import Foreground
from runtui.tui.keys import blocks_keys
from runtui.tui.screens.view import Throttle
from runtui.tui.widgets.line_table import LineTable
from tests import PATIENCE
from tests.tui.conftest import Opener, Session
from tests.tui.keyboard import MANNERS, Manner, parsed, type_keys

manners = pytest.mark.parametrize("manner", MANNERS[1:])


def edited(session: Session) -> Draft:
    draft = session.draft
    assert draft is not None
    return draft


def test_every_key_of_the_registry_is_what_a_terminal_sends() -> None:
    for key in {key for action in ACTIONS for key in action.keys}:
        (event,) = parsed([key])
        assert getattr(event, "key", None) == key


async def test_no_key_waits_for_a_worker_that_is_cancelled_before_it_starts(open_session: Opener) -> None:
    async with open_session(runs=12) as session:
        waiting = asyncio.create_task(session.app.chrome.keys.wait_settled())

        def cancel() -> None:
            worker.cancel()

        # In the next turn of the event loop keys begin to wait for the worker; it is cancelled, then it would start.
        asyncio.get_running_loop().call_soon(cancel)
        worker: Worker[None] = session.app.screen.run_worker(partial(asyncio.sleep, 0), group=blocks_keys("test"))
        await asyncio.wait_for(waiting, PATIENCE / 2)


async def test_a_redraw_waits_for_no_such_worker_either(open_session: Opener) -> None:
    calls: list[Worker[None]] = []

    def call() -> Worker[None]:
        calls.append(session.app.screen.run_worker(partial(asyncio.sleep, 0)))
        calls[-1].cancel()
        return calls[-1]

    async with open_session(runs=12) as session:
        throttle = Throttle(session.app, Foreground(), call)
        throttle.ask()
        throttle.ask()
        await session.until(lambda: len(calls) == 2)


@manners
async def test_a_number_goes_into_the_field_that_tab_leads_to(open_session: Opener, manner: Manner) -> None:
    async with open_session(runs=12) as session:
        await type_keys(session, ["e", *["tab"] * 7], "slowly")
        assert session.field == "successfulUsersCount"
        successful = edited(session).received["successfulUsersCount"]
        failed = edited(session).received["failedUsersCount"]
        await type_keys(session, ["tab", "7"], manner)
        edits = edited(session).edits
        assert "successfulUsersCount" not in edits, successful
        assert set(edits) == {"failedUsersCount"}, failed
        assert edits["failedUsersCount"].text.endswith("7")


@manners
async def test_enter_lands_on_the_list_that_the_filter_shows(open_session: Opener, manner: Manner) -> None:
    async with open_session(runs=40) as session:
        wanted = session.workspace.store.window(session.runs.shown, 25, 1)[0].id
        await type_keys(session, [*f"/id:{wanted[-6:]}", "enter", "e"], manner)
        assert session.runs.filter_text == f"id:{wanted[-6:]}"
        assert edited(session).run_id == wanted


async def test_the_form_that_opens_again_is_that_of_the_next_run(open_session: Opener) -> None:
    async with open_session(runs=12) as session:
        first, second = session.workspace.store.window(session.runs.shown, 0, 2)
        assert session.runs.table.cursor_id == first.id
        await type_keys(session, ["e", "escape", "j", "e"], "in one packet")
        assert edited(session).run_id == second.id


async def test_enter_runs_the_action_that_the_palette_found(open_session: Opener) -> None:
    async with open_session(runs=12) as session:
        await type_keys(session, ["ctrl+p", *"list of keys", "enter"], "in one packet")
        await session.until(lambda: session.app.screen is session.front)
        assert session.view == "help"


@manners
async def test_pages_are_turned_one_after_the_other(open_session: Opener, manner: Manner) -> None:
    async with open_session(runs=12, size=(80, 24)) as session:
        await type_keys(session, ["question_mark", "pagedown", "pagedown"], manner)
        table = session.find("#help-table", LineTable)
        assert table.cursor == 1 + 2 * (table.size.height - 1)


async def test_letters_and_a_paste_keep_their_order(open_session: Opener) -> None:
    async with open_session(runs=12) as session:
        packet = [*"/ab", *"\x1b[200~cd\x1b[201~", *"ef", "backspace", "left", "x"]
        await type_keys(session, packet, "in one packet")
        assert session.find("#filter-input", Input).value == "abcdxe"


@manners
async def test_the_cursor_stays_in_sight_where_the_panel_takes_room(open_session: Opener, manner: Manner) -> None:
    async with open_session(runs=30, size=(80, 24), ahead=True) as session:
        await type_keys(session, ["I", "greater_than_sign"], manner)
        table = session.runs.table
        assert table.cursor == 29
        assert table.scroll_offset.y == 30 - table.size.height
