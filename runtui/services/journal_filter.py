"""Which entries of the journal a person asks for: a few words, all of which must hold.

Invariant: a text that cannot be understood is refused with what is possible; it never finds everything or nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeAlias

from runtui.domain.times import interpret, parse_ticks
from runtui.errors import UsageError
from runtui.options import nearest_words
from runtui.services.journal import Entry

Condition: TypeAlias = Callable[[Entry], bool]

OPEN: Final = "open"
"""The word for an entry without an outcome: on its way, or its process is gone."""

DAMAGED: Final = "damaged"
"""The word for an entry that cannot be read; only its number and this word find it."""

HELP: Final = "plain text, #12, outcome:unknown (done, not-done, unknown, open), since:-24h, before:2026-11-20"
"""The language in one line."""

FIELDS: Final = ("outcome", "since", "before")
"""What may stand before a colon."""

_ASKING: Final = re.compile(r"([^\W\d]\w*):(?!//)(.*)", re.DOTALL)
"""A field and what is asked of it; an address, which has a colon too, is plain text."""

_QUOTED: Final = re.compile(r'"(.+)"', re.DOTALL)

_OUTCOMES: Final = ("done", "not-done", "unknown", OPEN, DAMAGED)


def parse(text: str, now: int) -> Condition:
    """Read the words of a filter; `now` (ticks) is what `since:-24h` counts from. No words find every entry.

    Raises:
        UsageError: a word makes no sense.
    """
    conditions = [_condition(word, now) for word in text.split()]
    return lambda entry: all(holds(entry) for holds in conditions)


def outcome_word(entry: Entry) -> str:
    """An entry's outcome: done, not done, unknown or open; or that it cannot be read."""
    if entry.damage:
        return DAMAGED
    return entry.outcome.value if entry.outcome is not None else OPEN


def _condition(word: str, now: int) -> Condition:
    if asking := _ASKING.fullmatch(word):
        return _question(word, asking[1], asking[2], now)
    if word[0] == "#" and word[1:].isdecimal():
        number = int(word[1:])
        return lambda entry: entry.number == number
    quoted = _QUOTED.fullmatch(word)
    wanted = (quoted[1] if quoted else word).casefold()
    return lambda entry: any(wanted in text.casefold() for text in _texts(entry))


def _question(word: str, name: str, value: str, now: int) -> Condition:
    key = name.casefold()
    if key not in FIELDS:
        meant = nearest_words(key, FIELDS)
        raise UsageError(
            "This filter makes no sense",
            f"No field is called {name!r}.{meant} Possible: {', '.join(FIELDS)}.",
            'To look for the text itself, put it in "quotes".',
        )
    if key == "outcome":
        return _outcome(value.casefold())
    limit = _moment(word, value, now)
    is_since = key == "since"
    return lambda entry: not entry.damage and (_opened(entry) >= limit) is is_since


def _outcome(value: str) -> Condition:
    wanted = value.split(",")
    if unknown := [word for word in wanted if word not in _OUTCOMES]:
        raise UsageError(
            "This filter makes no sense", f"There is no outcome {unknown[0]!r}.", f"Possible: {', '.join(_OUTCOMES)}."
        )
    return lambda entry: outcome_word(entry).replace(" ", "-") in wanted


def _moment(word: str, value: str, now: int) -> int:
    try:
        return parse_ticks(interpret(value, now))
    except ValueError as error:
        raise UsageError("This filter makes no sense", f"{word}: {error}", f"Possible: {HELP}.") from None


def _opened(entry: Entry) -> int:
    return parse_ticks(entry.opened_at.isoformat())


def _texts(entry: Entry) -> tuple[str, ...]:
    """What plain text is looked for in: ids, names, and the properties that were changed."""
    return (
        entry.run_id,
        entry.workflow_id,
        entry.workflow_name,
        entry.who,
        entry.tenant,
        entry.root,
        entry.request_id,
        entry.client_request_id,
        *entry.after,
    )
