"""The change of shift: export and import of the triage memory of a server as JSON lines.

Invariant: a file is imported as a whole or not at all; an error names its line. A file is not trusted: the length of
lines is bounded, texts are redacted, and a time in the future is refused, because it would always count as newest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from runtui.domain.rows import NO_NUMBER, storable
from runtui.domain.times import CLOCK_SKEW, now_ticks, parse_ticks
from runtui.domain.triage.memory import LONGEST_NOTE, NO_TIME, RunTriage
from runtui.domain.triage.standing import triage_record
from runtui.errors import UsageError
from runtui.graph.root import same_server
from runtui.redact import redact

MAX_LINES: Final = 200_000
LONGEST_LINE: Final = 16_384
"""In characters."""

_SHOWN_MISTAKES: Final = 10
"""The most invalid lines that an error lists."""


def _one_line(text: str) -> str:
    return redact(" ".join(storable(text).split()))


_Line = Annotated[str, AfterValidator(_one_line)]
_Ticks = Annotated[int, Field(ge=NO_NUMBER, le=2**62)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", alias_generator=to_camel)


class _Was(_Strict):
    """The state of the run when it was handled or snoozed."""

    status: _Line
    failed_users: _Ticks | None
    failed_tasks: _Ticks | None
    updated_at: str | None
    is_problem: bool


class _Remembered(_Strict):
    """One line of a file."""

    root: Annotated[str, Field(max_length=2_000)]
    run_id: Annotated[str, Field(min_length=1)]
    state: Literal["handled", "snoozed"] | None = None
    until: str | None = None
    was: _Was | None = None
    marked_at: str | None = None
    marked_by: _Line = ""
    note: Annotated[str, Field(max_length=LONGEST_NOTE), AfterValidator(_one_line)] = ""
    who: _Line = ""
    changed_at: str | None = None
    seen_at: str | None = None


def shift_lines(remembered: Iterable[RunTriage], root: str) -> Iterator[str]:
    """Yield one JSON object in ASCII per run."""
    for known in remembered:
        yield json.dumps({"root": root, "runId": known.run_id, **triage_record(known)})


def read_shift(lines: Iterable[str], root: str) -> list[RunTriage]:
    """Parse the lines that another shift exported for the server of `root`.

    Raises:
        UsageError: lines cannot be used; the message lists them with the reasons.
    """
    found: list[RunTriage] = []
    wrong: list[str] = []
    for number, line in enumerate(lines, 1):
        if number > MAX_LINES:
            wrong.append(f"There are more than {MAX_LINES:,} lines.")
            break
        if len(line) > LONGEST_LINE:
            wrong.append(f"Line {number}: It is longer than {LONGEST_LINE:,} characters.")
            break  # the line may be endless
        if not line.strip():
            continue
        try:
            found.append(_read(line, root))
        except ValueError as error:
            wrong.append(f"Line {number}: {_sentence(error)}")
    if wrong:
        more = [f"And {len(wrong) - _SHOWN_MISTAKES} more."] if len(wrong) > _SHOWN_MISTAKES else []
        message = "\n".join(["Nothing was imported.", *wrong[:_SHOWN_MISTAKES], *more])
        raise UsageError("This is not a file of `runtui triage export`", message)
    return found


def _read(line: str, root: str) -> RunTriage:
    one = _Remembered.model_validate_json(line.strip())
    if not same_server(one.root, root):
        raise ValueError(f"It is from another server: {one.root}.")
    if one.state is not None and one.was is None:
        raise ValueError(f"It lacks the state of the run when it was {one.state}.")
    is_undated = one.state is not None and one.marked_at is None  # a colleague's runtui may be older
    marked_at, marked_by = (one.changed_at, one.who) if is_undated else (one.marked_at, one.marked_by)
    known = RunTriage(
        storable(one.run_id),
        state=one.state or "",
        until=_ticks_of(one.until) if one.state == "snoozed" else NO_TIME,
        note=one.note,
        who=one.who,
        changed=_past(_ticks_of(one.changed_at)),
        seen=_past(_ticks_of(one.seen_at)),
        marked=_past(_ticks_of(marked_at)),
        marked_by=marked_by,
    )
    if (was := one.was) is None:
        return known
    return known._replace(
        was_status=was.status,
        was_failed_users=NO_NUMBER if was.failed_users is None else was.failed_users,
        was_failed_tasks=NO_NUMBER if was.failed_tasks is None else was.failed_tasks,
        was_updated=NO_NUMBER if was.updated_at is None else parse_ticks(was.updated_at),
        was_problem=int(was.is_problem),
    )


def _sentence(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first: Any = error.errors()[0]
    if first["type"] == "json_invalid":  # its message counts lines from this one
        return "It is not JSON."
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}." if where else f"{first['msg']}."


def _ticks_of(text: str | None) -> int:
    return NO_TIME if text is None else parse_ticks(text)


def _past(ticks: int) -> int:
    if ticks > now_ticks() + CLOCK_SKEW:
        raise ValueError("It has a time in the future.")
    return ticks
