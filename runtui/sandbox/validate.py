"""The body of a PATCH: which changes it asks for, or why it is refused.

Invariant: either every property is acceptable or nothing is changed, and each refusal names the property. What a value
may be is declared in `domain/properties.py`; which members an enumeration has, the service itself knows
(`entities.py`).
"""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

from runtui.domain.enums import SENTINEL
from runtui.domain.properties import EDITABLE_BY_NAME
from runtui.sandbox.entities import RUN
from runtui.sandbox.faults import GraphError, bad_request, unknown_property

RUN_TYPE: Final = f"#{RUN.type_name}"


def read_json(content_type: str | None, body: bytes) -> Any:
    """The JSON value of a request body.

    Raises:
        GraphError: 415 for another content type, 400 for what is no JSON.
    """
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
    """The properties that a PATCH body sets on a run, values exactly as sent.

    Raises:
        GraphError: 400; names every property that is refused.
    """
    if not isinstance(body, dict):
        raise bad_request("A JSON object is expected as the body of an update.")
    changes = dict(body)
    declared_type = changes.pop("@odata.type", RUN_TYPE)
    if declared_type != RUN_TYPE:
        message = f"A type named '{declared_type}' does not fit the resource: '{RUN_TYPE}' is expected."
        raise bad_request(message, target="@odata.type")
    for name in changes:
        if name not in RUN.by_name:
            raise unknown_property(name, RUN.type_name)
    refusals = {name: why for name, value in changes.items() if (why := _refusal(name, value)) is not None}
    if refusals:
        raise _invalid(refusals)
    return changes


def _refusal(name: str, value: Any) -> str | None:
    """Why a declared property may not be set to a value; None if it may."""
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


def _invalid(refusals: dict[str, str]) -> GraphError:
    messages = {
        name: f"Invalid value specified for property '{name}' of resource 'run'. {why}"
        for name, why in refusals.items()
    }
    first = next(iter(messages))
    details = [{"code": "InvalidValue", "target": name, "message": message} for name, message in messages.items()]
    return GraphError(400, "BadRequest", messages[first], target=first, details=details)


def _object_without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("A property stands in the payload more than once.")
    return value


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON value.")
