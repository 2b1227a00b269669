"""One change on its way: how far it has come, and what can be said of it at every moment.

Invariant: a save never says more than is known: with nothing heard after it was sent it is unknown, and before that it
is not done.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import NamedTuple

from runtui.domain.draft import Conflict
from runtui.domain.report import KnownBy, Outcome, Report
from runtui.domain.triage.service_actions import Operation, ServiceAction
from runtui.graph.client import Answer
from runtui.graph.exchange import Exchange
from runtui.graph.faults import Fault
from runtui.services.journal import Intent


class Step(Enum):
    """Where a save stands; the words are what the row and the panel show."""

    WAITING = "waiting for the save before it"
    READING = "reading the run afresh"
    RECORDING = "writing the journal"
    SENDING = "sending"
    SETTLING = "finding out what became of it"
    PAUSED = "waiting until the service takes requests again"
    ENDED = "ended"


class Save(NamedTuple):
    """One change on its way."""

    number: int
    operation: Operation
    step: Step = Step.WAITING
    outcome: Outcome | None = None
    exchange: Exchange | None = None
    """The PATCH or POST once it was sent; the read before it when that is where the save ended."""
    fault: Fault | None = None
    conflicts: tuple[Conflict, ...] = ()
    ignored: tuple[str, ...] = ()
    """Properties whose value, read after the write, is not the one that was sent."""
    known_by: KnownBy = ""
    """What proves that it is done: the answer, or the run as it was read afterwards; empty as long as nothing does."""
    row_is_stale: bool = False
    """Whether the list may still show the old values: the run could not be read back or not be stored."""
    undoes: int | None = None
    """The journal entry that this change undoes."""
    new_run: str = ""
    """The id of the run that an action has made, once it is known."""
    batch: str = ""
    """The bulk change that it belongs to; empty for one alone."""
    why: str = ""
    """Why it is made, as the person says; empty where nothing was said."""
    fresh: Answer | None = None
    """The reading that the draft was made over, where it is fresh enough to be sent after; None: it is read first."""
    intent: Intent | None = None
    """What is in the journal for the request that was sent last."""
    entry: int | None = None
    """Its number there."""
    resumes_at: datetime | None = None
    """When a paused save goes on (UTC)."""
    retry_after: float | None = None
    """The seconds that the service asks for, where they are longer than the pause."""
    has_new_token: bool = False
    """Whether another token was had for it, because the first one was missing or refused."""
    stopped: bool = False
    """Whether it was stopped before it was sent, or sent again."""
    unrecorded: bool = False
    """Whether the outcome could not be written to the journal."""

    @property
    def run_id(self) -> str:
        """The run it writes to; the workflow where an action is about that."""
        return self.operation.run_id

    @property
    def action(self) -> ServiceAction | None:
        return self.operation if isinstance(self.operation, ServiceAction) else None

    @property
    def active(self) -> bool:
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
    def sent(self) -> Exchange | None:
        """The request that carried the change; the read before it is none."""
        return self.exchange if self.exchange is not None and self.exchange.method != "GET" else None

    @property
    def report(self) -> Report:
        fault = self.fault if not self.stopped else None
        return Report(
            number=self.entry,
            outcome=self.outcome,
            known_by=self.known_by,
            answer=self.sent.answer if self.sent is not None else "",
            undoes=self.undoes,
            title=fault.title if fault is not None else "",
            message=fault.message if fault is not None else "",
            details=fault.details if fault is not None else (),
            conflicts=self.conflicts,
            ignored=self.ignored,
            stopped=self.stopped,
            unrecorded=self.unrecorded,
        )
