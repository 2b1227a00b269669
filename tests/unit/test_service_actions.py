"""The service's own actions through the write path: what proves one, what does not, and that none is sent twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from runtui.domain.bulk_draft import actions_of
from runtui.domain.report import Outcome
from runtui.domain.rows import StoredRun
from runtui.domain.triage.service_actions import (
    AS_OF,
    RECENT_RUNS,
    REPROCESSED,
    SUBJECT_IDS,
    ServiceAction,
    cancel,
    clear_quarantine,
    consequences,
    reprocess,
    resume,
    run_on_demand,
    why_not,
)
from runtui.errors import UsageError
from runtui.graph.client import Answer, GraphClient
from runtui.graph.faults import Fault, refused_action
from runtui.services.records.journal import Entry, Journal
from runtui.services.store.store import EVERY_RUN, workflow_of
from runtui.services.writing import follow
from runtui.services.writing.bulk import CONCURRENT_WRITES
from runtui.services.writing.drive import WriteContext
from runtui.services.writing.on_demand import started_runs
from runtui.services.writing.reconcile import Reconciler
from runtui.services.writing.saves import SaveQueue
from runtui.services.writing.undo import why_not as why_no_undo
from runtui.services.writing.write import Save
from tests import PATIENCE, there
from tests.unit.fake_writer import RUN, WORKFLOW, answered
from tests.unit.intents import intent
from tests.unit.saves_bench import ROOT, Bench, refused, who

NEW_RUN: Final = {**RUN, "id": "r9", "processingStatus": "queued"}
STARTED: Final = {**NEW_RUN, "workflowExecutionType": "onDemand", "totalUsersCount": 2, SUBJECT_IDS: ["u1", "u2"]}
HELD: Final = {"quarantineType": "countBasedThresholdExceeded", "quarantinedDateTime": "2026-11-20T06:00:00Z"}
FREED: Final = {"quarantineType": "notQuarantined"}

CANCEL: Final = cancel(WORKFLOW, "r1")
REPROCESS: Final = reprocess(WORKFLOW, "r1", "failed-tasks")
CLEAR: Final = clear_quarantine(WORKFLOW)
RESUME: Final = resume(WORKFLOW, "r1", "t1", "completed")
ON_DEMAND: Final = run_on_demand(WORKFLOW, ["u1", "u2"])


class Service(Bench):
    """A bench whose service carries out actions, and answers each as a test says."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.run = {**RUN, REPROCESSED: []}
        self.workflow: dict[str, Any] = {"id": WORKFLOW, "displayName": "Onboard", "quarantineDetails": HELD}
        self.started: list[dict[str, Any]] = []
        """The runs on demand of the workflow."""
        self.task = {"id": "t1", "processingStatus": "inProgress"}
        self.sent: list[ServiceAction] = []
        self.graph.on_observe = lambda action: answered(self._object(action))
        self.answer_actions((answered(method="POST"), True))

    def _object(self, action: ServiceAction) -> dict[str, Any]:
        if action.name == "activate":
            return self.workflow | {AS_OF: STARTED["scheduledDateTime"], RECENT_RUNS: self.started}
        if action.is_about_workflow:
            return self.workflow
        return self.task if action.task_result_id else self.run

    def answer_actions(self, *answers: tuple[Answer, bool]) -> None:
        """Answer the actions one by one, and carry out those with that mark; the last answer is repeated."""
        left = list(answers)

        def act(action: ServiceAction) -> Answer:
            assert self.journal.entries()[0].outcome is None, "the intent is on disk first"
            self.sent.append(action)
            answer, is_applied = left.pop(0) if len(left) > 1 else left[0]
            if is_applied:
                self.carry_out(action)
            return answer

        self.graph.on_act = act

    def carry_out(self, action: ServiceAction) -> None:
        match action.name:
            case "cancelProcessing":
                self.run = {**self.run, "processingStatus": "canceling"}
            case "activateWithScope":
                self.run = {**self.run, REPROCESSED: [NEW_RUN]}
            case "clearQuarantine":
                self.workflow = {**self.workflow, "quarantineDetails": FREED}
            case "activate":
                self.started = [STARTED]
            case "resume":
                self.task = {**self.task, "processingStatus": "completed"}

    async def act(self, action: ServiceAction) -> Save:
        if action.name == "activateWithScope":
            self.run = {**self.run, "processingStatus": "failed"}
        self.saves.submit(action)
        assert await self.saves.drain(PATIENCE) == 0
        return self.news[-1]

    @property
    def entry(self) -> Entry:
        return self.journal.entries()[0]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with closing(Service(tmp_path)) as bench:
        yield bench


ACTIONS: Final = (CANCEL, REPROCESS, CLEAR, RESUME, ON_DEMAND)
MAKERS: Final = (REPROCESS, ON_DEMAND)
"""The actions that make a run."""
LOST: Final = answered(None, outcome=Outcome.UNKNOWN, method="POST")


def named(action: object) -> str:
    return action.name if isinstance(action, ServiceAction) else ""


@pytest.mark.parametrize("action", ACTIONS, ids=named)
async def test_an_accepted_action_is_done_by_the_answer(service: Service, action: ServiceAction) -> None:
    save = await service.act(action)
    assert (save.outcome, save.known_by, service.sent) == (Outcome.DONE, "answer", [action])
    entry = service.entry
    assert (entry.outcome, entry.method, entry.action, entry.body) == (
        Outcome.DONE, "POST", action.name, action.body_text(),
    )  # fmt: skip
    assert entry.after == ({"processingStatus": "canceled"} if action is CANCEL else {})
    # A run on demand does not name its starter, and a colleague may have started one at the same moment.
    assert entry.new_run == save.new_run == ("r9" if action is REPROCESS else "")
    assert why_no_undo(entry) == "It was an action of the service; there is nothing to undo."
    assert service.entry.workflow_name == "Onboard", "also where it is about no run of the list"


async def test_the_object_of_an_action_is_read_even_if_the_answer_brings_one(service: Service) -> None:
    service.answer_actions((answered(service.workflow, method="POST"), True))
    await service.act(CLEAR)
    read = f"GET {WORKFLOW} for clearQuarantine"
    assert service.graph.calls == [read, f"POST clearQuarantine {WORKFLOW}", read]


async def test_neither_of_two_new_runs_is_called_ours(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A colleague may reprocess the run at the same moment. Then neither run is reported, recorded or followed."""
    monkeypatch.setattr(follow, "FOLLOW_SECONDS", (0.0,))

    def act(_: ServiceAction) -> Answer:
        service.run = {**service.run, REPROCESSED: [NEW_RUN, {**NEW_RUN, "id": "r10"}]}
        return answered(method="POST")

    class Client(GraphClient):
        def __init__(self) -> None: ...

        async def observe(self, action: ServiceAction, *, before: Mapping[str, Any] | None = None) -> Answer:
            return service.graph.on_observe(action)

        async def peek(self, workflow_id: str, run_id: str) -> Answer:
            raise AssertionError(run_id)

    service.graph.on_act = act
    save = await service.act(REPROCESS)
    assert (save.outcome, save.new_run, service.entry.new_run) == (Outcome.DONE, "", "")
    assert [found async for found in follow.followed(Client(), save)] == []


@pytest.mark.parametrize("action", ACTIONS, ids=named)
@pytest.mark.parametrize("lost", [LOST, refused(503, Outcome.UNKNOWN, method="POST"), refused(409, method="POST")])
async def test_the_state_of_the_service_settles_a_lost_answer(
    service: Service, action: ServiceAction, lost: Answer
) -> None:
    """409: a gateway sent the action twice, and the second copy was refused."""
    service.answer_actions((lost, True))
    save = await service.act(action)
    assert (save.outcome, save.known_by, len(service.sent)) == (Outcome.DONE, "read-back", 1)
    assert save.new_run == ("r9" if action in MAKERS else "")


@pytest.mark.parametrize("action", ACTIONS, ids=named)
async def test_an_action_without_proof_stays_unknown_and_is_not_repeated(
    service: Service, action: ServiceAction
) -> None:
    service.answer_actions((LOST, False))
    save = await service.act(action)
    assert (save.outcome, save.known_by, save.entry, len(service.sent)) == (Outcome.UNKNOWN, "", 1, 1)
    if action is ON_DEMAND:
        assert "The service shows no new run of these users so far." in service.entry.words


async def test_a_run_on_demand_is_not_proved_without_readable_runs(service: Service) -> None:
    service.graph.on_observe = lambda _: answered(service.workflow)
    service.answer_actions((LOST, True), (refused(409, method="POST"), False))
    assert (await service.act(ON_DEMAND)).outcome is Outcome.UNKNOWN
    assert "Nothing that the service shows proves it" in service.entry.words
    assert (await service.act(ON_DEMAND)).outcome is Outcome.UNKNOWN, "409: a copy of it may have been carried out"


@pytest.mark.parametrize("status", [400, 403, 404, 406, 409])
@pytest.mark.parametrize("action", ACTIONS, ids=named)
async def test_a_refusal_is_not_done(service: Service, action: ServiceAction, status: int) -> None:
    service.answer_actions((refused(status, method="POST"), False))
    save = await service.act(action)
    assert (save.outcome, len(service.sent)) == (Outcome.NOT_DONE, 1)
    assert save.fault is not None
    if status == 403:
        assert save.fault.hint.startswith(f"{action.name} needs LifecycleWorkflows")


@pytest.mark.parametrize("action", ACTIONS, ids=named)
async def test_a_throttled_action_is_sent_again_for_it_was_not_carried_out(
    service: Service, action: ServiceAction
) -> None:
    service.answer_actions((refused(429, wait="0", method="POST"), False), (answered(method="POST"), True))
    save = await service.act(action)
    assert (save.outcome, len(service.sent)) == (Outcome.DONE, 2)
    assert [entry.outcome for entry in service.journal.entries()] == [Outcome.DONE, Outcome.NOT_DONE]


@pytest.mark.parametrize(
    ("action", "received", "why"),
    [
        (CANCEL, {"processingStatus": "completed"}, "Only a queued or running run can be canceled"),
        (CANCEL, {"processingStatus": "canceling"}, "this one is canceling"),
        (REPROCESS, {"processingStatus": "inProgress"}, "The run has not ended"),
        (REPROCESS, {"processingStatus": "completed", "failedUsersCount": 0}, "No user of this run failed"),
        (reprocess(WORKFLOW, "r1", "all"), {"processingStatus": "completed", "failedUsersCount": 0}, ""),
        (CLEAR, {"id": WORKFLOW, "quarantineDetails": FREED}, "not in quarantine"),
        (RESUME, {"processingStatus": "completed"}, "Only a task that waits"),
        (ON_DEMAND, {}, ""),
    ],
)
async def test_an_action_that_cannot_help_says_why(action: ServiceAction, received: dict[str, Any], why: str) -> None:
    said = why_not(action, received)
    assert (why in said) if why else said == ""


async def test_nothing_is_sent_if_the_fresh_read_rules_the_action_out(service: Service) -> None:
    service.run = {**service.run, "processingStatus": "completed"}
    save = await service.act(CANCEL)
    assert (save.outcome, save.entry, service.sent) == (Outcome.NOT_DONE, None, [])
    stored = there(service.store.get("r1"))
    assert stored.raw["processingStatus"] == "completed", "the list shows what was read"


async def test_a_reprocess_puts_the_new_run_into_the_list(service: Service) -> None:
    await service.act(REPROCESS)
    stored, made = service.store.get("r1"), service.store.get("r9")
    assert stored is not None
    assert (there(made).raw, REPROCESSED in stored.raw) == (NEW_RUN, False)


@pytest.mark.parametrize("action", ACTIONS, ids=named)
async def test_the_object_of_an_action_is_stored_by_its_kind(service: Service, action: ServiceAction) -> None:
    await service.act(action)
    rows = {row.id for row in service.store.window(EVERY_RUN, 0, 99)}
    assert rows == ({"r1", "r9"} if action in MAKERS else {"r1"})
    if action.is_about_workflow:
        assert workflow_of(service.store, WORKFLOW) == service.workflow


def reconciler_of(service: Service) -> Reconciler:
    return Reconciler(service.graph, service.journal, service.store, ROOT)


@pytest.mark.parametrize("action", ACTIONS, ids=named)
async def test_an_unknown_action_is_settled_once_the_service_shows_it(service: Service, action: ServiceAction) -> None:
    service.answer_actions((LOST, False))
    assert (await service.act(action)).outcome is Outcome.UNKNOWN
    reconciler = reconciler_of(service)
    await reconciler.check_all()
    assert service.entry.outcome is Outcome.UNKNOWN, "nothing shows it yet"
    service.carry_out(action)
    await reconciler.check_all()
    entry = service.entry
    assert (entry.outcome, entry.known_by) == (Outcome.DONE, "read-back")
    assert entry.new_run == ("r9" if action in MAKERS else "")
    assert len(service.sent) == 1


@pytest.mark.parametrize("action", MAKERS, ids=named)
async def test_one_effect_proves_neither_of_two_unknown_actions(service: Service, action: ServiceAction) -> None:
    service.answer_actions((LOST, False))
    await service.act(action)
    await service.act(action)
    service.carry_out(action)
    await reconciler_of(service).check_all()
    assert [entry.outcome for entry in service.journal.entries()] == [Outcome.UNKNOWN, Outcome.UNKNOWN]
    assert "another action of yours" in service.entry.words


async def test_a_run_that_another_action_has_made_proves_nothing(service: Service) -> None:
    service.answer_actions((LOST, False), (answered(method="POST"), True))
    await service.act(REPROCESS)
    assert (await service.act(REPROCESS)).new_run == "r9"
    reconciler = reconciler_of(service)
    await reconciler.check_all()
    assert [entry.outcome for entry in service.journal.entries()] == [Outcome.DONE, Outcome.UNKNOWN]
    service.run = {**service.run, REPROCESSED: [NEW_RUN, {**NEW_RUN, "id": "r10"}]}
    await reconciler.check_all()
    assert [entry.new_run for entry in service.journal.entries()] == ["r9", "r10"]


async def test_two_new_runs_settle_an_unknown_action_and_neither_is_called_ours(service: Service) -> None:
    service.answer_actions((LOST, False))
    await service.act(REPROCESS)
    service.run = {**service.run, REPROCESSED: [NEW_RUN, {**NEW_RUN, "id": "r10"}]}
    await reconciler_of(service).check_all()
    assert (service.entry.outcome, service.entry.new_run) == (Outcome.DONE, "")


async def test_a_new_run_in_another_scope_proves_nothing(service: Service) -> None:
    service.answer_actions((LOST, False))
    await service.act(REPROCESS)
    scope = {"@odata.type": "#x.activateRunScope", "userScope": "allUsers", "taskScope": "allTasks"}
    service.run = {**service.run, REPROCESSED: [{**NEW_RUN, "activatedOnScope": scope}]}
    await reconciler_of(service).check_all()
    assert service.entry.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("status", [[], {}, 5, None], ids=repr)
async def test_a_status_that_is_no_text_proves_nothing(status: Any, service: Service) -> None:
    service.answer_actions((LOST, False))
    reads = iter([service.run, {**service.run, "processingStatus": status}])
    service.graph.on_observe = lambda _: answered(next(reads))
    save = await service.act(CANCEL)
    assert (save.outcome, service.entry.outcome) == (Outcome.UNKNOWN, Outcome.UNKNOWN)
    started = {**STARTED, "processingStatus": status, SUBJECT_IDS: ["u1"]}
    before = {AS_OF: STARTED["scheduledDateTime"], RECENT_RUNS: []}
    on_demand = intent(method="POST", url="/activate", body=ON_DEMAND.body_text(), before=before)
    assert started_runs(on_demand, {RECENT_RUNS: [started]}) == ((), (), (), ())
    assert follow.FollowedRun(started, is_new=True).has_ended


async def test_a_national_cloud_is_not_asked_for_what_it_lacks(service: Service, tmp_path: Path) -> None:
    context = WriteContext("https://graph.microsoft.us/v1.0", "Contoso", "prod", who)
    saves = SaveQueue(service.graph, service.store, Journal(tmp_path / "other.db"), context)
    with pytest.raises(UsageError, match=r"US Government L4 does not offer cancelProcessing"):
        saves.submit(CANCEL)
    assert not service.graph.calls


@pytest.mark.parametrize("action", MAKERS, ids=named)
async def test_a_new_run_is_followed_to_its_end(
    service: Service, action: ServiceAction, monkeypatch: pytest.MonkeyPatch
) -> None:
    """runtui looks for it if the service does not show it at once; a failed read is not the end."""
    monkeypatch.setattr(follow, "FOLLOW_SECONDS", (0.0,))
    service.answer_actions((answered(method="POST"), False))
    save = await service.act(action)
    assert (save.outcome, save.new_run) == (Outcome.DONE, "")
    states = iter(["queued", None, "inProgress", "completed"])

    class Client(GraphClient):
        def __init__(self) -> None: ...

        async def observe(self, action: ServiceAction, *, before: Mapping[str, Any] | None = None) -> Answer:
            assert before == there(save.intent).before
            service.carry_out(action)
            return service.graph.on_observe(action)

        async def peek(self, workflow_id: str, run_id: str) -> Answer:
            assert (workflow_id, run_id) == (WORKFLOW, "r9")
            state = next(states)
            return answered({**NEW_RUN, "processingStatus": state} if state else None, outcome=None)

    followed = [found async for found in follow.followed(Client(), save)]
    assert [found.words() for found in followed] == [
        "The new run r9 is queued, 10 of 12 users done, 1 failed.",
        "The new run r9 is running, 10 of 12 users done, 1 failed.",
        "The new run r9 has ended: completed, 10 of 12 users done, 1 failed.",
    ]
    assert [found.words("Onboard") for found in followed[1:]] == [
        "Onboard, new run r9, is running, 10 of 12 users done, 1 failed.",
        "Onboard, new run r9, has ended: completed, 10 of 12 users done, 1 failed.",
    ]


def test_the_review_of_a_cancel_says_what_stays() -> None:
    said = " ".join(consequences(CANCEL, RUN))
    assert "11 of 12 users are already processed: what was done for them stays." in said


def test_a_service_without_the_action_is_reported_apart_from_a_wrong_run() -> None:
    refused = Fault("This service does not offer this change", "", "", Outcome.NOT_DONE, 400)
    told = refused_action(refused, CANCEL)
    assert told.title == "This service does not offer this action"
    assert "cancelProcessing" in told.message


async def test_one_action_on_several_runs_ends_for_each_by_itself(service: Service) -> None:
    """One was answered, one lost its answer, one is disproved by its run: none of them holds the others."""
    states = {"r1": "inProgress", "r2": "queued", "r3": "completed"}
    runs = {run_id: {**RUN, "id": run_id, "processingStatus": state} for run_id, state in states.items()}
    service.graph.on_observe = lambda action: answered(runs[action.run_id])

    def act(action: ServiceAction) -> Answer:
        service.sent.append(action)
        runs[action.run_id]["processingStatus"] = "canceling"
        return LOST if action.run_id == "r2" else answered(method="POST")

    service.graph.on_act = act
    service.saves.submit_many([cancel(WORKFLOW, run_id) for run_id in states])
    assert await service.saves.drain(PATIENCE) == 0
    ended = {save.run_id: (save.outcome, save.known_by) for save in service.news if not save.active}
    assert ended == {"r1": (Outcome.DONE, "answer"), "r2": (Outcome.DONE, "read-back"), "r3": (Outcome.NOT_DONE, "")}
    assert len(service.sent) == 2
    assert len({entry.batch for entry in service.journal.entries()}) == 1


async def test_a_refusal_of_one_action_holds_those_that_were_not_sent(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each action is sent by itself, even if many are ready."""
    runs = {f"r{n}": {**RUN, "id": f"r{n}"} for n in range(3 * CONCURRENT_WRITES)}
    service.graph.on_observe = lambda action: answered(runs[action.run_id])

    async def act(action: ServiceAction, *, client_request_id: str | None = None) -> Answer:
        service.sent.append(action)
        is_one_of_the_first = len(service.sent) <= CONCURRENT_WRITES
        await all_recorded.wait()
        return answered(method="POST") if is_one_of_the_first else refused(403, method="POST")

    monkeypatch.setattr(service.graph, "act", act)
    loop, all_recorded = asyncio.get_running_loop(), asyncio.Event()
    service.journal.changed.subscribe(
        lambda numbers: loop.call_soon_threadsafe(all_recorded.set) if len(runs) in numbers else None
    )
    bulk, held = service.saves.submit_many([cancel(WORKFLOW, run_id) for run_id in runs]), asyncio.Event()
    bulk.changed.subscribe(lambda _bulk: held.set())
    await asyncio.wait_for(held.wait(), PATIENCE)
    bulk.stop()
    assert await service.saves.drain(PATIENCE) == 0
    assert CONCURRENT_WRITES < len(service.sent) <= 2 * CONCURRENT_WRITES < len(runs)


def test_runs_that_an_action_cannot_help_are_counted_by_state() -> None:
    runs = [
        StoredRun(f"r{n}", WORKFLOW, "Onboard", {**RUN, "id": f"r{n}", "processingStatus": state})
        for n, state in enumerate(("inProgress", "queued", "completed", "queued"))
    ]
    bulk = actions_of(cancel, runs, {"r3"}, {"r9"})
    assert [action.run_id for action in bulk.drafts] == ["r0", "r1"]
    assert list(bulk.changes()) == [("processingStatus", "1 inProgress, 1 queued", "cancel the run")]
    assert bulk.left_out_words() == "1 completed, 1 no longer in the list, 1 with a change in progress"
    assert bulk.notes[0] == "22 of 24 users are already processed: what was done for them stays."


@pytest.mark.parametrize(
    ("status", "words"),
    [("inProgress", "is running"), ("completed", "has ended: completed"), ("pausedByPolicy", "is pausedByPolicy")],
)
def test_a_followed_run_has_ended_only_with_a_status_that_is_known_as_an_end(status: str, words: str) -> None:
    found = follow.FollowedRun({"id": "r1", "processingStatus": status}, is_new=False)
    assert found.words() == f"The run r1 {words}."
