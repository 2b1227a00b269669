"""The editable properties of a run, each declared once: the form, the command line, the sandbox and the help read this.

Invariant: a `FieldSpec` never changes a value. `parse` turns typed text into a JSON value or refuses it with a
sentence; `problem` says why a JSON value may not be sent. Which properties there are, and which are
Required: the API page "Update run" (Microsoft Graph beta). Types and bounds: OData 4.01.
pydantic decides what a value is; it is imported at the first check, so that listing runs does not wait for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

from runtui.domain.enums import EXECUTION_TYPE, PROCESSING_STATUS, OpenEnum
from runtui.domain.times import interpret, parse_ticks
from runtui.errors import FieldError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

INT32_MAX: Final = 2_147_483_647
INT32_MIN: Final = -2_147_483_648

Kind = Literal["enum", "count", "datetime"]
Group = Literal["Status", "Times", "Users", "Tasks"]

_GROUPED: Final = re.compile(r"[+-]?\d{1,3}(?:([,_' \u00a0\u202f])\d{3})(?:\1\d{3})*", re.ASCII)
_WHOLE: Final = re.compile(r"[+-]?\d+", re.ASCII)
_DECIMAL: Final = re.compile(r"[+-]?(?:\d+[.,]\d*|[.,]\d+)(?:[eE][+-]?\d+)?|[+-]?\d+[eE][+-]?\d+", re.ASCII)
_INT32_DIGITS: Final = 10
_NEGATIVE: Final = "A count cannot be negative."
_TOO_LARGE: Final = f"That does not fit an Int32: the largest is {INT32_MAX}."
_LONGEST_QUOTE: Final = 40
"""Characters of a refused text that a sentence repeats."""


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One editable property: its name on the wire, its type and its rules."""

    name: str
    """The property's name in Graph's JSON."""
    kind: Kind
    label: str
    """A few words for people."""
    help: str
    """One sentence: what the value means."""
    group: Group
    required: bool = False
    """Whether the API page calls it Required: it is part of every full body, and cannot be cleared."""
    choices: OpenEnum | None = None

    @property
    def nullable(self) -> bool:
        """Whether JSON null is a value of it (emptying the input clears it)."""
        return not self.required

    @property
    def is_recorded(self) -> bool:
        """Whether it is a moment that the service wrote down when it came, not one that was planned."""
        return self.kind == "datetime" and self.name != "scheduledDateTime"

    @property
    def type_name(self) -> str:
        """The type as the API page writes it."""
        if self.choices is not None:
            return self.choices.name
        return "Int32" if self.kind == "count" else "DateTimeOffset"

    def problem(self, value: object) -> str | None:
        """Why this JSON value may not be written, in one sentence; None when it may."""
        from pydantic import ValidationError

        if value is None:
            return None if self.nullable else f"{self.name} is required and cannot be null."
        try:
            _adapter(self.kind).validate_python(value)
        except ValidationError as error:
            first = error.errors()[0]
            return _sentence(first["type"], first["msg"], value)
        if self.choices is not None and not self.choices.is_known(str(value)):
            return f"{_json_word(value)} is not a {self.choices.name}. Possible: {', '.join(self.choices.names)}."
        return None

    def same(self, left: object, right: object) -> bool:
        """Whether two JSON values are one to the service: a moment may be written in several ways, the rest in one."""
        if self.kind == "datetime" and isinstance(left, str) and isinstance(right, str) and left != right:
            try:
                return parse_ticks(left) == parse_ticks(right)
            except ValueError:
                return False
        return type(left) is type(right) and left == right

    def parse(self, text: str, now: int) -> str | int | None:
        """Turn typed text into the JSON value to send; `now` (ticks) is what relative times count from.

        Raises:
            FieldError: one sentence that says what is wrong and what is possible.
        """
        typed = text.strip()
        if not typed:
            if self.nullable:
                return None
            raise FieldError(f"{self.name} is required: it cannot be empty.")
        if self.kind == "count":
            value: str | int = _parse_count(typed)
        elif self.kind == "datetime":
            try:
                value = interpret(typed, now)
            except ValueError as error:
                raise FieldError(str(error)) from None
        else:
            value = typed
        if sentence := self.problem(value):
            raise FieldError(sentence)
        return value

    def text(self, value: object) -> str:
        """A JSON value as the text that stands in the input; null and a missing value are empty."""
        if value is None or isinstance(value, str):
            return value or ""
        return json.dumps(value)


@cache
def _adapter(kind: Kind) -> TypeAdapter[str] | TypeAdapter[int]:
    from typing import Annotated

    from pydantic import AfterValidator, Field, StrictInt, StrictStr, TypeAdapter

    def is_moment(text: str) -> str:
        parse_ticks(text)
        return text

    if kind == "count":
        return TypeAdapter(Annotated[StrictInt, Field(ge=0, le=INT32_MAX)])
    if kind == "datetime":
        return TypeAdapter(Annotated[StrictStr, AfterValidator(is_moment)])
    return TypeAdapter(StrictStr)


def _sentence(error_type: str, message: str, value: object) -> str:
    """pydantic's verdict in words for the person at the form."""
    if error_type == "greater_than_equal":
        return _NEGATIVE
    if error_type == "less_than_equal":
        return _TOO_LARGE
    if error_type == "value_error":
        return message.removeprefix("Value error, ")
    wanted = "a whole number" if error_type.startswith("int") else "a text"
    return f"This takes {wanted}, not {_json_word(value)}."


def _json_word(value: object) -> str:
    """A JSON value in words, short enough for a sentence."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "an array"
    if isinstance(value, str):
        return repr(value if len(value) <= _LONGEST_QUOTE else f"{value[: _LONGEST_QUOTE - 1]}…")
    return "a large number" if isinstance(value, int) and abs(value) > INT32_MAX else f"the number {value}"


def _parse_count(typed: str) -> int:
    """Digits, with thousands grouped by one sign (1,000) or not at all."""
    if match := _GROUPED.fullmatch(typed):
        typed = typed.replace(match[1], "")
    if _WHOLE.fullmatch(typed):
        digits = typed.lstrip("+-0")
        is_negative = typed.startswith("-")
        if len(digits) > _INT32_DIGITS:
            raise FieldError(_NEGATIVE if is_negative else _TOO_LARGE)
        value = int(digits or "0")
        return -value if is_negative else value
    if _DECIMAL.fullmatch(typed):
        raise FieldError("A count is a whole number: no decimal point, no exponent.")
    raise FieldError("A count is a whole number, such as 12 or 1,000.")


def _count(name: str, label: str, group: Group, help_text: str) -> FieldSpec:
    return FieldSpec(name, "count", label, help_text, group, required=True)


FIELDS: Final[tuple[FieldSpec, ...]] = (
    FieldSpec(
        "processingStatus",
        "enum",
        "Status",
        "Where the run stands. Writing it changes the report, not the work: it neither stops nor repeats anything.",
        "Status",
        required=True,
        choices=PROCESSING_STATUS,
    ),
    FieldSpec(
        "workflowExecutionType",
        "enum",
        "Execution type",
        "How the run was started.",
        "Status",
        required=True,
        choices=EXECUTION_TYPE,
    ),
    FieldSpec("scheduledDateTime", "datetime", "Scheduled", "When the run was to start.", "Times", required=True),
    FieldSpec("startedDateTime", "datetime", "Started", "When it really started; empty: not yet.", "Times"),
    FieldSpec("completedDateTime", "datetime", "Completed", "When it ended; empty: not yet.", "Times"),
    FieldSpec("lastUpdatedDateTime", "datetime", "Last updated", "When the run last changed.", "Times"),
    _count("totalUsersCount", "Users, total", "Users", "How many users the run is for."),
    _count("successfulUsersCount", "Users, successful", "Users", "How many users it finished without error."),
    _count(
        "failedUsersCount",
        "Users, failed",
        "Users",
        "How many users it failed for; canceled ones do not count.",
    ),
    _count("failedTasksCount", "Tasks, failed", "Tasks", "How many tasks failed, over all users."),
    _count("totalUnprocessedTasksCount", "Tasks, unprocessed", "Tasks", "How many tasks were not processed."),
)
"""The eleven properties of the API page, in the order of the form."""

FIELD_BY_NAME: Final[Mapping[str, FieldSpec]] = MappingProxyType({field.name: field for field in FIELDS})
