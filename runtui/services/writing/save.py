"""One change in progress: how far it is, and what is known about it at every moment.

Invariant: a save never claims more than is known: without an answer it is unknown once it was sent, and not done
before.
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
    """The step of a save; the words appear in the row and in the panel."""

    WAITING = "waiting for an earlier change"
    READING = "reading the run again"
    RECORDING = "writing the journal"
    SENDING = "sending"
    SETTLING = "checking the outcome"
    PAUSED = "waiting until the service takes requests again"
    ENDED = "ended"


class Save(NamedTuple):
    """One change in progress."""

    number: int
    operation: Operation
    step: Step = Step.WAITING
    outcome: Outcome | None = None
    exchange: Exchange | None = None
    """The PATCH or POST once it was sent; the read before it if the save ended there."""
    fault: Fault | None = None
    conflicts: tuple[Conflict, ...] = ()
    ignored: tuple[str, ...] = ()
    """Properties whose value after the write is not the one that was sent."""
    known_by: KnownBy = ""
    """What proves that it is done: the answer, or the run as read afterwards; empty without a proof."""
    row_is_stale: bool = False
    """True if the list may still show the old values: the run could not be read back or not be stored."""
    undoes: int | None = None
    """The journal entry that this change undoes."""
    new_run: str = ""
    """The id of the run that an action has made, once it is known."""
    batch: str = ""
    """The bulk change that it belongs to; empty for a single change."""
    why: str = ""
    """The reason as typed; empty if there is none."""
    fresh: Answer | None = None
    """The answer with the run that the draft is based on, if it is fresh enough to send the change; None: read it
    first."""
    intent: Intent | None = None
    """The intent in the journal for the last request."""
    entry: int | None = None
    """The number of its journal entry."""
    resumes_at: datetime | None = None
    """When a paused save continues (UTC)."""
    retry_after: float | None = None
    """The seconds that the service asks for, if they are more than the pause."""
    has_new_token: bool = False
    """True if it already got another token, because the first one was missing or refused."""
    stopped: bool = False
    """True if it was stopped before it was sent, or sent again."""
    unrecorded: bool = False
    """True if the outcome could not be written to the journal."""

    @property
    def run_id(self) -> str:
        """The id of the run that it writes; the workflow's id for an action on a workflow."""
        return self.operation.run_id

    @property
    def action(self) -> ServiceAction | None:
        return self.operation if isinstance(self.operation, ServiceAction) else None

    @property
    def active(self) -> bool:
        return self.step is not Step.ENDED

    @property
    def may_be_stopped(self) -> bool:
        """True if nothing of it can be on its way."""
        return self.step in (Step.WAITING, Step.READING, Step.PAUSED)

    @property
    def outcome_if_stopped(self) -> Outcome:
        """The outcome if nothing more is heard."""
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
        """The request that carried the change; the read before it does not count."""
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
