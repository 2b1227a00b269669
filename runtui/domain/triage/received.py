"""What a service sent, read as far as it is of the declared type.

Invariant: nothing fails. A value that is missing, null or of another type is not there: an empty text, an empty object,
else None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from runtui.domain.times import parse_ticks

ValueT = TypeVar("ValueT")


def text_in(received: Mapping[str, Any], *names: str) -> str:
    """The first of some properties that is a text, and not an empty one."""
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
    """An object in an object, and so on, by the names on the way."""
    for name in names:
        found = received.get(name)
        received = found if isinstance(found, Mapping) else {}
    return received


def objects_in(received: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = received.get(name)
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def type_in(received: Mapping[str, Any]) -> str:
    """The OData type that an object says it is of, without the namespace."""
    return text_in(received, "@odata.type").rpartition(".")[2]


class Holder(Protocol):
    """An object as received, under a type of ours."""

    @property
    def received(self) -> Mapping[str, Any]: ...


class ReceivedProperty(Generic[ValueT]):
    """A property of a `Holder` that is a property of what it holds: `id = ReceivedProperty(text_in, "id")`."""

    def __init__(self, read: Callable[[Mapping[str, Any], str], ValueT], name: str) -> None:
        self._read = read
        self._name = name

    def __get__(self, holder: Holder, _type: object = None) -> ValueT:
        return self._read(holder.received, self._name)
