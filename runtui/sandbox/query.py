"""OData query options, translated to parameterised SQL over the columns of one entity type.

Invariant: no text of a request becomes SQL; only declared columns and the operators below do. An unknown, unsupported
or malformed option raises GraphError 400. Of OData's filters there are those that runtui sends: comparisons by `eq` and
`ge`, joined by `or`. Semantics (null compares false except with eq): OData 4.01, "URL conventions". Paging is by key,
not by offset: a page starts after the last row of the page before, whatever was inserted or removed in between, and
every page costs the same.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, Final, NamedTuple

from runtui.domain.times import parse_ticks
from runtui.sandbox.entities import SUBJECT_ID, EntityType, Property
from runtui.sandbox.errors import bad_request, unknown_property

PAGE_SIZE: Final = 100
MAX_PAGE_SIZE: Final = 999
_MAX_FILTER: Final = 2_000
"""Characters of a `$filter`: SQLite takes at most a thousand conditions."""


class Condition(NamedTuple):
    """A piece of a WHERE clause and its parameters."""

    sql: str
    parameters: tuple[Any, ...] = ()

    @classmethod
    def joined(cls, word: str, parts: Iterable[Condition]) -> Condition:
        """Return conditions joined by AND or OR."""
        sql, parameters = zip(*parts, strict=True)
        return cls(f"({f' {word} '.join(sql)})", tuple(chain.from_iterable(parameters)))


ALWAYS: Final = Condition("1")
SortKey = tuple[int, ...]
"""The values of the sort columns in one row."""

ENTITY_OPTIONS: Final = frozenset({"$expand"})
COLLECTION_OPTIONS: Final = ENTITY_OPTIONS | {"$filter", "$skiptoken"}
"""The query options of one entity of a collection, and of its pages."""

_COMPARATORS: Final = {"eq": '"{}" IS ?', "ge": 'coalesce("{}" >= ?, 0)'}
_COMPARISON: Final = r"([\w/]+) (eq|ge) (null|'(?:[^']|'')*+'|[\w:.+-]+)"


def _parse_filter(text: str, entity: EntityType) -> Condition:
    if len(text) > _MAX_FILTER:
        raise bad_request(f"The $filter is longer than {_MAX_FILTER} characters.")
    if not re.fullmatch(f"{_COMPARISON}( or {_COMPARISON})*", text, re.ASCII):
        raise bad_request("Invalid filter clause: only comparisons by eq or ge, joined by or, are supported here.")
    return Condition.joined("OR", (_comparison(entity, *found) for found in re.findall(_COMPARISON, text)))


def _comparison(entity: EntityType, name: str, operator: str, literal: str) -> Condition:
    item = SUBJECT_ID if entity.has_subject and name == SUBJECT_ID.name else entity.by_name.get(name)
    if item is None:
        raise unknown_property(name, entity.type_name)
    if operator == "ge" and item.kind != "datetime":
        raise bad_request(f"Invalid filter clause: '{name}' is no date-time, so it supports the operator eq only.")
    return Condition(_COMPARATORS[operator].format(name), (_value(item, literal),))


def _value(item: Property, literal: str) -> Any:
    if literal == "null":
        return None
    if item.kind == "datetime" and literal[0] != "'":
        try:
            return parse_ticks(literal)
        except ValueError as error:
            raise bad_request(f"Invalid filter clause: '{literal}'. {error}") from error
    if item.kind not in ("string", "enum") or literal[0] != "'":
        raise bad_request(f"Invalid filter clause: {literal} is of another type than '{item.name}' ({item.kind}).")
    value = literal[1:-1].replace("''", "'")
    if item.enumeration is not None and not item.enumeration.has(value):
        raise bad_request(f"Invalid filter clause: '{value}' is no member of {item.enumeration.name}.")
    return value


class Query(NamedTuple):
    """The query options of a request for a collection or for one entity of it, parsed."""

    where: Condition
    expands_subject: bool
    size: int
    continuation: Condition
    """The condition that a row comes after the last row of the previous page."""


def parse_query(
    options: Mapping[str, str], entity: EntityType, supported: frozenset[str], page_size: int | None = None
) -> Query:
    """Parse the query options; `page_size` is that of the `Prefer` header, None without one."""
    refuse_unknown(options, supported if entity.has_subject else supported - {"$expand"})
    if options.get("$expand", "subject") != "subject":
        raise bad_request(f"Invalid $expand clause: '{options['$expand']}' on type '{entity.type_name}'.")
    token = options.get("$skiptoken")
    return Query(
        where=_parse_filter(options["$filter"], entity) if "$filter" in options else ALWAYS,
        expands_subject="$expand" in options,
        size=page_size or PAGE_SIZE,
        continuation=ALWAYS if token is None else _follows(entity, _decode(token, len(entity.order))),
    )


def refuse_unknown(options: Mapping[str, str], supported: frozenset[str]) -> None:
    for name in options:
        if name.startswith("$") and name not in supported:
            raise bad_request(f"The query option '{name}' is not supported here.")


def token_after(key: SortKey) -> str:
    return urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def _decode(token: str, length: int) -> SortKey:
    try:
        key = json.loads(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, RecursionError):
        key = None
    is_key = isinstance(key, list) and len(key) == length
    if not is_key or not all(isinstance(value, int) and abs(value) < 2**63 for value in key):
        raise bad_request("The $skiptoken is not one that this service made for this query.")
    return tuple(key)


def _follows(entity: EntityType, key: SortKey) -> Condition:
    """Return the condition that a row comes after the one with that sort key: equal in some columns, beyond in the
    next.
    """
    pairs = list(zip(entity.order, key, strict=True))
    equal = [Condition(f'"{by.name}" = ?', (value,)) for by, value in pairs]
    beyond = [Condition(f'"{by.name}" {"<" if by.is_descending else ">"} ?', (value,)) for by, value in pairs]
    return Condition.joined("OR", (Condition.joined("AND", (*equal[:n], beyond[n])) for n in range(len(beyond))))
