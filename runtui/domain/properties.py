"""The properties of a run, each declared once. Form, list, filter, store, command line and help derive from them.

Invariant: a `Property` never changes a value. `read` interprets a received value, `parse` converts typed text into a
JSON value or raises an error with a sentence, and `problem` says why a JSON value must not be sent. Source of the
editable and the Required properties: the API page "Update run" (Microsoft Graph beta). Types and bounds: OData 4.01.
pydantic_core validates the values to send. It is imported at the first check, because listing runs does not need it.
Single values need no pydantic models or type adapters.

The enumerations are open, like Graph's evolvable enums: an unknown value is stored, shown and sent back as received,
but never offered as a choice. Source of the members and their order: the service metadata
(`lifecycleWorkflowProcessingStatus`, `workflowExecutionType`). Meanings of the statuses: Microsoft Entra's "Lifecycle
workflow history".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, cast

from runtui.domain.times import interpret, parse_ticks
from runtui.errors import FieldError

if TYPE_CHECKING:
    import pydantic_core

INT32_MAX: Final = 2_147_483_647
INT32_MIN: Final = -2_147_483_648

PropertyKind = Literal["text", "enum", "count", "datetime"]
FormGroup = Literal["Status", "Times", "Users", "Tasks"]

_GROUPED: Final = r"(?a)[+-]?\d{1,3}(?:([,_' \u00a0\u202f])\d{3})(?:\1\d{3})*"
_WHOLE: Final = r"(?a)[+-]?\d+"
_DECIMAL: Final = r"(?a)[+-]?(?:\d+[.,]\d*|[.,]\d+)(?:[eE][+-]?\d+)?|[+-]?\d+[eE][+-]?\d+"
_INT32_DIGITS: Final = 10
_NEGATIVE: Final = "A count cannot be negative."
_TOO_LARGE: Final = f"That does not fit an Int32: the largest is {INT32_MAX}."
_LONGEST_QUOTE: Final = 40
"""The most characters of an invalid text that an error repeats."""

SENTINEL: Final = "unknownFutureValue"
"""Graph's placeholder for members newer than the client. Services send it but refuse it in a write."""


class OpenEnum:
    """A Graph enumeration: its known members, in the order of the choices, each with its meaning in a few words. Some
    are shown in lists by a word of our own."""

    def __init__(self, name: str, meanings: Mapping[str, str], words: Mapping[str, str] = MappingProxyType({})) -> None:
        self.name = name
        self.names = tuple(meanings)
        self.words = words
        """The words that are not the member's own name, by that name."""
        self._meanings = {member: f"{words.get(member, '')}: {text}".lstrip(": ") for member, text in meanings.items()}

    def is_known(self, value: str) -> bool:
        return value in self._meanings

    def meaning(self, value: str) -> str:
        """Return the meaning of a value; for an unknown one, that it is newer than this version."""
        return self._meanings.get(value, "as received; not known to this version of runtui")


PROCESSING_STATUS: Final = OpenEnum(
    "lifecycleWorkflowProcessingStatus",
    {
        "queued": "waiting to start",
        "inProgress": "the first task has begun",
        "completed": "success for every user",
        "completedWithErrors": "done for some users",
        "canceled": "stopped before it finished",
        "failed": "all tasks failed for all users",
        "canceling": "being canceled",
        "quarantined": "held back: too many users at once",
        SENTINEL: "a placeholder; services refuse it",
    },
    {"inProgress": "running", "completedWithErrors": "partly"},
)

EXECUTION_TYPE: Final = OpenEnum(
    "workflowExecutionType",
    {
        "scheduled": "started by the schedule",
        "onDemand": "started by hand",
        "activatedWithScope": "reprocessed, or run for a chosen scope",
        "preview": "a trial that changes nothing",
        "extensibilityOnDemand": "started by an extension",
        SENTINEL: "a placeholder; services refuse it",
    },
)


class ListColumn(NamedTuple):
    """The column of a property in the list."""

    title: str
    width: int
    """Cells; for a growing column, the least width."""
    priority: int
    """The position among the columns; a wider screen adds the next ones at the right."""
    alarms: bool = False
    """True if a count above zero needs a person's attention."""
    grows_to: int = 0
    """The most cells if the values need more than the width; 0 for a fixed width."""


CLEARS: Final = "none"
"""The word for no date-time."""


class Property(NamedTuple):
    """One property of a run: its names, its type and its rules."""

    name: str
    """The name in Graph's JSON."""
    key: str
    """The name in filters, sort orders and columns."""
    kind: PropertyKind
    column: str
    """The store's column for the result of `read`."""
    aliases: tuple[str, ...] = ()
    """More names for filters, besides `key` and `name`."""
    choices: OpenEnum | None = None
    order: str = ""
    """The store's column that orders runs by the property, if it is not `column`."""
    listed: ListColumn | None = None
    """The column in the list; None if it has none."""
    group: FormGroup | None = None
    """The group in the form; None for a read-only property."""
    help: str = ""
    """The meaning of the value in one sentence, for the form."""
    required: bool = False
    """True if the API page calls it Required: every full body has it. Any other can be null: an empty input."""
    is_recorded: bool = False
    """True for a time that the service records when it happens, False for a planned one."""

    @property
    def is_text(self) -> bool:
        """True if the values are text, with or without an enumeration; all others are stored as numbers."""
        return self.kind in ("text", "enum")

    @property
    def key_column(self) -> str:
        """The store's column for the casefolded text."""
        return f"{self.key}_key"

    @property
    def type_name(self) -> str:
        if self.choices is not None:
            return self.choices.name
        return {"count": "Int32", "datetime": "DateTimeOffset"}.get(self.kind, "String")

    def read(self, run: Mapping[str, Any]) -> str | int | None:
        """Return the value in a received run: text, Int32 or ticks; None if it is missing, null or of another type."""
        value = run.get(self.name)
        if self.kind == "count":
            return value if type(value) is int and INT32_MIN <= value <= INT32_MAX else None
        if not isinstance(value, str):
            return None
        if self.kind != "datetime":
            return value
        try:
            return parse_ticks(value)
        except ValueError:
            return None

    def problem(self, value: object) -> str | None:
        """Return in one sentence why a JSON value must not be written; None if it may be."""
        if value is None:
            return f"{self.name} is required and cannot be null." if self.required else None
        try:
            _validator(self.kind).validate_python(value)
        except _core().ValidationError as error:
            first = error.errors(include_url=False)[0]  # a URL would import pydantic for its version
            return _sentence(first["type"], first["msg"], value)
        if self.choices is not None and not self.choices.is_known(str(value)):
            possible = ", ".join(name for name in self.choices.names if name != SENTINEL)
            return f"{_json_word(value)} is not a {self.choices.name}. Possible: {possible}."
        return None

    def same(self, left: object, right: object) -> bool:
        """Return True if two JSON values mean the same: equal times may differ as text, all others must be equal."""
        if self.kind == "datetime" and isinstance(left, str) and isinstance(right, str) and left != right:
            try:
                return parse_ticks(left) == parse_ticks(right)
            except ValueError:
                return False
        return same_value(left, right)

    def parse(self, text: str, now: int) -> str | int | None:
        """Convert typed text into the JSON value to send; relative times count from `now` (ticks).

        Raises:
            FieldError: the message says what is wrong and what is possible.
        """
        typed = text.strip()
        if self.is_cleared_by(typed):
            return None
        if not typed:
            if not self.required:
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

    def is_cleared_by(self, text: str) -> bool:
        """Return whether text is the word for no value, which clears the field even where an empty text changes
        nothing."""
        return self.kind == "datetime" and not self.required and text.casefold() == CLEARS

    def text(self, value: object) -> str:
        """Return a JSON value as the text of an input; null and a missing value are empty."""
        if value is None or isinstance(value, str):
            return value or ""
        return json.dumps(value)


def same_value(left: object, right: object) -> bool:
    """Return True if two JSON values are equal and of one type, so that 1 is not true."""
    return type(left) is type(right) and left == right


@cache
def _core() -> ModuleType:
    from runtui.unused_modules import without_unused

    with without_unused("pydantic_core"):
        import pydantic_core
    return pydantic_core


@cache
def _validator(kind: PropertyKind) -> pydantic_core.SchemaValidator:
    schema: dict[str, Any] = {"type": "str", "strict": True}
    if kind == "count":
        schema = {"type": "int", "strict": True, "ge": 0, "le": INT32_MAX}
    elif kind == "datetime":
        schema = {"type": "function-after", "function": {"type": "no-info", "function": parse_ticks}, "schema": schema}
    return cast("pydantic_core.SchemaValidator", _core().SchemaValidator(schema))


def _sentence(error_type: str, message: str, value: object) -> str:
    if error_type == "greater_than_equal":
        return _NEGATIVE
    if error_type == "less_than_equal":
        return _TOO_LARGE
    if error_type == "value_error":
        return message.removeprefix("Value error, ")
    wanted = "a whole number" if error_type.startswith("int") else "a string"
    return f"It must be {wanted}, not {_json_word(value)}."


def _json_word(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "an array"
    if isinstance(value, str):
        quoted = repr(value)  # an unprintable character takes up to ten
        return quoted if len(quoted) <= _LONGEST_QUOTE + 2 else f"{quoted[:_LONGEST_QUOTE]}…{quoted[0]}"
    return "a large number" if isinstance(value, int) and abs(value) > INT32_MAX else f"the number {value}"


def _parse_count(typed: str) -> int:
    """Parse digits, optionally with one kind of thousands separator (1,000)."""
    if match := re.fullmatch(_GROUPED, typed):
        typed = typed.replace(match[1], "")
    if re.fullmatch(_WHOLE, typed):
        digits = typed.lstrip("+-0")
        is_negative = typed.startswith("-")
        if len(digits) > _INT32_DIGITS:
            raise FieldError(_NEGATIVE if is_negative else _TOO_LARGE)
        value = int(digits or "0")
        return -value if is_negative else value
    if re.fullmatch(_DECIMAL, typed):
        raise FieldError("A count is a whole number: no decimal point, no exponent.")
    raise FieldError("A count is a whole number, such as 12 or 1,000.")


PROPERTIES: Final[tuple[Property, ...]] = (
    Property(
        name="processingStatus", key="status", kind="enum", column="status",
        choices=PROCESSING_STATUS, order="severity", listed=ListColumn("status", 8, 1, grows_to=21),
        group="Status", required=True,
        help="The status of the run. Changing it changes the report only: no work is stopped or repeated.",
    ),
    Property(
        name="workflowExecutionType", key="type", kind="enum", column="execution_type", aliases=("executionType",),
        choices=EXECUTION_TYPE, listed=ListColumn("type", 18, 9),
        group="Status", required=True, help="How the run was started.",
    ),
    Property(
        name="scheduledDateTime", key="scheduled", kind="datetime", column="scheduled",
        listed=ListColumn("scheduled", 9, 11),
        group="Times", required=True, help="When the run was due to start.",
    ),
    Property(
        name="startedDateTime", key="started", kind="datetime", column="started",
        # For a run that has started, `recency` is that time, and it has the index of the default order.
        order="recency", listed=ListColumn("start", 5, 3),
        group="Times", help="When the run started; empty if it has not.", is_recorded=True,
    ),
    Property(
        name="completedDateTime", key="completed", kind="datetime", column="completed",
        listed=ListColumn("completed", 9, 10),
        group="Times", help="When the run ended; empty if it has not.", is_recorded=True,
    ),
    Property(
        name="lastUpdatedDateTime", key="updated", kind="datetime", column="last_updated", aliases=("lastUpdated",),
        listed=ListColumn("updated", 7, 7),
        group="Times", help="When the run last changed.", is_recorded=True,
    ),
    Property(
        name="totalUsersCount", key="users", kind="count", column="total_users", aliases=("totalUsers",),
        listed=ListColumn("users", 5, 4, grows_to=14),
        group="Users", required=True, help="How many users the run is for.",
    ),
    Property(
        name="successfulUsersCount", key="successful", kind="count", column="successful_users",
        aliases=("successfulUsers",),
        group="Users", required=True, help="How many users the run finished without an error.",
    ),
    Property(
        name="failedUsersCount", key="failedUsers", kind="count", column="failed_users",
        listed=ListColumn("✗ users", 7, 14, alarms=True),
        group="Users", required=True, help="How many users the run failed for; canceled ones do not count.",
    ),
    Property(
        name="failedTasksCount", key="failedTasks", kind="count", column="failed_tasks",
        listed=ListColumn("✗ tasks", 7, 12, alarms=True),
        group="Tasks", required=True, help="How many tasks failed, over all users.",
    ),
    Property(
        name="totalUnprocessedTasksCount", key="unprocessed", kind="count", column="unprocessed_tasks",
        aliases=("unprocessedTasks",),
        group="Tasks", required=True, help="How many tasks were not processed.",
    ),
    Property(name="totalTasksCount", key="tasks", kind="count", column="total_tasks", aliases=("totalTasks",)),
    Property(name="id", key="id", kind="text", column="id", aliases=("run", "runId"), listed=ListColumn("id", 21, 13)),
)  # fmt: skip
"""The known properties in the order of the form; all others are stored and shown as JSON."""

EDITABLE: Final = tuple(item for item in PROPERTIES if item.group is not None)
"""The eleven editable properties, in the order of the form."""

EDITABLE_BY_NAME: Final[Mapping[str, Property]] = MappingProxyType({item.name: item for item in EDITABLE})
