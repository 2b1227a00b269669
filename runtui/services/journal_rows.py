"""One row of the journal: sealed with a checksum when it is written, and read with distrust.

Invariant: a row is read wholly or not at all. One whose checksum does not fit, or that holds what no entry can hold, is
damaged: nothing in it is believed. Rows without a checksum were written before there was one.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from runtui.domain.report import Outcome

FIRST_YEAR: Final = 2000
"""No change is older than runtui."""

TEXTS: Final = (
    *("who", "profile", "tenant", "root", "workflow_id", "workflow_name", "run_id", "method", "url", "body"),
    *("client_request_id", "session", "known_by", "reason", "request_id", "words", "response"),
)
"""The columns that always hold a text, if an empty one."""

_UNSEALED: Final = {"checksum", "undone_by", "undone_perhaps_by"}
"""What is not under the checksum: itself, and what is worked out from other rows."""


class DamagedRowError(ValueError):
    """A row that is not as it was written. The text of the error says why, for a sentence."""


def checksum(row: sqlite3.Row) -> int:
    """The CRC-32 over the names and values of a row.

    What is NULL or empty is left out, so that a column added by a later version leaves older rows as they are.
    """
    return _checksum(dict(zip(row.keys(), row, strict=True)))


def _checksum(columns: Mapping[str, Any]) -> int:
    texts = [
        f"{name}={columns[name]}" for name in sorted(columns.keys() - _UNSEALED) if columns[name] not in (None, "")
    ]
    return zlib.crc32("\0".join(texts).encode("utf-8", "surrogatepass"))


def facts_of(row: sqlite3.Row) -> dict[str, Any]:
    """The columns of a row as an entry holds them.

    Raises:
        DamagedRowError: the row is not as it was written.
    """
    columns = dict(zip(row.keys(), row, strict=True))
    if columns["checksum"] is not None and columns["checksum"] != _checksum(columns):
        raise DamagedRowError("its checksum does not fit what it holds")
    facts: dict[str, Any] = {}
    for name, read in _READERS.items():
        try:
            facts[name] = read(columns[name])
        except (ValueError, TypeError, OverflowError, RecursionError):
            raise DamagedRowError(f"this version of runtui cannot read its {name.replace('_', ' ')}") from None
    return facts


def _read_text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    if not value.isascii():
        value.encode()  # what was no UTF-8 has become surrogates, which refuse this
    return value


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError
    return value


def _seconds(value: object) -> float:
    if not isinstance(value, int | float):
        raise TypeError
    return value


def _object(value: object) -> Mapping[str, Any]:
    found = json.loads(_read_text(value))
    if not isinstance(found, dict):
        raise TypeError
    return found


def _read_time(value: object) -> datetime:
    found = datetime.fromisoformat(_read_text(value))
    if found.utcoffset() is None or found.year < FIRST_YEAR:
        raise ValueError
    return found.astimezone(UTC)


def _known_by(value: object) -> str:
    if value not in ("", "answer", "read-back", "person"):
        raise ValueError
    return _read_text(value)


def _or_none(read: Callable[[object], Any]) -> Callable[[object], Any]:
    return lambda value: None if value is None else read(value)


_READERS: Final[Mapping[str, Callable[[object], Any]]] = {
    **dict.fromkeys(TEXTS, _read_text),
    **dict.fromkeys(("before", "after"), _object),
    **dict.fromkeys(("number", "sends"), _number),
    **dict.fromkeys(("undoes", "status", "undone_by", "undone_perhaps_by"), _or_none(_number)),
    "if_match": _or_none(_read_text),
    "seconds": _or_none(_seconds),
    "opened_at": _read_time,
    "ended_at": _or_none(_read_time),
    "outcome": _or_none(Outcome),
    "known_by": _known_by,
}
"""How each field of an entry is read from the column of its name."""
