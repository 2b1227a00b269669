"""Writes: the PATCH of a run, and the actions of the service, each a line in `ACTIONS`.

Invariant: a handler awaits nothing between reading and writing the database, so no other request comes in between. A
write is applied whole or not at all, and `app.state.applied` lists it. The valid values of a PATCH are declared in
`domain/properties.py`, the members of enumerations in `entities.py`. Names, bindings and parameters of actions: the
service metadata; their errors: the reference pages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from runtui.domain.properties import EDITABLE_BY_NAME, SENTINEL
from runtui.sandbox.entities import RUN, TASK_RESULT, WORKFLOW, EntityType, Row
from runtui.sandbox.errors import GraphError, bad_request, not_found, unknown_property
from runtui.sandbox.exchange import GraphResponse
from runtui.sandbox.query import refuse_unknown
from runtui.sandbox.reads import ROOT, Collection, annotations_of, collection_of, collections, entity_response, row_of
from runtui.sandbox.requests import Endpoint, Route, context_of, database_of, options_of, read_json, segments_of
from runtui.sandbox.tenant.activations import Choice
from runtui.sandbox.tenant.people import Person

_NAMESPACE: Final = "microsoft.graph.identityGovernance"
_EVERY_RUN: Final = Collection(RUN, {}, f"{ROOT}/runs")
_RUN_TYPE: Final = f"#{RUN.type_name}"
_MAX_SUBJECTS: Final = 10
"""The most users of one run on demand: "Understanding lifecycle workflows", limits."""


class AppliedWrite(NamedTuple):
    """One write that was applied; `time` is in ticks."""

    run_id: str
    """The run that was changed or started; empty for none."""
    body: dict[str, Any]
    time: int
    client_request_id: str
    """The id that the client gave the request, else the id of the sandbox."""
    action: str = ""
    """The name of the action; empty for a PATCH."""
    workflow_id: str = ""
    """The workflow in the path of an action."""


# The PATCH.


async def update_run(request: Request) -> Response:
    """Answer PATCH …/runs/{id}, under workflowBase or under a workflow, with the whole run."""
    body = await request.body()
    refuse_unknown(options_of(request), frozenset())
    found, run_id = collection_of(request)
    _check_version(request, row_of(request, found, run_id))
    sent = read_json(request.headers.get("content-type"), body)
    if changes := run_changes(sent):
        database_of(request).write_run(run_id, changes)
        write = AppliedWrite(run_id, sent, request.app.state.clock(), request.state.client_request_id)
        request.app.state.applied.append(write)
    return entity_response(request, found, run_id, {"@odata.type": _RUN_TYPE})


def _check_version(request: Request, row: Row) -> None:
    """Raise 412 if If-Match names another version of the run than the stored one; without ETags, ignore If-Match."""
    named = {tag.strip() for tag in request.headers.get("if-match", "*").split(",")}
    own = annotations_of(request, RUN, row)
    if own and named.isdisjoint({"*", own["@odata.etag"]}):
        message = "The resource has changed since it was read: If-Match names another version of it."
        raise GraphError(412, "PreconditionFailed", message)


def run_changes(body: Any) -> dict[str, Any]:
    """Return the properties that a PATCH body sets, values exactly as sent; 400 names each property that is refused."""
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
    """Return why a declared property cannot be set to a value; None if it can."""
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


# The parameters of an action.


def _arguments(action: BoundAction, content_type: str | None, body: bytes) -> dict[str, Any]:
    """Return the parameters of an action; 400 if one is unknown, or a required one is missing."""
    sent = read_json(content_type, body) if body.strip() or action.parameters else {}
    if not isinstance(sent, dict):
        raise bad_request(f"A JSON object with the parameters of '{action.name}' is expected.")
    for name in sent:
        if name not in action.parameters:
            message = f"The parameter '{name}' in the request payload is not a valid parameter for '{action.name}'."
            raise bad_request(message, target=name)
    for name, is_required in action.parameters.items():
        if is_required and sent.get(name) is None:
            raise bad_request(f"The parameter '{name}' of '{action.name}' is required.", target=name)
    return sent


def _complex(value: Any, name: str, type_name: str, *properties: str) -> dict[str, Any]:
    """Return the value of each property of a complex parameter; 400 if the parameter has another type or other
    properties, or if one is missing.
    """
    full_name = f"{_NAMESPACE}.{type_name}"
    if not isinstance(value, dict) or value.get("@odata.type") != f"#{full_name}":
        raise bad_request(f"'{name}' is to be an object whose '@odata.type' is '#{full_name}'.", target=name)
    given = {key: item for key, item in value.items() if not key.startswith("@odata.")}
    for key in given:
        if key not in properties:
            raise unknown_property(key, full_name)
    for key in properties:
        if given.get(key) is None:
            raise bad_request(f"The property '{key}' of '{type_name}' is required.", target=key)
    return given


def _reference(value: Any, name: str) -> str:
    key = value.get("id") if isinstance(value, dict) else None
    if not isinstance(key, str) or not key:
        raise bad_request(f"'{name}' is to name an entity by its 'id'.", target=name)
    return key


def _references(value: Any, name: str) -> list[str]:
    if not isinstance(value, list) or not value:
        raise bad_request(f"'{name}' is to be a collection of at least one entity.", target=name)
    return list(dict.fromkeys(_reference(item, name) for item in value))


def _member(value: Any, name: str, *members: str) -> str:
    if value not in members:
        raise bad_request(f"'{name}' is to be one of {', '.join(members)}; it is {value!r}.", target=name)
    return str(value)


# What an action does.


class _Done(NamedTuple):
    """The result of an action."""

    run_id: str = ""
    response: Response | None = None
    """None for 204."""
    is_change: bool = True


_Bound = Mapping[str, Any]
"""The entity that an action is bound to, as its SQL columns."""

_Arguments = Mapping[str, Any]


def _activate(request: Request, workflow: _Bound, arguments: _Arguments) -> _Done:
    subjects = _references(arguments["subjects"], "subjects")
    if len(subjects) > _MAX_SUBJECTS:
        message = f"A workflow runs on demand for at most {_MAX_SUBJECTS} users; there are {len(subjects)}."
        raise bad_request(message, target="subjects")
    people = [_person(request, key) for key in subjects]
    return _started(database_of(request).activate(workflow["id"], people))


def _started(run_id: str | None) -> _Done:
    if run_id is None:
        raise GraphError(406, "Not Acceptable Request", "There is no user whom the workflow could process.")
    return _Done(run_id)


def _person(request: Request, key: str) -> Person:
    person = database_of(request).people.find(key)
    if person is None:
        raise not_found("user", key)
    return person


def _activate_with_scope(request: Request, workflow: _Bound, arguments: _Arguments) -> _Done:
    """Process users of a run again; of the service's scopes the sandbox has the one that runtui sends."""
    given = _complex(arguments["scope"], "scope", "activateRunScope", "run", "userScope", "taskScope")
    choice = Choice(
        failed_users=_member(given["userScope"], "userScope", "allUsers", "failedUsers") == "failedUsers",
        failed_tasks=_member(given["taskScope"], "taskScope", "allTasks", "failedTasks") == "failedTasks",
    )
    run_id = _reference(given["run"], "run")
    row_of(request, Collection(RUN, {"workflowId": workflow["id"]}, ""), run_id)
    stored = {name: value for name, value in arguments["scope"].items() if name != "run"}
    return _started(database_of(request).reprocess(run_id, choice, stored))


def _cancel_processing(request: Request, workflow: _Bound, arguments: _Arguments) -> _Done:
    given = _complex(arguments["scope"], "scope", "cancelRunsScope", "runs")
    run_id, *others = _references(given["runs"], "runs")
    if others:
        raise GraphError(400, "Bad Request", "One run is canceled per request.", target="runs")
    run = RUN.by_column(row_of(request, _EVERY_RUN, run_id))
    if run["workflowId"] != workflow["id"]:
        raise GraphError(400, "Bad Request", f"The run '{run_id}' is of another workflow.", target="runs")
    if run["processingStatus"] not in ("queued", "inProgress"):
        raise _conflict(f"The run is not in a cancellable state. Current status: '{run['processingStatus']}'.")
    database_of(request).cancel(run_id)
    return _Done(run_id)


def _clear_quarantine(request: Request, workflow: _Bound, _arguments: _Arguments) -> _Done:
    database = database_of(request)
    if not database.clear_quarantine(workflow["id"]):
        raise _conflict(f"The workflow '{workflow['id']}' is not quarantined.")
    return _Done(response=entity_response(request, *collection_of(request)))


def _preview_task_failures(request: Request, workflow: _Bound, _arguments: _Arguments) -> _Done:
    body = {
        "@odata.context": context_of(request, f"Collection({_NAMESPACE}.previewFailedTask)"),
        "value": list(database_of(request).task_flaws(workflow["id"])),
    }
    return _Done(response=GraphResponse(body), is_change=False)


def _resume(request: Request, result: _Bound, arguments: _Arguments) -> _Done:
    data = _complex(arguments["data"], "data", "customTaskExtensionCallbackData", "operationStatus")
    status = _member(data["operationStatus"], "operationStatus", "completed", "failed")
    user, has_completed = (result["runId"], result["userResultId"]), status == "completed"
    is_open = result["processingStatus"] == "inProgress"
    if not is_open or not database_of(request).call_back(*user, has_completed=has_completed):
        raise _conflict("The task does not wait for a custom task extension.")
    return _Done(result["runId"])


def _conflict(message: str) -> GraphError:
    return GraphError(409, "Conflict", message)


# The table.


class BoundAction(NamedTuple):
    """An action of the service."""

    name: str
    binding: EntityType
    """The type of the entities that it is bound to."""
    parameters: Mapping[str, bool]
    """The names of its parameters; True for a required one."""
    carry_out: Callable[[Request, _Bound, _Arguments], _Done]


ACTIONS: Final = (
    BoundAction("activate", WORKFLOW, {"subjects": True}, _activate),
    BoundAction("activateWithScope", WORKFLOW, {"scope": True}, _activate_with_scope),
    BoundAction("cancelProcessing", WORKFLOW, {"scope": True}, _cancel_processing),
    BoundAction("clearQuarantine", WORKFLOW, {}, _clear_quarantine),
    BoundAction("previewTaskFailures", WORKFLOW, {}, _preview_task_failures),
    BoundAction("resume", TASK_RESULT, {"source": False, "type": False, "data": True}, _resume),
)


def action_routes() -> Iterator[Route]:
    for action in ACTIONS:
        for path, entity in collections():
            if entity is action.binding:
                yield Route(f"{path}/{{key}}/{action.name}", _endpoint(action), "POST")


def _endpoint(action: BoundAction) -> Endpoint:
    async def answer(request: Request) -> Response:
        body = await request.body()
        refuse_unknown(options_of(request), frozenset())
        found, key = collection_of(request)
        row = row_of(request, found, key)
        sent = _arguments(action, request.headers.get("content-type"), body)
        done = action.carry_out(request, found.entity.by_column(row), sent)
        if done.is_change:
            time, client_request_id = request.app.state.clock(), request.state.client_request_id
            workflow_id = segments_of(request)[3]
            write = AppliedWrite(done.run_id, sent, time, client_request_id, action.name, workflow_id)
            request.app.state.applied.append(write)
        return done.response or Response(status_code=204)

    return answer
