"""One change to many runs: what they have in common, the draft of each, and what the review counts."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from runtui.domain.bulk_draft import actions_of, by_count, common_values, drafts_of, mixed_values
from runtui.domain.draft import BodyMode, Draft
from runtui.domain.rows import StoredRun
from runtui.domain.times import parse_ticks
from runtui.domain.triage.service_actions import cancel

NOW = parse_ticks("2026-11-26T06:00:00Z")


def a_run(number: int, **values: Any) -> StoredRun:
    received = {
        "id": f"run-{number}",
        "processingStatus": "failed",
        "workflowExecutionType": "scheduled",
        "startedDateTime": "2026-11-20T09:00:00Z",
        "completedDateTime": None,
        "totalUsersCount": 3,
    }
    return StoredRun(f"run-{number}", "w1", "Onboard", {**received, **values})


def model(runs: list[StoredRun], mode: BodyMode = "changed", **texts: str) -> Draft:
    draft = Draft("", "", {}, mode).rebased(common_values(runs))
    for name, text in texts.items():
        draft = draft.typed(name, text, NOW)
    return draft


def test_values_that_all_runs_have_are_common_and_the_others_are_counted() -> None:
    runs = [a_run(0), a_run(1, processingStatus="inProgress", totalUsersCount=4), a_run(2, totalUsersCount=True)]
    assert common_values(runs) == {
        "workflowExecutionType": "scheduled",
        "startedDateTime": "2026-11-20T09:00:00Z",
        "completedDateTime": None,
    }
    assert mixed_values(runs) == {"processingStatus": "2 failed, 1 inProgress", "totalUsersCount": "1 3, 1 4, 1 true"}


def test_a_moment_in_two_spellings_is_common_and_a_property_that_one_lacks_is_mixed() -> None:
    lacking = a_run(1, startedDateTime="2026-11-20T09:00:00.000Z")
    lacking = lacking._replace(raw={k: v for k, v in lacking.raw.items() if k != "completedDateTime"})
    runs = [a_run(0), lacking]
    assert common_values(runs)["startedDateTime"] == "2026-11-20T09:00:00Z"
    assert mixed_values(runs) == {"completedDateTime": "1 null, 1 (not received)"}


def test_each_run_gets_a_draft_of_its_own_with_only_what_was_typed() -> None:
    runs = [a_run(0), a_run(1, processingStatus="canceled"), a_run(2, processingStatus="inProgress"), a_run(3)]
    bulk = drafts_of(model(runs, processingStatus="canceled"), runs, {"run-3"}, gone=["run-8", "run-9"])
    assert [draft.run_id for draft in bulk.drafts] == ["run-0", "run-2"]
    assert [json.loads(draft.body_text()) for draft in bulk.drafts] == [
        {"@odata.type": "#microsoft.graph.identityGovernance.run", "processingStatus": "canceled"}
    ] * 2
    assert bulk.left_out_words() == (
        "2 no longer in the list, 1 with a change in progress, 1 with these values already"
    )
    assert list(bulk.changes()) == [("processingStatus", "1 failed, 1 inProgress", "canceled")]
    assert bulk.also_sent() == ""


def test_in_full_each_body_is_that_of_a_single_change_with_the_runs_own_values() -> None:
    lacking, empty = a_run(1, totalUsersCount=8), a_run(2, totalUsersCount=None)
    lacking = lacking._replace(raw={k: v for k, v in lacking.raw.items() if k != "workflowExecutionType"})
    runs = [a_run(0), lacking, empty]
    bulk = drafts_of(model(runs, "full", processingStatus="canceled"), runs, ())
    singles = [Draft(run.run_id, "w1", run.raw).typed("processingStatus", "canceled", NOW) for run in runs]
    assert [draft.body_text() for draft in bulk.drafts] == [draft.body_text() for draft in singles]
    assert [json.loads(draft.body_text())["totalUsersCount"] for draft in bulk.drafts] == [3, 8, None]
    assert bulk.also_sent() == "Also sends up to 2 unchanged required properties, each run its own"
    assert "totalUsersCount goes back as received" in " ".join(bulk.warnings())
    assert "workflowExecutionType was not received, so it is left out" in " ".join(bulk.warnings())
    assert drafts_of(model(runs[:1], "full", processingStatus="canceled"), runs[:1], ()).also_sent().endswith("its own")


def test_a_relative_time_is_one_moment_for_all() -> None:
    runs = [a_run(0), a_run(1, startedDateTime=None)]
    bulk = drafts_of(model(runs, startedDateTime="-2h"), runs, ())
    assert {json.loads(draft.body_text())["startedDateTime"] for draft in bulk.drafts} == {"2026-11-26T04:00:00Z"}
    (change,) = bulk.changes()
    assert change == ("startedDateTime", "1 2026-11-20T09:00:00Z, 1 null", "2026-11-26T04:00:00Z")


def test_a_warning_is_shown_once_with_its_number_of_runs() -> None:
    runs = [a_run(0), a_run(1, startedDateTime="2026-11-22T09:00:00Z")]
    bulk = drafts_of(model(runs, completedDateTime="2026-11-21T09:00:00Z"), runs, ())
    assert list(bulk.warnings()) == ["The run would be completed before it started. (1 run)"]


def test_what_stops_a_run_is_told_where_one_goes_on() -> None:
    runs = [a_run(0), a_run(1, processingStatus="inProgress")]
    bulk = drafts_of(model(runs, processingStatus="canceled"), runs, ())
    assert list(bulk.warnings()) == ["To stop a run, the service offers cancelProcessing on the workflow. (1 run)"]


def test_typed_values_stay_until_all_runs_have_them() -> None:
    some, all_of_them = [a_run(0), a_run(1, processingStatus="canceled")], [a_run(1, processingStatus="canceled")]
    left = model(some, processingStatus="canceled")
    assert left.rebased(common_values(some)) == left
    assert not left.rebased(common_values(all_of_them)).edits


def test_many_values_are_told_by_the_commonest() -> None:
    assert by_count(Counter({"a": 5, "b": 3, "": 2, "c": 1, "d": 1})) == "5 a, 3 b, 2 empty, 2 with 2 other values"
    assert by_count(Counter({"a": 5, "b": 3, "": 2, "c": 1})) == "5 a, 3 b, 2 empty, 1 c", "one more is named"
    assert by_count(Counter("abcdd"), "workflow") == "2 d, 1 a, 1 b, 1 c"
    assert by_count(Counter("abcdde"), "workflow") == "2 d, 1 a, 1 b, 2 with 2 other workflows"


def test_a_run_that_is_listed_in_two_spellings_of_its_id_is_changed_once() -> None:
    runs = [StoredRun(name, "w1", "", {"id": name, "processingStatus": "inProgress"}) for name in ("a_1", "b_2", "A_1")]
    model = Draft("", "", {}, "changed").with_values({"processingStatus": "canceled"})
    assert [draft.run_id for draft in drafts_of(model, runs, ()).drafts] == ["a_1", "b_2"]
    assert [action.run_id for action in actions_of(cancel, runs, ()).drafts] == ["a_1", "b_2"]


def test_a_mixed_optional_date_is_cleared_only_in_the_runs_that_have_one() -> None:
    runs = [a_run(0, completedDateTime="2026-11-20T10:00:00Z"), a_run(1)]
    mixed = model(runs)
    assert not mixed.typed("completedDateTime", " ", NOW).changes()
    assert mixed.typed("scheduledDateTime", "none", NOW).errors(), "it is required"
    cleared = mixed.typed("completedDateTime", "none", NOW)
    assert cleared.rebased(common_values(runs)) == cleared, "the form opens again with it"
    (draft,) = drafts_of(cleared, runs, ()).drafts
    assert (draft.run_id, json.loads(draft.body_text())["completedDateTime"]) == ("run-0", None)
