"""The side panel: request, response, run and log, each complete and reachable by keys."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from textual.widget import Widget
from textual.widgets import OptionList

from runtui.graph.exchange import Exchange, Failure, FailureKind
from runtui.tui.features.helping import Helping
from runtui.tui.text import content, wrapped
from runtui.tui.widgets.json_view import JsonView
from runtui.tui.widgets.option_lists import _summary
from runtui.tui.widgets.side_panel import Fact, Page
from runtui.tui.words.pages import about_run
from tests.tui.conftest import Opener, Session
from tests.tui.test_review import to_the_review
from tests.tui.test_undo import change
from tests.tui.wires import Graph, reply


def shown(widget: Widget) -> bool:
    return widget.display


def title_of(session: Session) -> str:
    return session.panel.tab


def down_to(session: Session, purpose: str) -> list[str]:
    """Return the keys that lead to the newest request of a purpose in the log."""
    return ["home", *["down"] * [exchange.purpose for exchange in session.workspace.exchanges].index(purpose), "enter"]


async def test_a_page_that_comes_while_the_app_exits_is_not_mounted(open_session: Opener) -> None:
    async with open_session() as session:
        session.app.exit()
        session.app.chrome.panel.show_page(Page((Fact("late"),)))
        session.app.chrome.panel.choose("log")


async def test_a_screen_mounted_ahead_draws_no_page_before_it_is_opened(open_session: Opener) -> None:
    async with open_session(ahead=True) as session:
        await session.until(lambda: session.panel.query(JsonView) and session.panel.query_one(JsonView).line_count > 1)
        page = session.app.feature[Helping].screen.query_one(JsonView)
        assert page.line_count <= 1
        await session.press("question_mark")
        assert page.line_count > 1


@pytest.mark.parametrize("body", ["<html>Sign in</html>", {"value": 7}, {"value": [], "@odata.nextLink": 7}])
async def test_the_log_has_a_listing_whose_answer_cannot_be_read(open_session: Opener, body: object) -> None:
    graph = Graph()
    async with open_session(graph=graph) as session:
        kept = session.workspace.exchanges
        assert not kept, "readable listings would fill it"
        graph.answer_to_list = lambda: reply(200, body, {"request-id": "quote-this-one"})
        await session.press("r")
        await session.until(lambda: session.workspace.refresh.progress.fault)
        assert [(each.purpose, each.status, each.request_id) for each in kept] == [
            ("list workflows", 200, "quote-this-one")
        ]


async def test_request_response_and_log(open_session: Opener) -> None:
    async with open_session() as session:
        await to_the_review(session)
        assert title_of(session) == "request"
        request = session.text()
        assert "PATCHhttp://127.0.0.1:1/beta/workflowBase/runs/" in "".join(session.inside(session.panel).split())
        assert '* "processingStatus"' in request or '*   "processingStatus"' in request, "what changed carries a sign"
        await session.press("y")
        await session.until(lambda: "200 OK" in session.text())
        assert title_of(session) == "response"
        text = session.text()
        exchange = next(exchange for exchange in session.workspace.exchanges if exchange.method == "PATCH")
        for words in ("200 OK   PATCH", " ms", exchange.request_id[:30], exchange.client_request_id[:20], '"id": '):
            assert words in text

        await session.press("greater_than_sign", "right_square_bracket")
        assert title_of(session) == "log"
        log = session.find("#panel-log", OptionList)
        assert session.app.focused is log
        assert log.option_count == len(session.workspace.exchanges) >= 3  # the form's read, the fresh read, the write
        assert "PATCH" in session.text()
        lines = []
        for key in ("g", "j", "k", "G", "ctrl+u", "ctrl+d"):
            await session.press(key)
            lines.append(log.highlighted)
        last = log.option_count - 1
        assert lines == [0, 1, 0, last, 0, last], "the keys of every list"
        await session.press(*down_to(session, "read run"))
        assert title_of(session) == "response"
        assert "200 OK   GET" in session.text()
        await session.press("right_square_bracket", *down_to(session, exchange.purpose))
        assert "200 OK   PATCH" in session.text()
        await session.press("left_square_bracket")
        for words in ("PATCH http", "client-request-id:", exchange.client_request_id[:20]):
            assert words in session.text(), "the request as it was sent"
        assert '"@odata.type"' in session.text()


async def test_tabs_zoom_and_the_way_back(open_session: Opener) -> None:
    async with open_session() as session:
        panel, left = session.panel, session.left
        seen = []
        for _ in range(4):
            seen.append(panel.tab)
            await session.press("f9")
        assert (seen, panel.tab) == (["run", "request", "response", "log"], "run")
        await session.press("left_square_bracket", "f9")
        assert panel.tab == "run"
        assert session.app.focused is session.runs.table, "the keys stay where they are"
        await session.press("greater_than_sign")
        assert session.app.focused is panel.query_one("#panel-page")
        await session.press("z")
        assert (left.display, panel.outer_size.width) == (False, 120)
        await session.press("shift+f9")
        assert session.app.focused is panel.query_one("#panel-log")
        await session.press("less_than_sign")
        assert left.display
        assert session.app.focused is session.runs.table
        await session.press("z")
        assert (panel.display, left.outer_size.width) == (False, 120)
        await session.press("greater_than_sign")
        assert shown(panel) is True
        assert panel.has_focus_within
        await session.press("escape")
        assert session.app.focused is session.runs.table
        assert left.display


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_key_for_the_panel_shows_it_beside_a_pane_that_fills_the_screen(
    open_session: Opener, size: tuple[int, int]
) -> None:
    async with open_session(size=size, wire=Graph().wire) as session:
        await session.press("z", "right_square_bracket")
        assert shown(session.panel) is True
        assert session.panel.tab == "run", "it opens as it was left"
        await change(session)
        await session.press("J", "z", "enter")
        assert shown(session.panel) is True
        assert "#1 done (200 OK)" in session.inside(session.panel)


async def test_on_a_narrow_screen_it_opens_under_the_list_and_esc_closes_it(open_session: Opener) -> None:
    async with open_session(size=(80, 24)) as session:
        panel = session.panel
        assert shown(panel) is False
        assert "  ] panel  " in session.text().splitlines()[-1], "why a run failed is a key away, and that is said"
        await session.press("right_square_bracket")
        assert "] panel" not in session.text().splitlines()[-1]
        await session.press("greater_than_sign")
        assert shown(panel) is True
        assert panel.has_focus_within
        await session.press("escape", "escape")
        assert shown(panel) is False
        await session.press("right_square_bracket")
        assert shown(panel) is True
        assert session.app.focused is session.runs.table
        await session.press("z")
        assert shown(panel) is False
        await session.press("z", "greater_than_sign", "z")
        assert shown(session.left) is False
        await session.press("escape", "right_square_bracket", "escape")
        assert shown(panel) is False


async def test_the_panel_names_what_failed(open_session: Opener) -> None:
    async with open_session(size=(120, 50)) as session:
        await session.press("slash")
        await session.type("status:failed offboard")
        await session.press("enter")
        await session.until(lambda: not session.panel.shows_another_run and "users:" in session.inside(session.panel))
        row = session.runs.list.row
        assert row is not None
        assert row.workflow_name[:20] in session.inside(session.panel)
        assert "× " in session.inside(session.panel)
        assert '"processingStatus": "failed"' in session.inside(session.panel)


async def test_an_id_beside_a_wide_name_is_cut_once_and_keeps_both_ends(open_session: Opener) -> None:
    run_id, name = "2d9032f6-b97e-4444-9fe2-6986ca595db3_639313439749706562", "入社手続き（東京オフィス）"
    async with open_session(size=(120, 40)) as session:
        await session.panel_rested()
        session.panel.cursor_run = run_id
        session.app.chrome.panel._show("run", Page(about=about_run(run_id, name)))
        assert session.panel._about._shown.plain == f"{name} 2d9032f6…49706562"


async def test_a_body_of_megabytes_is_shown_whole(open_session: Opener) -> None:
    notes = [{"n": number, "text": "x" * 60} for number in range(36_000)]
    graph = Graph(answer_to_patch=lambda run: reply(200, run | {"notes": notes}))
    async with open_session(wire=graph.wire) as session:
        await to_the_review(session)
        await session.press("y")
        await session.until(lambda: not session.workspace.saves.active())
        view = session.panel.query_one("#panel-page")
        await session.until(lambda: view.virtual_size.height > 4 * 36_000)
        await session.press("greater_than_sign", "G")
        await session.until(lambda: '"n": 35999' in session.text())
        await session.press("g")
        await session.until(lambda: "200 OK" in session.text())


async def test_only_the_lines_that_differ_are_drawn_while_typing(
    open_session: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_session() as session:
        await session.press("e")
        await session.until(lambda: session.view == "edit")
        await session.press(*["down"] * 6)
        await session.type("1")
        view = session.panel.query_one("#panel-page", JsonView)
        session.draw()
        drawn: list[int] = []
        monkeypatch.setattr(view, "refresh_lines", lambda _first, count: drawn.append(count))
        await session.type("2")
        assert drawn == [1]


async def test_keys_work_after_a_click_outside_all_widgets(open_session: Opener) -> None:
    async with open_session(runs=12) as session:
        session.app.screen.set_focus(None)
        await session.settled()
        await session.press("slash")
        await session.type("onboard")
        assert "/onboard" in session.text().replace(" ", "")


@pytest.mark.parametrize(
    ("kind", "words"), [(FailureKind.CANCELLED, "given up"), (FailureKind.TIMEOUT, "no answer"), (None, "200")]
)
def test_the_log_distinguishes_a_stopped_request_from_a_failed_one(kind: FailureKind | None, words: str) -> None:
    failure = Failure(kind, "maybe", "It ended.") if kind is not None else None
    began = datetime(2026, 11, 20, 9, tzinfo=UTC)
    status = 200 if kind is None else None
    exchange = Exchange(1, "read run", "GET", "http://x/", (), None, began, 0.25, status, failure=failure)
    assert f"  GET    {words}    250 ms  read run" in _summary(exchange)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("runs       on leaving, for guests", ["runs       on leaving,", "           for guests"]),
        ("· The user has a usage location.", ["· The user has a usage", "  location."]),
        ("  ✗ a reason that goes on", ["  ✗ a reason that goes", "  on"]),
        ("説明  入社手続き東京オフィス", ["説明  入社手続き東京オ", "      フィス"]),
        ("", [""]),
        ("PATCH http://a.b/beta/workflowBase/runs/1", ["PATCH http://a.b/beta/", "  workflowBase/runs/1"]),
        ("GET http://a.b/c/runs?$top=5&$skip=10", ["GET http://a.b/c/runs", "  ?$top=5&$skip=10"]),
        (
            "request   PATCH http://a.b/runs/0123456789_012345678901234",
            [
                "request   PATCH",
                "          http://a.b/",
                "          runs/",
                "          0123456789_",
                "          012345678901",
                "          234",
            ],
        ),
    ],
)
def test_a_long_fact_is_wrapped_below_its_text(text: str, lines: list[str]) -> None:
    assert [line.plain for line in wrapped(content(text), 22)] == lines
