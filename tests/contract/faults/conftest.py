"""A trial: the whole write path, through a proxy that can cause faults, on a real socket."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.conftest import WORKFLOWS, Sandbox
from tests.contract.faults.judge import Trial
from tests.contract.faults.meddling import MeddlingProxy
from tests.contract.loopback import loopback


@pytest.fixture(scope="session")
def run_at_rest() -> dict[str, str]:
    """The workflow and the id of a completed run, after the first test has looked for it: all tests have one tenant."""
    return {}


@pytest.fixture(params=[False, True], ids=["one", "many"])
async def trial(
    sandbox: Sandbox,
    run_at_rest: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> AsyncIterator[Trial]:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    if not run_at_rest:
        workflow_id = (await sandbox.get(WORKFLOWS))["value"][0]["id"]
        runs = await sandbox.get(f"{WORKFLOWS}/{workflow_id}/runs", filter="processingStatus eq 'completed'")
        run_at_rest.update(workflow_id=workflow_id, run_id=runs["value"][0]["id"])
    async with loopback(sandbox.app) as root, MeddlingProxy(root) as line:
        trial = Trial(sandbox.app, line, tmp_path, monkeypatch, **run_at_rest, is_bulk=request.param)
        yield trial
        await trial.close()
