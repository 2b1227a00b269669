"""Intents for the journal that say only what a test is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from runtui.services.records.journal import Intent, Journal, RunBusyError
from tests import there
from tests.unit.fake_writer import RUN, WORKFLOW

ROOT: Final = "http://127.0.0.1/beta"


def intent(**facts: Any) -> Intent:
    """Return a change of the run r1 from inProgress to failed, with the fields in `facts` replaced."""
    some: dict[str, Any] = {
        "who": "ada@contoso.com",
        "profile": "prod",
        "tenant": "Contoso",
        "root": ROOT,
        "workflow_id": WORKFLOW,
        "workflow_name": "Onboard",
        "run_id": RUN["id"],
        "method": "PATCH",
        "url": f"{ROOT}/workflowBase/runs/r1",
        "body": '{"processingStatus": "failed"}',
        "before": {"processingStatus": RUN["processingStatus"]},
        "after": {"processingStatus": "failed"},
        "client_request_id": str(uuid4()),
    }
    return Intent(**{**some, **facts})


def record_intent(journal: Journal, intent: Intent) -> int:
    """Record one intent, for a run that was just read, and return its number; raise the error because of which it must
    not be sent."""
    (opened,) = journal.open_many([intent], [datetime.now(UTC) + timedelta(milliseconds=1)])
    if isinstance(opened, RunBusyError):
        raise opened
    return there(opened)
