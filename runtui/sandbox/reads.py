"""Reads: the collection at each path, one entity of it, its count, and sums over a window of time.

Invariant: every collection takes the same options. `collection_of` follows a path along `NAVIGATION` to a collection;
then `read_page` reads it, `read_count` counts it, a function sums it up, and `entity_response` answers with one of its
entities. Paths and shapes: Microsoft Graph reference, and the service metadata.
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
    NAVIGATION,
    RUN,
    TASK_REPORT,
    USER_RESULT,
    VERSION,
    WORKFLOW,
    EntityType,
    Row,
)
from runtui.sandbox.errors import GraphError, bad_request, not_found, unknown_property
from runtui.sandbox.exchange import GraphResponse
from runtui.sandbox.query import (
    COLLECTION_OPTIONS,
    COUNT_OPTIONS,
    ENTITY_OPTIONS,
    Query,
    parse_query,
    refuse_unknown,
    token_after,
)
from runtui.sandbox.requests import (
    Endpoint,
    Route,
    context_of,
    database_of,
    link_of,
    options_of,
    preferences_of,
    segments_of,
)
from runtui.sandbox.tenant.people import DEFAULT_USER_PROPERTIES, Person
from runtui.sandbox.tenant.tasks import TaskDefinition

ROOT: Final = "identityGovernance/lifecycleWorkflows"


class Collection(NamedTuple):
    """The entities at a path: their type, their owner, and their name in the context URL."""

    entity: EntityType
    owner: Mapping[str, str]
    """The owner columns and their values."""
    metadata: str


EVERY_RUN: Final = Collection(RUN, {}, f"{ROOT}/runs")


def collections(above: str = f"/{ROOT}", owner: str = "lifecycleWorkflows") -> Iterator[tuple[str, EntityType]]:
    """Yield the template of the path of each collection, and the type of its entities."""
    for name, step in NAVIGATION.get(owner, {}).items():
        path = f"{above}/{name}"
        yield path, step.entity
        if name != "reprocessedRuns":  # what belongs to such a run is at its own path
            yield from collections(f"{path}/{{key}}", step.entity.name)


def collection_of(request: Request) -> tuple[Collection, str]:
    """Return the collection that the path of a request names, and the key in it ("" if there is none). 404 if an owner
    of the collection is missing.
    """
    segments = segments_of(request)
    top = 1 if segments[0] == "workflowBase" else 2
    names, keys = segments[top::2], [*segments[top + 1 :: 2], ""]  # they alternate
    found = Collection(NAVIGATION[segments[top - 1]][names[0]].entity, {}, "/".join(segments[: top + 1]))
    for key, name in zip(keys, names[1:], strict=False):
        step = NAVIGATION.get(found.entity.name, {}).get(name)
        if step is None:  # an action
            return found, key
        row = found.entity.by_column(row_of(request, found, key))
        owner = {column: row[source] for column, source in step.owner.items()}
        found = Collection(step.entity, owner, f"{found.metadata}('{key}')/{name}")
    return found, keys[len(names) - 1]


# The handlers.


async def read_page(request: Request) -> Response:
    (entity, owner, metadata), _ = collection_of(request)
    preferences = preferences_of(request)
    options = options_of(request)
    query = parse_query(options, entity, COLLECTION_OPTIONS, preferences.page_size)
    page = database_of(request).page(entity, owner, query)
    render = _renderer(request, entity, query)
    body: dict[str, Any] = {"@odata.context": context_of(request, metadata, query.select)}
    if page.total is not None:
        body["@odata.count"] = page.total
    if page.next_key is not None:
        body["@odata.nextLink"] = link_of(request, {**options, "$skiptoken": token_after(page.next_key)})
    body["value"] = [{**annotations_of(request, entity, row), **render(row)} for row in page.rows]
    return GraphResponse(body, headers=preferences.headers)


async def read_count(request: Request) -> Response:
    (entity, owner, _), _ = collection_of(request)
    query = parse_query(options_of(request), entity, COUNT_OPTIONS)
    return PlainTextResponse(str(database_of(request).count(entity, owner, query.where)))


async def read_entity(request: Request) -> Response:
    return entity_response(request, *collection_of(request))


async def list_version_tasks(request: Request) -> Response:
    """Answer GET …/versions/{number}/tasks with the tasks of that version."""
    refuse_unknown(options_of(request), frozenset())
    found, key = collection_of(request)
    tasks = json.loads(VERSION.by_column(row_of(request, found, key))["tasks"])
    context = context_of(request, f"{found.metadata}({key})/tasks")
    return GraphResponse({"@odata.context": context, "value": tasks})


async def get_user(request: Request) -> Response:
    """Answer GET /users/{id}, by id or user principal name, and GET /directoryObjects/{id}, by id."""
    (kind, key), options = segments_of(request), options_of(request)
    refuse_unknown(options, frozenset({"$select"}))
    is_user = kind == "users"
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
    query = parse_query(options_of(request), entity, ENTITY_OPTIONS)
    row = row_of(request, collection, key)
    render = _renderer(request, entity, query)
    context = context_of(request, collection.metadata, query.select) + "/$entity"
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


def _renderer(request: Request, entity: EntityType, query: Query) -> Callable[[Row], dict[str, Any]]:
    """Return a function from a row to JSON with expanded properties. A user who no longer exists stays an id."""
    expand = query.expand
    render = entity.renderer(query.select, expand, include_newer=preferences_of(request).newer_members)
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
    for path, entity in collections():
        yield Route(path, read_page)
        yield Route(f"{path}/$count", read_count)
        yield Route(f"{path}/{{key}}", read_entity)
        if entity is VERSION:
            yield Route(f"{path}/{{key}}/tasks", list_version_tasks)
    for kind in ("users", "directoryObjects"):
        yield Route(f"/{kind}/{{key}}", get_user)


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


class Summary(NamedTuple):
    """Sums over a collection: the type of the answer, and its properties as SQL expressions."""

    type_name: str
    sums: Mapping[str, str]


_SUMMARIES: Final = {
    RUN.name: Summary("runSummary", _RUN_SUMMARY),
    USER_RESULT.name: Summary("userSummary", _USER_SUMMARY),
    TASK_REPORT.name: Summary("taskReportSummary", _TASK_REPORT_SUMMARY),
}
"""What the function `summary` returns for a collection, by the type of its entities."""

Function = Callable[[Request, Window], dict[str, Any]]
"""Computes the answer to a request about a window of time."""


def _sums(request: Request, found: Collection, window: Window, summary: Summary) -> dict[str, Any]:
    (totals,) = database_of(request).sums(found.entity, found.owner, window, summary.sums)
    return {"@odata.context": context_of(request, f"{NAMESPACE}.{summary.type_name}"), **totals}


def _of_collection(request: Request, window: Window) -> dict[str, Any]:
    found, _ = collection_of(request)
    return _sums(request, found, window, _SUMMARIES[found.entity.name])


def _of_every_run(request: Request, window: Window) -> dict[str, Any]:
    return _sums(request, EVERY_RUN, window, Summary("workflowsInsightsSummary", _EVERYTHING))


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


_INSIGHTS: Final[Mapping[str, Function]] = {
    "workflowsProcessedSummary": _of_every_run,
    "workflowsProcessedByCategory": _by_category,
    "topWorkflowsProcessedSummary": _top_workflows,
    "topTasksProcessedSummary": _top_tasks,
}


def function_routes() -> Iterator[Route]:
    """Yield the routes of each function: under its name, and under its qualified name."""
    summed = [path for path, entity in collections() if entity.name in _SUMMARIES]
    functions = [(f"/{ROOT}/insights", name, compute) for name, compute in _INSIGHTS.items()]
    for path, name, compute in (*functions, *((path, "summary", _of_collection) for path in summed)):
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
    for argument in segments_of(request)[-1].partition("(")[2].removesuffix(")").split(","):
        name, _, value = argument.strip().partition("=")
        given[name.casefold()] = options.get(value, value) if value.startswith("@") else value
    if given.keys() != {"startdatetime", "enddatetime"}:
        raise bad_request("The function needs startDateTime and endDateTime, both date-times without quotes.")
    try:
        return parse_ticks(given["startdatetime"]), parse_ticks(given["enddatetime"])
    except ValueError as error:
        raise bad_request(f"The function needs date-times. {error}") from error
