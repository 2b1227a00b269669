"""A server that sends properties with the names that runtui adds to a run or a workflow."""

from __future__ import annotations

import gc
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from runtui.domain.report import Outcome
from runtui.domain.triage.service_actions import AS_OF, RECENT_RUNS, REPROCESSED
from runtui.headless import actions
from tests.contract.headless_commands import Commands, Line

LIES: tuple[Any, ...] = (None, ["x"], [{"a": 1}], "abc", 5)


class LyingLine(Line):
    """Each run and each workflow in an answer has additional properties; no answer has a `Date`."""

    def __init__(self, app: Starlette, lie: Any) -> None:
        super().__init__(app)
        self._lie = lie

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await super().handle_async_request(request)
        content = await answer.aread()
        headers = [(name, value) for name, value in answer.headers.items() if name not in ("date", "content-length")]
        whole = json.loads(content, object_hook=self._told) if content else None
        body = b"" if whole is None else json.dumps(whole).encode()
        return httpx.Response(answer.status_code, headers=headers, stream=httpx.ByteStream(body))

    def _told(self, found: dict[str, Any]) -> dict[str, Any]:
        is_thing = "processingStatus" in found or "displayName" in found
        return found | {REPROCESSED: self._lie, RECENT_RUNS: self._lie, AS_OF: self._lie} if is_thing else found


def update_one(commands: Commands, run_id: str, _workflow: str) -> int:
    return commands.update(run_id, "failedTasksCount=91")


def cancel(commands: Commands, run_id: str, workflow_id: str) -> int:
    return actions.cancel_runs(commands.server(), [run_id], workflow_id=workflow_id, yes=True)


def activate(commands: Commands, _run: str, workflow_id: str) -> int:
    user = "4b7f0a0e-0000-4000-8000-000000000001"
    return actions.activate(commands.server(), workflow_id, users=[user], yes=True)


@pytest.mark.parametrize("lie", LIES, ids=repr)
@pytest.mark.parametrize("act", [update_one, cancel, activate])
def test_properties_named_like_ours_are_not_taken_for_our_own(
    act: Callable[[Commands, str, str], int],
    lie: Any,
    sandbox_app: Starlette,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    commands = Commands(sandbox_app, tmp_path)
    run_id, workflow_id = commands.a_run("inProgress")
    commands.line = LyingLine(sandbox_app, lie)
    gc.collect()  # the tasks of earlier tests are not reported here
    with caplog.at_level(logging.ERROR):
        act(commands, run_id, workflow_id)
    assert [record.getMessage() for record in caplog.records] == []
    (entry,) = commands.entries()
    assert (entry.outcome is Outcome.DONE) is (len(commands.applied) == 1)
