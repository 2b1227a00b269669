"""Journal entries for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from runtui.domain.report import Outcome
from runtui.services.records.journal import Entry


def an_entry(number: int = 1, **facts: Any) -> Entry:
    """Return an entry that is done, with the fields in `facts` replaced."""
    usual: dict[str, Any] = {
        "who": "ann@contoso.com", "profile": "prod", "tenant": "Contoso", "root": "http://127.0.0.1/beta",
        "workflow_id": "w1", "workflow_name": "Onboard", "run_id": "run-1", "method": "PATCH",
        "url": "http://127.0.0.1/beta/workflowBase/runs/run-1", "body": '{\n  "processingStatus": "queued"\n}',
        "before": {"processingStatus": "failed"}, "after": {"processingStatus": "queued"},
        "client_request_id": f"client-{number}", "session": "s", "opened_at": datetime(2026, 11, 20, 10, tzinfo=UTC),
        "ended_at": datetime(2026, 11, 20, 10, 0, 1, tzinfo=UTC), "outcome": Outcome.DONE,
        "known_by": "answer", "status": 200, "reason": "OK", "request_id": f"request-{number}", "seconds": 0.1,
        "words": "", "response": "{}", "undone_by": None,
        "undone_perhaps_by": None,
    }  # fmt: skip
    return Entry(number=number, **(usual | facts))
