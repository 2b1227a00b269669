"""What a check of `runtui doctor` says.

Invariant: no secret is in it, and whatever is not fine has a next step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

State: TypeAlias = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one thing."""

    about: str
    """A word or two."""
    state: State
    what: str
    next_step: str = ""


def ok(about: str, what: str) -> Finding:
    """It works."""
    return Finding(about, "ok", what)


def warning(about: str, what: str, next_step: str) -> Finding:
    """It may hinder; or it could not be found out."""
    return Finding(about, "warning", what, next_step)


def problem(about: str, what: str, next_step: str) -> Finding:
    """It does not work like this."""
    return Finding(about, "problem", what, next_step)
