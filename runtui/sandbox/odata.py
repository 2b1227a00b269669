"""OData query options: `$filter`, `$orderby`, `$select` become parameterised SQL over the columns of one entity type.

Invariant: no text of a request ever becomes SQL; only declared columns and the operators below do. Semantics (null
compares false but for eq and ne; nulls sort first) and wording of refusals: OData 4.01, "URL conventions". `$filter` is
parsed by odata_query, which is imported when the first filter arrives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runtui.domain.times import parse_ticks
from runtui.sandbox.entities import EntityType, Property
from runtui.sandbox.faults import bad_request, unknown_property

if TYPE_CHECKING:
    from odata_query import ast

MAX_FILTER: Final = 2_000
"""Characters of a `$filter`."""

MAX_DEPTH: Final = 25
"""Levels of a `$filter`, where a chain of `and` (or of `or`) is one: SQLite's parser has a stack of 100."""


class Condition(NamedTuple):
    """A piece of a WHERE clause and its parameters."""

    sql: str
    parameters: tuple[Any, ...] = ()


class Order(NamedTuple):
    """One column of an ORDER BY."""

    column: str
    descending: bool

    @property
    def sql(self) -> str:
        """The column with its direction."""
        return f'"{self.column}" {"DESC" if self.descending else "ASC"}'


ALWAYS: Final = Condition("1")

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
"""Which literal of odata_query a property of each kind is compared with."""


def parse_filter(text: str, entity: EntityType) -> Condition:
    """Translate a `$filter`.

    Raises:
        GraphError: 400 for a syntax error, an unknown property, an operator or a literal that does not fit it.
    """
    from odata_query.exceptions import ODataException
    from odata_query.grammar import ODataLexer, ODataParser

    if len(text) > MAX_FILTER:
        raise bad_request(f"The $filter is longer than {MAX_FILTER} characters.")
    try:
        tree = ODataParser().parse(ODataLexer().tokenize(text))
    except (ODataException, AttributeError, NotImplementedError) as error:
        # The last two: the parser's own way of failing on three named parameters and on deep navigation paths.
        raise bad_request(f"Invalid filter clause: {error}") from error
    return _Translator(entity).condition(tree)


class _Translator:
    """Walks the syntax tree of one `$filter`."""

    def __init__(self, entity: EntityType) -> None:
        self._entity = entity

    def condition(self, node: ast._Node, depth: int = 0) -> Condition:
        """A node that is true or false, so many levels below the whole."""
        from odata_query import ast

        if depth > MAX_DEPTH:
            raise bad_request(f"Invalid filter clause: it is nested deeper than {MAX_DEPTH} levels.")
        match node:
            case ast.BoolOp(op=op):
                word = " AND " if isinstance(op, ast.And) else " OR "
                parts = [self.condition(part, depth + 1) for part in _chain(node)]
                return Condition(
                    f"({word.join(part.sql for part in parts)})",
                    tuple(value for part in parts for value in part.parameters),
                )
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                inner = self.condition(operand, depth + 1)
                return Condition(f"NOT {inner.sql}", inner.parameters)
            case ast.Compare(comparator=ast.In(), left=ast.Identifier() as left, right=ast.List(val=values)):
                return self._membership(left, values)
            case ast.Compare(comparator=comparator, left=ast.Identifier() as left, right=right):
                return self._comparison(type(comparator).__name__, left, right)
            case ast.Compare(comparator=comparator, left=left, right=ast.Identifier() as right):
                name = type(comparator).__name__
                return self._comparison(_MIRRORED.get(name, name), right, left)
            case ast.Call(func=ast.Identifier(name=name), args=[ast.Identifier() as left, ast.String(val=text)]):
                return self._text_function(name, left, text)
        raise bad_request("Invalid filter clause: only comparisons of a property with a literal are supported.")

    def _comparison(self, operator: str, left: ast.Identifier, right: ast._Node) -> Condition:
        item = self._property(left)
        value = self._literal(item, right)
        if operator not in {"Eq", "NotEq"} and item.kind not in {"count", "datetime"}:
            raise bad_request(
                f"Invalid filter clause: '{item.name}' of type {item.edm} supports the operators eq, ne and in only."
            )
        return Condition(_COMPARATORS[operator].format(item.name), (value,))

    def _membership(self, left: ast.Identifier, values: Sequence[ast._Node]) -> Condition:
        item = self._property(left)
        tests = " OR ".join([_COMPARATORS["Eq"].format(item.name)] * len(values))
        return Condition(f"({tests})", tuple(self._literal(item, value) for value in values))

    def _text_function(self, name: str, left: ast.Identifier, text: str) -> Condition:
        item = self._property(left)
        template = _TEXT_FUNCTIONS.get(name)
        if template is None or item.kind != "string":
            raise bad_request(f"Invalid filter clause: the function '{name}' does not apply to '{item.name}'.")
        return Condition(template.format(item.name), (text,) * template.count("?"))

    def _property(self, node: ast.Identifier) -> Property:
        item = declared(".".join((*node.namespace, node.name)), self._entity)
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


def _chain(node: ast.BoolOp) -> list[ast._Node]:
    """The operands of a chain of one and the same `and` or `or`, from left to right."""
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
    """The SQL parameter of a literal that is of the right kind for the property."""
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


def parse_orderby(text: str, entity: EntityType) -> tuple[Order, ...]:
    """Translate an `$orderby`: names, each with `asc` or `desc`.

    Raises:
        GraphError: 400 for an unknown property, a structured one, or another direction.
    """
    orders = []
    for part in text.split(","):
        name, _, direction = part.strip().partition(" ")
        item = declared(name, entity)
        direction = direction.strip() or "asc"
        if item.kind == "json" or direction not in {"asc", "desc"}:
            raise bad_request(f"Invalid $orderby clause: '{part.strip()}'.")
        orders.append(Order(item.name, direction == "desc"))
    return tuple(orders)


def parse_select(text: str, entity: EntityType) -> tuple[str, ...] | None:
    """Translate a `$select`; None for `*`, which is what is sent without one.

    Raises:
        GraphError: 400 for an unknown property.
    """
    names = [name.strip() for name in text.split(",")]
    if "*" in names:
        return None
    return tuple(dict.fromkeys(declared(name, entity).name for name in names))


def declared(name: str, entity: EntityType) -> Property:
    """The property of that name.

    Raises:
        GraphError: 400 when the entity type has none.
    """
    item = entity.by_name.get(name)
    if item is None:
        raise unknown_property(name, entity.type_name)
    return item
