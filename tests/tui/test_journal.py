"""The journal on the screen: every change that was sent, its outcome, and the keys for it."""

from __future__ import annotations

import csv
import json
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runtui.domain.columns import Column, list_layout
from runtui.domain.report import Outcome
from runtui.domain.times import now_ticks, ticks_of
from runtui.services.records.journal import Entry, Intent, Journal, Settlement
from runtui.services.records.journal_query import PAGE
from runtui.tui.features.changes.lists import JOURNAL, RESULTS, EntryRow, entry_rows
from runtui.tui.text import fit
from runtui.tui.widgets.row_list import needs_of
from tests import there
from tests.tui.conftest import ROOT, Opener, Session
from tests.tui.test_faults import graph_error
from tests.tui.test_undo import change
from tests.tui.wires import Graph
from tests.unit.entries import an_entry
from tests.unit.intents import intent, record_intent

OTHER_ROOT = "https://graph.example/beta"


def shown(session: Session) -> list[Entry]:
    return session.journal.entries


async def open_journal(session: Session) -> None:
    await session.press("J")
    await session.until(lambda: session.view == "journal" and shown(session))


def record(journal: Journal, number: int, *, root: str = ROOT, outcome: Outcome | None = Outcome.DONE) -> None:
    """Put an entry of an earlier session into the journal."""
    intent = Intent(
        who="me@contoso.example",
        profile="default",
        tenant="Contoso",
        root=root,
        workflow_id="w1",
        workflow_name="Onboard [/b] \x1b[2J" if number % 2 else "Offboard",
        run_id=f"run-{number % 5}",
        method="PATCH",
        url=f"{root}/workflowBase/runs/run-{number % 5}",
        body='{"processingStatus": "canceled"}',
        before={"processingStatus": "failed"},
        after={"processingStatus": "canceled"},
        client_request_id=f"client-{number}",
    )
    record_intent(journal, intent)
    if outcome is not None:
        journal.settle(
            Settlement(intent.client_request_id, outcome, "answer" if outcome is not Outcome.UNKNOWN else "")
        )


async def test_the_journal_has_one_line_per_entry_newest_first(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire, size=(160, 40)) as session:
        await session.press("J")
        await session.until(lambda: "Nothing has been sent yet." in session.text())
        await session.press("escape")
        first = await change(session)
        graph.answer_to_patch = graph_error(403, "Forbidden", "Insufficient privileges.")
        await change(session)
        graph.answer_to_patch = graph_error(500, "InternalServerError", "It broke.")
        await session.press("e", "ctrl+s", "y")
        await session.until(lambda: " unknown" in session.status.text)
        assert "runtui checks the run again by itself; J shows the journal." in session.status.text
        assert "before you repeat" not in session.text()
        assert session.status.has_class("-warning"), "unknown is no failure"
        await open_journal(session)
        assert not session.status.text, "the journal tells it"
        assert [entry.number for entry in shown(session)] == [3, 2, 1]
        lines = [line for line in session.inside(session.left).splitlines() if "Onboard" in line]
        for line, words in zip(lines, ("? unknown", "✗ not done", "✓ done"), strict=True):
            assert words in line
        assert f"{first.opened_at.astimezone():%H:%M}" in lines[2]
        assert "failed → " in lines[2]


def test_a_narrow_line_spends_its_room_on_the_change(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    record(journal, 1)
    (entry,) = journal.of_run(ROOT, "run-1")
    journal.close()
    (row,) = entry_rows([entry], ROOT).rows
    assert texts(row, 80)[-1] == "failed → canceled"
    assert "run-1" not in texts(row, 60)
    assert texts(row, 100)[-2:] == ["run-1", "failed → canceled"]


@pytest.mark.parametrize("columns", [JOURNAL.columns, RESULTS.columns], ids=["journal", "results"])
def test_a_narrow_line_has_the_number_of_the_change_whole(columns: tuple[Column[Any], ...]) -> None:
    needs = (("number", 4), ("opened", 5), ("outcome", 10), ("workflow", 28), ("change", 30), ("reason", 31))
    assert {column.key: cells for column, cells in list_layout(columns, 60, needs)}["number"] == 4


def test_a_change_comes_before_what_it_undoes_and_shows_local_times() -> None:
    now, later = datetime(2026, 11, 20, 12, tzinfo=UTC).astimezone(), datetime(2025, 2, 3, tzinfo=UTC).astimezone()
    before = {"a": later.isoformat(), "b": "2026-11-20T09:15:03.1Z"}
    after = {"a": now.isoformat(), "b": "2026-11-20T09:15:03.2Z"}
    entry = an_entry(2, before=before, after=after, undoes=1)
    (change,) = (column for column in JOURNAL.columns if column.key == "change")
    text = change.show(EntryRow(entry, ROOT), ticks_of(now)).text
    told = f"a: {later.day} Feb 2025 → {now:%H:%M}, b: 2026-11-20T09:15:03.1Z → 2026-11-20T09:15:03.2Z"
    assert text.endswith(f"{told} (undoes #1)"), "moments of the same minute are told apart"


def texts(row: EntryRow, width: int) -> list[str]:
    """Return the text of an entry's cells in a line of that width, truncated as the table does."""
    layout = list_layout(JOURNAL.columns, width, needs_of(JOURNAL.columns, [row]))
    return [fit(column.show(row, now_ticks()).text, room).rstrip() for column, room in layout]


async def test_enter_shows_what_was_sent_and_answered(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire) as session:
        entry = await change(session)
        await open_journal(session)
        await session.press("enter")
        await session.until(lambda: "#1 done (200 OK)" in session.inside(session.panel))
        text = " ".join(session.inside(session.panel).split())
        assert "200" in text
        assert entry.client_request_id in text
        session.app.chrome.panel.choose("request")
        await session.pilot.pause()
        text = "".join(session.inside(session.panel).split())
        assert f"PATCH{ROOT}/workflowBase/runs/run-4" in text
        assert "processingStatus:failed→canceling" in text


async def test_another_name_of_this_server_is_no_other_root(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire, size=(160, 30)) as session:
        record(session.workspace.journal, 0, root=ROOT.replace("127.0.0.1", "localhost").replace("beta", "v1.0"))
        await open_journal(session)
        assert [entry.number for entry in shown(session)] == [1]
        assert "at localhost" not in session.text()
        assert not session.app.chrome.context().is_elsewhere


async def test_other_roots_are_shown_when_asked_for_and_left_alone(open_session: Opener) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire, size=(160, 30)) as session:
        record(session.workspace.journal, 0)
        record(session.workspace.journal, 1, root=OTHER_ROOT)
        record(session.workspace.journal, 2, root=OTHER_ROOT, outcome=Outcome.UNKNOWN)
        await open_journal(session)
        assert [entry.number for entry in shown(session)] == [1]
        await session.press("i")
        await session.until(lambda: len(shown(session)) == 3)
        assert "graph.example/beta" in session.text()
        assert "\x1b" not in session.text()
        await session.press("g")
        for key in ("u", "l", "d"):
            await session.press("down", "up", key)
            assert "This change was made on another server" in session.status.text, key
            await session.press("less_than_sign")
        await session.press("i")
        await session.until(lambda: len(shown(session)) == 1)


async def test_the_filter_finds_and_complains(open_session: Opener) -> None:
    async with open_session(runs=12) as session:
        for number in range(6):
            record(session.workspace.journal, number, outcome=Outcome.DONE if number % 2 else Outcome.NOT_DONE)
        await open_journal(session)
        await session.press("slash")
        await session.type("outcome:not-done")
        await session.until(lambda: [entry.number for entry in shown(session)] == [5, 3, 1])
        await session.press("enter")
        assert "/outcome:not-done" in session.text()
        await session.press("slash", "backspace")
        await session.type("x")
        assert "There is no outcome" in session.words
        assert len(shown(session)) == 3, "a filter that makes no sense changes nothing"
        await session.press("backspace", "enter", "escape")
        await session.until(lambda: len(shown(session)) == 6)
        assert session.view == "journal"
        await session.press("slash")
        await session.type("foo:bar")
        assert "No field is called foo." in session.words
        await session.press("escape", "slash")
        await session.type("nowhere")
        await session.until(lambda: "No entry matches the filter." in session.text())
        await session.press("escape", "escape")
        assert session.view == "runs"


async def test_thousands_of_entries_are_read_a_page_at_a_time(open_session: Opener) -> None:
    async with open_session(runs=12) as session:
        journal = session.workspace.journal
        record(journal, 0)
        with journal._using() as db:
            (columns,) = db.execute(
                "SELECT group_concat(name) FROM pragma_table_info('entry') WHERE name NOT IN "
                "('number', 'client_request_id')"
            ).fetchone()
            db.execute(
                f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {2 * PAGE}) "
                f"INSERT INTO entry (client_request_id, {columns}) SELECT 'copy-' || i, {columns} FROM n, entry"
            )
        await open_journal(session)
        assert len(shown(session)) == PAGE
        assert f"{PAGE}+" in session.text()
        await session.press("G")
        await session.until(lambda: len(shown(session)) == 2 * PAGE)
        assert session.journal.entry == shown(session)[PAGE - 1], "the cursor stays on its entry"
        await session.press("G")
        await session.until(lambda: len(shown(session)) == 2 * PAGE + 1)
        assert shown(session)[-1].number == 1
        numbers = [entry.number for entry in shown(session)]
        assert numbers == sorted(set(numbers), reverse=True)


async def test_another_order_is_that_of_all_entries(open_session: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    def order(session: Session) -> list[int]:
        table = session.journal.list.table
        return [row.entry.number for row in table._source.window(0, table.total)]

    for module in ("services.records.journal_query", "tui.features.changes.journaling"):
        monkeypatch.setattr(f"runtui.{module}.PAGE", 2)
    async with open_session(runs=12) as session:
        for number in range(5):
            outcome = Outcome.NOT_DONE if number == 2 else Outcome.DONE
            record(session.workspace.journal, number, outcome=outcome)
        await open_journal(session)
        assert order(session) == [5, 4]
        await session.press("S")
        assert "● number ↓" in session.text()
        await session.press("j", "enter", "S")
        assert "● number ↑" in session.text()
        assert order(session) == [1, 2, 3, 4, 5], "the picker after it waits for all entries"
        await session.press("escape", "s", "s")
        assert order(session)[0] == 3, "what was refused stands first"
        await session.press("I")
        assert order(session)[-1] == 3


async def test_the_cursor_stays_on_its_entry_when_one_comes(open_session: Opener) -> None:
    async with open_session(runs=12) as session:
        for number in range(3):
            record(session.workspace.journal, number)
        await open_journal(session)
        await session.press("j")
        entry = there(session.journal.entry)
        record(session.workspace.journal, 7)
        await session.until(lambda: len(shown(session)) == 4)
        assert session.journal.entry == entry
        await session.press("escape", "J")
        assert session.journal.entry == entry, "nothing came since it was in sight"
        await session.press("escape")
        record(session.workspace.journal, 8)
        await session.press("J")
        await session.until(lambda: len(shown(session)) == 5)
        assert session.journal.entry == shown(session)[0], "what was sent since is what it is opened for"


async def test_a_check_settles_a_change_that_the_run_shows_now(open_session: Opener) -> None:
    graph = Graph(answer_to_patch=graph_error(500, "InternalServerError", "It broke."))
    async with open_session(wire=graph.wire) as session:
        entry = await change(session)
        await open_journal(session)
        await session.press("l")
        await session.until(lambda: "#1 is still unknown" in session.status.text)
        graph.runs[entry.run_id] |= entry.after
        await session.press("l")
        await session.until(lambda: "#1 done, seen on read-back" in session.status.text)
        await session.until(lambda: "✓ done" in session.text())
        await session.press("l")
        assert "The outcome of this change is known." in session.status.text


async def test_a_person_decides_what_became_of_a_change(open_session: Opener) -> None:
    graph = Graph(answer_to_patch=graph_error(500, "InternalServerError", "It broke."))
    async with open_session(wire=graph.wire) as session:
        entry = await change(session)
        await open_journal(session)
        for keys in (("d", "escape"), ("d", "enter")):
            await session.press(*keys)
            assert session.view == "journal"
            now = there(session.workspace.journal.entry(entry.number))
            assert now.outcome is Outcome.UNKNOWN
        await session.press("d")
        assert "What became of #1?" in session.text()
        assert "processingStatus: failed → " in session.text(), "a property has its own name"
        await session.press("j", "j", "enter")
        await session.until(lambda: "#1 not done, as you decided" in session.status.text)
        now = there(session.workspace.journal.entry(entry.number))
        assert (now.outcome, now.known_by) == (Outcome.NOT_DONE, "person")
        await session.press("d")
        assert "The outcome of this change is known." in session.status.text


async def test_export_writes_a_private_file_and_says_where(open_session: Opener, tmp_path: Path) -> None:
    graph = Graph()
    async with open_session(wire=graph.wire, size=(160, 40)) as session:
        await change(session)
        await change(session)
        await open_journal(session)
        for downs, form in enumerate(("jsonl", "csv", "md")):
            await session.press("E")
            assert session.view == "picker"
            await session.press(*["down"] * downs, "enter")
            await session.until(lambda: f".{form}" in session.status.text)  # noqa: B023
            assert session.view == "journal"
        files = {path.suffix: path for path in (tmp_path / "exports").iterdir()}
        assert set(files) == {".jsonl", ".csv", ".md"}
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files.values())
        assert str(files[".md"]) in session.status.text
        assert "2 entries written" in session.status.text
        assert [json.loads(line)["number"] for line in files[".jsonl"].read_text().splitlines()] == [2, 1]
        assert len(list(csv.DictReader(files[".csv"].read_text().splitlines()))) == 2
        assert "## Change #1: done" in files[".md"].read_text()
        await session.press("E", "escape")
        assert session.view == "journal"


async def test_an_empty_journal_has_nothing_to_export(open_session: Opener, tmp_path: Path) -> None:
    async with open_session(runs=12) as session:
        await session.press("J", "E")
        assert session.view == "journal"
        assert "There is nothing to export." in session.status.text
    assert not (tmp_path / "exports").exists()


async def test_a_journal_that_cannot_be_read_says_why(open_session: Opener, tmp_path: Path) -> None:
    async with open_session(runs=12) as session:
        session.workspace.journal.close()
        session.workspace.journal.path = tmp_path  # a file in place of the folder
        await session.press("J")
        await session.until(lambda: "The journal cannot be used" in session.text())
        await session.press("u")
        assert "There is no change under the cursor." in session.status.text
        await session.press("escape", "u")
        await session.until(lambda: "The journal cannot be used" in session.status.text)


async def test_a_panel_that_shows_entries_follows_the_cursor(open_session: Opener) -> None:
    async with open_session(runs=12) as session:
        journal, root = session.workspace.journal, session.workspace.root
        for name in ("first", "second"):
            record_intent(journal, intent(root=root, run_id=name, client_request_id=name))
        await session.press("J")
        await session.until(lambda: "#2" in session.text())
        await session.press("enter")
        await session.until(lambda: "#2 " in session.inside(session.panel))
        await session.press("down")
        await session.until(lambda: "#1 " in session.inside(session.panel))
