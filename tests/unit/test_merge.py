"""A draft meets the changed run: which value wins, which edits stay, and that no value changes by a byte."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtui.domain.draft import Draft, Side, caught_up, default_choices, resolve
from runtui.domain.properties import EDITABLE, EDITABLE_BY_NAME
from runtui.domain.times import parse_ticks
from tests.unit.fake_writer import RUN

NOW = parse_ticks("2026-11-20T09:15:03Z")
FRACTION = "2026-11-20T06:00:01.2034518Z"
SAME_MOMENT = "2026-11-20T07:00:01.2034518+01:00"
LATER = "2026-11-21T00:00:00Z"
LATER_HERE = "2026-11-21T01:00:00+01:00"


def draft(edits: Mapping[str, str], *, mode: Any = "full", **received: Any) -> Draft:
    made = Draft("r", "w", {**RUN, "scheduledDateTime": FRACTION, "id": "r", **received}, mode)
    for name, text in edits.items():
        made = made.typed(name, text, NOW)
    return made


def moved(opened: Draft, **values: Any) -> dict[str, Any]:
    return {**opened.received, **values}


Case = tuple[Mapping[str, str], Mapping[str, Any], Mapping[str, Side], Mapping[str, Any]]

CASES: dict[str, Case] = {
    # edits, changed properties, choices, the values of the edits afterwards
    "nothing moved": ({"failedUsersCount": "7"}, {}, {}, {"failedUsersCount": 7}),
    "an edit is ours": ({"failedUsersCount": "7"}, {"failedUsersCount": 9}, {}, {"failedUsersCount": 7}),
    "an edit given up": ({"failedUsersCount": "7"}, {"failedUsersCount": 9}, {"failedUsersCount": "theirs"}, {}),
    "untouched is theirs": ({"failedUsersCount": "7"}, {"failedTasksCount": 9}, {}, {"failedUsersCount": 7}),
    "untouched, and ours all the same": ({}, {"scheduledDateTime": LATER}, {"scheduledDateTime": "ours"},
                                         {"scheduledDateTime": FRACTION}),
    "moved to the very edit": ({"failedUsersCount": "7"}, {"failedUsersCount": 7}, {}, {}),
    "moved to the moment of the edit": ({"scheduledDateTime": LATER}, {"scheduledDateTime": LATER_HERE},
                                        {}, {"scheduledDateTime": LATER}),
    "only written in another way": ({"failedUsersCount": "7"}, {"scheduledDateTime": SAME_MOMENT},
                                    {"scheduledDateTime": "ours"}, {"failedUsersCount": 7}),
    "an optional one, cleared": ({"startedDateTime": ""}, {"startedDateTime": LATER}, {}, {"startedDateTime": None}),
    "an optional one nobody touched": ({"failedUsersCount": "7"}, {"startedDateTime": LATER},
                                       {"startedDateTime": "ours"}, {"failedUsersCount": 7}),
    "text in error": ({"failedUsersCount": "seven"}, {"failedUsersCount": 9}, {"failedUsersCount": "theirs"},
                      {"failedUsersCount": None}),
    "a value of an odd type": ({}, {"failedTasksCount": 2}, {"failedTasksCount": "ours"}, {"failedTasksCount": 1.5}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_which_value_wins(case: Case) -> None:
    edits, moves, choices, expected = case
    ours = draft(edits, **({"failedTasksCount": 1.5} if "failedTasksCount" in choices else {}))
    now = moved(ours, **moves)
    merged = resolve(ours, now, choices)
    assert {name: edit.value for name, edit in merged.edits.items()} == expected
    assert merged.received == now
    assert merged.conflicts(now) == ()


def test_the_default_is_ours_where_somebody_typed() -> None:
    ours = draft({"processingStatus": "canceled"})
    now = moved(ours, processingStatus="queued", failedTasksCount=77, startedDateTime=LATER)
    assert default_choices(ours, now) == {"processingStatus": "ours", "failedTasksCount": "theirs"}
    body = resolve(ours, now, {}).body()
    assert body["processingStatus"] == "canceled"
    assert body["failedTasksCount"] == 77


def test_a_property_that_is_not_sent_causes_no_conflict() -> None:
    ours = draft({"processingStatus": "canceled"}, mode="changed")
    now = moved(ours, failedTasksCount=77)
    assert default_choices(ours, now) == {}
    merged = resolve(ours, now, {})
    assert (merged.mode, merged.changes()[0].after, len(merged.changes())) == ("changed", "canceled", 1)


def test_text_in_error_goes_over_with_its_sentence() -> None:
    ours = draft({"failedUsersCount": "seven", "processingStatus": "canceled"})
    merged = resolve(ours, moved(ours, failedUsersCount=9, processingStatus="queued"), {})
    assert merged.edits["failedUsersCount"] == ours.edits["failedUsersCount"]
    assert merged.text(EDITABLE_BY_NAME["failedUsersCount"]) == "seven"
    assert merged.errors()


def test_a_property_that_an_answer_lacks_is_no_conflict_and_keeps_its_edit() -> None:
    ours = draft({"failedUsersCount": "7"})
    now = {name: value for name, value in ours.received.items() if name != "failedUsersCount"}
    assert default_choices(ours, now) == {}
    assert resolve(ours, now, {}).body()["failedUsersCount"] == 7


# Catching up during typing


def test_untouched_values_follow_the_run_and_typed_ones_wait_for_a_choice() -> None:
    ours = draft({"failedUsersCount": "7", "processingStatus": "canceled"})
    now = moved(ours, failedUsersCount=9, failedTasksCount=77, startedDateTime=LATER)
    followed = caught_up(ours, now)
    assert followed.edits == ours.edits
    assert followed.body()["failedTasksCount"] == 77
    assert followed.received["startedDateTime"] == LATER
    assert [(c.field.name, c.opened, c.now, c.ours) for c in followed.conflicts(now)] == [
        ("failedUsersCount", ours.received["failedUsersCount"], 9, 7)
    ]
    assert caught_up(followed, now) is followed, "there is nothing more to follow"


def test_an_edit_that_the_run_already_has_is_dropped() -> None:
    ours = draft({"failedUsersCount": "7"})
    followed = caught_up(ours, moved(ours, failedUsersCount=7))
    assert (followed.edits, followed.received["failedUsersCount"]) == ({}, 7)


# For any values

JSON = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("a0Z:- é", max_size=4)
VALUES = st.sampled_from([None, 0, 1, True, 1.5, "", "1", "failed", "queued", FRACTION, SAME_MOMENT, LATER]) | JSON
TEXTS = st.sampled_from(["", "0", "1", "1,000", "-1", "x", "failed", "queued", "now", FRACTION, SAME_MOMENT, LATER])
NAMES = [field.name for field in EDITABLE]


@given(
    opened=st.dictionaries(st.sampled_from(NAMES), VALUES),
    now=st.dictionaries(st.sampled_from(NAMES), VALUES),
    texts=st.dictionaries(st.sampled_from(NAMES), TEXTS),
    choices=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["ours", "theirs"])),
    mode=st.sampled_from(["full", "changed"]),
)
def test_any_choice_resolves_all_conflicts_and_loses_nothing_else(
    opened: dict[str, Any], now: dict[str, Any], texts: dict[str, str], choices: dict[str, Side], mode: Any
) -> None:
    ours = Draft("r", "w", opened, mode)
    for name, text in texts.items():
        ours = ours.typed(name, text, NOW)
    conflicts = {conflict.field.name: conflict for conflict in ours.conflicts(now)}
    merged = resolve(ours, now, choices)
    assert merged.conflicts(now) == ()
    assert (merged.received, merged.mode) == (now, mode)
    chosen = default_choices(ours, now) | choices
    for field in EDITABLE:
        edit, conflict = merged.edits.get(field.name), conflicts.get(field.name)
        if conflict is None:
            before = ours.edits.get(field.name)
            if edit != before:
                assert edit is None
                assert before is not None
                assert before.error is None
                assert exact(before.value, now.get(field.name)), "the run has that value by now"
        elif chosen[field.name] == "theirs":
            assert edit is None
        else:
            assert edit is not None
            assert edit.error is None
            assert exact(edit.value, conflict.ours)


@given(
    opened=st.dictionaries(st.sampled_from(NAMES), VALUES),
    now=st.dictionaries(st.sampled_from(NAMES), VALUES),
    texts=st.dictionaries(st.sampled_from(NAMES), TEXTS),
    mode=st.sampled_from(["full", "changed"]),
)
def test_only_typed_properties_need_a_choice_whatever_changed(
    opened: dict[str, Any], now: dict[str, Any], texts: dict[str, str], mode: Any
) -> None:
    ours = Draft("r", "w", opened, mode)
    for name, text in texts.items():
        ours = ours.typed(name, text, NOW)
    followed = caught_up(ours, now)
    disputed = [str(conflict) for conflict in ours.conflicts(now) if conflict.field.name in ours.edits]
    assert [str(conflict) for conflict in followed.conflicts(now)] == disputed
    for name in NAMES:
        if name not in ours.edits:
            assert (name in followed.received) == (name in now)
            assert exact(followed.received.get(name), now.get(name))
        elif name in followed.edits:
            assert followed.edits[name] == ours.edits[name]
        else:
            assert exact(ours.edits[name].value, now.get(name)), "the run has that value by now"


def exact(left: object, right: object) -> bool:
    """Return whether two JSON values are the same, byte for byte."""
    return type(left) is type(right) and left == right
