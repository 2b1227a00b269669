"""One page of a collection: what a client asked for, and where the page starts.

Invariant: paging is by key, not by offset: a page starts after the last row of the one before, whatever was inserted or
removed meanwhile, and the thousandth page costs what the first one costs. The token that carries the key is opaque.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from runtui.sandbox.entities import EntityType
from runtui.sandbox.faults import bad_request
from runtui.sandbox.odata import ALWAYS, Condition, Order, parse_filter, parse_orderby, parse_select

PAGE_SIZE: Final = 100
MAX_PAGE_SIZE: Final = 999
Key = tuple[Any, ...]
"""The values of the order's columns in one row."""

_OPTIONS: Final = frozenset({"$filter", "$orderby", "$select", "$count", "$top", "$skiptoken"})


@dataclass(frozen=True)
class Query:
    """The query options of a request for a collection, understood."""

    where: Condition
    order: tuple[Order, ...]
    """Ends with the number of the row, which makes every order total."""
    select: tuple[str, ...] | None
    count: bool
    size: int
    after: Key | None

    @property
    def continuation(self) -> Condition:
        """What the rows of this page have in common: they follow the last row of the page before."""
        return ALWAYS if self.after is None else _follows(self.order, self.after)


def parse_query(options: Mapping[str, str], max_page_size: int | None, entity: EntityType) -> Query:
    """Understand the query options; `max_page_size` is what the client prefers.

    Raises:
        GraphError: 400 for an option that is unknown, unsupported or malformed.
    """
    refuse_unknown(options, _OPTIONS)
    asked_order = parse_orderby(options["$orderby"], entity) if "$orderby" in options else ()
    order = (*asked_order, Order("rowid", entity.newest_first))
    sizes = [size for size in (_page_size(options.get("$top")), max_page_size) if size is not None]
    token = options.get("$skiptoken")
    return Query(
        where=parse_filter(options["$filter"], entity) if "$filter" in options else ALWAYS,
        order=order,
        select=parse_select(options["$select"], entity) if "$select" in options else None,
        count=_boolean("$count", options.get("$count", "false")),
        size=min(*sizes, MAX_PAGE_SIZE) if sizes else PAGE_SIZE,
        after=None if token is None else _decode(token, len(order)),
    )


def refuse_unknown(options: Mapping[str, str], supported: frozenset[str]) -> None:
    """Refuse system query options (those with a $) other than the supported ones; others are of no concern.

    Raises:
        GraphError: 400.
    """
    for name in options:
        if name.startswith("$") and name not in supported:
            raise bad_request(f"The query option '{name}' is not supported here.")


def token_after(key: Key) -> str:
    """The opaque `$skiptoken` of the page that follows the row with that key."""
    return urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def _decode(token: str, length: int) -> Key:
    try:
        key = json.loads(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        json.dumps(key, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        key = None
    if not isinstance(key, list) or len(key) != length or not all(map(_is_key_value, key)):
        raise bad_request("The $skiptoken is not one that this service made for this query.")
    return tuple(key)


def _is_key_value(value: object) -> bool:
    return value is None or isinstance(value, str) or (isinstance(value, int) and abs(value) < 2**63)


def _page_size(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0):
        raise bad_request(f"Invalid page size specified: '{text}'. Must be a whole number greater than zero.")
    return int(text)


def _boolean(name: str, text: str) -> bool:
    if text not in {"true", "false"}:
        raise bad_request(f"Invalid value '{text}' for {name}: it is true or false.")
    return text == "true"


def _follows(order: tuple[Order, ...], key: Key) -> Condition:
    """That a row comes after a key: beyond it in the first column, or equal there and after it in the rest."""
    (column, descending), value = order[0], key[0]
    name = f'"{column}"'
    compare = "<" if descending else ">"
    if len(order) == 1:
        return Condition(f"{name} {compare} ?", (value,))
    # Nulls come first in an ascending order and last in a descending one.
    if value is None:
        beyond = Condition("0") if descending else Condition(f"{name} IS NOT NULL")
    else:
        nulls = f" OR {name} IS NULL" if descending else ""
        beyond = Condition(f"({name} {compare} ?{nulls})", (value,))
    rest = _follows(order[1:], key[1:])
    return Condition(f"({beyond.sql} OR ({name} IS ? AND {rest.sql}))", (*beyond.parameters, value, *rest.parameters))
