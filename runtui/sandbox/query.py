"""OData query options, translated to parameterised SQL over the columns of one entity type.

Invariant: no text of a request becomes SQL; only declared columns and the operators below do. An unknown, unsupported
or malformed option raises GraphError 400. Semantics (null compares false except with eq and ne) and
wording of errors: OData 4.01, "URL conventions". Paging is by key, not by offset: a page starts after the last row of
the page before, whatever was inserted or removed in between, and every page costs the same. odata_query is imported
when the first filter arrives.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runtui.domain.times import parse_ticks
from runtui.sandbox.entities import EntityType, Order, Property
from runtui.sandbox.errors import bad_request, unknown_property

if TYPE_CHECKING:
    from odata_query import ast

    _Path = ast.Identifier | ast.Attribute

PAGE_SIZE: Final = 100
MAX_PAGE_SIZE: Final = 999
_MAX_FILTER: Final = 2_000
"""Characters of a `$filter`."""

_MAX_DEPTH: Final = 25
"""Levels of a `$filter`; a chain of `and` (or of `or`) is one level. SQLite's parser has a stack of 100."""


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

_ENUM_TYPE: Final = re.compile(r"('(?:[^']|'')*')|\bmicrosoft\.graph\.(?:\w+\.)?\w+(?=')", re.ASCII)
"""A text in quotes, which is kept, or the type name before one (`type'member'`), which is removed."""

ENTITY_OPTIONS: Final = frozenset({"$expand"})
COLLECTION_OPTIONS: Final = ENTITY_OPTIONS | {"$filter", "$top", "$skiptoken"}
"""The query options of one entity of a collection, and of its pages."""

_COMPARATORS: Final = {
    "Eq": '"{}" IS ?',
    "NotEq": '"{}" IS NOT ?',
    "Lt": 'coalesce("{}" < ?, 0)',
    "LtE": 'coalesce("{}" <= ?, 0)',
    "Gt": 'coalesce("{}" > ?, 0)',
    "GtE": 'coalesce("{}" >= ?, 0)',
}
_MIRRORED: Final = {"Lt": "Gt", "LtE": "GtE", "Gt": "Lt", "GtE": "LtE"}
_TEXT_FUNCTIONS: Final = {
    "startswith": 'coalesce(substr("{}", 1, length(?)) = ?, 0)',
    "contains": 'coalesce(instr("{}", ?) > 0, 0)',
}
_NODE_OF_KIND: Final = {
    "string": "String",
    "enum": "String",
    "count": "Integer",
    "boolean": "Boolean",
    "datetime": "DateTime",
}
"""The literal of odata_query for a property of each kind."""


def _parse_filter(text: str, entity: EntityType) -> Condition:
    from odata_query.exceptions import ODataException
    from odata_query.grammar import ODataLexer, ODataParser

    if len(text) > _MAX_FILTER:
        raise bad_request(f"The $filter is longer than {_MAX_FILTER} characters.")
    try:
        tree = ODataParser().parse(ODataLexer().tokenize(_ENUM_TYPE.sub(lambda match: match[1] or "", text)))
    except (ODataException, AttributeError, NotImplementedError) as error:
        # The parser raises the last two for three named parameters and for deep navigation paths.
        raise bad_request(f"Invalid filter clause: {error}") from error
    return _Translator(entity).condition(tree)


class _Translator:
    """Translates the syntax tree of one `$filter`."""

    def __init__(self, entity: EntityType) -> None:
        self._entity = entity

    def condition(self, node: ast._Node, depth: int = 0) -> Condition:
        """Translate a boolean node, `depth` levels below the root."""
        from odata_query import ast

        if depth > _MAX_DEPTH:
            raise bad_request(f"Invalid filter clause: it is nested deeper than {_MAX_DEPTH} levels.")
        match node:
            case ast.BoolOp(op=op):
                parts = (self.condition(part, depth + 1) for part in _chain(node))
                return Condition.joined("AND" if isinstance(op, ast.And) else "OR", parts)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                inner = self.condition(operand, depth + 1)
                return Condition(f"NOT {inner.sql}", inner.parameters)
            case ast.Compare(
                comparator=ast.In(), left=ast.Identifier() | ast.Attribute() as left, right=ast.List(val=values)
            ):
                return self._membership(left, values)
            case ast.Compare(comparator=comparator, left=ast.Identifier() | ast.Attribute() as left, right=right):
                return self._comparison(type(comparator).__name__, left, right)
            case ast.Compare(comparator=comparator, left=left, right=ast.Identifier() | ast.Attribute() as right):
                name = type(comparator).__name__
                return self._comparison(_MIRRORED.get(name, name), right, left)
            case ast.Call(func=ast.Identifier(name=name), args=[ast.Identifier() as left, ast.String(val=text)]):
                return self._text_function(name, left, text)
        raise bad_request("Invalid filter clause: only comparisons of a property with a literal are supported.")

    def _comparison(self, operator: str, left: _Path, right: ast._Node) -> Condition:
        item = self._property(left)
        value = self._literal(item, right)
        if operator not in {"Eq", "NotEq"} and item.kind not in {"count", "datetime"}:
            raise bad_request(
                f"Invalid filter clause: '{item.name}' of type {item.edm} supports the operators eq, ne and in only."
            )
        return Condition(_COMPARATORS[operator].format(item.name), (value,))

    def _membership(self, left: _Path, values: Sequence[ast._Node]) -> Condition:
        item = self._property(left)
        tests = " OR ".join([_COMPARATORS["Eq"].format(item.name)] * len(values))
        return Condition(f"({tests})", tuple(self._literal(item, value) for value in values))

    def _text_function(self, name: str, left: ast.Identifier, text: str) -> Condition:
        item = self._property(left)
        template = _TEXT_FUNCTIONS.get(name)
        if template is None or item.kind != "string":
            raise bad_request(f"Invalid filter clause: the function '{name}' does not apply to '{item.name}'.")
        return Condition(template.format(item.name), (text,) * template.count("?"))

    def _property(self, node: _Path) -> Property:
        path = _written(node)
        paths = {item.name.casefold(): item for item in self._entity.paths}
        item = paths.get(path.casefold()) or declared(path, self._entity)
        if item.kind == "json":
            raise bad_request(f"The property '{item.name}' cannot be used in the $filter query option.")
        return item

    def _literal(self, item: Property, node: ast._Node) -> Any:
        kind = type(node).__name__
        if kind == "Null":
            return None
        if kind != _NODE_OF_KIND[item.kind]:
            raise bad_request(
                "Invalid filter clause: A binary operator with incompatible types was detected. "
                f"Found operand types '{item.edm}' and 'Edm.{kind}'."
            )
        return _value(item, node)


def _written(node: ast._Node) -> str:
    """Return a property, or a path to one, as a client writes it; 400 for another node."""
    from odata_query import ast

    match node:
        case ast.Attribute(owner=owner, attr=name):
            return f"{_written(owner)}/{name}"
        case ast.Identifier(namespace=namespace, name=name):
            return ".".join((*namespace, name))
    raise bad_request("Invalid filter clause: only comparisons of a property with a literal are supported.")


def _chain(node: ast.BoolOp) -> list[ast._Node]:
    """Return the operands of a chain of the same operator, `and` or `or`, from left to right."""
    from odata_query import ast

    operands: list[ast._Node] = []
    waiting: list[ast._Node] = [node]
    while waiting:
        part = waiting.pop()
        if isinstance(part, ast.BoolOp) and part.op == node.op:
            waiting += [part.right, part.left]
        else:
            operands.append(part)
    return operands


def _value(item: Property, node: Any) -> Any:
    if item.kind == "datetime":
        try:
            return parse_ticks(node.val)
        except ValueError as error:
            raise bad_request(f"Invalid filter clause: '{node.val}'. {error}") from error
    value = node.py_val
    if item.kind == "count" and not -(2**31) <= value < 2**31:
        raise bad_request(f"Invalid filter clause: {value} is no value of Edm.Int32.")
    if item.enumeration is not None and not item.enumeration.has(value):
        raise bad_request(f"Invalid filter clause: '{value}' is no member of {item.edm}.")
    return value


def _parse_expand(text: str, entity: EntityType) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in entity.navigation:
            raise bad_request(f"Invalid $expand clause: '{name}' on type '{entity.type_name}'.")
    return names


def declared(name: str, entity: EntityType) -> Property:
    item = entity.find(name)
    if item is None:
        raise unknown_property(name, entity.type_name)
    return item


class Query(NamedTuple):
    """The query options of a request for a collection or for one entity of it, parsed."""

    where: Condition
    expand: tuple[str, ...]
    size: int
    continuation: Condition
    """The condition that a row comes after the last row of the previous page."""


def parse_query(
    options: Mapping[str, str], entity: EntityType, supported: frozenset[str], max_page_size: int | None = None
) -> Query:
    """Parse the query options; `max_page_size` is the page size of the `Prefer` header, None without one."""
    refuse_unknown(options, supported if entity.navigation else supported - {"$expand"})
    sizes = [size for size in (_page_size(options.get("$top")), max_page_size) if size is not None]
    token = options.get("$skiptoken")
    return Query(
        where=_parse_filter(options["$filter"], entity) if "$filter" in options else ALWAYS,
        expand=_parse_expand(options["$expand"], entity) if "$expand" in options else (),
        size=min(*sizes, MAX_PAGE_SIZE) if sizes else PAGE_SIZE,
        continuation=ALWAYS if token is None else _follows(entity.order, _decode(token, len(entity.order))),
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
    if not isinstance(key, list) or len(key) != length or not all(map(_is_key_value, key)):
        raise bad_request("The $skiptoken is not one that this service made for this query.")
    return tuple(key)


def _is_key_value(value: object) -> bool:
    return isinstance(value, int) and abs(value) < 2**63


def _page_size(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0):
        raise bad_request(f"Invalid page size specified: '{text}'. Must be a whole number greater than zero.")
    return int(text)


def _follows(order: Order, key: SortKey) -> Condition:
    """Return the condition that a row follows a key: beyond it in the first column, or equal there and after it in the
    rest.
    """
    (column, descending), *rest = order
    beyond = Condition(f'"{column}" {"<" if descending else ">"} ?', key[:1])
    if not rest:
        return beyond
    after = _follows(tuple(rest), key[1:])
    return Condition(f'({beyond.sql} OR ("{column}" = ? AND {after.sql}))', (*key[:1], *key[:1], *after.parameters))
