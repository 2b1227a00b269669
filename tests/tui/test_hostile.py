"""Server text that attacks terminals and markup: shown as visible characters everywhere, never obeyed or altered."""

from __future__ import annotations

import json
import re

from runtui.domain.rows import RUN_COLUMNS
from runtui.domain.text import UNSAFE, visible
from runtui.domain.views import ListSettings
from runtui.sandbox.tenant.seed import HOSTILE_TEXTS
from runtui.services.store.store import EVERY_RUN
from tests import there
from tests.tui.conftest import Opener, Session
from tests.tui.wires import Graph, a_run, reply

ATTACK = "[/x][@click=app.quit]q[/]\x1b[2J\x9b31m\u202etac\u200b入社"


def is_safe(session: Session) -> bool:
    return all(UNSAFE.search(line) is None for line in session.text().splitlines())


async def test_names_are_shown_as_signs_in_list_form_review_and_panel(open_session: Opener) -> None:
    async with open_session(size=(200, 50), hostile=True, runs=120) as session:
        store, table = session.workspace.store, session.runs.table
        names = {workflow["displayName"] for workflow in store.workflows()}
        assert names >= set(HOSTILE_TEXTS)
        for text in HOSTILE_TEXTS:
            word = re.findall(r"[a-z]{3,}", text)[0]
            session.runs.show_settings(ListSettings(f'wf:"{word}"'))
            await session.press("g")
            assert table.total > 0
            row = there(session.runs.list.row)
            assert visible(row.workflow_name)[:12] in session.text()
            assert is_safe(session)
        await session.press("escape", "slash")
        await session.type("[/x]")
        await session.press("enter")
        assert table.total > 0

        await session.press("e")
        await session.until(lambda: session.view == "edit")
        assert "[/x] closes what was never opened" in session.text()
        await session.press("enter", "down", "enter", "ctrl+s")
        await session.until(lambda: session.view == "review")
        assert "[/x] closes what was never opened" in session.text()
        await session.press("n", "escape", "enter")
        await session.until(lambda: "[/x] closes what was never opened" in session.inside(session.panel))
        assert is_safe(session)
        await session.press("ctrl+p")
        await session.pilot.pause()
        assert is_safe(session)
        assert session.app.is_running


async def test_hostile_names_sort(open_session: Opener) -> None:
    async with open_session(size=(120, 40), hostile=True, runs=60) as session:
        table = session.runs.table
        await session.press(*["s"] * len(RUN_COLUMNS))
        assert session.runs.shown == EVERY_RUN
        while session.runs.shown.sort != "workflow":
            await session.press("s")
        rows = session.workspace.store.window(session.runs.shown, 0, table.total)
        keys = [row.workflow_name.casefold() for row in rows]
        assert keys == sorted(keys)
        assert is_safe(session)


async def test_editing_another_field_leaves_hostile_text_untouched_on_the_server(open_session: Opener) -> None:
    odd = a_run(0) | {
        "id": "9" * 64 + "_" + "7" * 65,
        "processingStatus": ATTACK,
        "workflowExecutionType": "tomorrowsType",
        "scheduledDateTime": "2026-11-20T09:15:03.9206151+02:00",
        "[b]note[/b]": ATTACK,
        "nested": {ATTACK: [ATTACK, None, 9_007_199_254_740_993]},
        "completedDateTime": None,
    }
    run_id = str(odd["id"])
    graph = Graph(runs={run_id: odd})
    async with open_session(wire=graph.wire) as session:
        assert visible(ATTACK)[:10] in session.text()
        assert is_safe(session)
        await session.press("enter")
        await session.until(lambda: "No task failed." in session.text())
        await session.press("e")
        await session.until(lambda: session.view == "edit")
        await session.press("enter")
        assert is_safe(session)
        await session.press("escape", *["down"] * 9)
        await session.type("7")
        await session.press("ctrl+s")
        await session.until(lambda: session.view == "review")
        assert is_safe(session)
        await session.press("y")
        await session.until(lambda: not session.workspace.saves.active() and graph.patches)
        (sent,) = map(json.loads, graph.patches)
        assert graph.runs[run_id] == odd | {"failedTasksCount": 7}
        for name in ("processingStatus", "workflowExecutionType", "scheduledDateTime"):
            assert sent[name] == odd[name]
        stored = there(session.workspace.store.get(run_id))
        assert stored.raw == graph.runs[run_id]
        await session.press("greater_than_sign", "f9", "f9", "f9")
        for _ in range(4):
            await session.press("f9")
            assert is_safe(session)


async def test_error_words_and_reasons_of_a_server_are_text(open_session: Opener) -> None:
    graph = Graph()
    task = {
        "id": "t",
        "processingStatus": "failed",
        "failureReason": ATTACK,
        "task": {"displayName": ATTACK},
        "subject": {"id": ATTACK},
    }
    graph.answer_to_results = lambda: reply(200, {"value": [task]})
    graph.answer_to_patch = lambda _: reply(
        400, {"error": {"code": ATTACK, "message": ATTACK, "details": [{"target": ATTACK, "message": ATTACK}]}}
    )
    async with open_session(size=(120, 50), wire=graph.wire) as session:
        await session.press("enter")
        await session.until(lambda: visible(ATTACK)[:20] in session.inside(session.panel))
        assert is_safe(session)
        await session.press("e", "enter", "down", "enter", "ctrl+s", "y")
        await session.until(lambda: graph.patches and not session.workspace.saves.active())
        await session.until(lambda: "ot done" in session.text())
        assert visible(ATTACK)[:20] in session.text()
        assert is_safe(session)
        assert json.loads(session.app.chrome.panel.pages["response"].body)["error"]["code"] == ATTACK
        assert session.app.is_running
