"""Following the run that an action has made, or stops, to its end.

Invariant: nothing is sent but readings of one run, further and further apart; what cannot be read some times in a row
is followed no longer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, NamedTuple, Protocol

from runtui.domain.rows import short_id, status_word
from runtui.domain.triage.service_actions import MAKE_RUNS, STATUS, UNDER_WAY, ServiceAction
from runtui.graph.client import Answer
from runtui.services.writing.proof import new_run
from runtui.services.writing.save import Save

FOLLOW_SECONDS: Final = (1.0, 2.0, 3.0, 5.0, 10.0, 20.0)
"""Seconds between two readings; the last one repeats until the run has ended."""

MAX_MISSED: Final = 8
"""Readings in a row that may bring nothing."""


class RunReader(Protocol):
    """The part of the Graph client that following needs."""

    async def peek(self, workflow_id: str, run_id: str) -> Answer:
        """Read one run, once, with the token at hand."""

    async def observe(self, action: ServiceAction, *, before: Mapping[str, Any] | None = None) -> Answer:
        """Read what an action is about; `before` is what was kept before it was sent."""


class FollowedRun(NamedTuple):
    """A run as it was read while it is followed."""

    run: Mapping[str, Any]
    is_new: bool
    """Whether the action has made it."""

    @property
    def has_ended(self) -> bool:
        return self.run.get(STATUS) not in UNDER_WAY

    @property
    def status(self) -> str:
        return status_word(str(self.run.get(STATUS) or ""))

    @property
    def words(self) -> str:
        """How far it has come; its id in full."""
        return self._sentence(f"The {'new ' if self.is_new else ''}run {self.run.get('id')}")

    def words_of(self, workflow_name: str) -> str:
        """How far it has come, by the name of its workflow."""
        return self._sentence(
            f"{workflow_name}, new run {short_id(str(self.run.get('id')))}," if self.is_new else workflow_name
        )

    def _sentence(self, what: str) -> str:
        return f"{what} {'has ended:' if self.has_ended else 'is'} {self.status}{self.users}."

    @property
    def users(self) -> str:
        """What became of its users, after a comma; empty where it has none."""
        done, total, failed = (self.run.get(f"{name}UsersCount") for name in ("successful", "total", "failed"))
        return f", {done} of {total} users done, {failed} failed" if total else ""


async def followed(client: RunReader, save: Save) -> AsyncIterator[FollowedRun]:
    """Read the run that a done action makes or stops, again and again until it has ended; nothing for other actions."""
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
