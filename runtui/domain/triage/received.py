"""Typed access to a JSON object that a service sent.

Invariant: no function raises. A value that is missing, null or of another type is read as an empty text, an empty
object or None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from runtui.domain.times import parse_ticks

ValueT = TypeVar("ValueT")


def text_in(received: Mapping[str, Any], *names: str) -> str:
    """Return the first of some properties that is a non-empty text; empty if none is."""
    for name in names:
        found = received.get(name)
        if isinstance(found, str) and found:
            return found
    return ""


def number_in(received: Mapping[str, Any], name: str) -> int | None:
    found = received.get(name)
    return found if type(found) is int else None


def flag_in(received: Mapping[str, Any], name: str) -> bool | None:
    found = received.get(name)
    return found if isinstance(found, bool) else None


def ticks_in(received: Mapping[str, Any], name: str) -> int | None:
    try:
        return parse_ticks(text_in(received, name))
    except ValueError:
        return None


def object_in(received: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """Return the nested object at a path of names; empty if there is none."""
    for name in names:
        found = received.get(name)
        received = found if isinstance(found, Mapping) else {}
    return received


def objects_in(received: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = received.get(name)
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def type_in(received: Mapping[str, Any]) -> str:
    """Return the object's `@odata.type` without the namespace; empty if there is none."""
    return text_in(received, "@odata.type").rpartition(".")[2]


class ReceivedProperty(Generic[ValueT]):
    """A descriptor that reads a property of the object in `received`: `id = ReceivedProperty(text_in, "id")`."""

    def __init__(self, read: Callable[[Mapping[str, Any], str], ValueT], name: str) -> None:
        self._read = read
        self._name = name

    def __get__(self, holder: Any, _type: object = None) -> ValueT:
        return self._read(holder.received, self._name)
