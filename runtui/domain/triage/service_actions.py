"""The service's own actions on a run, a task or a workflow: what each sends, and when it can help.

Invariant: a body has exactly the properties that the service's metadata declares for the action. `why_not` judges only
what was read; the service has the last word. Sources: the metadata of lifecycle workflows (v1.0) and the reference
pages of workflow and taskProcessingResult.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from runtui.domain.draft import Draft
from runtui.domain.rows import status_word
from runtui.domain.text import count_words
from runtui.domain.triage.received import text_in
from runtui.domain.triage.workflows import Workflow

ActionName = Literal["cancelProcessing", "activateWithScope", "activate", "clearQuarantine", "resume"]
"""The last segment of the URL that the action is posted to."""

TaskEnd = Literal["completed", "failed"]
"""The end of a resumed task: a `customTaskExtensionOperationStatus`."""

_MAY_ACTIVATE: Final = (
    "LifecycleWorkflows-Workflow.Activate",
    "LifecycleWorkflows-Workflow.ReadWrite.All",
    "LifecycleWorkflows.ReadWrite.All",
)
_MAY_WRITE: Final = _MAY_ACTIVATE[1:]

PERMISSIONS: Final[Mapping[ActionName, tuple[str, ...]]] = {
    "cancelProcessing": _MAY_WRITE,
    "activateWithScope": _MAY_ACTIVATE,
    "activate": _MAY_ACTIVATE,
    "clearQuarantine": _MAY_WRITE,
    "resume": ("LifecycleWorkflows.ReadWrite.All",),
}
"""The permissions for each action, the least privileged first; one of them is enough. The reference names none for
activateWithScope, which does the same as activate."""

_NAMESPACE: Final = "#microsoft.graph.identityGovernance"

REPROCESSED: Final = "reprocessedRuns"
"""The key for the runs that processed a run again."""

RECENT_RUNS: Final = "runs"
"""The key for the workflow's on-demand runs since shortly before an action."""

SUBJECT_IDS: Final = "subjectIds"
"""The key for the ids of a run's users."""

AS_OF: Final = "asOf"
"""The key for the time of the action, by the service's clock."""

READ_BESIDES: Final = frozenset({REPROCESSED, RECENT_RUNS, AS_OF})
"""The keys that are added to a received run or workflow."""

MAKE_RUNS: Final[frozenset[ActionName]] = frozenset({"activate", "activateWithScope"})
"""The actions that start a new run."""

STATUS: Final = "processingStatus"

USER_COUNTS: Final = ("successfulUsersCount", "failedUsersCount", "totalUsersCount")
"""The properties with a run's successful, failed and total users."""

CANCELABLE: Final = frozenset({"queued", "inProgress"})

CANCELED: Final = frozenset({"canceling", "canceled"})

ACTIVE_STATUSES: Final = CANCELABLE | {"canceling"}


class ReprocessScope(NamedTuple):
    """The part of a run to process again: an `activateRunScope` without its run."""

    user_scope: str
    task_scope: str
    words: str


SCOPES: Final[Mapping[str, ReprocessScope]] = {
    "failed-users": ReprocessScope("failedUsers", "allTasks", "the failed users, all tasks"),
    "failed-tasks": ReprocessScope("failedUsers", "failedTasks", "the failed users, only the tasks that failed"),
    "all": ReprocessScope("allUsers", "allTasks", "the whole run: all users, all tasks"),
}
"""The scopes by their names on the command line."""


class ServiceAction(NamedTuple):
    """An action to be sent as one POST."""

    name: ActionName
    workflow_id: str
    run_id: str
    """The id of the run; for an action on a workflow, the id of the workflow."""
    parameters: Mapping[str, Any] = MappingProxyType({})
    """The JSON object to send; empty for an action without parameters."""
    task_result_id: str = ""
    """The id of the taskProcessingResult; empty for an action on a run or a workflow."""

    @property
    def is_about_workflow(self) -> bool:
        return self.run_id == self.workflow_id

    @property
    def words(self) -> str:
        """The action in words, such as "cancel the run"."""
        return action_words(self.name, self.body_text())

    def body_text(self) -> str:
        """Return the body exactly as shown and sent; empty if there is none."""
        return json.dumps(self.parameters, indent=2) if self.parameters else ""

    @property
    def undoes(self) -> None:
        """None: an action undoes no change."""

    def changes(self) -> tuple[()]:
        """Return nothing: an action writes no property."""
        return ()

    def warnings(self) -> tuple[()]:
        """Return nothing: `consequences` tells the effects of an action."""
        return ()


Operation: TypeAlias = Draft | ServiceAction
"""One write: the PATCH of a draft, or the POST of an action."""


def cancel(workflow_id: str, run_id: str) -> ServiceAction:
    scope = {"@odata.type": f"{_NAMESPACE}.cancelRunsScope", "runs": [{"id": run_id}]}
    return ServiceAction("cancelProcessing", workflow_id, run_id, {"scope": scope})


def reprocess(workflow_id: str, run_id: str, scope: str) -> ServiceAction:
    """Return the action that processes a run again in a new run; `scope` is a key of `SCOPES`."""
    what = SCOPES[scope]
    sent = {
        "@odata.type": f"{_NAMESPACE}.activateRunScope",
        "run": {"id": run_id},
        "userScope": what.user_scope,
        "taskScope": what.task_scope,
    }
    return ServiceAction("activateWithScope", workflow_id, run_id, {"scope": sent})


def run_on_demand(workflow_id: str, user_ids: Sequence[str]) -> ServiceAction:
    subjects = [{"id": user_id} for user_id in user_ids]
    return ServiceAction("activate", workflow_id, workflow_id, {"subjects": subjects})


def clear_quarantine(workflow_id: str) -> ServiceAction:
    return ServiceAction("clearQuarantine", workflow_id, workflow_id)


def resume(workflow_id: str, run_id: str, task_result_id: str, end: TaskEnd) -> ServiceAction:
    """Return the action that ends a task waiting for a custom task extension, in place of the extension."""
    data = {"@odata.type": f"{_NAMESPACE}.customTaskExtensionCallbackData", "operationStatus": end}
    sent = {"source": "runtui", "type": "lifecycleEvent", "data": data}
    return ServiceAction("resume", workflow_id, run_id, sent, task_result_id)


def why_not(action: ServiceAction, received: Mapping[str, Any]) -> str:
    """Return why an action cannot help; empty if it may. `received` is the run, task result or workflow as read."""
    status = text_in(received, STATUS)
    match action.name:
        case "cancelProcessing" if status not in CANCELABLE:
            return f"Only a queued or running run can be canceled, and this one is {status_word(status)}."
        case "activateWithScope":
            return why_no_reprocess(received, action.parameters["scope"]["userScope"])
        case "clearQuarantine" if Workflow(received).quarantine is None:
            return "The workflow is not in quarantine."
        case "resume" if status != "inProgress":
            return f"Only a task that waits can be resumed, and this one is {status_word(status)}."
    return ""


def why_no_reprocess(run: Mapping[str, Any], user_scope: str = "") -> str:
    """Return why a run cannot be processed again; empty if it may be."""
    status = text_in(run, STATUS)
    if status in ACTIVE_STATUSES:
        return f"The run has not ended: it is {status_word(status)}."
    if status == "quarantined":
        return "The run has not begun: its workflow is in quarantine."
    if user_scope == SCOPES["failed-users"].user_scope and run.get("failedUsersCount") == 0:
        return "No user of this run failed."
    return ""


def evidence(action: ServiceAction, received: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties to store before an action is sent; they later show what the action changed."""
    kept = {name: received[name] for name in (STATUS, "lastUpdatedDateTime", "quarantineDetails") if name in received}
    if action.name == "activateWithScope":
        kept[REPROCESSED] = [run["id"] for run in received.get(REPROCESSED, ())]
    if action.name == "activate" and RECENT_RUNS in received:
        kept |= {AS_OF: received[AS_OF], RECENT_RUNS: [run["id"] for run in received[RECENT_RUNS]]}
    if action.task_result_id:
        kept["id"] = action.task_result_id
    return kept


def expected(action: ServiceAction) -> dict[str, Any]:
    """Return the properties that the action finally sets on the run, as far as they are known in advance."""
    return {STATUS: "canceled"} if action.name == "cancelProcessing" else {}


def consequences(action: ServiceAction, received: Mapping[str, Any]) -> Iterator[str]:
    """Yield one sentence for each effect of an action, and for what it leaves unchanged."""
    match action.name:
        case "cancelProcessing":
            good, bad, total = (received.get(name) for name in USER_COUNTS)
            if isinstance(good, int) and isinstance(bad, int):
                yield f"{good + bad} of {total} users are already processed: what was done for them stays."
            yield "Nothing is rolled back. The service stops the rest and shows canceling until it has."
        case "activateWithScope":
            scope = action.parameters["scope"]
            if scope["taskScope"] == "allTasks":
                yield "Tasks that succeeded are run again as well."
            yield "A new run begins at once, for these users even if the workflow's scope has changed since."
        case "activate":
            yield "All tasks begin at once. A run on demand ignores the workflow's scope and trigger."
        case "clearQuarantine":
            yield "Nothing runs now; the next scheduled run will, for everybody in its scope."
        case "resume":
            yield "The service takes this as the answer of the Logic App, which may still answer by itself."


def action_words(name: str, body: str) -> str:
    """Return an action in words, from its name and the body that was sent; the name if the body is not understood."""
    try:
        sent = json.loads(body) if body else {}
        match name:
            case "cancelProcessing":
                return "cancel the run"
            case "activateWithScope":
                scope = sent["scope"]
                wanted = (scope["userScope"], scope["taskScope"])
                words = next((known.words for known in SCOPES.values() if known[:2] == wanted), " ".join(wanted))
                return f"reprocess {words}"
            case "activate":
                return f"run the workflow on demand for {count_words(len(sent['subjects']), 'user')}"
            case "clearQuarantine":
                return "clear the quarantine of the workflow"
            case "resume":
                return f"resume the task as {sent['data']['operationStatus']}"
    except (ValueError, LookupError, TypeError):
        pass  # the body was redacted or is of another version
    return name
