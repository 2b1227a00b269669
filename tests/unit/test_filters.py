"""The filter language: what it understands, what it refuses and where (test_store_model.py proves what it finds)."""

from __future__ import annotations

from datetime import timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtui.domain.enums import EXECUTION_TYPE, PROCESSING_STATUS
from runtui.domain.filter_tree import (
    FIELDS,
    Absent,
    AllOf,
    AnyOf,
    Choice,
    Contains,
    Field,
    Is,
    Moment,
    Node,
    Not,
    Number,
    Text,
    where,
)
from runtui.domain.filters import MOST_TERMS, FilterError, describe, parse
from runtui.domain.times import TICKS_PER_SECOND, parse_ticks

NOW = parse_ticks("2026-11-20T12:00:00Z")
SECOND = TICKS_PER_SECOND
DAY = 24 * 3600 * SECOND
EAST = timezone(timedelta(hours=2))
FIELD = {field.name: field for field in FIELDS}
STATUS, TYPE, WORKFLOW, ID = FIELD["status"], FIELD["type"], FIELD["workflow"], FIELD["id"]
FAILED, STARTED, COMPLETED = FIELD["failed"], FIELD["started"], FIELD["completed"]


def tree(text: str) -> Node | None:
    return parse(text, NOW, EAST).tree


@pytest.mark.parametrize("text", ["", " ", "\t  "])
def test_an_empty_filter_finds_everything(text: str) -> None:
    found = parse(text, NOW)
    assert (found.tree, found.where(), describe(found.tree)) == (None, ("1", ()), "all runs")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("onboard", Text("onboard")),
        ('"two words"', Text("two words")),
        ('"or"', Text("or")),
        ("6513270e-269e", Text("6513270e-269e")),
        ("09:15", Text("09:15")),
        ("a b", AllOf((Text("a"), Text("b")))),
        ("a and b", AllOf((Text("a"), Text("b")))),
        ("a or b", AnyOf((Text("a"), Text("b")))),
        ("a b OR c", AnyOf((AllOf((Text("a"), Text("b"))), Text("c")))),
        ("a (b or c)", AllOf((Text("a"), AnyOf((Text("b"), Text("c")))))),
        ("orphan and android", AllOf((Text("orphan"), Text("android")))),
        ("!a", Not(Text("a"))),
        ("!!a", Not(Not(Text("a")))),
        ("! (a or b)", Not(AnyOf((Text("a"), Text("b"))))),
        ("status:failed", Choice(STATUS, ("failed",))),
        ("STATUS:FAILED", Choice(STATUS, ("failed",))),
        ("processingStatus=completedwitherrors", Choice(STATUS, ("completedWithErrors",))),
        ("status:failed,canceled", Choice(STATUS, ("failed", "canceled"))),
        ("status!=failed,canceled", Not(Choice(STATUS, ("failed", "canceled")))),
        ("status:fail", Choice(STATUS, ("fail",))),
        ("status:pausedByPolicy", Choice(STATUS, ("pausedByPolicy",))),
        ('status:"[/x] y"', Choice(STATUS, ("[/x] y",))),
        ("status:none", Choice(STATUS, ("",))),
        ("!status:failed", Not(Choice(STATUS, ("failed",)))),
        ("type:ondemand", Choice(TYPE, ("onDemand",))),
        ('wf:"Onboard pre-hire"', Contains(WORKFLOW, "Onboard pre-hire")),
        ("workflow=Mover", Contains(WORKFLOW, "Mover", whole=True)),
        ("id:_2341,_99", AnyOf((Contains(ID, "_2341"), Contains(ID, "_99")))),
        ("failed>0", Number(FAILED, ">", 0)),
        ("failedUsersCount<=12", Number(FIELD["failedUsers"], "<=", 12)),
        ("users:3", Number(FIELD["users"], "=", 3)),
        ("users:3,4", AnyOf((Number(FIELD["users"], "=", 3), Number(FIELD["users"], "=", 4)))),
        ("users!=3", Not(Number(FIELD["users"], "=", 3))),
        ("tasks:null", Absent(FIELD["tasks"])),
        ("started>-24h", Moment(STARTED, ">", NOW - DAY, NOW - DAY + 1)),
        ("scheduled<=+2h", Moment(FIELD["scheduled"], "<=", NOW + DAY // 12, NOW + DAY // 12 + 1)),
        ("started<now", Moment(STARTED, "<", NOW, NOW + 1)),
        ("completed:null", Absent(COMPLETED)),
        ("completedDateTime=none", Absent(COMPLETED)),
        ("completed!=null", Not(Absent(COMPLETED))),
        ("is:problem", Is("problem", NOW)),
        ("is:Stuck", Is("stuck", NOW)),
        ("is:problem,active", AnyOf((Is("problem", NOW), Is("active", NOW)))),
    ],
)
def test_what_is_typed_and_what_it_means(text: str, expected: Node) -> None:
    assert tree(text) == expected


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
    assert tree(f"started:{typed}") == Moment(STARTED, "=", start, start + (seconds * SECOND or 1))


@pytest.mark.parametrize(
    ("text", "position", "length", "words"),
    [
        ("stauts:failed", 0, 6, "Did you mean status?"),
        ("a colour:red", 2, 6, "No field is called colour. Possible: status, type, workflow"),
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
        ("is:broken", 3, 6, "problem, stuck, active"),
        ("is>problem", 2, 1, "is takes"),
        ("status:", 6, 1, "A value for status is missing"),
        ("status: failed", 6, 1, "A value for status is missing"),
        ("status:failed,", 13, 1, "A value for status is missing"),
        ("(a", 0, 1, "not closed"),
        ("a (b", 2, 1, "not closed"),
        ("a)", 1, 1, 'no "("'),
        ("()", 1, 1, "missing"),
        ("a or", 4, 1, "missing"),
        ("or a", 0, 1, "missing"),
        ("!", 1, 1, "missing"),
        ('wf:"x', 3, 2, "not closed"),
        ('""', 0, 2, "nothing between"),
        ("a " * (MOST_TERMS + 1), 2 * MOST_TERMS, 1, "at most 64 terms"),
        ("(" * 99 + "a" + ")" * 99, 32, 1, "too deeply"),
        ("!" * 99 + "a", 32, 1, "too deeply"),
    ],
)
def test_what_cannot_be_understood_says_where_and_what_is_possible(
    text: str, position: int, length: int, words: str
) -> None:
    with pytest.raises(FilterError) as refused:
        parse(text, NOW)
    error = refused.value
    assert words in error.message
    assert (error.position, error.length) == (position, length)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("status:fialed", "No known status begins with fialed. Did you mean failed?"),
        ("type:zzz", "No known type begins with zzz. Known: scheduled, onDemand"),
    ],
)
def test_an_unknown_status_is_accepted_with_a_hint(text: str, hint: str) -> None:
    assert parse(text, NOW).hint.startswith(hint)


@pytest.mark.parametrize("text", ["status:failed", "status:comp", "wf:zzz", "status:none"])
def test_what_is_known_needs_no_hint(text: str) -> None:
    assert parse(text, NOW).hint == ""


@pytest.mark.parametrize("field", FIELDS, ids=str)
def test_every_name_of_a_field_is_understood_in_any_case(field: Field) -> None:
    value = {"choice": "x", "text": "x", "number": "1", "moment": "today", "flag": "stuck"}[field.kind]
    meanings = {str(tree(f"{name}:{value}")) for name in (field.name, field.name.upper(), *field.aliases)}
    assert len(meanings) == 1


@pytest.mark.parametrize("name", [*PROCESSING_STATUS.names, *EXECUTION_TYPE.names])
def test_every_known_name_means_itself_alone(name: str) -> None:
    field = STATUS if name in PROCESSING_STATUS.names else TYPE
    assert tree(f"{field}:{name.lower()}") == Choice(field, (name,))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("status:failed,none", "status failed or none"),
        ("x !wf:Onboard", '"x", and not workflow contains "Onboard"'),
        ("wf=x or (a failed>0)", 'workflow is "x", or ("a", and failed > 0)'),
        ("started>=2026-11-20T09:15:03.5Z", "started from 2026-11-20T09:15:03.5Z"),
        ("completed:2026-11-20T09:15:03Z", "completed in 2026-11-20T09:15:03Z to 2026-11-20T09:15:04Z"),
        ("completed:null", "no completed"),
        ("is:stuck", "is at work but was not touched for 3 hours"),
    ],
)
def test_a_filter_in_words(text: str, words: str) -> None:
    assert describe(tree(text)) == words


PIECES = [*'ab!()":,<>= \t\x00', "status", "or", "failed", "started", "-2h", "1", "null", "入社"]


@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_any_text_is_a_filter_or_an_error_that_points_into_it(text: str) -> None:
    refused = None
    try:
        assert describe(parse(text, NOW).tree)
    except FilterError as error:
        refused = error
    if refused is not None:
        assert 0 <= refused.position <= len(text)
        assert refused.length >= 1
        assert refused.message


@given(st.text(min_size=1).filter(lambda text: '"' not in text and text.strip()))
def test_what_is_quoted_is_text_and_reaches_sql_only_as_a_parameter(text: str) -> None:
    node = tree(f'"{text}"')
    assert node == Text(text)
    assert where(Text(text))[0] == where(Text("other"))[0]
