"""Functions of the service: sums over what was scheduled in a window of time.

Invariant: each function is a line in `FUNCTIONS`: the path it is bound to, its name, and what it sums up. It takes
`startDateTime` and `endDateTime` in any order, in any case, and as parameter aliases. Result types: the service
metadata (`runSummary`, `userSummary`, `taskReportSummary`, `…Insights…`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runtui.domain.times import parse_ticks
from runtui.sandbox.database import Window
from runtui.sandbox.entities import CATEGORY, RUN, TASK_REPORT, USER_RESULT, WORKFLOW
from runtui.sandbox.errors import bad_request
from runtui.sandbox.exchange import GraphResponse
from runtui.sandbox.query import refuse_unknown
from runtui.sandbox.reads import ROOT, Finder, of_run, of_workflow
from runtui.sandbox.requests import context_of, database_of, options_of, preferences_of
from runtui.sandbox.tenant.tasks import TaskDefinition

_NAMESPACE: Final = "microsoft.graph.identityGovernance"
_FAILED: Final = "processingStatus IN ('failed', 'completedWithErrors')"
_COMPLETED: Final = "processingStatus = 'completed'"


def _how_many(condition: str) -> str:
    return f"count(*) FILTER (WHERE {condition})"


def _sum(column: str) -> str:
    return f"coalesce(sum({column}), 0)"


_RUN_SUMMARY: Final = {
    "failedRuns": _how_many(_FAILED),
    "failedTasks": _sum("failedTasksCount"),
    "successfulRuns": _how_many(_COMPLETED),
    "totalRuns": "count(*)",
    "totalTasks": _sum("totalTasksCount"),
    "totalUsers": _sum("totalUsersCount"),
}
_USER_SUMMARY: Final = {
    "failedTasks": _sum("failedTasksCount"),
    "failedUsers": _how_many(_FAILED),
    "successfulUsers": _how_many(_COMPLETED),
    "totalTasks": _sum("totalTasksCount"),
    "totalUsers": "count(*)",
}
_TASK_REPORT_SUMMARY: Final = {
    "failedTasks": _sum("failedUsersCount"),
    "successfulTasks": _sum("successfulUsersCount"),
    "totalTasks": _sum("totalUsersCount"),
    "unprocessedTasks": _sum("unprocessedUsersCount"),
}
_RUNS_AND_USERS: Final = {
    "failedRuns": _how_many(_FAILED),
    "failedUsers": _sum("failedUsersCount"),
    "successfulRuns": _how_many(_COMPLETED),
    "successfulUsers": _sum("successfulUsersCount"),
    "totalRuns": "count(*)",
    "totalUsers": _sum("totalUsersCount"),
}
_EVERYTHING: Final = {
    **_RUNS_AND_USERS,
    "failedTasks": _sum("failedTasksCount"),
    "successfulTasks": _sum("totalTasksCount - failedTasksCount - totalUnprocessedTasksCount"),
    "totalTasks": _sum("totalTasksCount"),
}


Function = Callable[[Request, Window], dict[str, Any]]
"""Computes the answer to a request about a window of time."""


def _summary(find: Finder, sums: Mapping[str, str], type_name: str) -> Function:
    """The sums over a collection."""

    def compute(request: Request, window: Window) -> dict[str, Any]:
        entity, owner, _ = find(request)
        (totals,) = database_of(request).sums(entity, owner, window, sums)
        return {"@odata.context": context_of(request, f"{_NAMESPACE}.{type_name}"), **totals}

    return compute


def _processed(request: Request, window: Window) -> dict[str, Any]:
    (totals,) = database_of(request).sums(RUN, {}, window, _EVERYTHING)
    return {"@odata.context": context_of(request, f"{_NAMESPACE}.workflowsInsightsSummary"), **totals}


def _by_category(request: Request, window: Window) -> dict[str, Any]:
    kinds, categories = ("failed", "successful", "total"), ("Joiner", "Leaver", "Mover")
    totals = {f"{kind}{category}Runs": 0 for kind in kinds for category in categories}
    for workflow in _runs_of_workflows(request, window):
        for kind in kinds:
            totals[f"{kind}{workflow['category'].title()}Runs"] += workflow[f"{kind}Runs"]
    return {"@odata.context": context_of(request, f"{_NAMESPACE}.workflowsInsightsByCategory"), **totals}


def _runs_of_workflows(request: Request, window: Window) -> Iterator[dict[str, Any]]:
    """The workflows that ran, each with its sums."""
    database = database_of(request)
    for sums in database.sums(RUN, {}, window, _RUNS_AND_USERS, by="workflowId"):
        row = database.one(WORKFLOW, sums["workflowId"], {}) or ()
        yield dict(zip(WORKFLOW.columns, row, strict=True)) | sums


def _top_workflows(request: Request, window: Window) -> dict[str, Any]:
    include_newer = preferences_of(request).newer_members
    found = sorted(_runs_of_workflows(request, window), key=lambda workflow: -workflow["totalRuns"])
    value = [
        {
            "workflowId": workflow["workflowId"],
            "workflowDisplayName": workflow["displayName"],
            "workflowCategory": CATEGORY.sent_as(workflow["category"], include_newer=include_newer),
            "workflowVersion": workflow["version"],
            **{name: workflow[name] for name in _RUNS_AND_USERS},
        }
        for workflow in found
    ]
    return _collection(request, "topWorkflowsInsightsSummary", value)


def _top_tasks(request: Request, window: Window) -> dict[str, Any]:
    """How each built-in task went; for each of its users it is one task."""
    sums: dict[TaskDefinition, Counter[str]] = defaultdict(Counter)
    for counted in database_of(request).task_counts(window):
        counts = sums[counted.task]
        counts["failed"] += counted.failed
        counts["successful"] += counted.successful
        counts["total"] += counted.total
    value = [
        {
            "taskDefinitionId": task.id,
            "taskDefinitionDisplayName": task.display_name,
            **{f"{kind}{what}": count for kind, count in counts.items() for what in ("Tasks", "Users")},
        }
        for task, counts in sorted(sums.items(), key=lambda item: -item[1]["total"])
    ]
    return _collection(request, "topTasksInsightsSummary", value)


def _collection(request: Request, type_name: str, value: list[dict[str, Any]]) -> dict[str, Any]:
    return {"@odata.context": context_of(request, f"Collection({_NAMESPACE}.{type_name})"), "value": value}


_WORKFLOW: Final = f"/{ROOT}/workflows/{{workflow_id}}"
_RUN: Final = _WORKFLOW + "/runs/{run_id}"
_REPORTS: Final = _summary(of_workflow(TASK_REPORT, "taskReports"), _TASK_REPORT_SUMMARY, "taskReportSummary")

FUNCTIONS: Final[tuple[tuple[str, str, Function], ...]] = (
    (f"{_WORKFLOW}/runs", "summary", _summary(of_workflow(RUN, "runs"), _RUN_SUMMARY, "runSummary")),
    (
        f"{_WORKFLOW}/userProcessingResults",
        "summary",
        _summary(of_workflow(USER_RESULT, "userProcessingResults"), _USER_SUMMARY, "userSummary"),
    ),
    (
        f"{_RUN}/userProcessingResults",
        "summary",
        _summary(of_run(USER_RESULT, "userProcessingResults"), _USER_SUMMARY, "userSummary"),
    ),
    (f"{_WORKFLOW}/taskReports", "summary", _REPORTS),
    (f"/{ROOT}/insights", "workflowsProcessedSummary", _processed),
    (f"/{ROOT}/insights", "workflowsProcessedByCategory", _by_category),
    (f"/{ROOT}/insights", "topWorkflowsProcessedSummary", _top_workflows),
    (f"/{ROOT}/insights", "topTasksProcessedSummary", _top_tasks),
)


def function_routes() -> Iterator[Route]:
    """Each function under its own name and under its qualified one."""
    for path, name, compute in FUNCTIONS:
        for written in (name, f"{_NAMESPACE}.{name}"):
            yield Route(f"{path}/{written}({{window}})", _endpoint(compute))


def _endpoint(compute: Function) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return GraphResponse(compute(request, _window(request)))

    return answer


def _window(request: Request) -> Window:
    """The two moments between the parentheses of the path."""
    options = options_of(request)
    refuse_unknown(options, frozenset())
    given: dict[str, str] = {}
    for argument in request.path_params["window"].split(","):
        name, _, value = argument.strip().partition("=")
        given[name.casefold()] = options.get(value, value) if value.startswith("@") else value
    if given.keys() != {"startdatetime", "enddatetime"}:
        raise bad_request("The function needs startDateTime and endDateTime, both date-times without quotes.")
    try:
        return parse_ticks(given["startdatetime"]), parse_ticks(given["enddatetime"])
    except ValueError as error:
        raise bad_request(f"The function needs date-times. {error}") from error
