"""The form: typed text becomes a draft, an error appears under its field, an untouched value stays as received."""

from __future__ import annotations

import json
from typing import Any

import pytest
from textual import events

from runtui.domain.draft import Draft
from runtui.domain.properties import EDITABLE, EDITABLE_BY_NAME
from runtui.domain.text import visible
from runtui.domain.times import parse_ticks
from runtui.tui.screens.form import HelpLines
from tests import there
from tests.tui.conftest import Opener, Session
from tests.tui.wires import Graph

ODD_VALUES: dict[str, Any] = {
    "unknown enum": {"processingStatus": "pausedByPolicy", "workflowExecutionType": "byCopilot"},
    "null": dict.fromkeys((field.name for field in EDITABLE), None),
    "another type": {
        "processingStatus": 5,
        "workflowExecutionType": [1],
        "totalUsersCount": "Integer",
        "failedTasksCount": 1.5,
    },
    "no date": {"scheduledDateTime": "Timestamp", "startedDateTime": 12, "completedDateTime": "0001-01-01T00:00:00Z"},
    "too large": {"totalUsersCount": 2**40, "failedUsersCount": -3},
    "hostile": {"processingStatus": "[/x]\x1b[2J", "scheduledDateTime": "\u202e2026", "totalUsersCount": "1\n2"},
    "wide": {"processingStatus": "一時停止" * 12, "startedDateTime": "入社"},
}


@pytest.fixture
def open_session(open_session: Opener) -> Opener:
    """Return an opener of a session on a Graph whose runs a test sets."""
    return lambda **choices: open_session(graph=Graph(), **choices)


def draft_of(session: Session) -> Draft:
    return there(session.draft)


async def go_to(session: Session, name: str) -> None:
    """Focus a field, with the cursor after its text."""
    await session.go_to(name)
    if session.form.line is session.form.edit:
        await session.press("end")


def put_run(session: Session, run: dict[str, Any]) -> None:
    """Give a run these values, in the list and on the server."""
    there(session.graph).runs[run["id"]] = run
    session.workspace.store.put_run("w1", run)


async def clear(session: Session) -> None:
    await session.press("end", "ctrl+u")


async def open_run(session: Session, **values: Any) -> dict[str, Any]:
    """Open a run with these values, in the store and on the server; return the run as received."""
    run_id = there(session.runs.table.cursor_id)
    stored = there(session.workspace.store.get(run_id))
    raw = stored.raw | values
    put_run(session, raw)
    await session.press("e")
    await session.until(lambda: session.view == "edit")
    await session.until(lambda: '"@odata.type"' in session.text() and dict(draft_of(session).received) == raw)
    return raw


async def test_the_draft_follows_every_key_and_the_request_with_it(open_session: Opener) -> None:
    async with open_session() as session:
        raw = await open_run(session, failedUsersCount=3)
        assert session.field == "processingStatus"
        assert "Nothing has changed yet." in session.text()
        assert draft_of(session).edits == {}
        await go_to(session, "failedUsersCount")
        await session.type("5")
        assert '"failedUsersCount": 35' in session.text()
        assert session.under("failedUsersCount") == "was 3"
        assert "1 changed" in session.text()
        await session.press("backspace")
        assert draft_of(session).edits == {}, "typed back to what was received is no change"
        assert session.under("failedUsersCount") == ""
        for name in raw:
            if name in json.loads(draft_of(session).body_text()):
                assert draft_of(session).body()[name] == raw[name]


async def test_a_value_that_is_shown_in_part_goes_back_as_it_came_when_it_is_typed_again(open_session: Opener) -> None:
    async with open_session() as session:
        await open_run(session, failedUsersCount="1\n2")
        await go_to(session, "failedUsersCount")
        shown = session.text_in("failedUsersCount")
        await session.type("5")
        assert "failedUsersCount" in draft_of(session).edits
        await session.press("backspace")
        assert session.text_in("failedUsersCount") == shown != "1\n2"
        assert draft_of(session).edits == {}, "the received text is not on the screen, and was not changed"


async def test_an_error_is_below_its_field_while_the_text_is_wrong(open_session: Opener) -> None:
    async with open_session() as session:
        await open_run(session, failedTasksCount=2)
        await go_to(session, "failedTasksCount")
        await session.type("x")
        assert session.under("failedTasksCount") == "was 2 A count is a whole number, such as 12 or 1,000."
        await session.press("down")
        assert "A count is a whole number" in session.under("failedTasksCount")
        await session.press("up", "end", "backspace")
        assert session.under("failedTasksCount") == "", "right again, and nothing is said of it"
        await session.type("9999999999")
        assert "the largest is 2147483647" in session.under("failedTasksCount")
        await session.press("ctrl+s")
        assert session.view == "edit"
        await clear(session)
        await session.type("-1")
        assert "cannot be negative" in session.under("failedTasksCount")
        await clear(session)
        assert "is required" in session.under("failedTasksCount")


async def test_typing_replaces_the_text_of_a_field_that_just_got_the_focus(open_session: Opener) -> None:
    async with open_session() as session:
        await open_run(session, totalUsersCount=2, startedDateTime=None)
        await session.press(*["tab"] * 6)
        assert session.field == "totalUsersCount"
        await session.type("57")
        assert draft_of(session).body()["totalUsersCount"] == 57
        await session.press("shift+tab", "tab", "end")
        await session.type("1")
        assert draft_of(session).body()["totalUsersCount"] == 571, "a key that moves lets go of what is selected"
        await session.press("f8")
        await session.type("8")
        assert draft_of(session).body()["totalUsersCount"] == 8, "a field put back is as it was when it was entered"
        await go_to(session, "startedDateTime")
        await session.press("shift+tab", "tab")
        await session.type("now")
        assert draft_of(session).edits["startedDateTime"].text == "now"


@pytest.mark.parametrize("size", [(100, 30), (120, 40), (80, 24)])
async def test_a_moment_of_seven_digits_is_whole_where_there_is_room(
    open_session: Opener, size: tuple[int, int]
) -> None:
    async with open_session(size=size) as session:
        moment = "2026-09-09T01:02:03.1234567Z"
        await open_run(session, scheduledDateTime=moment, completedDateTime=moment)

        def lines() -> list[str]:
            return [line for line in session.inside(session.left).splitlines() if "DateTime" in line]

        assert [moment in line for line in lines()[:4]] == [True, False, True, False]
        await go_to(session, "scheduledDateTime")
        assert moment in lines()[0], "whole with the cursor behind it"


async def test_pastes_are_understood_or_refused_and_never_lost(open_session: Opener) -> None:
    async with open_session(runs=12) as session:
        await open_run(session)
        await go_to(session, "totalUsersCount")
        for pasted in (" 42 ", "42\n", "\t42\r\n", "+42"):
            await clear(session)
            session.form.post_message(events.Paste(pasted))
            await session.pilot.pause()
            assert draft_of(session).body()["totalUsersCount"] == 42
        await clear(session)
        session.form.post_message(events.Paste("1,000"))
        await session.pilot.pause()
        assert draft_of(session).body()["totalUsersCount"] == 1000
        assert session.form.edit.text == "1,000", "what is typed is not rewritten"
        await clear(session)
        session.form.post_message(events.Paste("first\nsecond\x1b[31m"))
        await session.pilot.pause()
        assert session.form.edit.text == "first second␛[31m"
        await session.press("down")
        assert "A count is a whole number" in session.under("totalUsersCount")
        await session.press("up")
        session.form.post_message(events.Paste("7"))
        await session.pilot.pause()
        assert session.form.edit.text == "7", "a paste takes the place of what is selected"
        await go_to(session, "processingStatus")
        session.form.post_message(events.Paste("failed"))
        await session.pilot.pause()
        assert session.status.text == "Nothing here takes a paste.", "an enum is chosen"


async def test_times_relative_ones_and_null(open_session: Opener) -> None:
    async with open_session() as session:
        seven_digits = "2026-11-20T09:15:03.9206151Z"
        await open_run(session, scheduledDateTime=seven_digits, startedDateTime=seven_digits, completedDateTime=None)
        assert draft_of(session).body()["scheduledDateTime"] == seven_digits
        assert "startedDateTime" not in draft_of(session).body()
        await go_to(session, "startedDateTime")
        await clear(session)
        assert '"startedDateTime": null' in session.text()
        await go_to(session, "completedDateTime")
        await session.type("now")
        value = draft_of(session).body()["completedDateTime"]
        assert abs(parse_ticks(value) - parse_ticks(draft_of(session).body()["completedDateTime"])) == 0
        assert value in session.text()
        await clear(session)
        await session.type("-2h")
        assert "2h ago" in session.text()
        await clear(session)
        await session.type("soon")
        await session.press("down")
        assert session.under("completedDateTime").startswith("was empty")
        assert len(session.under("completedDateTime")) > len("was empty ")
        line = next(line for line in session.form.lines if line.field is EDITABLE_BY_NAME["completedDateTime"])
        assert line.strip.text.endswith(" " * 11), "a wrong text is not called one that is not set"
        await session.press("up", "f8")
        assert session.under("completedDateTime") == ""
        await go_to(session, "scheduledDateTime")
        await clear(session)
        await session.press("down")
        assert "is required" in session.under("scheduledDateTime")
        await session.press("up", "f8")
        assert draft_of(session).body()["scheduledDateTime"] == seven_digits
        assert list(draft_of(session).edits) == ["startedDateTime"]


async def test_the_dropdown_is_worked_by_keys_and_by_typing(open_session: Opener) -> None:
    async with open_session() as session:
        await open_run(session, processingStatus="failed")
        await session.press("enter")
        assert "held back: too many users" in session.text()
        await session.type("quar")
        await session.press("enter")
        assert draft_of(session).body()["processingStatus"] == "quarantined"
        await session.press("enter", "up", "escape")
        assert draft_of(session).body()["processingStatus"] == "quarantined", "esc chooses nothing"
        assert session.view == "edit"
        await session.press("f8")
        assert draft_of(session).edits == {}
        assert session.text_in("processingStatus") == "failed"
        await session.press("enter", "end", "enter")
        assert draft_of(session).body()["processingStatus"] == "unknownFutureValue"
        assert any("placeholder" in warning for warning in draft_of(session).warnings())
        assert "placeholder" in session.text()


async def test_every_meaning_of_a_dropdown_is_whole_on_a_small_screen(open_session: Opener) -> None:
    async with open_session(size=(80, 24)) as session:
        await open_run(session, processingStatus="failed")
        await session.press("enter")
        choices = there(EDITABLE_BY_NAME["processingStatus"].choices)
        for value in choices.names:
            assert choices.meaning(value) in session.text()


async def test_a_dropdown_says_how_many_values_it_has_and_gets_the_room_that_it_needs(open_session: Opener) -> None:
    async with open_session(size=(100, 40)) as session:
        await open_run(session, processingStatus="failed")
        await session.press("enter")
        assert "Type to find one of 9 values." in session.text()
        help_lines = session.find(HelpLines)
        assert help_lines.size.height == 2
        for size, lines in (((60, 16), 1), ((100, 40), 2), ((80, 16), 1)):
            await session.pilot.resize_terminal(*size)
            assert help_lines.size.height == lines


async def test_every_value_of_a_dropdown_can_be_reached_where_not_all_fit(open_session: Opener) -> None:
    async with open_session(size=(80, 24)) as session:
        await open_run(session, processingStatus="pausedByPolicy")
        await session.press("enter")
        for key, value in (("end", "unknownFutureValue"), ("home", "pausedByPolicy")):
            await session.press(key)
            assert f"{value}  " in session.text()


async def test_the_scrollbar_that_an_open_dropdown_needs_covers_nothing(open_session: Opener) -> None:
    async with open_session(size=(100, 26)) as session:
        await open_run(session, processingStatus="failed")
        assert not session.form.show_vertical_scrollbar
        assert "▼" in session.text()
        await session.press("enter")
        assert session.form.max_scroll_y
        assert "▲" in session.text()


async def test_an_unknown_value_is_offered_as_received_and_goes_back_untouched(open_session: Opener) -> None:
    async with open_session() as session:
        await open_run(session, processingStatus="pausedByPolicy", failedTasksCount=0)
        await session.press("enter")
        assert "as received; not known" in session.text()
        await session.press("escape")
        await go_to(session, "failedTasksCount")
        await session.type("4")
        assert draft_of(session).body()["processingStatus"] == "pausedByPolicy"
        await go_to(session, "processingStatus")
        await session.press("enter", "end", "enter", "enter", "home", "enter")
        assert session.text_in("processingStatus") == "pausedByPolicy"
        assert list(draft_of(session).edits) == ["failedTasksCount"]


async def test_odd_values_open_and_go_back_as_they_came(open_session: Opener) -> None:
    async with open_session(runs=12) as session:
        for odd in ODD_VALUES.values():
            raw = await open_run(session, **odd)
            assert draft_of(session).edits == {}, "opening changes nothing"
            await session.go_to("totalUnprocessedTasksCount")
            await session.type("6")
            body = draft_of(session).body()
            assert body["totalUnprocessedTasksCount"] == 6
            for field in EDITABLE:
                if field.required and field.name != "totalUnprocessedTasksCount":
                    assert body[field.name] == raw[field.name]
            await session.press(*["tab"] * len(EDITABLE))
            assert list(draft_of(session).edits) == ["totalUnprocessedTasksCount"]
            assert "\x1b" not in session.text()
            await go_to(session, "totalUnprocessedTasksCount")
            await session.press("f8", "escape")
            assert len(session.workspace.drafts) == 0


async def test_typing_the_received_text_is_no_edit_even_with_signs(open_session: Opener) -> None:
    async with open_session(runs=12) as session:
        raw = await open_run(session, totalUsersCount="1\n2\x1b")
        await go_to(session, "totalUsersCount")
        assert session.form.edit.text == visible(raw["totalUsersCount"]) != raw["totalUsersCount"]
        await session.type("3")
        assert list(draft_of(session).edits) == ["totalUsersCount"]
        await session.press("backspace")
        assert draft_of(session).edits == {}


async def test_missing_values_open_and_stay_missing(open_session: Opener) -> None:
    async with open_session(runs=12) as session:
        run_id = there(session.runs.table.cursor_id)
        put_run(session, {"id": run_id})
        await session.press("e")
        await session.until(lambda: session.view == "edit")
        assert "no value received" in session.text()
        await go_to(session, "totalUsersCount")
        await session.type("1")
        assert set(draft_of(session).body()) == {"@odata.type", "totalUsersCount"}


async def test_another_run_finds_nothing_of_the_one_before(open_session: Opener) -> None:
    async with open_session() as session:
        await open_run(session, processingStatus="pausedByPolicy")
        await go_to(session, "totalUnprocessedTasksCount")
        await session.type("x")
        await session.press("down", "up")
        await session.press("escape")
        await session.until(lambda: session.runs.table.cursor > 0)  # an unknown status is sorted below a failed one
        await session.press("k")
        second = session.runs.table.cursor_id
        await open_run(session)
        assert draft_of(session).run_id == second
        assert draft_of(session).edits == {}
        assert session.field == "processingStatus"
        assert session.under("totalUnprocessedTasksCount") == ""
        await session.press("enter")
        assert "as received" not in session.text()
        await session.press("escape", "escape", "j", "e")
        await session.until(lambda: "totalUnprocessedTasksCount" in draft_of(session).edits)
        assert "; F8 reverts a field" in session.text()
        assert "A count is a whole number" in session.under("totalUnprocessedTasksCount")
        assert "~" not in session.text()
        await go_to(session, "totalUnprocessedTasksCount")
        await session.press("f8", "escape")
        assert len(session.workspace.drafts) == 0


async def test_an_earlier_draft_continues_over_the_current_run(open_session: Opener) -> None:
    async with open_session() as session:
        raw = await open_run(session, failedTasksCount=1, totalUsersCount=10)
        await go_to(session, "failedTasksCount")
        await session.type("2")
        await session.press("escape")
        draft_id = raw["id"]
        put_run(session, raw | {"failedTasksCount": 5, "totalUsersCount": 11})
        await session.press("e")
        await session.until(lambda: session.view == "conflict")
        await session.press("e")
        await session.until(lambda: session.view == "edit")
        assert draft_of(session).run_id == draft_id
        assert session.under("failedTasksCount") == "was 5"
        assert draft_of(session).body()["failedTasksCount"] == 12
        assert draft_of(session).body()["totalUsersCount"] == 11


async def test_the_body_has_two_modes(open_session: Opener) -> None:
    async with open_session() as session:
        await open_run(session, failedTasksCount=1)
        await go_to(session, "failedTasksCount")
        await session.type("2")
        assert set(draft_of(session).body()) >= {"processingStatus", "totalUsersCount", "failedTasksCount"}
        await session.press("ctrl+t")
        assert set(draft_of(session).body()) == {"@odata.type", "failedTasksCount"}
        assert '"totalUsersCount"' not in session.text()
        await session.press("f6")
        assert '"totalUsersCount"' in session.text()


async def test_keys_walk_the_fields_in_order_and_scroll_at_80x24(open_session: Opener) -> None:
    async with open_session(size=(80, 24)) as session:
        await open_run(session)
        seen = []
        for _ in EDITABLE:
            assert session.field is not None
            seen.append(session.field)
            assert session.field in session.text(), "the field with the keys is in sight"
            await session.press("down")
        assert seen == [field.name for field in EDITABLE]
        await session.press("up", "enter")
        assert session.field == EDITABLE[0].name, "enter goes on, round at the end"


async def test_keys_typed_ahead_are_all_in_the_review(open_session: Opener) -> None:
    async with open_session() as session:
        await open_run(session, failedTasksCount=0)
        await go_to(session, "failedTasksCount")
        for key in ("1", "2", "3"):
            session.app.post_message(events.Key(key, key))
        session.app.post_message(events.Key("ctrl+s", None))
        await session.until(lambda: session.view == "review")
        assert "0  →  0123" in session.text() or "0  →  123" in session.text()


@pytest.mark.parametrize("before", [["e"], []], ids=["form and list at once", "form open"])
async def test_keys_typed_ahead_into_a_dropdown_choose_in_it(before: list[str], open_session: Opener) -> None:
    async with open_session(runs=12, size=(80, 24), ahead=True) as session:
        if not before:
            await session.press("e")
        row = there(session.runs.list.row)
        choices = there(EDITABLE_BY_NAME["processingStatus"].choices)
        names = list(choices.names)
        start = names.index(row.status)
        for key in (*before, "enter", "down", "enter", "ctrl+s"):
            session.app.post_message(events.Key(key, key if len(key) == 1 else None))
        await session.settled()
        assert session.view == "review"
        draft = there(session.draft)
        changed = [(change.field.name, change.after) for change in draft.changes()]
        assert changed == [("processingStatus", names[start + 1])]


async def test_a_screen_has_few_widgets(open_session: Opener) -> None:
    async with open_session(size=(120, 40)) as session:
        counts = {"runs": len(session.front.query("*"))}
        for key in ("e", "escape", "question_mark"):
            await session.press(key)
            counts[session.view] = len(session.front.query("*"))
    assert counts == {"runs": 15, "edit": 12, "help": 16}


async def test_a_letter_on_a_closed_dropdown_opens_it_at_a_value(open_session: Opener) -> None:
    async with open_session() as session:
        await open_run(session, processingStatus="failed")
        await session.type("quar")  # q would quit elsewhere
        assert session.form.menu is not None
        assert draft_of(session).edits == {}, "nothing is chosen yet"
        await session.press("enter")
        assert draft_of(session).body()["processingStatus"] == "quarantined"
        await session.press("question_mark")
        assert session.view == "help", "a sign is no text here"
        await session.press("escape", "c", "a", "tab")
        assert draft_of(session).body()["processingStatus"] == "canceled", "tab chooses and goes on"
        assert session.field == "workflowExecutionType"


async def test_hints_name_keys_that_are_no_text_on_a_dropdown(open_session: Opener) -> None:
    async with open_session() as session:
        await open_run(session)
        hints = [session.text().splitlines()[-1]]
        for key in ("enter", "escape"):
            await session.press(key)
            hints.append(session.text().splitlines()[-1])
        assert all("F1 help" in line and " z zoom" not in line for line in hints)
        assert "enter choose  esc keep" in hints[1]
        assert "esc back" not in hints[1]
        for action_id in ("close_values", "choose_value"):
            await session.press("enter")
            await session.front.action_run_by_name(action_id)  # like a click on its hint
            assert session.form.menu is None


async def test_the_hint_names_the_body_that_its_key_switches_to(open_session: Opener) -> None:
    async with open_session(size=(80, 24)) as session:
        await open_run(session)
        await session.press("enter", "down", "enter")
        assert session.text().splitlines()[-1].split("  ")[2:4] == ["ctrl+t send changed", "F8 revert"]
        await session.press("ctrl+t")
        assert "ctrl+t send all" in session.text().splitlines()[-1]
