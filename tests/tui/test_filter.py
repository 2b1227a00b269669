"""The filter box: it filters while one types, tolerates errors, and the list always matches the shown filter."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable

import pytest
from textual import events
from textual.widgets import Input

from runtui.domain.columns import Order
from runtui.domain.times import now_ticks, parse_duration
from runtui.services.store import store as store_module
from runtui.services.store.store import FIRST_ROWS, RunQuery, Store
from runtui.tui import keys
from runtui.tui.features.opening import Opening
from runtui.tui.resources import run_filter
from tests import PATIENCE, there
from tests.tui.conftest import Opener, Session


def statuses(session: Session) -> set[str]:
    table = session.runs.table
    return {row.status for row in session.workspace.store.window(session.runs.shown, 0, table.total)}


WHAT_HELP_FINDS = "a part of a key, of what it does, or of where it works"


async def test_the_filter_is_live_shows_a_count_and_can_be_cleared(open_session: Opener) -> None:
    async with open_session(size=(100, 24)) as session:
        table = session.runs.table
        failed = session.workspace.store.totals().by_status["failed"]
        await session.press("j", "j", "slash")
        await session.type("status:fai")
        assert (table.total, statuses(session)) == (failed, {"failed"})
        assert f"{failed} of 240" in session.text()
        await session.press("down")
        assert session.app.focused is table
        await session.press("down")
        assert table.cursor == 1
        run_id = table.cursor_id
        await session.press("escape")
        await session.until(lambda: table.total == 240)
        assert table.cursor_id == run_id, "the cursor stays on its run when the filter goes"
        assert " of 240" not in session.text()

        await session.press("slash")
        await session.type("zzz")
        await session.until(lambda: table.total == 0)
        assert "No run matches the filter" in session.text()
        await session.press("enter", "e")
        assert "There is no run under the cursor." in session.text()
        await session.press("enter", "space", "j", "G", "pagedown", "s")
        await session.press("escape")
        await session.until(lambda: table.total == 240)

        await session.press("slash")
        await session.type("failed>0")
        await session.press("escape")
        assert (table.total, session.app.focused) == (240, table)


async def test_among_many_runs_the_first_are_there_before_they_are_counted(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end, count = threading.Event(), Store.count

    def slowly(store: Store, query: RunQuery, is_over: Callable[[], bool] = lambda: False) -> int:
        if query.filter is not None:
            while not (may_end.wait(0.001) or is_over()):
                pass
        return count(store, query, is_over)

    monkeypatch.setattr(store_module, "MANY_RUNS", 1)
    monkeypatch.setattr(Store, "count", slowly)
    async with open_session(size=(100, 24)) as session:
        table = session.runs.table
        await session.press("slash")
        await session.type("!status:failed")
        assert table.total == FIRST_ROWS
        assert f"{FIRST_ROWS}+ of 240" in session.text()
        await session.press("enter", "j", "j")
        run_id = table.cursor_id
        assert table.cursor == 2, "no key waits for the count"
        may_end.set()
        await session.until(lambda: table.total > FIRST_ROWS)
        assert (table.cursor_id, table.cursor) == (run_id, 2)
        everything = session.workspace.store.totals().by_status
        assert f"{240 - everything['failed']} of 240" in session.text()


async def test_the_title_tells_no_count_of_earlier_rows_while_a_slow_filter_looks(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, may_end = threading.Event(), threading.Event()

    def slowly(_store: Store, _query: RunQuery, _most: int, _seconds: float) -> int:
        looks.set()
        assert may_end.wait(PATIENCE)
        return 0

    monkeypatch.setattr(store_module, "MANY_RUNS", 1)
    monkeypatch.setattr(Store, "count_first", slowly)
    async with open_session(size=(100, 24)) as session:
        session.runs.filter_by("no-such-text")
        await session.meanwhile(looks.is_set)
        assert "… of 240  /no-such-text" in session.text()
        may_end.set()
        await session.until(lambda: "0 of 240  /no-such-text" in session.text())


async def test_a_list_that_keeps_changing_shows_what_a_slow_filter_finds(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting, may_end, counts, count = threading.Event(), threading.Event(), [], Store.count

    def slowly(store: Store, query: RunQuery, is_over: Callable[[], bool] = lambda: False) -> int:
        if query.filter is not None:
            counts.append(query)
            counting.set()
            assert may_end.wait(PATIENCE)
        return count(store, query, is_over)

    monkeypatch.setattr(store_module, "MANY_RUNS", 1)
    monkeypatch.setattr(Store, "count", slowly)
    async with open_session(size=(100, 24)) as session:
        session.runs.filter_by("status:failed")
        await session.meanwhile(counting.is_set)
        for _ in range(3):
            session.runs.reload()
            await asyncio.sleep(0)
        assert len(counts) == 1, "the count goes on"
        may_end.set()
        await session.until(lambda: session.runs.table.total == len([*session.workspace.store.ids(session.runs.shown)]))
        await session.until(lambda: len(counts) > 1)
        assert statuses(session) == {"failed"}


async def test_among_many_runs_keys_wait_for_an_order_that_is_made_only_for_a_limited_time(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end, complete = threading.Event(), Store.complete_orders

    def slowly(store: Store, sorts: Iterable[str] | None = None) -> None:
        may_end.wait()
        complete(store, sorts)

    async with open_session(size=(100, 24)) as session:
        store, table = session.workspace.store, session.runs.table
        with store.writing() as (db, _):
            db.execute("DROP INDEX run_by_users")
        store.missing_orders.add("users")
        monkeypatch.setattr(store_module, "MANY_RUNS", 1)
        monkeypatch.setattr(Store, "complete_orders", slowly)
        monkeypatch.setattr(keys, "MAX_CHECKS", keys.CHECKS_AT_ONCE + 100)
        session.runs.list.sort_by(Order("users", True))
        await session.press("j", "j")
        assert (table.cursor, session.runs.shown.sort) == (2, "status"), "the rows stay until the others are there"
        assert session.app.keys.timed_out, "the first key has waited for the order"
        run_id = table.cursor_id
        may_end.set()
        await session.until(lambda: session.runs.shown.sort == "users")
        users = [row.number("users") or 0 for row in store.window(session.runs.shown, 0, 20)]
        assert users == sorted(users, reverse=True)
        assert (table.cursor_id, "users" in store.missing_orders) == (run_id, False)


async def test_a_wrong_filter_says_where_and_leaves_the_list_as_it_was(open_session: Opener) -> None:
    async with open_session(size=(100, 24)) as session:
        table = session.runs.table
        await session.press("slash")
        await session.type("status:failed")
        failed = table.total
        await session.type(" stated")
        count = table.total
        await session.type(">1h")
        await session.until(lambda: table.total == count)
        lines = session.text().splitlines()
        typed = next(index for index, line in enumerate(lines) if "status:failed stated>1h" in line)
        assert lines[typed + 1].index("^") == lines[typed].index("stated")
        assert "Did you mean started?" in session.text()
        await session.press("enter")
        assert session.app.focused is not table, "a wrong filter cannot be entered"
        await session.press(*["backspace"] * len(" stated>1h"))
        assert "^" not in session.text()
        await session.press("enter")
        assert (session.app.focused, table.total) == (table, failed)


async def test_an_error_after_wide_characters_is_marked_at_the_right_cell(open_session: Opener) -> None:
    async with open_session(size=(100, 24)) as session:
        await session.press("slash")
        session.app.focused.post_message(events.Paste("東京 stated>1h"))  # type: ignore[union-attr]
        await session.pilot.pause()
        lines = session.text().splitlines()
        row = next(index for index, line in enumerate(lines) if "stated>1h" in line)
        cells_before = len(lines[row][: lines[row].index("stated")]) + 2  # both letters are two cells wide
        assert lines[row + 1].index("^") == cells_before


async def test_the_end_of_pasted_text_is_visible_and_no_error_mark_is_outside(open_session: Opener) -> None:
    async with open_session(size=(80, 24)) as session:
        await session.press("slash")
        session.app.focused.post_message(events.Paste("a) " + "b " * 60 + "end"))  # type: ignore[union-attr]
        await session.until(lambda: "matching" in session.text())
        lines = session.text().splitlines()
        row = next((index for index, line in enumerate(lines) if line.rstrip().endswith("b end")), 0)
        assert lines[row + 1].strip() == 'This ")" has no matching "(".'
        await session.press("ctrl+u")
        session.app.focused.post_message(events.Paste('b "' + "b " * 60))  # type: ignore[union-attr]
        await session.until(lambda: "not closed" in session.text())
        assert "^" not in session.text()
        await session.press("home", "enter")
        assert session.text().splitlines()[row + 1].rstrip() == "   " + "^" * 76, "told on enter, in one line"


async def test_problems_toggle(open_session: Opener) -> None:
    async with open_session(size=(100, 24)) as session:
        table = session.runs.table
        await session.press("x")
        await session.until(lambda: table.total == session.workspace.store.count(RunQuery(run_filter("is:problem"))))
        assert f" Problems  {table.total} of 240" in session.text()
        await session.press("x")
        await session.until(lambda: table.total == 240)
        assert " Runs  240" in session.text()
        await session.press("x", "escape")
        await session.until(lambda: table.total == 240)


async def test_text_of_any_language_is_found_and_a_paste_arrives_in_one_line(open_session: Opener) -> None:
    async with open_session(size=(100, 24)) as session:
        table = session.runs.table
        await session.press("slash")
        await session.type("入社手続き")
        assert table.total > 0
        rows = session.workspace.store.window(session.runs.shown, 0, table.total)
        assert all("入社手続き" in row.workflow_name for row in rows)
        await session.press("escape", "slash")
        box = there(session.app.focused)
        box.post_message(events.Paste("  status:failed\r\nor status:canceled\n"))
        await session.pilot.pause()
        assert statuses(session) == {"failed", "canceled"}


async def test_a_paste_outside_of_a_field_filters_the_list_or_searches_the_panel(open_session: Opener) -> None:
    async with open_session(size=(120, 24)) as session:
        table = session.runs.table
        run_id = session.workspace.store.window(session.runs.shown, 30, 1)[0].id

        async def paste(text: str) -> None:
            session.app.post_message(events.Paste(text))
            await session.settled()

        await paste(f"  {run_id}\n")
        assert (table.total, table.cursor_id) == (1, run_id)
        await session.press("escape")
        await paste("Wave: 2")
        assert session.runs.filter_text == '"Wave: 2"', "a text that is no filter is meant as it is"
        await session.press("enter")
        await paste("status:failed")
        assert statuses(session) == {"failed"}, "it replaces the filter before"
        await session.press("enter")
        await paste("\n")
        assert statuses(session) == {"failed"}, "an empty line is no text"
        assert session.app.focused is table

        await session.press("right_square_bracket", "greater_than_sign")
        await paste("Started")
        assert session.app.chrome.panel.is_searching
        assert session.runs.filter_text == "status:failed"
        await session.press("escape", "less_than_sign", "C")
        await paste("j")
        assert "Nothing here takes a paste." in session.text()


async def test_relative_times_in_a_filter_go_on_with_the_clock(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_session(size=(100, 24)) as session:
        table = session.runs.table
        await session.press("slash")
        await session.type("started>-24h")
        await session.press("enter")
        count, later = table.total, now_ticks() + parse_duration("20h")
        monkeypatch.setattr("runtui.tui.resources.now_ticks", lambda: later)
        await session.press("r")
        await session.until(lambda: table.total < count)


async def test_a_likely_mistake_is_pointed_out_when_nothing_is_found(open_session: Opener) -> None:
    async with open_session(size=(100, 24)) as session:
        await session.press("slash")
        await session.type("status:cancelled")
        assert "Did you mean canceled?" in session.words


async def test_letters_typed_ahead_of_the_screen_are_all_in_the_filter(open_session: Opener) -> None:
    async with open_session(size=(100, 24)) as session:
        runs = session.runs
        before = runs.shown.sort
        await session.type("/status:quex")
        assert runs.filter_text == "status:quex"
        assert (runs.shown.sort, session.view) == (before, "runs")


def hint_line(session: Session) -> str:
    """Return the line under the box."""
    return session.text().splitlines()[session.find("#filter-hint").region.y]


async def test_tab_completes_a_field_then_its_values_with_their_counts(open_session: Opener) -> None:
    async with open_session(size=(100, 24)) as session:
        table = session.runs.table
        await session.press("slash")
        box = session.find("#filter-input", Input)
        assert "status:" in hint_line(session)
        assert "type:" in hint_line(session)
        await session.press("s", "t", "a", "t", "tab")
        assert box.value == "status:"
        counts = dict(session.workspace.store.value_counts("status"))
        await session.until(lambda: f"completed {counts['completed']}" in hint_line(session))
        await session.press("f", "tab")
        assert (box.value, table.total) == ("status:failed", counts["failed"])
        await session.press("comma", "c", "tab")
        assert box.value == "status:failed,completed"
        await session.press("tab")
        second = box.value
        assert second != "status:failed,completed"
        assert second.startswith("status:failed,c")
        await session.press("shift+tab")
        assert box.value == "status:failed,completed"
        hint = session.find("#filter-hint")
        segments = [segment for strip in hint.render_lines(hint.size.region) for segment in strip]
        assert [part.text for part in segments if part.style and part.style.reverse] == ["completed"]
        await session.press("enter")
        assert (session.app.focused, table.total) == (table, counts["failed"] + counts["completed"])


async def test_keys_typed_ahead_wait_for_the_values_that_a_tab_needs(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting, may_end, count = threading.Event(), threading.Event(), Store.value_counts

    def slowly(store: Store, column: str) -> list[tuple[str, int]]:
        counting.set()
        assert may_end.wait(PATIENCE)
        return count(store, column)

    monkeypatch.setattr(Store, "value_counts", slowly)
    async with open_session(size=(100, 24)) as session:
        workflow = count(session.workspace.store, "workflow_name")[0][0]
        for key in ["slash", *"wor", "tab", *workflow[:4].lower(), "tab", "enter", "j"]:
            session.app.post_message(events.Key(key, None if len(key) > 1 else key))
        await session.meanwhile(counting.is_set)
        for _ in range(2_000):
            await asyncio.sleep(0)
        assert len(session.app.keys) == 7, "what follows the first tab waits"
        may_end.set()
        await session.settled()
        assert session.app.focused is session.runs.table
        assert session.runs.filter_text.startswith('workflow:"')
        assert session.runs.table.cursor == 1


async def test_earlier_filters_come_back_and_down_leads_through_them_to_the_list(open_session: Opener) -> None:
    async with open_session(size=(100, 24)) as session:
        problems = session.workspace.store.count(RunQuery(run_filter("is:problem")))
        table = session.runs.table
        for text in ("is:problem", "type:onDemand"):
            await session.press("slash", *["backspace"] * 20)
            await session.type(text)
            await session.press("enter")
        await session.press("slash", *["backspace"] * 20)
        box = session.find("#filter-input", Input)
        await session.type("half")
        await session.press("up")
        assert (box.value, session.runs.filter_text) == ("type:onDemand", "type:onDemand")
        await session.press("up", "up", "up")
        assert (box.value, table.total) == ("is:problem", problems)
        await session.press("down", "down")
        assert (box.value, session.app.focused) == ("half", box)
        await session.press("down")
        assert session.app.focused is table


async def test_up_leads_past_the_filter_that_the_box_opens_with(open_session: Opener) -> None:
    async with open_session(size=(100, 24)) as session:
        for text in ("type:onDemand", "is:problem"):
            await session.press("slash", "ctrl+u")
            await session.type(text)
            await session.press("enter")
        await session.press("slash", "up")
        assert session.runs.filter_text == "type:onDemand"


async def test_a_likely_mistake_is_pointed_out_while_typing(open_session: Opener) -> None:
    async with open_session(size=(100, 24)) as session:
        await session.press("slash")
        await session.type("status:faled")
        assert "Did you mean failed?" in hint_line(session)
        await session.press("enter", "slash", *["backspace"] * 20)
        await session.type("is:")
        assert "problem" in hint_line(session)
        assert "stuck" in hint_line(session)
        await session.press("enter")
        assert "A value for is is missing here." in session.text()
        assert session.app.focused is not session.runs.table


async def test_rows_in_memory_offer_what_they_show(open_session: Opener) -> None:
    async with open_session(size=(140, 40)) as session:
        await session.press("slash")
        await session.type("status:completedWithErrors users>8")
        await session.press("enter", "enter")
        users = session.app.feature[Opening].users.list
        await session.until(lambda: users.rows)
        await session.press("slash")
        await session.type("stat")
        await session.press("tab")
        await session.type("f")
        await session.press("tab", "enter")
        assert users.filter_text == "status:failed"
        assert 0 < users.table.total < len(users.rows)


@pytest.mark.parametrize(
    ("key", "said"), [("J", "plain text, #12, outcome:unknown (done, not-done, unknown…"), ("f1", WHAT_HELP_FINDS)]
)
async def test_an_empty_box_says_once_what_can_be_typed_and_marks_a_cut(
    key: str, said: str, open_session: Opener
) -> None:
    async with open_session(size=(60, 24)) as session:
        await session.press(key, "slash")
        assert session.text().splitlines()[there(session.app.focused).region.y].strip() == said
        assert session.text().count(said) == 1


async def test_what_is_typed_follows_the_filter_of_a_view_also_after_a_restart(open_session: Opener) -> None:
    async with open_session(size=(100, 24)) as session:
        await session.press("slash", "x", "escape", "2", "slash")
        await session.type("wf:Onboard")
        await session.press("enter")
        assert session.runs.filter_text == "status:failed wf:Onboard"
        await session.press("slash", "enter")
        assert session.runs.filter_text == "status:failed wf:Onboard"
    async with open_session(size=(100, 24)) as session:
        await session.press("slash")
        await session.type("users>3")
        assert session.runs.filter_text == "status:failed wf:Onboard users>3"


async def test_a_restart_brings_earlier_filters_back(open_session: Opener) -> None:
    async with open_session(size=(100, 24)) as session:
        await session.press("slash")
        await session.type("type:onDemand")
        await session.press("enter", "escape")
    async with open_session(size=(100, 24)) as session:
        await session.press("slash", "up")
        assert session.find("#filter-input", Input).value == "type:onDemand"
