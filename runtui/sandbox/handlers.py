"""The one write: read the request, change the run, answer with the whole of it.

Invariant: a handler awaits nothing between reading and writing the database, so each request sees the tenant whole. A
PATCH is applied whole or not at all. What a value may be is declared in `domain/properties.py`; the members of an
enumeration are the service's own (`entities.py`).
"""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple, NoReturn

from starlette.requests import Request
from starlette.responses import Response

from runtui.domain.properties import EDITABLE_BY_NAME, SENTINEL
from runtui.sandbox.entities import RUN
from runtui.sandbox.errors import GraphError, bad_request, unknown_property
from runtui.sandbox.query import refuse_unknown
from runtui.sandbox.reads import annotations_of, entity_response, row_of, runs
from runtui.sandbox.requests import database_of, options_of

_RUN_TYPE: Final = f"#{RUN.type_name}"


class AppliedWrite(NamedTuple):
    """One update that was applied: the run, the body as it was applied, and when (ticks)."""

    run_id: str
    body: dict[str, Any]
    time: int
    client_request_id: str
    """The id that the client gave the request, else the sandbox's."""


async def update_run(request: Request) -> Response:
    """PATCH …/runs/{id}, under workflowBase or under a workflow; the response is the whole run."""
    body = await request.body()
    refuse_unknown(options_of(request), frozenset())
    run_id, found = request.path_params["key"], runs(request)
    _check_version(request, run_id)
    sent = read_json(request.headers.get("content-type"), body)
    if changes := run_changes(sent):
        database_of(request).write_run(run_id, changes)
        write = AppliedWrite(run_id, sent, request.app.state.clock(), request.state.client_request_id)
        request.app.state.applied.append(write)
    return entity_response(request, found, run_id, {"@odata.type": _RUN_TYPE})


def _check_version(request: Request, run_id: str) -> None:
    """412 when If-Match names another version of the run than the stored one. A service without ETags ignores it."""
    named = {tag.strip() for tag in request.headers.get("if-match", "*").split(",")}
    own = annotations_of(request, RUN, row_of(request, runs(request), run_id))
    if own and named.isdisjoint({"*", own["@odata.etag"]}):
        message = "The resource has changed since it was read: If-Match names another version of it."
        raise GraphError(412, "PreconditionFailed", message)


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
