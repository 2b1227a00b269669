"""The completions of the filter box at the cursor."""

from __future__ import annotations

import pytest

from runtui.domain.filters import parse_filter
from runtui.tui.filtering import RUN_FIELDS, candidates, slot_at

NOW = 639_000_000_000_000_000
STATUSES = (("failed", 7), ("completedWithErrors", 12), ("", 2))
WORKFLOWS = (("Onboard pre-hire", 40), ("Offboard last day", 31), ("入社手続き", 3), ('say "hi"', 2), ("a\x1b[2Jb", 1))


def offered(text: str, counted: tuple[tuple[str, int], ...] = ()) -> list[str]:
    """Return the candidates at the | in a text."""
    before, _, after = text.partition("|")
    slot = slot_at(before + after, len(before), RUN_FIELDS)
    return [candidate.text for candidate in candidates(slot, RUN_FIELDS, counted)]


def completed(text: str, counted: tuple[tuple[str, int], ...] = ()) -> str:
    """Return a text in which the first candidate replaces the word at its |."""
    before, _, after = text.partition("|")
    text = before + after
    slot = slot_at(text, len(before), RUN_FIELDS)
    return text[: slot.start] + candidates(slot, RUN_FIELDS, counted)[0].text + text[slot.end :]


def test_fields_come_by_how_they_begin_then_by_what_they_have_in_them() -> None:
    assert offered("|")[:1] == ["status:"]
    assert len(offered("|")) == len(RUN_FIELDS)
    assert offered("STAT|") == ["status:"]
    assert offered("zz|") == []
    assert offered("fail|") == ["failedUsers>", "failedTasks>", "failed>"]
    assert offered("tart|") == ["started>"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("st|", "status:"),
        ("st|a other", "status: other"),
        ("failed>0 (wor|", "failed>0 (workflow:"),
        ("!typ|", "!type:"),
        ("!!(status:fa|)", "!!(status:failed)"),
        ("status:fa|,canceled", "status:failed,canceled"),
        ("status:canceled,fa|", "status:canceled,failed"),
        ("status!=FA|", "status!=failed"),
        ("is:st|", "is:stuck"),
        ("a or is:st|", "a or is:stuck"),
        ("started>|", "started>-24h"),
        ("processingStatus:fa|", "processingStatus:failed"),
    ],
)
def test_the_part_at_the_cursor_is_replaced_and_no_other(text: str, wanted: str) -> None:
    assert completed(text) == wanted


@pytest.mark.parametrize("typed", ['workflow:"Onboard p|"', 'workflow:"onboard p|', "workflow:pre|", "workflow:Onb|"])
def test_a_value_with_blanks_is_quoted_even_without_an_opening_quote(typed: str) -> None:
    assert completed(typed, WORKFLOWS) == 'workflow:"Onboard pre-hire"'


def test_values_come_with_their_counts_and_those_that_no_row_has_come_last() -> None:
    slot = slot_at("status:", 7, RUN_FIELDS)
    found = candidates(slot, RUN_FIELDS, STATUSES)
    assert [(item.text, item.rows) for item in found[:3]] == [("failed", 7), ("completedWithErrors", 12), ("none", 2)]
    assert ("queued", 0) in [(item.text, item.rows) for item in found[3:]]
    assert candidates(slot, RUN_FIELDS)[0].rows is None, "nothing was counted"


def test_names_that_no_filter_can_express_are_not_offered() -> None:
    assert offered("workflow:|", WORKFLOWS) == ['"Onboard pre-hire"', '"Offboard last day"', "入社手続き"]


@pytest.mark.parametrize("text", ['"on|', '"on" "|', "nofield:fa|", 'workflow:"a"|', "(|)"])
def test_quoted_text_and_values_of_unknown_fields_are_left_alone(text: str) -> None:
    found = offered(text, WORKFLOWS)
    assert found == ([] if text != "(|)" else offered("|"))


@pytest.mark.parametrize("field", RUN_FIELDS, ids=lambda field: field.name)
def test_every_offered_completion_is_a_valid_filter(field) -> None:  # type: ignore[no-untyped-def]
    for value in field.offered:
        found = parse_filter(completed(f"{field.with_operator}{value}|"), NOW)
        assert found is not None
        assert not found.hint
