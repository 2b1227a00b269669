"""Sparklines and bars, and the strip of the tenant at every width."""

from __future__ import annotations

from itertools import pairwise

import pytest

from runtui.domain.plots import bar, sparkline, strip_text, tenant_counts, tenant_strip

COUNTS = tenant_counts({"failed": 7, "completedWithErrors": 12, "inProgress": 5, "canceling": 1, "completed": 90}, 2)
FAILURES = [0, 1, 0, 4]
KEYS = {"status:failed": "2"}


def strip(width: int) -> str:
    return strip_text(tenant_strip(COUNTS, FAILURES, width, KEYS))


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [([], ""), ([0, 0], "▁▁"), ([0, 1, 1000], "▁▂█"), ([3, 3], "██"), ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█")],
)
def test_a_sparkline_is_lowest_for_none_alone(numbers: list[int], expected: str) -> None:
    assert sparkline(numbers) == expected


@pytest.mark.parametrize(
    ("number", "most", "expected"),
    [(4, 4, "████"), (2, 4, "██  "), (1, 4000, "▏   "), (0, 4, "    "), (0, 0, "    "), (9, 4, "████")],
)
def test_a_bar_shows_every_number_above_zero(number: int, most: int, expected: str) -> None:
    assert bar(number, most, 4) == expected


def test_kinds_without_a_run_are_left_out_and_the_stuck_are_not_counted_as_running() -> None:
    assert [(count.word, count.runs) for count in COUNTS] == [
        ("failed", 7),
        ("partly", 12),
        ("stuck", 2),
        ("running", 4),
    ]
    assert strip_text(tenant_strip(tenant_counts({"completed": 3}, 0), [0, 0], 80, {})) == "✓ no problems"


def test_runs_with_a_status_that_nobody_knows_are_not_called_fine() -> None:
    counts = tenant_counts({"completed": 3, "paused": 2, "": 1}, 0)
    assert strip_text(tenant_strip(counts, [0, 0], 80, {})) == "? 3 of unknown status"


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (80, "2:✗ 7 failed  ! 12 partly  ◔ 2 stuck  ● 4 running  problems in 4 days ▁▃▁█"),
        (70, "2:✗ 7 failed  ! 12 partly  ◔ 2 stuck  ● 4 running  4 days ▁▃▁█"),
        (61, "✗ 7 failed  ! 12 partly  ◔ 2 stuck  ● 4 running  4 days ▁▃▁█"),
        (50, "2:✗ 7 failed  ! 12 partly  ◔ 2 stuck  ● 4 running"),
        (47, "✗ 7 failed  ! 12 partly  ◔ 2 stuck  ● 4 running"),
        (45, "✗ 7 failed ! 12 partly ◔ 2 stuck ● 4 running"),
        (40, "✗ 7 failed  ! 12 partly  ◔ 2 stuck  ● 4"),
        (22, "✗ 7  ! 12  ◔ 2  ● 4"),
        (13, "✗ 7  ! 12"),
        (3, "✗ 7"),
        (2, ""),
    ],
)
def test_the_strip_drops_parts_from_the_right_and_words_before_counts(width: int, expected: str) -> None:
    assert strip(width) == expected


def test_the_strip_fits_at_every_width_and_keeps_more_at_a_greater_one() -> None:
    for narrow, wide in pairwise(range(100)):
        assert len(strip(narrow)) <= narrow
        assert len(strip(narrow).split()) <= len(strip(wide).split())
