"""The state of a change in words: one vocabulary of outcomes and failures for screen, command line and journal.

Invariant: an unknown outcome is never reported as done or not done. A known outcome is reported with its source. No
sentence names a key or a command: the caller adds the next step. Texts are raw: the caller makes them visible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from runtui.domain.draft import NOT_RECEIVED, Conflict, value_word
from runtui.domain.properties import same_value


class Outcome(Enum):
    """The outcome of a request. UNKNOWN is neither success nor failure: only read-back or a person can settle it."""

    DONE = "done"
    NOT_DONE = "not done"
    UNKNOWN = "unknown"


def counted(outcomes: Mapping[Any, int]) -> str:
    """Return the number of changes with each outcome: "31 done, 2 unknown"."""
    return ", ".join(f"{count} {outcome.value}" for outcome in Outcome if (count := outcomes.get(outcome, 0)))


KnownBy: TypeAlias = Literal["", "answer", "read-back", "person"]
"""The source of an outcome: the service's answer, reading the run back, or a person's decision; "" for none."""

_HOW_KNOWN: Final[Mapping[KnownBy, str]] = {"read-back": ", seen on read-back", "person": ", as you decided"}


class Report(NamedTuple):
    """The known facts about one change, from a save or a journal entry."""

    number: int | None = None
    """The number of the journal entry; None if nothing was sent."""
    outcome: Outcome | None = None
    """None while the change is in progress, or if its process has ended."""
    known_by: KnownBy = ""
    answer: str = ""
    """The status and reason phrase, such as "200 OK"; empty without an answer."""
    undoes: int | None = None
    """The number of the entry that this change undoes."""
    title: str = ""
    """What went wrong, in a few words."""
    message: str = ""
    details: Sequence[tuple[str, str]] = ()
    """More about the failure: pairs of a property name, or "", and a sentence."""
    conflicts: Sequence[Conflict] = ()
    ignored: Sequence[str] = ()
    """The properties that have another value on read-back than was sent."""
    stopped: bool = False
    """True if a person stopped the change before it was sent, or sent again."""
    unrecorded: str = ""
    """Why the outcome could not be written to the journal, in sentences; empty if it could."""
    damage: str = ""
    """Why the entry cannot be read; empty for a sound entry."""

    @property
    def heading(self) -> str:
        """The outcome and how it is known, without a full stop: "#2 done (200 OK)"."""
        words = self.outcome_words
        return f"#{self.number} {words}" if self.number is not None else words[0].upper() + words[1:]

    @property
    def outcome_words(self) -> str:
        """The outcome and how it is known: "done (200 OK)"."""
        if self.damage:
            return f"cannot be read: {self.damage}"
        if self.outcome is None:
            return "open: its outcome is not recorded"
        how = _HOW_KNOWN.get(self.known_by, f" ({self.answer})" if self.answer else "")
        undone = f", #{self.undoes} undone" if self.undoes is not None and self.outcome is Outcome.DONE else ""
        return f"{self.outcome.value}{how}{undone}"

    def reasons(self) -> Iterator[str]:
        """Yield the reasons for the outcome in short sentences; `message` and `details` have more."""
        if self.stopped and self.outcome is Outcome.NOT_DONE:
            yield f"It was stopped {'before anything was sent' if self.number is None else 'while it waited'}."
        elif self.conflicts:
            yield self._conflict_sentence()
        elif self.title:
            yield f"{self.title}."
        elif self.ignored and self.outcome is Outcome.UNKNOWN:
            yield f"On read-back, the run does not show the change ({', '.join(self.ignored)}). It may still arrive."
        elif self.outcome is Outcome.UNKNOWN and not self.message:
            yield "runtui stopped waiting after it was sent: it may have been carried out or not."
        if self.ignored and self.outcome is Outcome.DONE:
            yield f"The service kept its own value of {', '.join(self.ignored)}."
        if self.unrecorded:
            yield f"The outcome could not be written to the journal. {self.unrecorded}"

    def detail_sentences(self) -> Iterator[str]:
        return (f"{target}: {message}" if target else message for target, message in self.details)

    def _conflict_sentence(self) -> str:
        changed = ", ".join(
            f"{conflict.field.name} changed from {value_word(conflict.opened)} to {value_word(conflict.now)}"
            for conflict in self.conflicts
        )
        return f"Nothing was {'sent' if self.number is None else 'changed'}. Meanwhile {changed}."


def sentences(*texts: str) -> str:
    """Join texts; add a full stop to each that lacks one, as a server's text may."""
    return " ".join(text if text[-1] in ".!?…:" else f"{text}." for text in texts if text)


def change_words(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Yield each changed property with its old and new value; one absent from `before` was not received."""
    for name, value in after.items():
        yield f"{name}: {became(before.get(name, NOT_RECEIVED), value)}"


def became(was: object, value: object, word: Callable[[object], str] = value_word) -> str:
    """Return a new value after the old one, "failed → canceled", or "already canceled" if it is the same; `word` spells
    a value."""
    return f"already {word(value)}" if same_value(was, value) else f"{word(was)} → {word(value)}"
