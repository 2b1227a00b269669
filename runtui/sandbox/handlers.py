"""One function per path: read the request, query the database, write the response.

Invariant: a handler awaits nothing between reading and writing the database, so each request sees the tenant whole. A
PATCH is applied whole or not at all. What a value may be is declared in `domain/properties.py`; the members of an
enumeration are the service's own (`entities.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, NoReturn
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from runtui.domain.properties import EDITABLE_BY_NAME, SENTINEL
from runtui.domain.times import parse_ticks
from runtui.sandbox.database import Database
from runtui.sandbox.entities import RUN, SUBJECT_RESULT, TASK_RESULT, USER_RESULT, WORKFLOW, EntityType, Row
from runtui.sandbox.errors import GraphError, bad_request, unknown_property
from runtui.sandbox.exchange import GraphResponse
from runtui.sandbox.query import (
    MAX_PAGE_SIZE,
    Expansion,
    parse_expand,
    parse_query,
    parse_select,
    refuse_unknown,
    token_after,
)
from runtui.sandbox.tenant.people import DEFAULT_USER_PROPERTIES, Person

_RUN_TYPE: Final = f"#{RUN.type_name}"
_WORKFLOWS: Final = "identityGovernance/lifecycleWorkflows/workflows"
_PAGE_SIZE: Final = re.compile(r"(?:odata\.)?maxpagesize=(\d{1,9})", re.ASCII)
_WINDOW: Final = re.compile(r"startDateTime=([^,()]+),\s*endDateTime=([^,()]+)")


class AppliedWrite(NamedTuple):
    """One update that was applied: the run, the body as it was applied, and when (ticks)."""

    run_id: str
    body: dict[str, Any]
    time: int
    client_request_id: str
    """The id that the client gave the request, else the sandbox's."""


class _Preferences(NamedTuple):
    """What the `Prefer` headers of a request ask for, as far as the service honours it."""

    page_size: int | None
    newer_members: bool

    @property
    def headers(self) -> dict[str, str]:
        applied = [] if self.page_size is None else [f"odata.maxpagesize={self.page_size}"]
        if self.newer_members:
            applied.append("include-unknown-enum-members")
        return {"Preference-Applied": ", ".join(applied)} if applied else {}


class Collection(NamedTuple):
    """The entities at a path: their type, whose they are, and how the context URL names them."""

    entity: EntityType
    owner: Mapping[str, str]
    """The owner columns and their values."""
    metadata: str


_ALL_WORKFLOWS: Final = Collection(WORKFLOW, {}, _WORKFLOWS)


async def list_workflows(request: Request) -> Response:
    return _page(request, _ALL_WORKFLOWS)


async def get_workflow(request: Request) -> Response:
    return _entity(request, _ALL_WORKFLOWS, request.path_params["workflow_id"])


async def list_runs(request: Request) -> Response:
    _row(request, _ALL_WORKFLOWS, request.path_params["workflow_id"])
    return _page(request, _runs(request))


async def get_run(request: Request) -> Response:
    return _entity(request, _runs(request), request.path_params["run_id"])


async def get_summary(request: Request) -> Response:
    workflow_id = request.path_params["workflow_id"]
    _row(request, _ALL_WORKFLOWS, workflow_id)
    refuse_unknown(_options(request), frozenset())
    window = _WINDOW.fullmatch(request.path_params["window"])
    if window is None:
        raise bad_request("summary needs startDateTime and endDateTime, both date-times without quotes.")
    try:
        start, end = parse_ticks(window[1]), parse_ticks(window[2])
    except ValueError as error:
        raise bad_request(f"summary needs date-times. {error}") from error
    counters = _database(request).summary(workflow_id, start, end)
    context = _context(request, "microsoft.graph.identityGovernance.runSummary")
    return GraphResponse({"@odata.context": context, **counters})


async def list_user_results(request: Request) -> Response:
    return _page(request, _user_results(request))


async def list_task_results(request: Request) -> Response:
    """GET …/taskProcessingResults of a run, or of one of its user results."""
    user_results = _user_results(request)
    owner, metadata = user_results.owner, user_results.metadata.rpartition("/")[0]
    user_result_id = request.path_params.get("user_result_id")
    if user_result_id is not None:
        _row(request, user_results, user_result_id)
        owner = {**owner, "userResultId": user_result_id}
        metadata = f"{user_results.metadata}('{user_result_id}')"
    return _page(request, Collection(TASK_RESULT, owner, f"{metadata}/taskProcessingResults"))


async def list_subject_results(request: Request) -> Response:
    """GET …/subjectProcessingResults of a run: its subjects that are no users."""
    owner, metadata = _user_results(request).owner, _user_results(request).metadata.rpartition("/")[0]
    return _page(request, Collection(SUBJECT_RESULT, owner, f"{metadata}/subjectProcessingResults"))


async def get_user(request: Request) -> Response:
    """GET /users/{id}, by id or user principal name, or /directoryObjects/{id}."""
    key, options = request.path_params["user_id"], _options(request)
    refuse_unknown(options, frozenset({"$select"}))
    is_user = request.url.path.rpartition("/")[0].endswith("/users")
    person = _database(request).people.find(key)
    if person is None or not (is_user or key == person.id):
        message = f"Resource '{key}' does not exist or one of its queried reference-property objects are not present."
        raise GraphError(404, "Request_ResourceNotFound", message)
    select = tuple(options["$select"].split(",")) if "$select" in options else ()
    context = _context(request, "users" if is_user else "directoryObjects", select) + "/$entity"
    type_name = {} if is_user else {"@odata.type": "#microsoft.graph.user"}
    return GraphResponse({"@odata.context": context, **type_name, **user_properties(person, select)})


def user_properties(person: Person, select: tuple[str, ...]) -> dict[str, Any]:
    """A user as JSON: what is selected, or what Graph sends otherwise."""
    known = person.properties
    if not select:
        return dict(list(known.items())[:DEFAULT_USER_PROPERTIES])
    for name in select:
        if name not in known:
            raise unknown_property(name, "microsoft.graph.user")
    return {name: known[name] for name in select}


async def update_run(request: Request) -> Response:
    """PATCH …/runs/{id}, under workflowBase or under a workflow; the response is the whole run."""
    body = await request.body()
    refuse_unknown(_options(request), frozenset())
    run_id, runs = request.path_params["run_id"], _runs(request)
    _check_version(request, _row(request, runs, run_id))
    sent = read_json(request.headers.get("content-type"), body)
    if changes := run_changes(sent):
        _database(request).write_run(run_id, changes)
        write = AppliedWrite(run_id, sent, request.app.state.clock(), request.state.client_request_id)
        request.app.state.applied.append(write)
    return _entity(request, runs, run_id, {"@odata.type": _RUN_TYPE})


def _runs(request: Request) -> Collection:
    """The runs of the workflow in the path; under workflowBase, those of all workflows."""
    workflow_id = request.path_params.get("workflow_id")
    if workflow_id is None:
        return Collection(RUN, {}, "workflowBase/runs")
    return Collection(RUN, {"workflowId": workflow_id}, f"{_WORKFLOWS}('{workflow_id}')/runs")


def _user_results(request: Request) -> Collection:
    """The user results of the run in the path; 404 when the workflow has no such run."""
    run_id, runs = request.path_params["run_id"], _runs(request)
    _row(request, runs, run_id)
    return Collection(USER_RESULT, {"runId": run_id}, f"{runs.metadata}('{run_id}')/userProcessingResults")


def _page(request: Request, collection: Collection) -> Response:
    entity, owner, metadata = collection
    preferences = _preferences(request)
    options = _options(request)
    query = parse_query(options, preferences.page_size, entity)
    page = _database(request).page(entity, owner, query)
    render = _renderer(request, entity, query.select, query.expand)
    body: dict[str, Any] = {"@odata.context": _context(request, metadata, query.select)}
    if page.total is not None:
        body["@odata.count"] = page.total
    if page.next_key is not None:
        body["@odata.nextLink"] = _link(request, {**options, "$skiptoken": token_after(page.next_key)})
    body["value"] = [{**_annotations(request, entity, row), **render(row)} for row in page.rows]
    return GraphResponse(body, headers=preferences.headers)


def _entity(
    request: Request, collection: Collection, key: str, annotations: Mapping[str, str] | None = None
) -> Response:
    entity = collection.entity
    preferences = _preferences(request)._replace(page_size=None)
    options = _options(request)
    refuse_unknown(options, frozenset({"$select", "$expand"} if entity.navigation else {"$select"}))
    select = parse_select(options["$select"], entity) if "$select" in options else None
    expand = parse_expand(options["$expand"], entity) if "$expand" in options else {}
    row = _row(request, collection, key)
    render = _renderer(request, entity, select, expand)
    context = _context(request, collection.metadata, select) + "/$entity"
    own = _annotations(request, entity, row)
    headers = {**preferences.headers, **({"ETag": own["@odata.etag"]} if own else {})}
    return GraphResponse({"@odata.context": context, **(annotations or {}), **own, **render(row)}, headers=headers)


def _renderer(
    request: Request, entity: EntityType, select: tuple[str, ...] | None, expand: Expansion
) -> Callable[[Row], dict[str, Any]]:
    """A function from a row to JSON, with what is to be expanded: a user who is gone stays an id."""
    names = None if select is None else (*select, *(name for name in expand if name not in select))
    render = entity.renderer(names, include_newer=_preferences(request).newer_members)
    if "subject" not in expand:
        return render
    people = _database(request).people

    def render_with_users(row: Row) -> dict[str, Any]:
        rendered = render(row)
        subject = rendered.get("subject")
        person = None if subject is None else people.find(subject["id"])
        return rendered if person is None else {**rendered, "subject": user_properties(person, expand["subject"])}

    return render_with_users


def _annotations(request: Request, entity: EntityType, row: Row) -> dict[str, str]:
    """The entity tag of a run, if the scenario has them."""
    if entity is not RUN or not request.app.state.scenario.current.has_etags:
        return {}
    return {"@odata.etag": _database(request).etag(row[RUN.columns.index("id")], row)}


def _check_version(request: Request, row: Row) -> None:
    """412 when If-Match names another version of the run than the stored one. A service without ETags ignores it."""
    named = {tag.strip() for tag in request.headers.get("if-match", "*").split(",")}
    own = _annotations(request, RUN, row)
    if own and named.isdisjoint({"*", own["@odata.etag"]}):
        message = "The resource has changed since it was read: If-Match names another version of it."
        raise GraphError(412, "PreconditionFailed", message)


def _row(request: Request, collection: Collection, key: str) -> Row:
    """The entity with that id in a collection; 404 when there is none."""
    row = _database(request).one(collection.entity, key, collection.owner)
    if row is None:
        raise GraphError(404, "Resource not found", f"There is no {collection.entity.name} with the id '{key}'.")
    return row


def _database(request: Request) -> Database:
    database = request.app.state.database
    assert isinstance(database, Database)  # noqa: S101 - create_app put it there
    return database


def _options(request: Request) -> dict[str, str]:
    options: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in options:
            message = f"Query option '{name}' was specified more than once, but it must be specified at most once."
            raise bad_request(message)
        options[name] = value
    return options


def _preferences(request: Request) -> _Preferences:
    words = [word.strip() for line in request.headers.getlist("prefer") for word in line.split(",")]
    sizes = [int(match[1]) for word in words if (match := _PAGE_SIZE.fullmatch(word))]
    page_size = min(sizes[0], MAX_PAGE_SIZE) if sizes and sizes[0] > 0 else None
    return _Preferences(page_size, "include-unknown-enum-members" in words)


def _context(request: Request, metadata: str, select: tuple[str, ...] | None = None) -> str:
    columns = f"({','.join(select)})" if select else ""
    return f"{request.url.scheme}://{request.url.netloc}{request.scope['root_path']}/$metadata#{metadata}{columns}"


def _link(request: Request, options: Mapping[str, str]) -> str:
    """This request's URL with other query options."""
    query = "&".join(f"{quote(name, safe='$')}={quote(value, safe='')}" for name, value in options.items())
    return f"{request.url.scheme}://{request.url.netloc}{quote(request.url.path)}?{query}"


def read_json(content_type: str | None, body: bytes) -> Any:
    """The JSON value of a request body; 415 for another content type, 400 for what is not JSON."""
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        message = f"The content type '{media_type}' is not supported; send application/json."
        raise GraphError(415, "UnsupportedMediaType", message)
    if not body.strip():
        raise bad_request("Empty Payload. JSON content expected.")
    try:
        return json.loads(body.decode(), object_pairs_hook=_object_without_repeats, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"Unable to read JSON request payload. {error}") from error


def run_changes(body: Any) -> dict[str, Any]:
    """The properties that a PATCH body sets on a run, values exactly as sent; 400 names every one that is refused."""
    if not isinstance(body, dict):
        raise bad_request("A JSON object is expected as the body of an update.")
    changes = dict(body)
    declared_type = changes.pop("@odata.type", _RUN_TYPE)
    if declared_type != _RUN_TYPE:
        message = f"A type named '{declared_type}' does not fit the resource: '{_RUN_TYPE}' is expected."
        raise bad_request(message, target="@odata.type")
    for name in changes:
        if name not in RUN.by_name:
            raise unknown_property(name, RUN.type_name)
    refusals = {name: why for name, value in changes.items() if (why := _refusal(name, value)) is not None}
    if not refusals:
        return changes
    wrong = "Invalid value specified for property '{}' of resource 'run'. {}"
    details = [
        {"code": "InvalidValue", "target": name, "message": wrong.format(name, why)} for name, why in refusals.items()
    ]
    raise GraphError(400, "BadRequest", details[0]["message"], target=details[0]["target"], details=details)


def _refusal(name: str, value: Any) -> str | None:
    """Why a declared property cannot be set to a value; None if it can."""
    field = EDITABLE_BY_NAME.get(name)
    if field is None:
        return "The property is read-only."
    enumeration = RUN.by_name[name].enumeration
    if enumeration is not None and isinstance(value, str):
        if value == SENTINEL:
            return f"'{SENTINEL}' is a placeholder for newer members and cannot be written."
        if enumeration.has(value):
            return None
    return field.problem(value)


def _object_without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("The payload has a property more than once.")
    return value


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON value.")
