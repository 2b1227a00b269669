"""How a change stands: the one vocabulary of outcomes, changes and failures, for screen, command line and journal.

Invariant: unknown is never told as done or as not done, and it is said how a known outcome is known. No sentence names
a key or a command: whoever shows a report says what comes next. Texts are raw; whoever prints one makes it visible.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from runtui.domain.draft import MISSING, Conflict, value_word
from runtui.domain.times import TICKS_PER_SECOND, duration_text


class Outcome(Enum):
    """What became of a request. UNKNOWN is neither success nor failure: only reading back can settle it."""

    DONE = "done"
    NOT_DONE = "not done"
    UNKNOWN = "unknown"


KnownBy: TypeAlias = Literal["", "answer", "read-back", "person"]
"""How an outcome is known: from the service's answer, from reading the run back, or because a person decided."""

_HOW_KNOWN: Final[Mapping[KnownBy, str]] = {"read-back": ", seen on read-back", "person": ", as you decided"}

UNRECORDED: Final = "The outcome could not be written to the journal, which calls it unknown."


class Report(NamedTuple):
    """What is known of one change: of a save, or of an entry of the journal."""

    number: int | None = None
    """The entry of the journal; None where nothing was sent."""
    outcome: Outcome | None = None
    """None while it is on its way, or when its process is gone."""
    known_by: KnownBy = ""
    answer: str = ""
    """Status and reason of the answer, such as "200 OK"; empty without an answer."""
    undoes: int | None = None
    """The entry that this change undoes."""
    title: str = ""
    """What went wrong, in a few words."""
    message: str = ""
    """What went wrong, in sentences."""
    details: Sequence[tuple[str, str]] = ()
    """More of it: a property, or nothing, and a sentence."""
    conflicts: Sequence[Conflict] = ()
    ignored: Sequence[str] = ()
    """Properties that the run, read after the change, has with another value."""
    stopped: bool = False
    """Whether a person stopped waiting for it before it was sent, or sent again."""
    unrecorded: bool = False
    """Whether the outcome could not be written to the journal."""
    damage: str = ""
    """Why the entry cannot be read; empty for a sound one."""

    @property
    def heading(self) -> str:
        """The outcome and how it is known, without a full stop: "#2 done (200 OK)"."""
        number = f"#{self.number}" if self.number is not None else ""
        if self.damage:
            return f"{number} cannot be read: {self.damage}"
        if self.outcome is None:
            return f"{number} open: its outcome is not recorded"
        how = _HOW_KNOWN.get(self.known_by, f" ({self.answer})" if self.answer else "")
        undone = f", #{self.undoes} undone" if self.undoes is not None and self.outcome is Outcome.DONE else ""
        said = f"{self.outcome.value}{how}{undone}"
        return f"{number} {said}" if number else said.capitalize()

    def reasons(self) -> Iterator[str]:
        """Why it ended so, in short sentences; `message` and `details` tell more."""
        if self.stopped and self.outcome is Outcome.NOT_DONE:
            yield f"It was stopped {'before anything was sent' if self.number is None else 'while it waited'}."
        elif self.conflicts:
            yield self._conflict_sentence()
        elif self.title:
            yield f"{self.title}."
        elif self.ignored and self.outcome is Outcome.UNKNOWN:
            yield f"The run, read back, does not show the change ({', '.join(self.ignored)}). It may still arrive."
        elif self.outcome is Outcome.UNKNOWN and not self.message:
            yield "runtui stopped waiting after it was sent: it may have been carried out or not."
        if self.ignored and self.outcome is Outcome.DONE:
            yield f"The service kept its own value of {', '.join(self.ignored)}."
        if self.unrecorded:
            yield UNRECORDED

    def detail_sentences(self) -> Iterator[str]:
        return (f"{target}: {message}" if target else message for target, message in self.details)

    def _conflict_sentence(self) -> str:
        changed = ", ".join(
            f"{conflict.field.name} changed from {value_word(conflict.opened)} to {value_word(conflict.now)}"
            for conflict in self.conflicts
        )
        return f"Nothing was {'sent' if self.number is None else 'changed'}. Meanwhile {changed}."


def sentences(*texts: str) -> str:
    """Texts in a row, each ended by a full stop; a server's own may lack it."""
    return " ".join(text if text[-1] in ".!?…:" else f"{text}." for text in texts if text)


def change_words(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Each changed property, from what to what; one that is absent from `before` was not received."""
    for name, value in after.items():
        yield f"{name}: {value_word(before.get(name, MISSING))} → {value_word(value)}"


def wait_sentence(left: float, status: int | None, asked: float | None = None) -> str:
    """That something is sent again in `left` seconds, and why not at once (see `wait_reason`)."""
    return f"{wait_reason(status, asked)}; trying again {f'in {length_words(left)}' if left > 0 else 'now'}."


def wait_reason(status: int | None, asked: float | None) -> str:
    """Why nothing is sent now: by the status of the answer, or because the service asks for more seconds (`asked`)."""
    what = "is busy" if status in (429, 503) else "failed"
    return f"The service {what if asked is None else f'asks to wait {length_words(asked)}'} ({status})"


def length_words(seconds: float) -> str:
    """A wait in words, such as "41s" or "115d 17h", never shorter than it is."""
    return duration_text(math.ceil(seconds) * TICKS_PER_SECOND)
