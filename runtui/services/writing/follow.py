"""Follows the run that an action has made, or stops, to its end.

Invariant: it only reads one run, at growing intervals; after several failed reads in a row it gives up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, NamedTuple

from runtui.domain.rows import short_id, status_look, status_word
from runtui.domain.triage.received import text_in
from runtui.domain.triage.service_actions import MAKE_RUNS, STATUS
from runtui.graph.client import GraphClient
from runtui.services.writing.proof import new_run
from runtui.services.writing.write import Save

FOLLOW_SECONDS: Final = (1.0, 2.0, 3.0, 5.0, 10.0, 20.0)
"""Seconds between two reads; the last value repeats until the run has ended."""

MAX_MISSED: Final = 8
"""The most failed reads in a row."""


class FollowedRun(NamedTuple):
    """A followed run as it was last read."""

    run: Mapping[str, Any]
    is_new: bool
    """True if the action made the run."""

    @property
    def has_ended(self) -> bool:
        """True if the service has finished with it, or says nothing of its status; False for an unknown status."""
        status = text_in(self.run, STATUS)
        return not status or status_look(status).has_ended

    @property
    def status(self) -> str:
        return status_word(text_in(self.run, STATUS))

    def words(self, workflow_name: str = "") -> str:
        """Return a sentence about its progress, with the name of its workflow, else with its full id."""
        run_id = str(self.run.get("id"))
        what = f"The {'new ' if self.is_new else ''}run {run_id}"
        if workflow_name:
            what = f"{workflow_name}, new run {short_id(run_id)}," if self.is_new else workflow_name
        return f"{what} {'has ended:' if self.has_ended else 'is'} {self.status}{self.users}."

    @property
    def users(self) -> str:
        """Its numbers of users in words, after a comma; empty if it has none."""
        done, total, failed = (self.run.get(f"{name}UsersCount") for name in ("successful", "total", "failed"))
        return f", {done} of {total} users done, {failed} failed" if total else ""


async def followed(client: GraphClient, save: Save) -> AsyncIterator[FollowedRun]:
    """Yield the run that a completed action makes or stops, again and again until it has ended; nothing for other
    actions."""
    action, intent = save.action, save.intent
    if action is None or intent is None or action.name not in ("cancelProcessing", *MAKE_RUNS):
        return
    is_new = action.name in MAKE_RUNS
    run_id = save.new_run if is_new else save.run_id
    readings = missed = 0
    while missed < MAX_MISSED:
        await asyncio.sleep(FOLLOW_SECONDS[min(readings, len(FOLLOW_SECONDS) - 1)])
        readings += 1
        if not run_id:
            reading = await client.observe(action, before=intent.before)
            run_id = new_run(intent, reading.entity or {})
        run = (await client.peek(action.workflow_id, run_id)).entity if run_id else None
        missed = missed + 1 if run is None else 0
        if run is not None:
            found = FollowedRun(run, is_new)
            yield found
            if found.has_ended:
                return
