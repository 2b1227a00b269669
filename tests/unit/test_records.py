"""CSV that a spreadsheet may open: text stays text, and reading it back returns what was written."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runtui.services.sharing.formats import csv_line


def read(line: str) -> list[str]:
    (record,) = csv.reader(io.StringIO(line, newline=""), strict=True)
    return record


@pytest.mark.parametrize(
    "text",
    [
        "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "'=1", '"=1', " '\" =1", "\u00a0=1", "\ufeff=1",
        "\uff1d1", "\x00=1", "=HYPERLINK(\"http://x\",\"y\")", "-2h", "\tx",
    ],
)  # fmt: skip
def test_text_that_begins_like_a_formula_gets_an_apostrophe(text: str) -> None:
    assert read(csv_line([text])) == ["'" + text]


@pytest.mark.parametrize("text", ["a=b", "2026-11-20T09:15:03Z", "it's", "'quoted'", "a\tb", "1-2", "Onboard - day 7"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert read(csv_line([text])) == [text]


def test_numbers_stay_numbers_and_nothing_is_empty() -> None:
    assert csv_line([12, -3, None, "", "12"]) == '12,-3,,"","12"'


@example(["=1", "'=1"])
@given(st.lists(st.text() | st.integers() | st.none(), min_size=1))
def test_what_is_read_back_is_what_was_written(values: list[str | int | None]) -> None:
    found = read(csv_line(values))
    assert len(found) == len(values)
    for cell, value in zip(found, values, strict=True):
        wanted = "" if value is None else str(value)
        assert cell in (wanted, "'" + wanted)
        if isinstance(value, str):
            assert cell.lstrip(" ")[:1] not in tuple("=+-@\t\r\n＝＋－＠")


@given(st.text(), st.text())
def test_different_texts_never_give_the_same_cell(left: str, right: str) -> None:
    assert (csv_line([left]) == csv_line([right])) == (left == right)
