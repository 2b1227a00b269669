"""What a save is: one change on its way, where it stands, and what can be said of it.

Invariant: a Save never changes; each step makes another one. It ends as done, not done or unknown.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from runtui.domain.draft import Conflict, Draft
from runtui.graph.client import Answer
from runtui.graph.exchange import Exchange, Outcome
from runtui.graph.faults import Fault
from runtui.graph.retry import Pace
from runtui.services.journal import Intent, KnownBy


class Step(Enum):
    """Where a save stands; the words are what the row and the panel show."""

    WAITING = "waiting for the save before it"
    READING = "reading the run afresh"
    RECORDING = "writing the journal"
    SENDING = "sending"
    SETTLING = "finding out what became of it"
    PAUSED = "waiting until the service takes requests again"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Save:
    """One change on its way."""

    number: int
    draft: Draft
    body: str
    """The JSON text to send, as reviewed."""
    step: Step = Step.WAITING
    outcome: Outcome | None = None
    exchange: Exchange | None = None
    """The PATCH once it was sent; the read before it when that is where the save ended."""
    fault: Fault | None = None
    conflicts: tuple[Conflict, ...] = ()
    ignored: tuple[str, ...] = ()
    """Properties whose value, read after the write, is not the one that was sent."""
    known_by: KnownBy = ""
    """What proves that it is done: the answer, or the run as it was read afterwards; empty as long as nothing does."""
    row_is_stale: bool = False
    """Whether the list may still show the old values: the run could not be read back or not be stored."""
    undoes: int | None = None
    """The journal's entry that this change takes back."""
    intent: Intent | None = None
    """What is in the journal for the request that was sent last."""
    entry: int | None = None
    """Its number there."""
    resumes_at: datetime | None = None
    """When a paused save goes on (UTC)."""
    asked_seconds: float | None = None
    """What the service asked to wait, where it did; may be longer than the pause."""
    has_new_token: bool = False
    """Whether another token was had for it, because the first one was missing or refused."""
    stopped: bool = False
    """Whether a person gave it up before it was sent."""
    unrecorded: bool = False
    """Whether the outcome could not be written to the journal."""

    @property
    def run_id(self) -> str:
        """The run it writes to."""
        return self.draft.run_id

    @property
    def active(self) -> bool:
        """Whether it is still on its way."""
        return self.step is not Step.ENDED

    @property
    def may_be_stopped(self) -> bool:
        """Whether nothing of it can be on the wire."""
        return self.step in (Step.WAITING, Step.READING, Step.PAUSED)

    @property
    def outcome_if_stopped(self) -> Outcome:
        """What can be said of it if nothing more is heard."""
        if self.outcome is not None:
            return self.outcome
        if self.step is Step.SENDING:
            return Outcome.UNKNOWN
        if self.step is not Step.SETTLING:
            return Outcome.NOT_DONE
        if self.fault is not None:
            return self.fault.outcome
        return Outcome.DONE if self.known_by else Outcome.UNKNOWN

    @property
    def seen_on_read_back(self) -> bool:
        """Whether "done" is known from the run alone, not from the answer to the PATCH."""
        return self.known_by == "read-back"


class RunWriter(Protocol):
    """The part of the Graph client that a save needs. An answer holds an entity, a fault, or neither (no body)."""

    async def run(self, workflow_id: str, run_id: str, *, pace: Pace | None = None) -> Answer:
        """Read one run, as often as the pace says; without one, once."""

    async def update_run(
        self,
        workflow_id: str,
        run_id: str,
        body: str,
        *,
        client_request_id: str | None = None,
        if_match: str | None = None,
    ) -> Answer:
        """PATCH one run with exactly this body."""

    async def renew_token(self, exchange: Exchange) -> bool:
        """After a 401: whether there is another token to try with."""

    def write_target(self, workflow_id: str, run_id: str) -> tuple[str, str]:
        """The method and the address of `update_run`."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who writes, and where."""

    root: str
    tenant: str
    profile: str
    who: Callable[[], Awaitable[str]]
    """The account, as the token names it; empty when it does not."""
