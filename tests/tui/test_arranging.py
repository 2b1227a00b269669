"""Sorting, columns and views: the questions that set them, and their state after a restart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runtui.domain.columns import GAP, GUTTER
from runtui.domain.views import ListSettings, View
from runtui.prelude.first_paint import FirstPaint
from runtui.services.preferences import StoredPreferences, preferences_path
from runtui.tui.features.opening import Opening
from runtui.tui.widgets.line_table import ColumnHeader
from tests.tui.conftest import ROOT, Opener, Session


def titles(session: Session) -> list[str]:
    """Return the headings, without the marks for hidden columns and for the order."""
    text = session.find(ColumnHeader).render_line(0).text
    return text.strip(" ‹›").replace("↓", "").replace("↑", "").replace("✗ ", "✗").split()


def headline(session: Session) -> str:
    """Return the title of the list; assert that it is on the screen."""
    title = session.runs.title().plain
    assert f" {title}" in session.text()
    return title


async def test_a_digit_shows_a_view_under_its_name_and_again_all_runs(open_session: Opener) -> None:
    async with open_session(size=(80, 30)) as session:
        for key, name, sort in (
            ("1", "Problems", "severity ↓"),
            ("2", "Failed", "start ↓"),
            ("3", "Stuck", "updated ↑"),
        ):
            await session.press(key)
            total = session.runs.table.total
            assert 0 < total < 240
            assert headline(session) == f"{name}  {total} of 240  {sort}"
        assert {row.status for row in session.workspace.store.window(session.runs.shown, 0, 9)} == {"inProgress"}
        await session.press("3")
        assert headline(session).startswith("Runs  240  ")
        await session.press("1", "x")
        assert headline(session) == "Runs  240  severity ↓"
        await session.press("8")
        assert "There is no view 8; v saves the list as a view." in session.words
        before = headline(session)
        session.workspace.preferences.keep(views=(View("of another runtui", ListSettings("started>=garbage")),))
        await session.press("7")
        assert "View 7 cannot be shown." in session.words
        assert headline(session) == before


@pytest.mark.parametrize("leave", [("3",), ("escape",), ("4", "escape"), ("x", "x")], ids=" ".join)
async def test_the_order_of_a_view_goes_with_the_view(open_session: Opener, leave: tuple[str, ...]) -> None:
    async with open_session(size=(80, 30)) as session:
        await session.press("3", *leave)
        assert session.runs.settings == ListSettings()


async def test_an_order_chosen_in_a_view_stays(open_session: Opener) -> None:
    async with open_session(size=(80, 30)) as session:
        await session.press("3", "I", "escape")
        assert session.runs.settings == ListSettings("", "updated")


async def test_a_view_without_a_filter_is_left_by_its_digit_too(open_session: Opener) -> None:
    async with open_session(size=(80, 30)) as session:
        own = View("by name", ListSettings("", "workflow", False, ("workflow", "id")))
        session.workspace.preferences.keep(views=(own,))
        await session.press("7")
        assert session.runs.settings == own.settings
        await session.press("7")
        assert session.runs.settings == ListSettings()


async def test_a_view_of_ones_own_is_saved_shown_renamed_replaced_and_deleted(open_session: Opener) -> None:
    async with open_session(size=(80, 30)) as session:
        preferences = session.workspace.preferences
        await session.press("slash")
        await session.type("wf:Offboard")
        await session.press("enter", "s", "v", "enter")
        await session.type("leavers")
        await session.press("enter")
        assert preferences.kept.views == (View("leavers", ListSettings("wf:Offboard", "workflow", False)),)
        assert "Leavers  " in headline(session)
        await session.press("1", "7")
        assert session.runs.settings == preferences.kept.views[0].settings

        await session.press("v", "enter", "j", "enter")  # on the current view: rename
        await session.type("Leavers")
        await session.press("enter", "v", "G", "enter")
        await session.type("leavers")
        await session.press("enter")
        assert "There is a view leavers already." in session.text()
        await session.press("escape")
        assert [view.name for view in preferences.kept.views] == ["Leavers"]

        await session.press("escape", "v", "k", "enter", "j", "j", "enter")
        assert list(preferences.kept.views) == [View("Leavers", session.runs.settings)]
        assert not str(session.runs.settings.filter)
        await session.press("v", "enter", "G", "enter")
        assert not list(preferences.kept.views)
        await session.press("7")
        assert "There is no view 7" in session.text()


async def test_the_sort_picker_offers_both_directions_and_starts_at_the_current_one(open_session: Opener) -> None:
    async with open_session(size=(80, 30)) as session:
        await session.press("S", "escape")
        assert session.runs.settings == ListSettings()
        await session.press("S", "j", "enter")
        assert session.runs.settings == ListSettings(descending=False)
        await session.press("S", "j", "j", "enter")
        assert "workflow ↓" in headline(session)
        assert session.runs.settings == ListSettings(sort="workflow")
        await session.press("S")
        assert "● workflow ↓   Z to A" in session.text()


async def test_the_sort_picker_is_the_same_in_a_list_in_memory(open_session: Opener) -> None:
    async with open_session(size=(80, 30)) as session:
        await session.press("o")
        await session.until(lambda: session.view == "overview")
        rows = session.front.view.list
        assert rows is not None
        await session.press("S", "G", "enter")
        column = rows.resource.columns[-1]
        assert rows.order == (column.key, not column.descending_first)
        await session.press("S", "k", "enter")
        assert rows.order == (column.key, column.descending_first)
        await session.press("escape")
        assert session.runs.settings == ListSettings()


async def test_choices_are_filtered_as_rows_are_and_the_cursor_chooses_among_those_found(open_session: Opener) -> None:
    async with open_session(size=(80, 30), runs=20) as session:
        await session.press("S", "slash", *"UPDATED")
        assert "updated ↑" in session.text()
        assert "workflow ↑" not in session.text()
        await session.press("enter", "j", "enter")
        assert session.runs.list.order == ("updated", False)
        await session.press("S", "slash", *"nothing", "enter", "enter")
        assert "No choice matches the filter." in session.words
        assert session.view == "picker"
        await session.press("slash", "escape", "enter")
        assert session.view == "runs"
        await session.press("y", "slash", *"nothing", "enter", "y")
        assert "There is nothing to copy here." in session.words
        await session.press("escape")
        assert session.runs.list.order == ("updated", False), "without a filter the present choice is under the cursor"


async def test_a_letter_of_another_screen_does_nothing_while_choosing(open_session: Opener) -> None:
    async with open_session(size=(80, 30), runs=20) as session:
        for opens, view in (("S", "picker"), ("C", "columns")):
            await session.press(opens, "c", "q", "p", "s")
            assert session.view == view
            assert session.app.is_running
            assert not session.workspace.refresh.progress.paused
            assert "esc goes back" in session.words
            assert " z zoom" not in session.text()
            await session.press("j")
            assert "esc goes back" not in session.words, "the next key that works clears it"
            await session.press("question_mark")
            assert session.view == "help", "the help is no letter"
            await session.press("escape", "escape")
            assert session.view == "runs"


async def test_columns_are_chosen_moved_and_given_back_to_the_width(open_session: Opener) -> None:
    async with open_session(size=(80, 30), runs=20) as session:
        automatic = titles(session)
        assert automatic == ["status", "workflow", "start", "users", "updated"]
        await session.press("C", "space", "j", "space")
        assert "it is always shown" in session.text()
        await session.press("G", "space", "minus", "enter")
        assert list(session.runs.list.chosen) == ["workflow", "started", "users", "updated", "failedUsers"]
        assert titles(session) == ["workflow", "start", "users", "updated", "✗users"]
        await session.press("C", "plus", "escape")
        assert titles(session) == ["workflow", "start", "users", "updated", "✗users"]
        await session.press("C", "plus", "enter")
        assert titles(session)[:2] == ["start", "workflow"]
        await session.press("C", "0")
        shown = [line.split()[1] for line in session.text().splitlines() if line.strip().startswith("■")]
        assert shown == automatic
        await session.press("enter")
        assert not session.runs.list.chosen
        assert titles(session) == automatic


async def test_every_list_has_columns_to_choose_and_a_restart_finds_them(open_session: Opener) -> None:
    async with open_session(size=(80, 30)) as session:
        await session.press("o", "C")
        assert "■ workflow  always shown" in session.text()
        await session.press("space", "enter")
        assert "schedule" not in titles(session)
        await session.press("o", "J", "C", "j", "space", "enter")
        assert "sent" not in titles(session)
        await session.press("J")
        await session.press("enter")
        await session.until(lambda: session.app.feature[Opening].users.list.rows)
        await session.press("C", "space", "enter")
        assert "status" not in titles(session)
        assert "user" in titles(session)
    async with open_session(size=(80, 30)) as session:
        await session.press("o")
        assert "schedule" not in titles(session)
        await session.press("J")
        assert "sent" not in titles(session)
        await session.press("J", "o", "enter")
        await session.until(lambda: session.app.feature[Opening].users.list.rows)
        assert "status" not in titles(session)
        await session.press("C", "0", "enter")
        assert "status" in titles(session)


async def test_columns_scroll_and_the_workflow_stays(open_session: Opener) -> None:
    async with open_session(size=(80, 30), runs=20) as session:
        table = session.runs.table
        table_titles, seen = titles(session), set(titles(session))
        for _ in range(15):
            await session.press("right")
            assert "workflow" in titles(session)
            seen |= set(titles(session))
            cells = sum(width + GAP for _, width in table.arrangement.layout(80)) + GUTTER
            assert cells == table.render_line(0).cell_length == 80
        assert seen == {
            *("status", "workflow", "start", "users", "✗tasks", "type", "updated", "completed", "scheduled", "id"),
            "✗users",
        }
        assert titles(session)[-1] == "✗users"
        for _ in range(15):
            await session.press("left")
        assert titles(session) == table_titles


async def test_a_click_on_a_heading_sorts_and_another_one_reverses(open_session: Opener) -> None:
    async with open_session(size=(80, 30), runs=20) as session:
        header = session.find(ColumnHeader)
        place = header.render_line(0).text.index("users")
        await session.pilot.click(ColumnHeader, offset=(place, 0))
        assert session.runs.settings == ListSettings(sort="users")
        await session.pilot.click(ColumnHeader, offset=(place, 0))
        assert session.runs.settings == ListSettings(sort="users", descending=False)


@pytest.mark.parametrize("keys", [("2", "C", "G", "space", "enter", "T"), ("3", "I")])
async def test_a_restart_finds_everything_again_before_the_first_paint(
    open_session: Opener, tmp_path: Path, keys: tuple[str, ...]
) -> None:
    async with open_session(size=(80, 30), runs=60) as session:
        await session.press(*keys)
        settings, theme, headings = session.runs.settings, session.app.theme, session.text().splitlines()[3]
        assert settings != ListSettings()
    kept = json.loads(preferences_path(tmp_path, "", ROOT).read_text())
    assert kept["runs"]["filter"] == settings.filter
    async with open_session(size=(80, 30), runs=60) as session:
        assert session.runs.settings == settings
        assert session.app.theme == theme
        await session.until(lambda: session.text().splitlines()[3] == headings)
        paint = FirstPaint(session.workspace.settings, 80, 30)
        lines = paint.lines(session.workspace.store, session.workspace.preferences.kept)
        first = session.workspace.store.window(session.runs.shown, 0, 1)[0]
        assert any(first.workflow_name in line for line in lines)
    async with open_session(size=(80, 30), runs=60, theme="ansi-light") as session:
        assert session.app.theme == "ansi-light"


async def test_settings_that_cannot_be_restored_are_reported(open_session: Opener, tmp_path: Path) -> None:
    path = preferences_path(tmp_path, "", ROOT)
    path.write_text("{")
    async with open_session(size=(100, 30), runs=20) as session:
        assert "is set aside" in session.words
        assert session.workspace.preferences.kept == StoredPreferences()
    path.write_text(json.dumps({"theme": "", "runs": {**ListSettings("tomorrow:(")._asdict()}, "views": []}))
    async with open_session(size=(100, 30), runs=20) as session:
        assert "The filter of the last session cannot be used here: tomorrow:(" in session.words
        assert session.runs.table.total == 20


async def test_runs_that_another_place_asked_for_are_not_kept(open_session: Opener) -> None:
    async with open_session(size=(80, 30), runs=60) as session:
        await session.press("x", "o")
        await session.until(lambda: session.view == "overview")
        await session.press("enter")
        await session.until(lambda: session.view == "runs")
        assert session.runs.settings.filter != "is:problem"
        assert session.workspace.preferences.kept.runs == ListSettings("is:problem")
