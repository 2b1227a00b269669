"""A trial: the whole write path through a meddling proxy on a real socket."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.conftest import WORKFLOWS, Sandbox
from tests.contract.faults.judge import Trial
from tests.contract.faults.meddling import MeddlingProxy
from tests.contract.loopback import loopback


@pytest.fixture(params=[False, True], ids=["one", "many"])
async def trial(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> AsyncIterator[Trial]:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    workflow_id = (await sandbox.get(WORKFLOWS))["value"][0]["id"]
    run = (await sandbox.get(f"{WORKFLOWS}/{workflow_id}/runs", filter="processingStatus eq 'completed'"))["value"][0]
    async with loopback(sandbox.app) as root, MeddlingProxy(root) as line:
        facts = {"workflow_id": workflow_id, "run_id": run["id"], "is_bulk": request.param}
        trial = Trial(sandbox.app, line, tmp_path, monkeypatch, **facts)
        yield trial
        await trial.close()
