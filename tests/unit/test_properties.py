"""The editable properties: those of the API page, valid typed text, valid values, and the words for each refusal."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runtui.domain.properties import (
    EDITABLE,
    EDITABLE_BY_NAME,
    EXECUTION_TYPE,
    INT32_MAX,
    INT32_MIN,
    PROCESSING_STATUS,
    PROPERTIES,
    Property,
)
from runtui.domain.times import format_ticks, parse_ticks
from runtui.errors import FieldError

NOW = parse_ticks("2026-11-20T09:15:03.9206151Z")
STATUS = EDITABLE_BY_NAME["processingStatus"]
TYPE = EDITABLE_BY_NAME["workflowExecutionType"]
COUNT = EDITABLE_BY_NAME["failedTasksCount"]
SCHEDULED = EDITABLE_BY_NAME["scheduledDateTime"]
COMPLETED = EDITABLE_BY_NAME["completedDateTime"]

PAGE = {
    "completedDateTime": ("DateTimeOffset", "Optional"),
    "failedTasksCount": ("Int32", "Required"),
    "failedUsersCount": ("Int32", "Required"),
    "lastUpdatedDateTime": ("DateTimeOffset", "Optional"),
    "processingStatus": ("lifecycleWorkflowProcessingStatus", "Required"),
    "startedDateTime": ("DateTimeOffset", "Optional"),
    "scheduledDateTime": ("DateTimeOffset", "Required"),
    "successfulUsersCount": ("Int32", "Required"),
    "totalUsersCount": ("Int32", "Required"),
    "totalUnprocessedTasksCount": ("Int32", "Required"),
    "workflowExecutionType": ("workflowExecutionType", "Required"),
}
"""The table of the API page "Update run"."""

json_values: st.SearchStrategy[object] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.none()) | st.just({})
)


def refusal(field: Property, typed: str) -> str:
    with pytest.raises(FieldError) as refused:
        field.parse(typed, NOW)
    return str(refused.value)


def is_sentence(text: str) -> bool:
    return text.endswith(".") and len(text) < 300 and text.isprintable()


def test_the_fields_are_those_of_the_api_page() -> None:
    listed = {field.name: (field.type_name, "Required" if field.required else "Optional") for field in EDITABLE}
    assert listed == PAGE
    assert list(EDITABLE_BY_NAME) == [field.name for field in EDITABLE]


def test_the_form_opens_on_the_status_and_keeps_groups_together() -> None:
    assert EDITABLE[0] is STATUS
    groups = [field.group for field in EDITABLE]
    assert [group for group, before in zip(groups, [None, *groups], strict=False) if group != before] == [
        "Status",
        "Times",
        "Users",
        "Tasks",
    ]


def test_every_field_explains_itself() -> None:
    assert all(is_sentence(field.help) for field in EDITABLE)


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("0", 0),
        (" 42 ", 42),
        ("\t42\n", 42),
        ("+7", 7),
        ("007", 7),
        ("-0", 0),
        ("1,000", 1_000),
        ("1,000,000", 1_000_000),
        ("1 000", 1_000),
        ("1\u00a0000", 1_000),
        ("1\u202f000", 1_000),
        ("1'000", 1_000),
        ("1_000", 1_000),
        ("2,147,483,647", INT32_MAX),
        ("2147483647", INT32_MAX),
        ("0" * 5000 + "12", 12),
    ],
)
def test_counts_as_people_type_and_paste_them(typed: str, value: int) -> None:
    assert COUNT.parse(typed, NOW) == value


NOT_WHOLE = "no decimal point"
NOT_A_NUMBER = "A count is a whole number, such as 12 or 1,000."
TOO_LARGE = "does not fit an Int32: the largest is 2147483647."
NEGATIVE = "A count cannot be negative."


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("", "failedTasksCount is required: it cannot be empty."),
        ("   ", "failedTasksCount is required: it cannot be empty."),
        ("1,00", NOT_WHOLE),
        ("1.000", NOT_WHOLE),
        ("1.0", NOT_WHOLE),
        (".5", NOT_WHOLE),
        ("1e3", NOT_WHOLE),
        ("1,000.5", NOT_A_NUMBER),
        ("1,000 000", NOT_A_NUMBER),
        (",", NOT_A_NUMBER),
        (".", NOT_A_NUMBER),
        ("+", NOT_A_NUMBER),
        ("--1", NOT_A_NUMBER),
        ("0x1F", NOT_A_NUMBER),
        ("twelve", NOT_A_NUMBER),
        ("12 users", NOT_A_NUMBER),
        ("null", NOT_A_NUMBER),
        ("true", NOT_A_NUMBER),
        ("Integer", NOT_A_NUMBER),
        ("١٢", NOT_A_NUMBER),
        ("１２", NOT_A_NUMBER),
        ("²", NOT_A_NUMBER),
        ("\x1b[2J", NOT_A_NUMBER),
        ("-1", NEGATIVE),
        ("-1,000", NEGATIVE),
        ("-2147483648", NEGATIVE),
        ("-" + "9" * 5000, NEGATIVE),
        ("2147483648", TOO_LARGE),
        ("2,147,483,648", TOO_LARGE),
        ("9" * 5000, TOO_LARGE),
    ],
)
def test_text_that_is_no_count_is_refused_with_the_reason(typed: str, says: str) -> None:
    sentence = refusal(COUNT, typed)
    assert says in sentence
    assert is_sentence(sentence)


@given(st.integers(INT32_MIN - 2, INT32_MAX + 2))
def test_the_bounds_of_a_count_are_exact_typed_and_as_json(value: int) -> None:
    fits = 0 <= value <= INT32_MAX
    assert (COUNT.problem(value) is None) == fits
    if fits:
        assert COUNT.parse(str(value), NOW) == value
        assert COUNT.parse(f"{value:,}", NOW) == value
    else:
        assert refusal(COUNT, str(value)) == COUNT.problem(value)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        (COUNT, None, "failedTasksCount is required and cannot be null."),
        (COUNT, True, "a whole number, not true"),
        (COUNT, 1.0, "a whole number, not the number 1.0"),
        (COUNT, float("nan"), "a whole number, not the number nan"),
        (COUNT, "5", "a whole number, not '5'"),
        (COUNT, "Integer", "a whole number, not 'Integer'"),
        (COUNT, {}, "a whole number, not an object"),
        (COUNT, [1], "a whole number, not an array"),
        pytest.param(COUNT, 10**5000, TOO_LARGE, id="huge"),
        pytest.param(COUNT, -(10**5000), NEGATIVE, id="hugely negative"),
        (COUNT, "x" * 5000, "a whole number, not 'xxx"),
        (SCHEDULED, None, "scheduledDateTime is required and cannot be null."),
        (SCHEDULED, 5, "a string, not the number 5"),
        pytest.param(SCHEDULED, 10**5000, "a string, not a large number", id="huge moment"),
        (SCHEDULED, "", "A date-time looks like"),
        (SCHEDULED, "now", "A date-time looks like"),
        (SCHEDULED, "2026-11-20 09:15:03Z", "A date-time looks like"),
        (SCHEDULED, "2026-02-30T00:00:00Z", "There is no day 2026-02-30."),
        (STATUS, None, "processingStatus is required and cannot be null."),
        (STATUS, False, "a string, not false"),
        (STATUS, "paused", "'paused' is not a lifecycleWorkflowProcessingStatus. Possible: queued, inProgress,"),
        (STATUS, "paused", "canceling, quarantined."),
        (STATUS, "Failed", "'Failed' is not a lifecycleWorkflowProcessingStatus"),
        (STATUS, "\x1b[2J[/x]", r"'\x1b[2J[/x]' is not"),
        (STATUS, "\u202egnp", r"'\u202egnp' is not"),
        (TYPE, "y" * 5000, "is not a workflowExecutionType. Possible: scheduled, onDemand,"),
    ],
)
def test_why_a_json_value_may_not_be_sent(field: Property, value: object, says: str) -> None:
    sentence = field.problem(value)
    assert sentence is not None
    assert says in sentence
    assert sentence.endswith(".")
    assert len(sentence) < 300
    assert sentence.isprintable()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (COUNT, 0),
        (COUNT, INT32_MAX),
        (COMPLETED, None),
        (COMPLETED, "2026-11-20T09:15:03.9206151Z"),
        (SCHEDULED, "2026-11-20T10:15:03+01:00"),
        *((STATUS, name) for name in PROCESSING_STATUS.names),
        *((TYPE, name) for name in EXECUTION_TYPE.names),
    ],
)
def test_values_that_may_be_sent(field: Property, value: object) -> None:
    assert field.problem(value) is None


@given(st.sampled_from(EDITABLE), json_values)
def test_every_json_value_is_fine_or_refused_with_a_sentence(field: Property, value: object) -> None:
    sentence = field.problem(value)
    assert sentence is None or is_sentence(sentence)


@given(st.sampled_from(EDITABLE), st.text())
@example(EDITABLE_BY_NAME["processingStatus"], "\U00012544" * 40)
def test_every_text_is_a_value_that_may_be_sent_or_refused_with_a_sentence(field: Property, typed: str) -> None:
    try:
        value = field.parse(typed, NOW)
    except FieldError as error:
        assert is_sentence(str(error))  # noqa: PT017 - most texts are refused, a few are not
    else:
        assert field.problem(value) is None


@given(st.sampled_from([field for field in EDITABLE if field.kind != "enum"]), st.integers(0, INT32_MAX))
def test_the_text_of_a_value_stands_for_that_value(field: Property, number: int) -> None:
    value = number if field.kind == "count" else format_ticks(number * 10**9 + number)
    assert field.parse(field.text(value), NOW) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), ("", ""), ("Integer", "Integer"), (5, "5"), (True, "true"), (1.5, "1.5"), ({"a": [1]}, '{"a": [1]}')],
)
def test_the_text_of_any_json_value(value: object, text: str) -> None:
    assert COUNT.text(value) == text


def test_only_an_optional_field_can_be_emptied_and_becomes_null() -> None:
    assert COMPLETED.parse("  ", NOW) is None
    assert refusal(SCHEDULED, "") == "scheduledDateTime is required: it cannot be empty."
    assert {field.name for field in EDITABLE if not field.required} == {
        "startedDateTime",
        "completedDateTime",
        "lastUpdatedDateTime",
    }


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("now", "2026-11-20T09:15:03Z"),
        (" -2h ", "2026-11-20T07:15:03Z"),
        ("2026-11-20T09:15:03.9206151Z", "2026-11-20T09:15:03.9206151Z"),
    ],
)
def test_moments_as_people_type_them(typed: str, value: str) -> None:
    assert SCHEDULED.parse(typed, NOW) == value


@pytest.mark.parametrize(
    ("field", "left", "right", "same"),
    [
        (COMPLETED, "2026-11-20T09:15:03.9200000Z", "2026-11-20T09:15:03.92Z", True),
        (COMPLETED, "2026-11-20T10:15:03+01:00", "2026-11-20T09:15:03Z", True),
        (COMPLETED, "2026-11-20T09:15:03.9206151Z", "2026-11-20T09:15:03.9206152Z", False),
        (COMPLETED, "String (timestamp)", "String (timestamp)", True),
        (COMPLETED, "String (timestamp)", "2026-11-20T09:15:03Z", False),
        (COMPLETED, None, None, True),
        (COMPLETED, None, "", False),
        (COUNT, 1, 1, True),
        (COUNT, 1, True, False),
        (COUNT, 1, 1.0, False),
        (COUNT, 1, "1", False),
        (STATUS, "failed", "Failed", False),
    ],
)
def test_when_two_values_are_one_to_the_service(field: Property, left: object, right: object, same: bool) -> None:
    assert field.same(left, right) is same
    assert field.same(right, left) is same


def test_the_fields_load_pydantics_core_at_the_first_check_and_nothing_else_of_it() -> None:
    code = (
        "import sys; from runtui.domain.properties import EDITABLE\n"
        "def loaded(): print(*(name for name in sorted(sys.modules) if name.startswith('pydantic')), flush=True)\n"
        "loaded(); [field.problem('x') for field in EDITABLE]; loaded()\n"
        "from pydantic import BaseModel; print(type('M', (BaseModel,), {'__annotations__': {'n': int}})(n='5').n)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == ["", "pydantic_core pydantic_core._pydantic_core", "5"]


UPDATED, USERS = EDITABLE_BY_NAME["lastUpdatedDateTime"], EDITABLE_BY_NAME["totalUsersCount"]


@pytest.mark.parametrize(
    ("item", "received", "value"),
    [
        (STATUS, "somethingNew", "somethingNew"),
        (STATUS, "\x1b[2J", "\x1b[2J"),
        (STATUS, 5, None),
        (STATUS, None, None),
        (COUNT, 2, 2),
        (COUNT, "Integer", None),
        (COUNT, "2", None),
        (COUNT, 2.0, None),
        (COUNT, True, None),
        (COUNT, 2**31, None),
        (COUNT, {"value": 2}, None),
        (SCHEDULED, "2026-11-20T06:00:01.2034518Z", parse_ticks("2026-11-20T06:00:01.2034518Z")),
        (SCHEDULED, "String (timestamp)", None),
        (SCHEDULED, "2026-02-30T00:00:00Z", None),
        (SCHEDULED, 639307512012034518, None),
    ],
)
def test_a_received_value_of_the_wrong_type_counts_as_none(item: Property, received: object, value: object) -> None:
    assert item.read({item.name: received, "totalUsersCount": 12}) == value
    assert USERS.read({item.name: received, "totalUsersCount": 12}) == 12, "the others are still understood"


def test_only_graphs_own_name_is_read() -> None:
    assert UPDATED.read({"updated": "2026-11-20T06:00:01Z", "last_updated": "2026-11-20T06:00:01Z"}) is None


@given(st.sampled_from(PROPERTIES), json_values)
def test_any_received_value_is_read(item: Property, value: object) -> None:
    found = item.read({item.name: value})
    assert found is None or isinstance(found, str if item.is_text else int)


def test_no_two_properties_share_a_name() -> None:
    names = [name.casefold() for item in PROPERTIES for name in {item.key, item.name, *item.aliases}]
    assert len(names) == len(set(names))
    columns = [column for item in PROPERTIES for column in {item.column, item.key_column}]
    assert len(columns) == len(set(columns))
