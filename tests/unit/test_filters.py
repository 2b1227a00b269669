"""The filter language: what it accepts, and what it refuses at which place (test_store_model.py tests the results)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtui.domain.filter_tree import (
    FILTER_FIELDS,
    AllOf,
    AnyOf,
    CountIs,
    Filter,
    FilterField,
    HasText,
    IsFlag,
    IsNull,
    IsOneOf,
    Node,
    Not,
    TextIs,
    TimeIs,
)
from runtui.domain.filters import MAX_TERMS, FilterError, parse_filter
from runtui.domain.properties import EXECUTION_TYPE, PROCESSING_STATUS
from runtui.domain.times import TICKS_PER_SECOND, parse_ticks
from tests import living_in, there

NOW = parse_ticks("2026-11-20T12:00:00Z")
SECOND = TICKS_PER_SECOND
DAY = 24 * 3600 * SECOND
FIELD = {field.name: field for field in FILTER_FIELDS}
STATUS, TYPE, WORKFLOW, ID = FIELD["status"], FIELD["type"], FIELD["workflow"], FIELD["id"]
FAILED, STARTED, COMPLETED = FIELD["failed"], FIELD["started"], FIELD["completed"]


def read(text: str) -> Filter:
    with living_in("UTC-2"):  # two hours east of it
        return there(parse_filter(text, NOW))


def tree(text: str) -> Node:
    return read(text).tree


@pytest.mark.parametrize("text", ["", " ", "\t  "])
def test_a_blank_text_is_no_filter(text: str) -> None:
    assert parse_filter(text, NOW) is None


WORKFLOW_ID = "6513270e-269e-4d37-b2a7-4de452e6b438"
RUN_IDS = (f"{WORKFLOW_ID}_638927104150522341", f"{WORKFLOW_ID.upper()}_638927104150522342")
ANY_OF_THE_RUNS = AnyOf(tuple(map(HasText, RUN_IDS)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("onboard", HasText("onboard")),
        ('"two words"', HasText("two words")),
        ('"or"', HasText("or")),
        ("6513270e-269e", HasText("6513270e-269e")),
        ("09:15", HasText("09:15")),
        ("a b", AllOf((HasText("a"), HasText("b")))),
        ("a and b", AllOf((HasText("a"), HasText("b")))),
        ("a or b", AnyOf((HasText("a"), HasText("b")))),
        ("a b OR c", AnyOf((AllOf((HasText("a"), HasText("b"))), HasText("c")))),
        ("a (b or c)", AllOf((HasText("a"), AnyOf((HasText("b"), HasText("c")))))),
        ("orphan and android", AllOf((HasText("orphan"), HasText("android")))),
        (f"{RUN_IDS[0]}\n{RUN_IDS[1]}", ANY_OF_THE_RUNS),
        (f"status:failed {RUN_IDS[0]} {RUN_IDS[1]}", AllOf((ANY_OF_THE_RUNS, IsOneOf(STATUS, ("failed",))))),
        (f"{RUN_IDS[0]} {WORKFLOW_ID}", AllOf((HasText(RUN_IDS[0]), HasText(WORKFLOW_ID)))),
        ("!a", Not(HasText("a"))),
        ("!!a", Not(Not(HasText("a")))),
        ("! (a or b)", Not(AnyOf((HasText("a"), HasText("b"))))),
        ("status:failed", IsOneOf(STATUS, ("failed",))),
        ("STATUS:FAILED", IsOneOf(STATUS, ("failed",))),
        ("processingStatus=completedwitherrors", IsOneOf(STATUS, ("completedWithErrors",))),
        ("status:failed,canceled", IsOneOf(STATUS, ("failed", "canceled"))),
        ("status!=failed,canceled", Not(IsOneOf(STATUS, ("failed", "canceled")))),
        ("status:fail", IsOneOf(STATUS, ("fail",))),
        ("status:pausedByPolicy", IsOneOf(STATUS, ("pausedByPolicy",))),
        ('status:"[/x] y"', IsOneOf(STATUS, ("[/x] y",))),
        ("status:none", IsOneOf(STATUS, ("",))),
        ("status:Running,part", IsOneOf(STATUS, ("inProgress", "completedWithErrors"))),
        ("!status:failed", Not(IsOneOf(STATUS, ("failed",)))),
        ("type:ondemand", IsOneOf(TYPE, ("onDemand",))),
        ('wf:"Onboard pre-hire"', TextIs(WORKFLOW, "Onboard pre-hire")),
        ("workflow=Mover", TextIs(WORKFLOW, "Mover", whole=True)),
        ("id:_2341,_99", AnyOf((TextIs(ID, "_2341"), TextIs(ID, "_99")))),
        ("failed>0", CountIs(FAILED, ">", 0)),
        ("failedUsersCount<=12", CountIs(FIELD["failedUsers"], "<=", 12)),
        ("users:3", CountIs(FIELD["users"], "=", 3)),
        ("users:3,4", AnyOf((CountIs(FIELD["users"], "=", 3), CountIs(FIELD["users"], "=", 4)))),
        ("users!=3", Not(CountIs(FIELD["users"], "=", 3))),
        ("tasks:null", IsNull(FIELD["tasks"])),
        ("started>-24h", TimeIs(STARTED, ">", NOW - DAY, NOW - DAY + 1)),
        ("scheduled<=+2h", TimeIs(FIELD["scheduled"], "<=", NOW + DAY // 12, NOW + DAY // 12 + 1)),
        ("started<now", TimeIs(STARTED, "<", NOW, NOW + 1)),
        ("completed:null", IsNull(COMPLETED)),
        ("completedDateTime=none", IsNull(COMPLETED)),
        ("completed!=null", Not(IsNull(COMPLETED))),
        ("is:problem", IsFlag("problem", NOW)),
        ("is:Stuck", IsFlag("stuck", NOW)),
        ("is:problem,active", AnyOf((IsFlag("problem", NOW), IsFlag("active", NOW)))),
    ],
)
def test_filters_and_their_meanings(text: str, expected: Node) -> None:
    assert repr(tree(text)) == repr(expected)  # as tuples, an AllOf and an AnyOf of the same parts are equal


@pytest.mark.parametrize(
    ("typed", "first", "seconds"),
    [
        ("2026-11-20", "2026-11-19T22:00:00Z", 86_400),
        ("today", "2026-11-19T22:00:00Z", 86_400),
        ("yesterday", "2026-11-18T22:00:00Z", 86_400),
        ("2026-11-20T09:15", "2026-11-20T07:15:00Z", 60),
        ('"2026-11-20 09:15"', "2026-11-20T07:15:00Z", 60),
        ("2026-11-20T09:15:03", "2026-11-20T07:15:03Z", 1),
        ("2026-11-20T09:15:03Z", "2026-11-20T09:15:03Z", 1),
        ("2026-11-20T09:15:03.9206151Z", "2026-11-20T09:15:03.9206151Z", 0),
    ],
)
def test_a_day_a_minute_and_a_moment_are_the_stretch_they_name(typed: str, first: str, seconds: int) -> None:
    start = parse_ticks(first)
    assert tree(f"started:{typed}") == TimeIs(STARTED, "=", start, start + (seconds * SECOND or 1))


@pytest.mark.parametrize(
    ("text", "position", "length", "words"),
    [
        ("stauts:failed", 0, 6, "Did you mean status?"),
        ("a colour:red", 2, 6, "No field is called colour. Possible: status, type, scheduled"),
        ("a colour:red", 2, 6, 'put it in "quotes"'),
        ("status>failed", 6, 1, "status takes : or = or !=, not >"),
        ("wf>=x", 2, 2, "workflow takes"),
        ("failed>many", 7, 4, "failed is a whole number, such as failed>0"),
        ("failed>1.5", 7, 3, "whole number"),
        ("failed>1,2", 9, 1, "> takes one value"),
        ("failed>null", 6, 1, "null takes : or = or !="),
        ("started>24h", 8, 3, "For example started>-24h"),
        ("started>2026-13-01", 8, 10, "no day 2026-13-01"),
        ("started:-2h", 8, 3, "write started>-2h or started<-2h"),
        ("is:broken", 3, 6, "problem, stuck, active, unknown"),
        ("is>problem", 2, 1, "is takes"),
        ("status:", 6, 1, "A value for status is missing"),
        ("status: failed", 6, 1, "A value for status is missing"),
        ("status:failed,", 13, 1, "A value for status is missing"),
        ("(a", 0, 1, 'no matching ")"'),
        ("a (b", 2, 1, 'no matching ")"'),
        ("a)", 1, 1, 'no matching "("'),
        ("()", 1, 1, "missing"),
        ("a or", 4, 1, "missing"),
        ("or a", 0, 1, "missing"),
        ("!", 1, 1, "missing"),
        ('wf:"x', 3, 2, "not closed"),
        ('""', 0, 2, "nothing between"),
        ("a " * (MAX_TERMS + 1), 2 * MAX_TERMS, 1, "at most 64 terms"),
        ("(" * 99 + "a" + ")" * 99, 32, 1, "too deeply"),
        ("!" * 99 + "a", 32, 1, "too deeply"),
    ],
)
def test_an_invalid_filter_says_where_and_what_is_possible(text: str, position: int, length: int, words: str) -> None:
    with pytest.raises(FilterError) as refused:
        parse_filter(text, NOW)
    error = refused.value
    assert words in error.message
    assert (error.position, error.length) == (position, length)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("status:fialed", "No known status begins with fialed. Did you mean failed?"),
        ("status:ruNing", "No known status begins with ruNing. Did you mean running?"),
        ("type:zzz", "No known type begins with zzz. Known: scheduled, onDemand"),
    ],
)
def test_an_unknown_status_is_accepted_with_a_hint(text: str, hint: str) -> None:
    assert read(text).hint.startswith(hint)


@pytest.mark.parametrize("text", ["status:failed", "status:comp", "wf:zzz", "status:none"])
def test_a_known_value_needs_no_hint(text: str) -> None:
    assert read(text).hint == ""


def test_a_filter_by_results_says_where_they_come_from() -> None:
    by_results = read("user:adele reason:manager")
    assert by_results.reads_results
    assert by_results.hint.count("results were read") == 1
    assert not read("wf:adele").reads_results


@pytest.mark.parametrize("field", FILTER_FIELDS, ids=str)
def test_every_name_of_a_field_is_understood_in_any_case(field: FilterField) -> None:
    value = next(iter(field.flags), {"count": "1", "datetime": "today"}.get(field.kind, "x"))
    meanings = {str(tree(f"{name}:{value}")) for name in (field.name, field.name.upper(), *field.aliases)}
    assert len(meanings) == 1


@pytest.mark.parametrize("name", [*PROCESSING_STATUS.names, *EXECUTION_TYPE.names])
def test_every_known_name_means_itself_alone(name: str) -> None:
    field = STATUS if name in PROCESSING_STATUS.names else TYPE
    assert tree(f"{field}:{name.lower()}") == IsOneOf(field, (name,))


PIECES = [*'ab!()":,<>= \t\x00', "status", "or", "failed", "started", "-2h", "1", "null", "入社"]


@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_any_text_is_a_filter_or_an_error_that_points_into_it(text: str) -> None:
    refused = None
    try:
        found = parse_filter(text, NOW)
        assert found is None or found.where()
    except FilterError as error:
        refused = error
    if refused is not None:
        assert 0 <= refused.position <= len(text)
        assert refused.length >= 1
        assert refused.message


@given(st.text(min_size=1).filter(lambda text: '"' not in text and text.strip()))
def test_what_is_quoted_is_text_and_reaches_sql_only_as_a_parameter(text: str) -> None:
    node = tree(f'"{text}"')
    assert node == HasText(text)
    assert HasText(text).where()[0] == HasText("other").where()[0]
