"""The service's own declaration of its types, and a check of answers against it.

`schema.json` is a digest of Microsoft Graph's metadata (microsoft.graph.identityGovernance, v1.0 and beta): the types
by name, with their base; the properties with their type, "?" for nullable, "[]" for a collection; and the actions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

_DECLARED: Final = json.loads((Path(__file__).parent / "schema.json").read_text("utf-8"))
DECLARED_ACTIONS: Final[dict[str, dict[str, Any]]] = _DECLARED["actions"]
_TYPES: Final[dict[str, Any]] = _DECLARED["types"]
_ENUMS: Final[dict[str, list[str]]] = _DECLARED["enums"]
_FLAGS: Final = {"lifecycleTaskCategory"}
_SENTINEL: Final = "unknownFutureValue"
_ANNOTATIONS: Final = {"@odata.context", "@odata.count", "@odata.nextLink", "@odata.type", "@odata.etag"}
_PATTERNS: Final = {
    "DateTimeOffset": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z", re.ASCII),
    "Duration": re.compile(r"P(\d+D)?(T(\d+H)?(\d+M)?(\d+S)?)?", re.ASCII),
}


def deviations(value: Any, type_name: str, *, newer: bool, whole: bool = True, at: str = "") -> Iterator[str]:
    """What is wrong with a JSON value of a declared type, in a sentence each.

    Args:
        value: The value.
        type_name: Its declared type, as `schema.json` writes it.
        newer: Whether the client has asked for the enum members after the sentinel.
        whole: Whether every property is to be there that cannot be null.
        at: Where the value stands.
    """
    bare = type_name.removesuffix("?")
    if value is None:
        if bare == type_name:
            yield f"{at} is null, and {type_name} cannot be"
    elif bare.endswith("[]"):
        if not isinstance(value, list):
            yield f"{at} is no collection"
            return
        for index, item in enumerate(value):
            yield from deviations(item, bare[:-2], newer=newer, whole=whole, at=f"{at}[{index}]")
    elif bare in _ENUMS:
        yield from _of_enum(value, bare, newer, at)
    elif bare in _TYPES:
        yield from _of_object(value, bare, newer, whole, at)
    elif not _is_primitive(value, bare):
        yield f"{at} is {value!r}, no {bare}"


def _of_enum(value: Any, name: str, newer: bool, at: str) -> Iterator[str]:
    members = _ENUMS[name]
    sent = members if newer or name in _FLAGS or _SENTINEL not in members else members[: members.index(_SENTINEL) + 1]
    for member in value.split(",") if name in _FLAGS else [value]:
        if member not in sent:
            yield f"{at} is {member!r}, no member of {name}" + ("" if newer else " for a client of yesterday")


def _of_object(value: Any, name: str, newer: bool, whole: bool, at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{at} is no object"
        return
    actual = value.get("@odata.type", f"#{_full(name)}").removeprefix("#")
    actual = actual.removeprefix("microsoft.graph.identityGovernance.").replace("microsoft.graph.", "graph.")
    lineage = list(_lineage(actual))
    if name not in lineage:
        yield f"{at} is of the type {actual}, no {name}"
        return
    if _TYPES[actual].get("abstract"):
        yield f"{at} is of the abstract type {actual}"
    properties = {key: kind for each in lineage for key, kind in _TYPES[each].get("properties", {}).items()}
    navigation = {key: kind for each in lineage for key, kind in _TYPES[each].get("navigation", {}).items()}
    for key, item in value.items():
        if "@" in key:
            if key not in _ANNOTATIONS:
                yield f"{at} has the annotation {key}"
        elif key in properties:
            yield from deviations(item, properties[key], newer=newer, whole=whole, at=f"{at}/{key}")
        elif key in navigation:
            yield from deviations(item, navigation[key], newer=newer, whole=False, at=f"{at}/{key}")
        else:
            yield f"{at} has {key}, which {actual} does not declare"
    if whole:
        yield from (
            f"{at} lacks {key}" for key, kind in properties.items() if not kind.endswith("?") and key not in value
        )


def _lineage(name: str) -> Iterator[str]:
    while name in _TYPES:
        yield name
        name = _TYPES[name].get("base", "")


def _full(name: str) -> str:
    return name.replace("graph.", "microsoft.graph.") if "." in name else f"microsoft.graph.identityGovernance.{name}"


def _is_primitive(value: Any, kind: str) -> bool:
    if kind == "Boolean":
        return isinstance(value, bool)
    if kind in {"Int32", "Int64"}:
        return type(value) is int and abs(value) < (2**31 if kind == "Int32" else 2**63)
    if not isinstance(value, str):
        return False
    pattern = _PATTERNS.get(kind)
    return kind == "String" or (pattern is not None and pattern.fullmatch(value) is not None)
