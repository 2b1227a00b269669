"""The proof of an action that starts a run, from the new runs of its workflow: somebody else's run never proves it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtui.domain.report import Outcome
from runtui.domain.times import TICKS_PER_SECOND
from runtui.domain.triage.service_actions import AS_OF, RECENT_RUNS, SUBJECT_IDS
from runtui.graph.client import Answer
from runtui.services.records.journal import Entry, damaged_entry
from runtui.services.writing.on_demand import WINDOW
from runtui.services.writing.proof import UNPROVABLE, new_runs, verdict
from tests.unit.entries import an_entry
from tests.unit.fake_writer import exchange

SENT: Final = datetime(2026, 11, 20, 12, 0, 7, tzinfo=UTC)
"""The time of the action by the service's clock."""
URL: Final = "http://127.0.0.1/beta/workflows/w1/activate"
WINDOW_SECONDS: Final = WINDOW / TICKS_PER_SECOND


def body(*users: str) -> str:
    return json.dumps({"subjects": [{"id": user} for user in users]})


def moment(seconds: float) -> str:
    """Return the time that many seconds after the action was sent."""
    return (SENT + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def action(number: int = 5, *users: str, after: float = 0, **facts: Any) -> Entry:
    """Return an action that was sent that many seconds after the first one and never answered."""
    usual: dict[str, Any] = {
        "run_id": "w1", "method": "POST", "url": URL, "body": body(*(users or ("u1", "u2"))),
        "before": {AS_OF: moment(after), RECENT_RUNS: ["r0"]}, "after": {}, "outcome": Outcome.UNKNOWN,
    }  # fmt: skip
    return an_entry(number, **(usual | facts))


def run(run_id: str = "r1", *users: str, after: float = 0.4, **values: Any) -> dict[str, Any]:
    """Return a run that began that many seconds after the action was sent; an Ellipsis leaves a value out."""
    known = users or ("u2", "u1")
    usual: dict[str, Any] = {
        "id": run_id, "workflowExecutionType": "onDemand", "processingStatus": "queued",
        "scheduledDateTime": moment(after), "totalUsersCount": len(known), SUBJECT_IDS: [*known],
    }  # fmt: skip
    return {name: value for name, value in (usual | values).items() if value is not ...}


def reading(*runs: Mapping[str, Any]) -> Answer:
    return Answer(exchange("GET"), {"id": "w1", AS_OF: moment(0), RECENT_RUNS: [dict(item) for item in runs]}, None)


def proved(entry: Entry, shown: Answer, *others: Entry) -> list[str]:
    """Return the runs that the action provably started."""
    made = new_runs(entry, shown.entity or {}, others)
    assert verdict(entry, shown, others).is_proof == bool(made)
    return made


@pytest.mark.parametrize(
    "started",
    [
        run("r1"),
        run("r1", "U1", "U2"),  # ids are compared without case
        run("r1", processingStatus="completed"),
        run("r1", after=-1),  # `Date` counts whole seconds
        run("r1", after=WINDOW_SECONDS),
    ],
)
def test_the_only_new_run_of_exactly_these_users_proves_the_action(started: dict[str, Any]) -> None:
    assert proved(action(), reading(run("r0"), started)) == ["r1"]


@pytest.mark.parametrize(
    "started",
    [
        run("r0"),  # it existed before
        run("r1", after=-1.1),
        run("r1", after=WINDOW_SECONDS + 0.1),
        run("r1", "u1"),
        run("r1", "u1", processingStatus="completed"),
        run("r1", "u1", "u3"),
        run("r1", "u1", "u2", "u3"),
        run("r1", totalUsersCount=3),  # the third user is still unknown
        run("r1", totalUsersCount=0),
        run("r1", totalUsersCount=...),
        run("r1", totalUsersCount="2"),
        run("r1", subjectIds=None),
        run("r1", subjectIds=...),
        run("r1", subjectIds=[], totalUsersCount=0),
        run("r1", workflowExecutionType="scheduled"),
        run("r1", workflowExecutionType="activatedWithScope"),
        run("r1", workflowExecutionType=...),
        run("r1", scheduledDateTime=...),
        run("r1", scheduledDateTime="soon"),
    ],
)
def test_a_run_that_may_not_be_the_actions_proves_nothing(started: dict[str, Any]) -> None:
    assert proved(action(), reading(started)) == []


@pytest.mark.parametrize(
    "beside",
    [
        run("r2"),  # somebody else sent the same at the same time, or a gateway sent ours twice
        run("r2", after=90),
        run("r2", subjectIds=None),
        run("r2", subjectIds=["u1"], totalUsersCount=0),
        run("r2", subjectIds=[], totalUsersCount=...),
        run("r2", totalUsersCount=0),
        run("r2", after=-1, subjectIds=None),
        run("r2", after=WINDOW_SECONDS, subjectIds=None),
        run("r2", scheduledDateTime=None),
    ],
)
def test_as_long_as_another_new_run_may_be_it_too_nothing_is_proved(beside: dict[str, Any]) -> None:
    assert proved(action(), reading(run("r1"), beside)) == []


@pytest.mark.parametrize(
    "beside",
    [
        run("r2", "u3"),
        run("r2", "u1", "u2", "u3"),
        run("r2", "u1", processingStatus="failed"),
        run("r2", after=-2),
        run("r2", after=600),
        run("r2", after=600, subjectIds=None),
        run("r2", totalUsersCount=9, subjectIds=["u1"]),
    ],
)
def test_a_run_that_does_not_fit_does_not_weaken_the_proof(beside: dict[str, Any]) -> None:
    assert proved(action(), reading(run("r1"), beside)) == ["r1"]


def test_why_nothing_is_proved_names_the_runs_to_look_at() -> None:
    def why(*runs: Mapping[str, Any], others: tuple[Entry, ...] = ()) -> str:
        return verdict(action(), reading(*runs), others).why

    assert why() == "The service shows no new run of these users so far."
    assert "Several new runs have these users, so it is unclear which one is yours: r1, r2." in why(
        run("r1"), run("r2")
    )
    assert "Run r1 is new, but not all of its users are known yet." in why(run("r1", subjectIds=None))
    assert "Run r2 is new, but not all of its users are known yet." in why(run("r1"), run("r2", subjectIds=None))
    assert "Run r1 has these users, but began more than 2 minutes after" in why(run("r1", after=600))
    assert "Run r1 is new, but another action of yours" in why(run("r1"), others=(action(6, after=1),))


@pytest.mark.parametrize("opened_at", [SENT - timedelta(hours=9), SENT + timedelta(hours=9)])
def test_the_clock_of_this_machine_does_not_matter(opened_at: datetime) -> None:
    entry = action(opened_at=opened_at)
    assert proved(entry, reading(run("r1"))) == ["r1"]
    assert proved(entry, reading(run("r1", after=-3_600))) == proved(entry, reading(run("r1", after=3_600))) == []


@pytest.mark.parametrize("before", [{}, {AS_OF: moment(0)}, {RECENT_RUNS: []}])
def test_without_facts_from_before_a_person_must_check(before: dict[str, Any]) -> None:
    assert verdict(action(before=before), reading(run("r1")), ()) == (False, UNPROVABLE)


def test_without_the_time_of_sending_nothing_is_proved() -> None:
    assert proved(action(before={AS_OF: "soon", RECENT_RUNS: []}), reading(run("r1"))) == []


def test_without_readable_runs_a_person_has_to_check() -> None:
    assert verdict(action(), Answer(exchange("GET"), {"id": "w1"}, None), ()) == (False, UNPROVABLE)


@pytest.mark.parametrize(
    "sent", ["", "no json", "[1]", '{"subjects": "u1"}', '{"subjects": ["u1"]}', '{"subjects": []}']
)
def test_a_body_without_an_id_belongs_to_no_run(sent: str) -> None:
    empty = run("r1", subjectIds=[], totalUsersCount=0)
    assert proved(action(body=sent), reading(empty)) == proved(action(body=sent), reading(run("r1"))) == []


@pytest.mark.parametrize(
    ("other", "made"),
    [
        (action(6, after=1), []),
        (action(6, after=1, outcome=Outcome.DONE), []),
        (action(6, after=1, outcome=None), []),
        (action(4, after=-30), []),
        (action(4, after=-30, outcome=Outcome.DONE), []),
        (action(6, after=1, before={}), []),
        (damaged_entry(6, "It is not as it was written."), []),
        (action(6, after=1, outcome=Outcome.NOT_DONE), ["r1"]),
        (action(6, after=1, new_run="r9"), ["r1"]),
        (action(6, after=1, new_run="r1"), []),
        (action(6, "u1", after=1), ["r1"]),
        (action(6, "u1", after=1, before={}), ["r1"]),
        (action(6, after=1, url=URL.replace("activate", "clearQuarantine")), ["r1"]),
        (action(6, after=60), ["r1"]),  # the run existed before that one was sent
        (action(4, after=-600), ["r1"]),
        (action(6, after=1, before={AS_OF: moment(1), RECENT_RUNS: ["r0", "r1"]}), ["r1"]),
        (action(5), ["r1"]),  # the action itself
    ],
)
def test_a_run_that_another_action_of_ours_may_have_started_proves_nothing(other: Entry, made: list[str]) -> None:
    assert proved(action(), reading(run("r1")), other) == made


def test_two_actions_of_which_one_was_lost_are_told_apart_by_two_runs_and_never_by_one() -> None:
    first, second = action(5), action(6, after=1)
    assert proved(first, reading(run("r1")), second) == proved(second, reading(run("r1")), first) == []
    both = reading(run("r1"), run("r2", after=1.5))
    assert proved(first, both, second) == []
    assert proved(first, both, replace(second, new_run="r2", outcome=Outcome.DONE)) == ["r1"]


_SECONDS: Final = st.floats(-300, 900)


@given(
    is_applied=st.booleans(),
    theirs=st.lists(st.tuples(_SECONDS, st.sets(st.sampled_from(["u1", "u2", "u3"]), min_size=1)), max_size=4),
    seen=st.lists(st.booleans(), min_size=5, max_size=5),
)
def test_runs_that_others_start_are_never_taken_for_ours(
    is_applied: bool, theirs: list[tuple[float, set[str]]], seen: list[bool]
) -> None:
    """Except if they start exactly the same at the same moment and our request was lost: nothing distinguishes those
    two."""
    runs = [run(f"r{number}", *users, after=after) for number, (after, users) in enumerate(theirs, 1)]
    alike = [after for after, users in theirs if users == {"u1", "u2"} and -1 <= after <= WINDOW_SECONDS]
    if is_applied:
        runs.append(run("ours"))
    for item, is_seen in zip(runs, seen, strict=False):
        item[SUBJECT_IDS] = item[SUBJECT_IDS] if is_seen else None
    made = proved(action(), reading(*runs))
    assert made in ([], ["ours"]) or (alike and not is_applied)
    assert not (is_applied and alike and made)
