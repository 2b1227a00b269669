"""The proof of a change by a reading of the run: every reason for and against it, alone and in all combinations."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtui.domain.report import Outcome
from runtui.graph.client import Answer
from runtui.services.records.journal import Entry, damaged_entry
from runtui.services.writing.proof import UPDATED, has_new_value, has_values, is_explained_by, verdict
from tests.unit.entries import an_entry
from tests.unit.fake_writer import exchange

SENT: Final = datetime(2026, 11, 20, 10, 0, 0, tzinfo=UTC)
"""The time of sending by our own clock."""
AHEAD: Final = timedelta(hours=2)
"""How far the service's clock is ahead of ours."""
EARLIER: Final = "2026-11-20T04:00:50.7736315Z"


def change(**facts: Any) -> Entry:
    """Return a change of two properties that was sent and never answered."""
    usual: dict[str, Any] = {
        "before": {"processingStatus": "completed", "failedTasksCount": 0, UPDATED: EARLIER},
        "after": {"processingStatus": "failed", "failedTasksCount": 7},
        "body": '{"@odata.type": "t", "processingStatus": "failed", "failedTasksCount": 7, "totalUsersCount": 3}',
        "outcome": Outcome.UNKNOWN, "opened_at": SENT,
    }  # fmt: skip
    return an_entry(5, **(usual | facts))


def reading(dated: datetime | None = SENT + AHEAD, **values: Any) -> Answer:
    """Return the run, read at `SENT` by our clock, with the values of the change; an Ellipsis leaves one out."""
    run: dict[str, Any] = {"id": "run-1", "processingStatus": "failed", "failedTasksCount": 7, "totalUsersCount": 3}
    run = {name: value for name, value in (run | {UPDATED: EARLIER} | values).items() if value is not ...}
    headers = (("Date", format_datetime(dated, usegmt=True)),) if dated is not None else ()
    return Answer(replace(exchange("GET"), started_at=SENT, response_headers=headers), run, None)


def moment(seconds: float) -> str:
    """Return the time that long after the change was sent, by the service's clock."""
    return (SENT + AHEAD + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def test_a_run_with_all_the_values_proves_the_change() -> None:
    assert verdict(change(), reading(), []) == (True, "")


@pytest.mark.parametrize(
    "values",
    [
        {"failedTasksCount": 0},
        {"failedTasksCount": ...},
        {"failedTasksCount": "7"},
        {"failedTasksCount": True},
        {"processingStatus": "completed", "failedTasksCount": 0},
    ],
)
def test_a_run_without_all_the_values_proves_nothing_and_there_is_nothing_to_say(values: dict[str, Any]) -> None:
    assert verdict(change(), reading(**values), []) == (False, "")


def test_an_answer_without_a_run_proves_nothing() -> None:
    assert verdict(change(), reading()._replace(entity=None), []) == (False, "")


def test_null_has_to_be_read_to_be_a_proof() -> None:
    """A property that is missing from an answer is not null."""
    clearing = change(before={"completedDateTime": EARLIER}, after={"completedDateTime": None}, body="{}")
    assert verdict(clearing, reading(completedDateTime=None), []).is_proof
    assert verdict(clearing, reading(completedDateTime=...), []) == (False, "")
    assert not verdict(change(before={}, after={"completedDateTime": None}), reading(), []).is_proof


def test_values_that_were_there_before_are_said_to_have_been_there() -> None:
    found = verdict(change(before={"processingStatus": "failed", "failedTasksCount": 7}), reading(), [])
    assert found == (False, "The run has these values, but it had them before this change was sent.")
    half = change(before={"processingStatus": "failed", "failedTasksCount": 0})
    assert verdict(half, reading(), []).is_proof, "one of them is new"


@pytest.mark.parametrize(
    ("updated", "is_proof"),
    [
        (moment(-3_600), False),
        (moment(-2), False),
        (moment(-1.001), False),
        (moment(-1), True),  # `Date` counts whole seconds
        (moment(0), True),
        (moment(0.5), True),
        (moment(3_600), True),  # a later change of another property
        (EARLIER, True),  # this service does not update it
        ("2026-11-20T05:00:50.7736315+01:00", True),
        (None, True),
        (..., True),
        ("soon", True),
        ("0001-01-01T00:00:00Z", False),
        (12, True),
    ],
)
def test_a_run_that_was_last_updated_before_the_change_was_sent_is_somebody_elses_work(
    updated: Any, is_proof: bool
) -> None:
    found = verdict(change(), reading(**{UPDATED: updated}), [])
    assert found.is_proof is is_proof
    assert is_proof or f"it was last updated at {updated}, before this change was sent: somebody else" in found.why


@pytest.mark.parametrize(
    ("facts", "dated"),
    [
        ({"before": {"processingStatus": "completed"}}, SENT + AHEAD),  # written by an older runtui
        ({}, None),
        (
            {"after": {"processingStatus": "failed", UPDATED: moment(-3_600)}},
            SENT + AHEAD,
        ),  # the value that this change sent
    ],
)
def test_the_last_update_proves_nothing_without_an_earlier_one(facts: dict[str, Any], dated: datetime | None) -> None:
    assert verdict(change(**facts), reading(dated, **{UPDATED: moment(-3_600)}), []).is_proof


@pytest.mark.parametrize(("seconds", "is_proof"), [(-3600, False), (1, True)])
def test_a_run_that_was_canceled_before_the_action_was_sent_is_somebody_elses_work(
    seconds: float, is_proof: bool
) -> None:
    before = {"processingStatus": "inProgress", UPDATED: EARLIER}
    cancel = change(method="POST", url="http://127.0.0.1/beta/cancelProcessing", before=before, after={}, body="{}")
    found = verdict(cancel, reading(processingStatus="canceled", lastUpdatedDateTime=moment(seconds)), [])
    assert found.is_proof is is_proof
    assert ("before this action was sent" in found.why) is not is_proof


def test_the_moment_of_sending_is_taken_by_the_services_clock_when_the_run_is_read_hours_later() -> None:
    later = timedelta(hours=5)
    read = reading(SENT + AHEAD + later, **{UPDATED: moment(-10)})
    read = read._replace(exchange=replace(read.exchange, started_at=SENT + later))
    assert not verdict(change(), read, []).is_proof
    assert verdict(change(), read._replace(entity={**(read.entity or {}), UPDATED: moment(10)}), []).is_proof


@pytest.mark.parametrize(
    ("body", "value", "why"),
    [
        ('{"totalUsersCount": 3}', 4, "totalUsersCount is 4, where this change sent 3"),
        ('{"totalUsersCount": null}', 4, "totalUsersCount is 4, where this change sent null"),
        ('{"totalUsersCount": 3}', ..., ""),
        ('{"totalUsersCount": 3}', 3, ""),
        ('{"processingStatus": "[redacted]"}', 3, ""),
        ('{"propertyOfANewerVersion": 1}', 3, ""),
        ("[1]", 4, ""),
        ("no json", 4, ""),
    ],
)
def test_another_value_that_differs_from_the_sent_one_means_somebody_elses_change(
    body: str, value: object, why: str
) -> None:
    found = verdict(change(body=body), reading(totalUsersCount=value), [])
    assert found.is_proof is not bool(why)
    assert why in found.why


OTHERS: Final = {
    "a later one that was done": (6, Outcome.DONE, True),
    "a later one that is unknown": (6, Outcome.UNKNOWN, True),
    "a later one on its way": (6, None, True),
    "a later one that was not done": (6, Outcome.NOT_DONE, False),
    "an earlier one that was done": (4, Outcome.DONE, False),
    "an earlier one that was not done": (4, Outcome.NOT_DONE, False),
    "an earlier one that is unknown": (4, Outcome.UNKNOWN, True),
    "an earlier one on its way": (4, None, True),
    "this one itself": (5, Outcome.UNKNOWN, False),
}


@pytest.mark.parametrize(("number", "outcome", "explains"), OTHERS.values(), ids=OTHERS)
def test_another_change_of_ours_with_the_same_values_explains_them(
    number: int, outcome: Outcome | None, explains: bool
) -> None:
    other = replace(change(), number=number, outcome=outcome)
    assert is_explained_by(change(), [other]) is explains
    found = verdict(change(), reading(), [change(), other])
    assert found == (not explains, f"The run has these values, but {ANOTHER}." if explains else "")


ANOTHER: Final = "another change of yours may have set them"


def test_an_unreadable_change_may_explain_any_value() -> None:
    damaged = damaged_entry(4, "its checksum is wrong")
    assert verdict(change(), reading(), [change(), damaged]) == (False, f"The run has these values, but {ANOTHER}.")
    canceling = change(method="POST", url="https://graph/runs/run-1/cancelProcessing", body="", after={})
    found = verdict(canceling, reading(processingStatus="canceling"), [canceling, damaged])
    assert found == (False, "Its effect is there, but another action of yours may have caused it.")
    assert verdict(canceling, reading(processingStatus="canceling"), [canceling]).is_proof


def test_two_changes_of_ours_may_explain_the_values_together_and_a_moment_in_other_digits_too() -> None:
    halves = [
        replace(change(after={"processingStatus": "failed"}), number=6),
        replace(change(after={"failedTasksCount": 7}), number=7),
    ]
    assert is_explained_by(change(), halves)
    assert not is_explained_by(change(), halves[:1])
    dated = change(after={"startedDateTime": "2026-11-20T10:15:03.9200000+01:00"})
    assert is_explained_by(dated, [replace(change(after={"startedDateTime": "2026-11-20T09:15:03.92Z"}), number=6)])


VALUES: Final = st.fixed_dictionaries(
    {}, optional={"processingStatus": st.sampled_from(["failed", "completed"]), "failedTasksCount": st.integers(0, 2)}
)


@given(before=VALUES, after=VALUES.filter(bool), now=VALUES)
def test_a_change_is_never_proved_by_values_that_are_not_there_or_not_new(
    before: dict[str, Any], after: dict[str, Any], now: dict[str, Any]
) -> None:
    entry = change(before=before, after=after, body="{}")
    found = verdict(entry, reading()._replace(entity=now), [])
    new = {name for name in after if name not in before or before[name] != after[name]}
    assert found.is_proof == (after.items() <= now.items() and bool(new))
    assert has_values(after, now) == (after.items() <= now.items())
    assert has_new_value(entry, now) == any(now.get(name) == after[name] for name in new or after)
    assert bool(found.why) == (after.items() <= now.items() and not new)
