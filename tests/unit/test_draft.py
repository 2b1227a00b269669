"""A draft: the text typed over a run, the request, the warnings, and how edits are undone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtui.domain.draft import NOT_RECEIVED, RUN_TYPE, Draft
from runtui.domain.properties import EDITABLE, EDITABLE_BY_NAME
from runtui.domain.times import parse_ticks
from runtui.graph.exchange import AnswerError, load_strict_json
from tests.unit.fake_writer import RUN

NOW = parse_ticks("2026-11-20T09:15:03.9206151Z")
RECEIVED: dict[str, Any] = {
    **RUN,
    "id": "6513270e_639307512012034518",
    "activatedOnScope": None,
    "newerThanWeAre": {"a": [1, None]},
}
REQUIRED = [field.name for field in EDITABLE if field.required]
OPTIONAL = [field.name for field in EDITABLE if not field.required]


def draft(without: str = "", **received: Any) -> Draft:
    values = {**RECEIVED, **received}
    values.pop(without, None)
    return Draft("6513270e_639307512012034518", "6513270e", values)


def typed(start: Draft, **texts: str) -> Draft:
    for name, text in texts.items():
        start = start.typed(name, text, NOW)
    return start


def changed(some: Draft) -> dict[str, tuple[object, object]]:
    return {change.field.name: (change.before, change.after) for change in some.changes()}


# The body


def test_the_full_body_is_the_type_every_required_property_as_received_and_what_changed() -> None:
    body = typed(draft(), processingStatus="canceled", completedDateTime="now").body()
    assert body == {
        "@odata.type": RUN_TYPE,
        "processingStatus": "canceled",
        "workflowExecutionType": "scheduled",
        "scheduledDateTime": "2026-11-20T06:00:01.2034518Z",
        "completedDateTime": "2026-11-20T09:15:03Z",
        "totalUsersCount": 12,
        "successfulUsersCount": 10,
        "failedUsersCount": 1,
        "failedTasksCount": 2,
        "totalUnprocessedTasksCount": 1,
    }
    assert next(iter(body)) == "@odata.type"


def test_changed_only_sends_the_type_and_what_changed() -> None:
    some = typed(draft()._replace(mode="changed"), failedTasksCount="0", startedDateTime="")
    assert some.body() == {"@odata.type": RUN_TYPE, "startedDateTime": None, "failedTasksCount": 0}
    assert some._replace(mode="full").changes() == some.changes()


def test_without_a_change_nothing_optional_is_sent() -> None:
    assert list(draft().body()) == ["@odata.type", *REQUIRED]
    assert draft()._replace(mode="changed").body() == {"@odata.type": RUN_TYPE}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scheduledDateTime", "2026-11-20T09:15:03.9206151Z"),
        ("scheduledDateTime", "2026-11-20T09:15:03.9200000Z"),
        ("scheduledDateTime", "2026-11-20T10:15:03.5+01:00"),
        ("scheduledDateTime", "String (timestamp)"),
        ("processingStatus", "somethingNewerThanWeAre"),
        ("processingStatus", "unknownFutureValue"),
        ("processingStatus", "[@click=app.quit]x[/] \x1b]0;owned\x07 入社 \u202e"),
        ("workflowExecutionType", "x" * 5000),
        ("failedTasksCount", "Integer"),
        ("failedTasksCount", -1),
        ("failedTasksCount", 10**300),
        ("failedTasksCount", None),
        ("failedTasksCount", {"odd": [True]}),
    ],
)
def test_a_value_nobody_touched_goes_back_as_received_whatever_it_is(name: str, value: object) -> None:
    odd: dict[str, Any] = {name: value}
    some = typed(draft(**odd), totalUsersCount="13")
    assert json.loads(some.body_text())[name] == value
    assert type(some.body()[name]) is type(value)
    assert f'"{name}": {json.dumps(value)}' in some.body_text().replace("\n    ", " ") or isinstance(value, dict)


def test_the_text_that_is_shown_and_sent_is_the_body_in_plain_ascii() -> None:
    some = typed(draft(processingStatus="\x1b[2J\u202e入"), failedTasksCount="3")
    assert json.loads(some.body_text()) == some.body()
    assert some.body_text().isascii()
    assert "\x1b" not in some.body_text()


def test_null_clears_an_optional_property() -> None:
    some = typed(draft(), startedDateTime="", lastUpdatedDateTime="   ")
    assert some.body()["startedDateTime"] is None
    assert some.body()["lastUpdatedDateTime"] is None
    assert '"startedDateTime": null' in some.body_text()


def test_a_field_in_error_is_in_no_body_and_keeps_its_text() -> None:
    some = typed(draft(), failedTasksCount="1,00", processingStatus="failed")
    assert "failedTasksCount" not in some.body()
    assert some.text(EDITABLE_BY_NAME["failedTasksCount"]) == "1,00"
    assert list(some.errors()) == ["failedTasksCount"]
    assert list(changed(some)) == ["processingStatus"]


# Typing


def test_a_relative_time_is_fixed_when_it_is_typed() -> None:
    some = draft().typed("completedDateTime", "-2h", NOW)
    assert changed(some)["completedDateTime"] == (None, "2026-11-20T07:15:03Z")
    assert some.text(EDITABLE_BY_NAME["completedDateTime"]) == "-2h", "the person still sees what was typed"


def test_changes_are_told_in_the_order_of_the_form() -> None:
    some = typed(draft(), failedTasksCount="1", completedDateTime="now", processingStatus="failed")
    assert list(changed(some)) == ["processingStatus", "completedDateTime", "failedTasksCount"]


def test_a_draft_never_changes() -> None:
    before = draft()
    after = before.typed("failedTasksCount", "9", NOW)
    assert not before.edits
    assert after.reverted("failedTasksCount") == before
    with pytest.raises(TypeError):
        after.edits["failedTasksCount"] = None  # type: ignore[index]


@pytest.mark.parametrize(
    ("name", "away", "back"),
    [
        ("failedTasksCount", "7", "2"),
        ("failedTasksCount", "7", " 2 "),
        ("failedTasksCount", "7", "+2"),
        ("failedTasksCount", "nonsense", "2"),
        ("processingStatus", "failed", "inProgress"),
        ("scheduledDateTime", "now", "2026-11-20T06:00:01.2034518Z"),
        ("completedDateTime", "now", ""),
        ("completedDateTime", "now", "  "),
        ("startedDateTime", "", "2026-11-20T06:00:04.5688752Z"),
    ],
)
def test_typing_what_was_received_takes_the_edit_back(name: str, away: str, back: str) -> None:
    some = draft().typed(name, away, NOW)
    assert some.edits
    assert some.typed(name, back, NOW) == draft()


@pytest.mark.parametrize("value", ["somethingNew", "String", "\x1b[2J"])
def test_an_unknown_enum_value_can_be_chosen_again_but_not_invented(value: str) -> None:
    some = draft(processingStatus=value)
    assert not some.typed("processingStatus", "failed", NOW).typed("processingStatus", value, NOW).edits
    assert "processingStatus" in some.typed("processingStatus", value + "x", NOW).errors()


@pytest.mark.parametrize(
    ("value", "text", "after"),
    [
        ("Integer", "5", 5),
        ("5", "5 ", 5),
        (None, "5", 5),
        (True, "1", 1),
        (2.0, "2", 2),
        ({}, "0", 0),
    ],
)
def test_a_value_of_the_wrong_type_can_be_put_right(value: object, text: str, after: int) -> None:
    some = draft(failedTasksCount=value).typed("failedTasksCount", text, NOW)
    assert changed(some) == {"failedTasksCount": (value, after)}
    assert type(some.body()["failedTasksCount"]) is int


@pytest.mark.parametrize("value", ["Integer", None, True, 2.0, {}, -1])
def test_a_value_of_the_wrong_type_is_no_error_until_somebody_types_but_a_warning(value: object) -> None:
    some = draft(failedTasksCount=value)
    assert not some.errors()
    text = some.text(EDITABLE_BY_NAME["failedTasksCount"])
    assert some.typed("failedTasksCount", text, NOW) == some
    (warning,) = [sentence for sentence in some.warnings() if "failedTasksCount" in sentence]
    assert warning.startswith("failedTasksCount goes back as received, but a service may refuse it: ")


def test_a_required_property_that_was_not_received_is_left_out_with_a_warning_until_it_is_typed() -> None:
    some = draft(without="totalUsersCount")
    assert "totalUsersCount" not in some.body()
    assert some.warnings() == (
        "totalUsersCount was not received, so it is left out, though the service calls it required.",
    )
    assert some.typed("totalUsersCount", "", NOW) == some, "empty it was, and empty it is"
    given_now = some.typed("totalUsersCount", "12", NOW)
    assert changed(given_now) == {"totalUsersCount": (NOT_RECEIVED, 12)}
    assert given_now.body()["totalUsersCount"] == 12
    assert not given_now.warnings()


def test_emptying_a_field_that_was_not_received_changes_nothing() -> None:
    some = draft(without="startedDateTime")
    assert some.typed("startedDateTime", "", NOW) == some
    assert some.typed("startedDateTime", "   ", NOW) == some
    assert some.typed("startedDateTime", "now", NOW).typed("startedDateTime", "", NOW) == some


@pytest.mark.parametrize("name", REQUIRED)
def test_a_required_field_cannot_be_emptied(name: str) -> None:
    some = draft().typed(name, "", NOW)
    assert "is required" in some.errors()[name]
    assert not some.changes()


texts = st.text() | st.sampled_from(["", "0", "13", "now", "-2h", "failed", "onDemand", "2026-11-20T06:00:00Z"])
edits = st.lists(st.tuples(st.sampled_from([field.name for field in EDITABLE]), texts), max_size=6)


@given(edits)
def test_nothing_typed_is_lost_and_only_what_may_be_sent_is_sent(typing: list[tuple[str, str]]) -> None:
    some = draft()
    for name, text in typing:
        some = some.typed(name, text, NOW)
    last = dict(typing)
    for name, text in last.items():
        spec = EDITABLE_BY_NAME[name]
        if name in some.edits:
            assert some.text(spec) == text
        else:
            assert some.text(spec) == some.received_text(spec)
    assert set(some.errors()).isdisjoint(some.body())
    for change in some.changes():
        assert change.field.problem(change.after) is None
    untouched = set(REQUIRED) - set(some.edits)
    assert {name: some.body()[name] for name in untouched} == {name: RECEIVED[name] for name in untouched}
    for name in last:
        some = some.reverted(name)
    assert some == draft()


# Undoing edits


def test_values_are_put_back_exactly_as_they_are_given() -> None:
    some = draft().with_values({"startedDateTime": "2026-01-02T03:04:05.1234567Z", "processingStatus": "newMember"})
    assert some.body()["startedDateTime"] == "2026-01-02T03:04:05.1234567Z"
    assert some.body()["processingStatus"] == "newMember"
    assert some.with_values({name: RECEIVED[name] for name in some.edits}) == draft(), "a received value is no edit"


@given(edits)
def test_applying_a_change_and_putting_back_what_was_there_gives_the_run_back(typing: list[tuple[str, str]]) -> None:
    some = draft()
    for name, text in typing:
        some = some.typed(name, text, NOW)
    changes = some.changes()
    after = {**RECEIVED, **{change.field.name: change.after for change in changes}}
    before = {change.field.name: RECEIVED[change.field.name] for change in changes}
    back = draft()._replace(received=after).with_values(before)
    assert {**after, **{change.field.name: change.after for change in back.changes()}} == RECEIVED


# The run has changed meanwhile


def test_an_unchanged_run_causes_no_conflict() -> None:
    assert not typed(draft(), processingStatus="failed").conflicts({**RECEIVED})


def test_a_property_in_the_body_that_moved_is_a_conflict_with_its_three_values() -> None:
    some = typed(draft(), processingStatus="failed")
    fresh = {**RECEIVED, "processingStatus": "completed", "failedTasksCount": 5}
    found = {item.field.name: (item.opened, item.now, item.ours) for item in some.conflicts(fresh)}
    assert found == {"processingStatus": ("inProgress", "completed", "failed"), "failedTasksCount": (2, 5, 2)}


def test_a_property_outside_the_body_may_change() -> None:
    fresh = {**RECEIVED, "lastUpdatedDateTime": "2026-11-20T09:00:00Z", "totalTasksCount": 40, "failedTasksCount": 5}
    some = typed(draft(), processingStatus="failed")
    assert [item.field.name for item in some.conflicts(fresh)] == ["failedTasksCount"]
    assert not some._replace(mode="changed").conflicts(fresh)


def test_a_run_that_changed_to_our_value_causes_no_conflict() -> None:
    assert not typed(draft(), processingStatus="failed").conflicts({**RECEIVED, "processingStatus": "failed"})


def test_the_same_moment_in_other_digits_has_not_moved() -> None:
    opened = draft(scheduledDateTime="2026-11-20T06:00:01.2000000Z")
    fresh = {**RECEIVED, "scheduledDateTime": "2026-11-20T06:00:01.2Z"}
    assert not typed(opened, processingStatus="failed").conflicts(fresh)


def test_a_property_that_appeared_is_a_conflict() -> None:
    some = typed(draft(without="totalUsersCount"), totalUsersCount="12")
    found = {
        item.field.name: (item.opened, item.now, item.ours)
        for item in some.conflicts({**RECEIVED, "totalUsersCount": 9})
    }
    assert found == {"totalUsersCount": (NOT_RECEIVED, 9, 12)}
    assert some.missing_from({}) == (), "it was not there when the run was opened either"


def test_a_missing_property_counts_as_unchanged_but_a_missing_changed_one_as_lacking() -> None:
    some = typed(draft(), failedTasksCount="0", completedDateTime="2026-11-20T09:00:00Z")
    assert some.missing_from(RECEIVED) == ()
    fresh = {name: value for name, value in RECEIVED.items() if name not in ("failedTasksCount", "totalUsersCount")}
    assert some.conflicts(fresh) == some.conflicts({}) == ()
    assert some.missing_from(fresh) == ("failedTasksCount",), "nobody touched totalUsersCount"
    assert some.missing_from({}) == tuple(change.field.name for change in some.changes())


def test_the_edits_can_be_carried_over_to_the_run_as_it_is_now() -> None:
    fresh = {**RECEIVED, "processingStatus": "failed", "failedTasksCount": 5}
    some = typed(draft(), processingStatus="failed", totalUsersCount="x", failedUsersCount="2").rebased(fresh)
    assert changed(some) == {"failedUsersCount": (1, 2)}, "the status is ours already"
    assert list(some.errors()) == ["totalUsersCount"], "no typed text is lost"
    assert some.body()["failedTasksCount"] == 5
    assert not some.conflicts(fresh)


# Warnings


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ({"processingStatus": "unknownFutureValue"}, "services refuse it as a value of processingStatus"),
        ({"workflowExecutionType": "unknownFutureValue"}, "services refuse it as a value of workflowExecutionType"),
        ({"processingStatus": "canceled"}, "cancelProcessing"),
        ({"processingStatus": "canceling"}, "cancelProcessing"),
        ({"completedDateTime": "2026-11-20T06:00:04.5688751Z"}, "completed before it started"),
        ({"successfulUsersCount": "12"}, "12 successful and 1 failed users are more than the total of 12"),
    ],
)
def test_odd_values_cause_warnings_and_are_never_forbidden(texts: dict[str, str], says: str) -> None:
    some = typed(draft(), **texts)
    (warning,) = some.warnings()
    assert says in warning
    assert warning.endswith(".")
    assert not some.errors()
    assert len(some.changes()) == 1


@pytest.mark.parametrize(
    "received",
    [
        {"successfulUsersCount": 99},
        {"completedDateTime": "2026-11-20T05:00:00Z"},
        {"processingStatus": "canceled"},
        {"processingStatus": "newer", "startedDateTime": 5},
    ],
)
def test_an_untouched_odd_value_causes_no_warning(received: dict[str, Any]) -> None:
    some = typed(draft(**received), failedTasksCount="0")
    assert [sentence for sentence in some.warnings() if "goes back as received" not in sentence] == []


def test_nobody_is_told_how_to_stop_a_run_that_has_ended() -> None:
    stopping = [typed(draft(processingStatus=status), processingStatus="canceled") for status in ("queued", "failed")]
    assert [any("cancelProcessing" in told for told in some.warnings()) for some in stopping] == [True, False]


def test_a_placeholder_that_was_received_goes_back_with_a_warning() -> None:
    some = typed(draft(processingStatus="unknownFutureValue"), failedTasksCount="0")
    assert some.body()["processingStatus"] == "unknownFutureValue"
    assert any("placeholder" in sentence for sentence in some.warnings())
    assert not some._replace(mode="changed").warnings()


@given(st.dictionaries(st.sampled_from(list(RECEIVED)), st.none() | st.booleans() | st.integers() | st.text()))
def test_warnings_can_be_told_of_any_run(received: dict[str, Any]) -> None:
    some = typed(draft(**received), processingStatus="canceled", completedDateTime="now", totalUsersCount="3")
    assert all(sentence.endswith(".") for sentence in some.warnings())


@pytest.mark.parametrize("levels", [1, 99, 400, 900])
def test_whatever_can_be_read_can_be_sent_and_compared_far_down_the_stack(levels: int) -> None:
    try:
        received = load_strict_json(b'{"processingStatus": ' + b"[" * levels + b"]" * levels + b"}")
    except AnswerError:
        assert levels > 99
        return

    def below(frames: int) -> str:
        if frames:
            return below(frames - 1)
        opened, fresh = draft(**received), json.loads(json.dumps(received))
        assert opened.conflicts(fresh) == ()
        return opened.body_text()

    assert json.loads(below(500))["processingStatus"] == received["processingStatus"]
