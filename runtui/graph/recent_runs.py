"""The runs of a workflow that were started on demand of late: what an action is compared with that starts one.

Invariant: every moment is by the service's clock. What cannot be read is left out, and then nothing is concluded.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, Protocol

from runtui.domain.times import TICKS_PER_SECOND, format_ticks, parse_ticks, ticks_of
from runtui.domain.triage.service_actions import AS_OF, RECENT_RUNS, SUBJECT_IDS
from runtui.errors import RuntuiError
from runtui.graph.exchange import Exchange

SHORTLY_BEFORE: Final = 60 * TICKS_PER_SECOND
"""How long before an action the runs are looked at that others have started."""


class Items(Protocol):
    """A page of a collection."""

    @property
    def items(self) -> tuple[dict[str, Any], ...]:
        """Each with an id."""


class RecentRuns(Protocol):
    """The part of the client that this needs."""

    def runs(self, workflow_id: str, *, begun: int) -> AsyncIterator[Items]:
        """The runs of a workflow that were scheduled since a moment (ticks)."""

    def user_results(self, workflow_id: str, run_id: str) -> AsyncIterator[Items]:
        """What became of each user of a run."""


async def recent_runs(
    client: RecentRuns, now: Exchange, workflow_id: str, before: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The runs on demand since shortly before an action, and the moment of that; each that is new since then has the
    ids of its users, None where they cannot be read. Empty where the runs cannot be read, or where nothing says when.

    Args:
        client: Lists runs and users.
        now: An answer of a moment ago.
        workflow_id: The workflow.
        before: What was kept of an earlier reading, before the action was sent; None: this is that reading.
    """
    kept = before or {}
    as_of = kept.get(AS_OF) or (format_ticks(ticks_of(now.answered_at)) if now.answered_at is not None else "")
    if not as_of:
        return {}
    try:
        pages = client.runs(workflow_id, begun=parse_ticks(as_of) - SHORTLY_BEFORE)
        listed = [run async for page in pages for run in page.items]
    except (RuntuiError, ValueError):
        return {}
    runs = [run for run in listed if run.get("workflowExecutionType") == "onDemand"]
    for run in runs if before is not None else ():
        if run["id"] not in kept.get(RECENT_RUNS, ()):
            run[SUBJECT_IDS] = await _subject_ids(client, workflow_id, run["id"])
    return {AS_OF: as_of, RECENT_RUNS: runs}


async def _subject_ids(client: RecentRuns, workflow_id: str, run_id: str) -> list[str] | None:
    try:
        results = [item async for page in client.user_results(workflow_id, run_id) for item in page.items]
        return [str(item["subject"]["id"]) for item in results]
    except (RuntuiError, LookupError, TypeError):
        return None
