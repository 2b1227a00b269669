"""The widths that runtui computes are those of Rich, which draws the text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from runtui.domain.text import fit_cells


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("abc", 5, "abc  "),
        ("abcdef", 4, "abc…"),
        ("入社手続き", 10, "入社手続き"),
        ("入社手続き", 8, "入社手 …"),
        ("入社", 3, "入…"),
        ("e\u0301a", 2, "e\u0301a"),
        ("\u1112\u1161\u11ab\u1100\u116e\u11a8", 6, "\u1112\u1161\u11ab\u1100\u116e\u11a8  "),
        ("abc", 1, "…"),
        ("abc", 0, ""),
        ("", 2, "  "),
    ],
)
def test_fit(text: str, width: int, shown: str) -> None:
    assert fit_cells(text, width) == shown


def test_numbers_stand_at_the_right() -> None:
    assert fit_cells("11/12", 7, "right") == "  11/12"


@given(st.text(alphabet="abc 入社手続き東京é✗●…\u1112\u1161\u11ab", max_size=30), st.integers(0, 20))
def test_fit_fills_exactly_the_cells_it_is_given(text: str, width: int) -> None:
    assert cell_len(fit_cells(text, width)) == width
