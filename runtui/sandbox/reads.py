"""Reads: the collection at each path, one entity of it, its count, and sums over a window of time.

Invariant: every collection takes the same options. A finder looks the collection up (404 if its owner is missing); then
`_page` reads it, `_count` counts it, the functions in `FUNCTIONS` sum it up, and `entity_response` answers with one of
its entities. Paths and shapes: Microsoft Graph reference, and the service metadata.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from runtui.domain.times import parse_ticks
from runtui.sandbox.database import Window
from runtui.sandbox.entities import (
    CATEGORY,
    EXTENSION,
    RUN,
    SUBJECT_RESULT,
    TASK,
    TASK_DEFINITION,
    TASK_REPORT,
    TASK_RESULT,
    USER_RESULT,
    VERSION,
    WORKFLOW,
    EntityType,
    Row,
)
from runtui.sandbox.errors import GraphError, bad_request, not_found, unknown_property
from runtui.sandbox.exchange import GraphResponse
from runtui.sandbox.query import (
    Expansion,
    parse_expand,
    parse_query,
    parse_select,
    parse_where,
    refuse_unknown,
    token_after,
)
from runtui.sandbox.requests import Endpoint, Route, context_of, database_of, link_of, options_of, preferences_of
from runtui.sandbox.tenant.people import DEFAULT_USER_PROPERTIES, Person
from runtui.sandbox.tenant.tasks import TaskDefinition

ROOT: Final = "identityGovernance/lifecycleWorkflows"
WORKFLOW_PATH: Final = f"/{ROOT}/workflows/{{workflow_id}}"
RUN_PATH: Final = f"{WORKFLOW_PATH}/runs/{{run_id}}"


class Collection(NamedTuple):
    """The entities at a path: their type, their owner, and their name in the context URL."""

    entity: EntityType
    owner: Mapping[str, str]
    """The owner columns and their values."""
    metadata: str


Finder = Callable[[Request], Collection]
"""Finds the collection that the path of a request names."""


# The finders.


def workflows(_request: Request) -> Collection:
    return Collection(WORKFLOW, {}, f"{ROOT}/workflows")


def of_workflow(entity: EntityType, name: str) -> Finder:
    def find(request: Request) -> Collection:
        workflow_id = request.path_params["workflow_id"]
        row_of(request, workflows(request), workflow_id)
        return Collection(entity, {"workflowId": workflow_id}, f"{ROOT}/workflows('{workflow_id}')/{name}")

    return find


def runs(request: Request) -> Collection:
    """Find the runs of the workflow in the path, which need not exist; under workflowBase, those of all workflows."""
    workflow_id = request.path_params.get("workflow_id")
    if workflow_id is None:
        return Collection(RUN, {}, "workflowBase/runs")
    return Collection(RUN, {"workflowId": workflow_id}, f"{ROOT}/workflows('{workflow_id}')/runs")


def of_run(entity: EntityType, name: str) -> Finder:
    def find(request: Request) -> Collection:
        run_id, found = request.path_params["run_id"], runs(request)
        row_of(request, found, run_id)
        owner = {"reprocessed": run_id} if entity is RUN else {"runId": run_id}
        return Collection(entity, owner, f"{found.metadata}('{run_id}')/{name}")

    return find


def of_task(request: Request) -> Collection:
    """Find the results of the task that the path names."""
    found, key = of_workflow(TASK, "tasks")(request), request.path_params["task_id"]
    row_of(request, found, key)
    metadata = f"{found.metadata}('{key}')/taskProcessingResults"
    return Collection(TASK_RESULT, {**found.owner, "taskId": key}, metadata)


def of_result(results: Finder, entity: EntityType, name: str) -> Finder:
    """Return a finder of the entities that belong to the result, or the task report, that the path names."""

    def find(request: Request) -> Collection:
        found, key = results(request), request.path_params["result_id"]
        row = found.entity.by_column(row_of(request, found, key))
        owner = {"runId": row["runId"]}
        if entity is RUN:
            owner = {"reprocessed": row["runId"] if row["failedTasksCount"] else ""}
        elif found.entity is TASK_REPORT:
            owner["taskId"] = row["taskId"]
        else:
            owner["userResultId"] = key
        return Collection(entity, owner, f"{found.metadata}('{key}')/{name}")

    return find


def everywhere(entity: EntityType, name: str) -> Finder:
    return lambda _request: Collection(entity, {}, f"{ROOT}/{name}")


# The handlers.


def reading(path: str, find: Finder, find_one: Finder | None = None) -> Iterator[Route]:
    """Yield the routes of a collection: its pages, its count, and one entity."""

    async def read_page(request: Request) -> Response:
        return _page(request, find(request))

    async def read_count(request: Request) -> Response:
        return _count(request, find(request))

    async def read_one(request: Request) -> Response:
        return entity_response(request, (find_one or find)(request), request.path_params["key"])

    yield Route(path, read_page)
    yield Route(f"{path}/$count", read_count)
    yield Route(f"{path}/{{key}}", read_one)


async def list_version_tasks(request: Request) -> Response:
    """Answer GET …/versions/{number}/tasks with the tasks of that version."""
    refuse_unknown(options_of(request), frozenset())
    found, key = of_workflow(VERSION, "versions")(request), request.path_params["key"]
    tasks = json.loads(VERSION.by_column(row_of(request, found, key))["tasks"])
    context = context_of(request, f"{found.metadata}({key})/tasks")
    return GraphResponse({"@odata.context": context, "value": tasks})


async def get_user(request: Request) -> Response:
    """Answer GET /users/{id}, by id or user principal name, and GET /directoryObjects/{id}, by id."""
    key, options = request.path_params["key"], options_of(request)
    refuse_unknown(options, frozenset({"$select"}))
    is_user = request.url.path.rpartition("/")[0].endswith("/users")
    person = database_of(request).people.find(key)
    if person is None or not (is_user or key == person.id):
        message = f"Resource '{key}' does not exist or one of its queried reference-property objects are not present."
        raise GraphError(404, "Request_ResourceNotFound", message)
    select = tuple(name.strip() for name in options["$select"].split(",")) if "$select" in options else ()
    context = context_of(request, "users" if is_user else "directoryObjects", select) + "/$entity"
    type_name = {} if is_user else {"@odata.type": "#microsoft.graph.user"}
    return GraphResponse({"@odata.context": context, **type_name, **_user(person, select)})


def entity_response(
    request: Request, collection: Collection, key: str, annotations: Mapping[str, str] | None = None
) -> Response:
    """Return the response with one entity of a collection, after the `annotations`; 404 if there is none."""
    entity = collection.entity
    preferences = preferences_of(request)._replace(page_size=None)
    options = options_of(request)
    refuse_unknown(options, frozenset({"$select", "$expand"} if entity.navigation else {"$select"}))
    select = parse_select(options["$select"], entity) if "$select" in options else None
    expand = parse_expand(options["$expand"], entity) if "$expand" in options else {}
    row = row_of(request, collection, key)
    render = _renderer(request, entity, select, expand)
    context = context_of(request, collection.metadata, select) + "/$entity"
    own = annotations_of(request, entity, row)
    headers = {**preferences.headers, **({"ETag": own["@odata.etag"]} if own else {})}
    return GraphResponse({"@odata.context": context, **(annotations or {}), **own, **render(row)}, headers=headers)


def annotations_of(request: Request, entity: EntityType, row: Row) -> dict[str, str]:
    """Return the entity tag of a run as an annotation; empty for other entities, or if the scenario has no ETags."""
    if entity is not RUN or not request.app.state.scenario.current.has_etags:
        return {}
    return {"@odata.etag": database_of(request).etag(RUN.by_column(row)["id"], row)}


def row_of(request: Request, collection: Collection, key: str) -> Row:
    """Return the row of the entity with that key in a collection; 404 if there is none."""
    row = database_of(request).one(collection.entity, key, collection.owner)
    if row is None:
        raise not_found(collection.entity.name, key)
    return row


def _page(request: Request, collection: Collection) -> Response:
    entity, owner, metadata = collection
    preferences = preferences_of(request)
    options = options_of(request)
    query = parse_query(options, preferences.page_size, entity)
    page = database_of(request).page(entity, owner, query)
    render = _renderer(request, entity, query.select, query.expand)
    body: dict[str, Any] = {"@odata.context": context_of(request, metadata, query.select)}
    if page.total is not None:
        body["@odata.count"] = page.total
    if page.next_key is not None:
        body["@odata.nextLink"] = link_of(request, {**options, "$skiptoken": token_after(page.next_key)})
    body["value"] = [{**annotations_of(request, entity, row), **render(row)} for row in page.rows]
    return GraphResponse(body, headers=preferences.headers)


def _count(request: Request, collection: Collection) -> Response:
    options = options_of(request)
    searches = {"$search"} if collection.entity.searchable else set()
    refuse_unknown(options, frozenset({"$filter", *searches}))
    where = parse_where(options, collection.entity)
    return PlainTextResponse(str(database_of(request).count(collection.entity, collection.owner, where)))


def _renderer(
    request: Request, entity: EntityType, select: tuple[str, ...] | None, expand: Expansion
) -> Callable[[Row], dict[str, Any]]:
    """Return a function from a row to JSON with expanded properties. A user who no longer exists stays an id."""
    render = entity.renderer(select, expand, include_newer=preferences_of(request).newer_members)
    people = database_of(request).people

    def expanded(name: str, value: Any) -> Any:
        if name == "subject":
            person = people.find(value["id"])
            return value if person is None else _user(person, expand[name])
        if isinstance(value, list):
            return [_narrowed(item, expand[name], f"{entity.type_name}/{name}") for item in value]
        return _narrowed(value, expand[name], f"{entity.type_name}/{name}")

    def render_expanded(row: Row) -> dict[str, Any]:
        rendered = render(row)
        return rendered | {name: expanded(name, rendered[name]) for name in expand if name in rendered}

    return render_expanded if expand else render


def _user(person: Person, select: tuple[str, ...]) -> dict[str, Any]:
    """Return a user as JSON: the selected properties, or those that Graph sends by default."""
    if select:
        return _narrowed(person.properties, select, "microsoft.graph.user")
    return dict(list(person.properties.items())[:DEFAULT_USER_PROPERTIES])


def _narrowed(values: dict[str, Any], select: tuple[str, ...], type_name: str) -> dict[str, Any]:
    """Return the selected properties of an object, or all if none is selected; 400 for an unknown one."""
    by_folded = {name.casefold(): name for name in values}
    for name in select:
        if name.casefold() not in by_folded:
            raise unknown_property(name, type_name)
    return {by_folded[name.casefold()]: values[by_folded[name.casefold()]] for name in select} if select else values


def read_routes() -> Iterator[Route]:
    one, run = WORKFLOW_PATH, RUN_PATH
    yield from reading(f"/{ROOT}/workflows", workflows)
    yield from reading(f"{one}/runs", of_workflow(RUN, "runs"), runs)
    yield from reading(f"{one}/tasks", of_workflow(TASK, "tasks"))
    yield from reading(f"{one}/tasks/{{task_id}}/taskProcessingResults", of_task)
    yield from reading(f"{one}/versions", of_workflow(VERSION, "versions"))
    yield Route(f"{one}/versions/{{key}}/tasks", list_version_tasks)
    yield from reading(f"{run}/reprocessedRuns", of_run(RUN, "reprocessedRuns"))
    yield from reading(f"{run}/taskProcessingResults", of_run(TASK_RESULT, "taskProcessingResults"))
    for entity in (USER_RESULT, SUBJECT_RESULT):
        name = f"{entity.name}s"
        for path, find in ((one, of_workflow(entity, name)), (run, of_run(entity, name))):
            yield from reading(f"{path}/{name}", find)
            for part, held in ((TASK_RESULT, "taskProcessingResults"), (RUN, "reprocessedRuns")):
                yield from reading(f"{path}/{name}/{{result_id}}/{held}", of_result(find, part, held))
    reports = of_workflow(TASK_REPORT, "taskReports")
    held = "taskProcessingResults"
    yield from reading(f"{one}/taskReports", reports)
    yield from reading(f"{one}/taskReports/{{result_id}}/{held}", of_result(reports, TASK_RESULT, held))
    for entity in (TASK_DEFINITION, EXTENSION):
        yield from reading(f"/{ROOT}/{entity.name}s", everywhere(entity, f"{entity.name}s"))
    for path in ("/users", "/directoryObjects"):
        yield Route(f"{path}/{{key}}", get_user)


# The functions: sums over what was scheduled in a window of time.

NAMESPACE: Final = "microsoft.graph.identityGovernance"
_FAILED: Final = "processingStatus IN ('failed', 'completedWithErrors')"
_COMPLETED: Final = "processingStatus = 'completed'"


def _how_many(condition: str) -> str:
    return f"count(*) FILTER (WHERE {condition})"


def _sum(column: str) -> str:
    return f"coalesce(sum({column}), 0)"


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
_RUN_SUMMARY: Final = {
    name: _EVERYTHING[name]
    for name in ("failedRuns", "failedTasks", "successfulRuns", "totalRuns", "totalTasks", "totalUsers")
}

Function = Callable[[Request, Window], dict[str, Any]]
"""Computes the answer to a request about a window of time."""


def _summary(find: Finder, sums: Mapping[str, str], type_name: str) -> Function:
    def compute(request: Request, window: Window) -> dict[str, Any]:
        entity, owner, _ = find(request)
        (totals,) = database_of(request).sums(entity, owner, window, sums)
        return {"@odata.context": context_of(request, f"{NAMESPACE}.{type_name}"), **totals}

    return compute


def _by_category(request: Request, window: Window) -> dict[str, Any]:
    kinds, categories = ("failed", "successful", "total"), ("Joiner", "Leaver", "Mover")
    totals = {f"{kind}{category}Runs": 0 for kind in kinds for category in categories}
    for workflow in _runs_of_workflows(request, window):
        for kind in kinds:
            totals[f"{kind}{workflow['category'].title()}Runs"] += workflow[f"{kind}Runs"]
    return {"@odata.context": context_of(request, f"{NAMESPACE}.workflowsInsightsByCategory"), **totals}


def _runs_of_workflows(request: Request, window: Window) -> Iterator[dict[str, Any]]:
    database = database_of(request)
    for sums in database.sums(RUN, {}, window, _RUNS_AND_USERS, by="workflowId"):
        yield WORKFLOW.by_column(database.one(WORKFLOW, sums["workflowId"], {}) or ()) | sums


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
    """Return the insights about built-in tasks, the most frequent first; a task counts once for each user."""
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
    return {"@odata.context": context_of(request, f"Collection({NAMESPACE}.{type_name})"), "value": value}


_REPORTS: Final = _summary(of_workflow(TASK_REPORT, "taskReports"), _TASK_REPORT_SUMMARY, "taskReportSummary")

FUNCTIONS: Final[tuple[tuple[str, str, Function], ...]] = (
    (f"{WORKFLOW_PATH}/runs", "summary", _summary(of_workflow(RUN, "runs"), _RUN_SUMMARY, "runSummary")),
    (
        f"{WORKFLOW_PATH}/userProcessingResults",
        "summary",
        _summary(of_workflow(USER_RESULT, "userProcessingResults"), _USER_SUMMARY, "userSummary"),
    ),
    (
        f"{RUN_PATH}/userProcessingResults",
        "summary",
        _summary(of_run(USER_RESULT, "userProcessingResults"), _USER_SUMMARY, "userSummary"),
    ),
    (f"{WORKFLOW_PATH}/taskReports", "summary", _REPORTS),
    (
        f"/{ROOT}/insights",
        "workflowsProcessedSummary",
        _summary(everywhere(RUN, "runs"), _EVERYTHING, "workflowsInsightsSummary"),
    ),
    (f"/{ROOT}/insights", "workflowsProcessedByCategory", _by_category),
    (f"/{ROOT}/insights", "topWorkflowsProcessedSummary", _top_workflows),
    (f"/{ROOT}/insights", "topTasksProcessedSummary", _top_tasks),
)


def function_routes() -> Iterator[Route]:
    """Yield the routes of each function: under its name, and under its qualified name."""
    for path, name, compute in FUNCTIONS:
        for written in (name, f"{NAMESPACE}.{name}"):
            yield Route(f"{path}/{written}({{window}})", _endpoint(compute))


def _endpoint(compute: Function) -> Endpoint:
    async def answer(request: Request) -> Response:
        return GraphResponse(compute(request, _window(request)))

    return answer


def _window(request: Request) -> Window:
    """Return the two moments between the parentheses of the path; 400 if one is missing or is no date-time."""
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
