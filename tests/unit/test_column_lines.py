"""Tables on standard output: whole in a pipe, fitted and coloured on a terminal, safe on both."""

from __future__ import annotations

import re

import pytest

from runtui.domain.columns import Column, ListCell
from runtui.domain.results import Cause
from runtui.domain.rows import ROW_PROPERTIES, RUN_COLUMNS, RunRow
from runtui.domain.text import UNSAFE, cells_in
from runtui.domain.times import TICKS_PER_SECOND, parse_ticks
from runtui.domain.triage.causes import CAUSE_COLUMNS, cause_rows
from runtui.headless.output import Output, column_lines

NOW = parse_ticks("2026-11-20T12:00:00Z")
NAMES = ("Onboard new hire, first day, EMEA and Asia", "入社手続き（東京オフィス）", "\x1b[31mOffboard\x9b\u202e")
COLOUR = re.compile(r"\x1b\[[\d;]*m")


def a_row(number: int) -> RunRow:
    values = {item.key: "" if item.is_text else None for item in ROW_PROPERTIES}
    statuses = ("failed", "completedWithErrors", "pausedByPolicy\x1b[2J")
    facts = {"users": 12, "successful": 3, "failedUsers": 9, "started": NOW - number * 3600 * TICKS_PER_SECOND}
    name = NAMES[number % 3]
    return RunRow(number, f"6513270e_{number}\x07", "w", name, values | facts | {"status": statuses[number % 3]})


def lines(out: Output, *keys: str, rows: int = 9) -> list[str]:
    columns = [column for key in keys for column in RUN_COLUMNS if column.key == key] or RUN_COLUMNS
    printed = column_lines(columns, lambda: map(a_row, range(rows)), NOW, out, is_chosen=bool(keys))
    return list(printed)


def cells(line: str) -> int:
    return cells_in(COLOUR.sub("", line))


def test_in_a_pipe_nothing_is_cut_and_nothing_is_coloured() -> None:
    title, *rows = lines(Output(), "workflow", "status", "users")
    assert title.split() == ["workflow", "status", "users"]
    assert rows[0].startswith(NAMES[0])
    assert "3/12 ✗9" in rows[0]
    assert not any("…" in row or UNSAFE.search(row) for row in rows)
    assert len({row.index("✗9") for row in rows if row.isascii()}) <= 1


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 200])
@pytest.mark.parametrize("keys", [(), ("id", "workflow", "status", "type"), ("workflow",)])
def test_a_terminal_gets_lines_that_fit(width: int, keys: tuple[str, ...]) -> None:
    printed = lines(Output(width, has_colours=True), *keys)
    least = 5 * len(keys) if keys else 40
    assert max(map(cells, printed)) <= max(width, least)
    assert not any(UNSAFE.search(COLOUR.sub("", line)) for line in printed)
    assert not keys or all(key in printed[0] for key in keys if width >= 60)


def test_a_column_of_fixed_width_is_cut_after_those_that_have_grown() -> None:
    words = "processingStatus: failed → canceled, completedDateTime: none → 2026-11-20T10:00:00Z"
    opened = Column[str]("opened", "opened", 25, 1, lambda row, _: ListCell("2026-11-20 10:00:00+00:00"))
    change = Column[str]("change", "change", 20, 1, lambda row, _: ListCell(row), flexible=True)
    _, row = column_lines((opened, change), lambda: [words], NOW, Output(48), is_chosen=False)
    assert row.startswith("2026-11-20 10:00:00+00:00 processingStatus")


def test_colours_are_those_of_the_status_and_only_where_they_are_wanted() -> None:
    assert "\x1b[1;31m✗ failed" in lines(Output(80, has_colours=True))[1]
    assert not any("\x1b" in line for line in lines(Output(80)))


def test_no_rows_are_a_line_of_titles() -> None:
    assert lines(Output(), "status", "users", rows=0) == ["status users"]


def test_a_long_task_leaves_the_reason_the_room_of_a_terminal() -> None:
    cause = Cause("k", "Archive mailbox: Run a Custom Task Extension", "d", "word " * 30, 1, 1, NOW, NOW, ())
    rows = cause_rows([cause])
    title, row = column_lines(CAUSE_COLUMNS, lambda: rows, NOW, Output(100), is_chosen=False)
    assert title.index("reason") <= 29
    assert row[title.index("reason") : title.index("runs")].count("word") >= 8
