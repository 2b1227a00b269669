"""The registry of actions with the real screen: every key works, and an action that cannot run says why."""

from __future__ import annotations

from collections.abc import Iterator
from pkgutil import walk_packages
from types import SimpleNamespace
from typing import Any

from rich.cells import cell_len
from textual import events
from textual.widgets import Static

from runtui.keys.actions import ACTIONS, VIEWS, Scope, in_scopes, remap
from runtui.keys.actions import FEATURES as FEATURE_FILES
from runtui.keys.help import help_rows
from runtui.keys.keymap import read_keys
from runtui.keys.names import key_text
from runtui.services.store.store import RunQuery
from runtui.tui import features
from runtui.tui.actions import HINTED_WHILE, REASONS, ActionContext, hints, why_not
from runtui.tui.app import RuntuiApp
from runtui.tui.features.changes.bulk_sending import ResultsView
from runtui.tui.features.changes.editing import ConflictView
from runtui.tui.features.changes.journaling import JournalView
from runtui.tui.features.copying import SelectionPage
from runtui.tui.features.feature import feature_in
from runtui.tui.features.helping import HelpView
from runtui.tui.features.opening import TasksView, UsersView
from runtui.tui.features.signing_in import SignInView
from runtui.tui.features.triage.explaining import CausesView
from runtui.tui.features.triage.overviewing import OverviewView
from runtui.tui.features.triage.tracing import PeopleView, PersonView
from runtui.tui.resources import run_filter
from runtui.tui.screens.form import FormView
from runtui.tui.screens.frame import ViewScreen
from runtui.tui.screens.questions import ColumnChooser, LineQuestion, Picker
from runtui.tui.screens.review import ReviewView
from runtui.tui.screens.runs import RunsView
from runtui.tui.screens.view import ActionView
from runtui.tui.themes import THEMES
from runtui.tui.widgets.field_form import FieldForm
from runtui.tui.widgets.filter_bar import FilterBar
from runtui.tui.widgets.inputs import LineInput
from runtui.tui.widgets.json_view import JsonView
from runtui.tui.widgets.line_table import LineTable
from runtui.tui.widgets.row_list import ReadList
from runtui.tui.widgets.search_bar import SearchBar
from runtui.tui.widgets.side_panel import SidePanel
from tests.tui.conftest import Opener

FEATURES: tuple[type, ...] = tuple(map(feature_in, FEATURE_FILES))

HOMES: dict[Scope, tuple[type, ...]] = {
    "table": (LineTable,),
    "rows": (RunsView, ReadList, *FEATURES),
    "row": (ReadList, CausesView, *FEATURES),
    "wide": (ReadList, *FEATURES),
    "run": FEATURES,
    "runs": (RunsView, *FEATURES),
    "users": (UsersView, *FEATURES),
    "tasks": (TasksView, *FEATURES),
    "causes": (CausesView, *FEATURES),
    "people": (PeopleView,),
    "person": (PersonView, *FEATURES),
    "filter": (FilterBar,),
    "edit": (FormView, *FEATURES),
    "values": (FieldForm,),
    "conflict": (ConflictView, *FEATURES),
    "review": (ReviewView,),
    "results": (ResultsView, *FEATURES),
    "journal": (JournalView, *FEATURES),
    "overview": (OverviewView, *FEATURES),
    "picker": (Picker,),
    "copies": FEATURES,
    "page": (SelectionPage,),
    "columns": (ColumnChooser,),
    "line": (LineQuestion,),
    "opened": (ActionView,),
    "question": (ActionView,),
    "sign_in": (SignInView, *FEATURES),
    "help": (HelpView,),
    "panel": FEATURES,
    "text": (SidePanel, ViewScreen, *FEATURES),
    "search": (SearchBar,),
    "app": (ViewScreen, *FEATURES),
}
"""The classes that may define the actions of a scope: its view, the frame, or a feature."""


def test_each_feature_is_declared_with_the_actions_that_it_performs() -> None:
    found = {name: {part for part in vars(feature_in(name)) if part[:7] == "action_"} for name in FEATURE_FILES}
    declared = {name: {f"action_{part}" for part in ids.split()} for name, ids in FEATURE_FILES.items()}
    of_form = {action.id for action in in_scopes("edit")} & set(FEATURE_FILES["changes.editing"].split())
    declared["changes.bulk_editing"] |= {f"action_{part}" for part in of_form}  # for the form that it owns
    assert found == declared
    files = {file.name for file in walk_packages(features.__path__, f"{features.__name__}.") if not file.ispkg}
    without_a_feature = {"feature", "changes.lists"}
    assert {file.removeprefix(f"{features.__name__}.") for file in files} - without_a_feature == set(FEATURE_FILES)


def test_every_action_has_a_method_a_key_and_a_line_of_help() -> None:
    helped = {(row.action_id, row.words) for row in help_rows(())}
    for action in ACTIONS:
        homes, call = HOMES[action.scope], (action.call or action.id).partition("(")[0]
        if call.startswith("app."):
            homes, call = (RuntuiApp,), call.removeprefix("app.")
        assert [home for home in homes if callable(getattr(home, f"action_{call}", None))], f"nobody has action_{call}"
        assert action.keys, action
        assert action.help.endswith("."), action
        assert (action.id, action.help) in helped


def contexts() -> Iterator[ActionContext]:
    yield ActionContext()
    yield ActionContext(has_run=True, why_read_only="It was made read-only.")
    yield ActionContext(has_run=True, saving=True)
    yield ActionContext(has_run=True, changes=1, errors=2, marks=3)


def test_reasons_are_sentences() -> None:
    for context in contexts():
        for action in ACTIONS:
            reason = why_not(action, context)
            assert reason is None or (reason[0] == reason[0].upper() and reason.endswith("."))


def test_every_reason_can_be_shown_and_every_condition_of_a_hint_is_used() -> None:
    assert set(REASONS) == {action.needs for action in ACTIONS}
    assert set(HINTED_WHILE) == {action.hinted for action in ACTIONS}


def hinted(*scopes: Scope, typing: bool = False, **facts: Any) -> str:
    """Return the hints of the bottom line while these scopes have the focus."""
    return " ".join(action.id for action, *_ in hints(in_scopes(*scopes), ActionContext(**facts), typing=typing))


def test_a_hint_line_names_five_actions_that_apply_now_and_the_help() -> None:
    runs: tuple[Scope, ...] = ("runs", "rows", "row", "run", "app")
    on_a_run = {"has_run": True, "has_list": True, "has_row": True}
    nobody = SimpleNamespace(is_person=True, state=SimpleNamespace(account=None, needs_person=None))
    expired = SimpleNamespace(is_person=True, state=SimpleNamespace(account="lee", needs_person="expired"))
    somebody = SimpleNamespace(is_person=True, state=SimpleNamespace(account="lee", needs_person=None))
    assert hinted(*runs, **on_a_run) == "edit open_run filter causes act help"
    assert hinted(*runs, **on_a_run, has_own_change=True) == "edit open_run filter undo causes help"
    assert hinted(*runs, **on_a_run, is_demo=True) == "edit open_run filter causes simulate help"
    assert hinted(*runs, **on_a_run, why_read_only="A profile.") == "open_run filter causes next_problem copy help"
    assert hinted(*runs, has_list=True) == "filter causes problems journal overview help"
    assert hinted(*runs, **on_a_run, needs_refresh=True).startswith("edit refresh"), "a person need not wait"
    for who in (nobody, expired):
        assert hinted(*runs, has_list=True, sign_in=who).startswith("sign_in filter"), "the way on"
    assert hinted(*runs, has_list=True, sign_in=somebody).startswith("filter")
    causes: tuple[Scope, ...] = ("causes", *VIEWS["causes"], "app")
    assert hinted(*causes, has_list=True, has_row=True) == "cause_runs filter leave_view copy mark help"
    assert hinted(*causes, has_list=True) == "filter leave_view journal overview sort help"
    assert hinted("edit", "app", has_run=True).startswith("review leave"), "what is the aim of a form"
    assert "causes" not in hinted("edit", "app", has_run=True)


async def test_an_action_that_cannot_run_says_why(open_session: Opener) -> None:
    async with open_session(runs=12) as session:
        await session.press("U")
        assert "Nothing is marked." in session.text()
        await session.press("e", "f8")
        assert "Nothing has changed yet." in session.text().splitlines()[-2]
        await session.press("f1")
        assert session.find(HelpView).display
        await session.press("escape")
        assert session.view == "edit"


async def test_refresh_and_pause_by_key(open_session: Opener) -> None:
    async with open_session(runs=12) as session:
        finished = session.workspace.refresh.progress.finished_at
        await session.press("p")
        await session.until(lambda: "paused" in session.header)
        assert "r refresh" in session.text().splitlines()[-1]
        await session.press("r")
        await session.until(lambda: session.workspace.refresh.progress.finished_at != finished)
        await session.press("p")
        await session.until(lambda: "paused" not in session.text())
        assert "r refresh" not in session.text().splitlines()[-1]


async def test_the_hint_bar_is_one_line_of_whole_hints_in_every_place(open_session: Opener) -> None:
    async with open_session(size=(80, 24), runs=12) as session:
        whole = {f"{key} {action.label}" for action in ACTIONS for key in (action.shown_key, action.key_while_typing)}

        def check() -> list[str]:
            line = session.text().splitlines()[-1]
            assert cell_len(line) <= session.app.size.width
            hints = line.strip().split("  ")
            assert set(hints) <= whole | {"] panel"}
            return hints

        assert check()[0] == "e edit"
        assert "esc back" not in check(), "esc does nothing here"
        for opened in ("right_square_bracket", "x"):
            await session.press(opened)
            assert "esc back" in check(), opened
            await session.press("escape")
            assert "esc back" not in check(), opened
        await session.press("greater_than_sign")
        assert check()[0] == "esc back"
        await session.press("less_than_sign", "question_mark")
        assert check()[0] == "esc close"
        await session.press("escape", "e", "enter", "down", "enter")
        assert check()[0] == "ctrl+s review"
        await session.press("ctrl+s")
        assert check()[0] == "y send"
        for width in (72, 60, 200):
            await session.pilot.resize_terminal(width, 24)
            check()


async def test_hints_name_no_key_that_would_be_typed(open_session: Opener) -> None:
    async with open_session(size=(120, 24), runs=12) as session:
        await session.press("e", "down", "down")
        hints = session.text().splitlines()[-1]
        assert "F1 help" in hints
        assert "F11 zoom" in hints
        assert " z zoom" not in hints
        await session.press("escape", "slash")
        hints = session.text().splitlines()[-1]
        assert "enter keep" in hints
        assert "F1 help" in hints
        await session.press("f5", "x")
        assert session.runs.filter_text == "x"


async def test_help_lists_every_key_and_gives_the_way_back(open_session: Opener) -> None:
    async with open_session(size=(80, 24), runs=12) as session:
        await session.press("question_mark")
        assert session.text().splitlines()[3].strip() == "A run", "where one is stands first"
        await session.press("end")
        assert "being saved" in session.text()
        for key in ("escape", "q", "question_mark", "f1"):
            await session.press(key)
            assert session.view == "runs"
            await session.press("f1")
            assert session.view == "help"
    in_form = {row.action_id: row.keys for row in help_rows(("edit", "app"))}
    assert (in_form["zoom"], in_form["causes"]) == ("F11", "–"), "a letter is text there"
    keys = " ".join(row.keys for row in help_rows(()))
    for action in ACTIONS:
        assert key_text(action.keys[0]) in keys


async def test_a_page_down_is_one_step(open_session: Opener) -> None:
    """Each step of an animation is a frame that a slow line must transmit."""
    async with open_session(size=(80, 24), runs=12) as session:
        await session.press("greater_than_sign")
        await session.until(lambda: "users: " in session.inside(session.panel))  # a whole page: enough to scroll
        page = session.find(JsonView)
        seen: list[float] = []

        def see(y: float) -> None:
            seen.append(y)

        session.app.screen.watch(page, "scroll_y", see, init=False)
        await session.press("pagedown")
        await session.until(lambda: page.scroll_offset.y == page.scrollable_content_region.height)
        assert len(seen) == 1


async def test_help_opens_where_the_keys_are(open_session: Opener) -> None:
    async with open_session(size=(120, 30), runs=12) as session:
        for keys, title in ((["slash"], "Filter box"), (["escape", "greater_than_sign"], "Text in the side panel")):
            await session.press(*keys, "f1")
            assert session.text().splitlines()[3].strip("│ ").startswith(title)
            await session.press("escape")


async def test_help_is_filtered_and_runs_what_is_chosen(open_session: Opener) -> None:
    async with open_session(size=(80, 24), runs=12) as session:
        view_keys = ["question_mark", "slash", *"problems", "enter", "enter"]
        for key in view_keys:
            session.app.post_message(events.Key(key, key if len(key) == 1 else None))
        await session.settled()
        assert (session.view, session.runs.filter_text) == ("runs", "is:problem")
        await session.press("question_mark")
        table = session.find("#help-table", LineTable)
        await session.press("pagedown")
        row = table.row_under_cursor()
        assert row is not None
        assert row.words in str(session.find("#help-about", Static).content)
        await session.press("slash")
        await session.type("discard press")
        assert "of" in session.text().splitlines()[2]
        assert "Form: Discard the draft" in session.text()
        await session.press("enter", "enter")
        assert session.view == "runs"
        assert "shift+F8 discard works in: Form, Conflict." in session.text()
        await session.press("question_mark", "slash")
        await session.type("clear marks")
        await session.press("enter", "enter")
        assert session.view == "runs"
        assert "Nothing is marked." in session.text()
        cursor = session.runs.table.cursor
        await session.press("question_mark", "slash")
        await session.type("one line down")
        await session.press("enter", "enter")
        assert session.runs.table.cursor == cursor + 1, "a table's own keys work as well"
        await session.press("question_mark", "slash")
        await session.type("zzz")
        assert "No key matches the filter." in session.text()
        await session.press("escape", "escape")
        assert session.view == "runs"


async def test_help_starts_at_the_top_however_it_was_left(open_session: Opener) -> None:
    async with open_session(size=(80, 24), runs=12) as session:
        await session.press("question_mark")
        first = session.text()
        await session.press("slash")
        await session.type("discard press")
        assert session.text() != first
        await session.press("f1")
        assert session.view == "runs"
        await session.press("question_mark")
        assert session.text() == first
        await session.press("end", "question_mark", "question_mark")
        assert session.text() == first


async def test_the_palette_finds_runs_and_gives_reasons(open_session: Opener) -> None:
    async with open_session(size=(100, 30), runs=40) as session:
        table = session.runs.table
        await session.press("ctrl+p")
        await session.type("clear marks")
        await session.until(lambda: "Nothing is marked." in session.text())
        await session.press("escape")
        assert session.view == "runs"
        await session.press("colon")
        palette_input = session.app.screen.query_one(LineInput)
        assert palette_input.has_focus
        await session.type("problems")
        await session.until(lambda: "Show only runs with problems" in session.text())
        await session.press("enter", "enter")
        await session.until(lambda: table.total == session.workspace.store.count(RunQuery(run_filter("is:problem"))))


async def test_themes_go_round(open_session: Opener) -> None:
    async with open_session(runs=12) as session:
        first, seen = session.app.theme, []
        for _ in THEMES:
            seen.append(session.app.theme)
            await session.press("T")
        assert session.app.theme == first
        assert sorted(seen) == sorted(THEMES)


async def test_keys_in_the_config_replace_the_default_keys(open_session: Opener) -> None:
    remap(read_keys({"edit": ["ctrl+e", "E"], "back": "backspace", "review": "ctrl+y", "journal": "H"}).by_name)
    try:
        async with open_session(size=(80, 24), runs=12) as session:
            assert session.text().splitlines()[-1].startswith(" ctrl+e edit")
            await session.press("e", "f4", "J")
            assert session.view == "runs"
            await session.press("ctrl+e", "enter", "down", "enter")
            assert session.view == "edit"
            assert session.text().splitlines()[-1].startswith(" ctrl+y review")
            await session.press("ctrl+s")
            assert session.view == "edit"
            await session.press("ctrl+y")
            assert session.view == "review"
            await session.press("escape")
            assert session.view == "review"
            await session.press("backspace", "backspace")
            assert "The draft is kept; ctrl+e on the run opens it again." in session.text()
            await session.press("H", "question_mark", "slash")
            await session.type("form")
            assert "ctrl+e E " in session.text()
    finally:
        remap({})
