"""`python -m tests.bench.stock_listing ROOT`: the reference for a whole start, a DataTable with the runs of a server.

It reads them with httpx, as both document it. A file of its own, so that the smallest application does not load it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import httpx
from textual.widgets import DataTable, Static

from tests.bench.stock_app import StockTableAndPanel

COMPLETE = "Runs read:"
CONCURRENT = 4
"""Workflows whose runs are read at the same time."""
SHOWN = ("processingStatus", "workflow", "startedDateTime", "totalUsersCount", "failedUsersCount", "failedTasksCount")


class StockListing(StockTableAndPanel):
    """Shows the runs of a server, which it reads after its first frame."""

    def __init__(self, root: str) -> None:
        super().__init__(0)
        self._workflows = f"{root}/identityGovernance/lifecycleWorkflows/workflows"

    def on_mount(self) -> None:
        self.call_after_refresh(self.run_worker, self._read())

    async def _read(self) -> None:
        gate, table = asyncio.Semaphore(CONCURRENT), self.query_one(DataTable)
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {os.environ['RUNTUI_TOKEN']}"}) as client:

            async def read_runs(workflow: dict[str, Any]) -> None:
                url = f"{self._workflows}/{workflow['id']}/runs"
                while url:
                    async with gate:
                        page = (await client.get(url)).raise_for_status().json()
                    for run in page["value"]:
                        run["workflow"] = workflow["displayName"]
                        table.add_row(*(str(run[name]) for name in SHOWN), key=run["id"])
                    url = page.get("@odata.nextLink")

            found = (await client.get(self._workflows)).raise_for_status().json()["value"]
            await asyncio.gather(*map(read_runs, found))
        self.query_one("#page", Static).update(f"{COMPLETE} {table.row_count}")


if __name__ == "__main__":
    StockListing(sys.argv[1]).run()
