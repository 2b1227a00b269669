"""The cost of a large tenant in the store: a listing, a refresh without changes, orders, filters, memory.

`python -m tests.bench --runs 1000000` measures these rows with a million runs; some of them then take minutes.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import NAMESPACE_OID, uuid5

from runtui.domain.filters import parse_filter
from runtui.domain.rows import RUN_COLUMNS
from runtui.domain.times import TICKS_PER_SECOND, format_ticks, now_ticks
from runtui.graph.client import GraphClient
from runtui.graph.transport import Transport
from runtui.services.refresh import Refresh
from runtui.services.store.file import KnownListing, put_listing
from runtui.services.store.store import EVERY_RUN, FIRST_ROWS, RunQuery, Store
from tests.bench.commands import TOKEN, run
from tests.bench.table import Pairs, Row
from tests.terminal.sandbox_process import sandbox_process
from tests.unit.fake_lister import NEVER, FakeGraph

DEFAULT_RUNS = 100_000
WORKFLOWS, PAGE, SCREEN = 20, 999, 60
SPAN = 14 * 86_400 * TICKS_PER_SECOND
STATUSES = ("completed",) * 17 + ("failed", "completedWithErrors", "inProgress")
MANY_MATCH = ("users>3", "is:problem", "!status:failed", "workflow-3")
FILTERS = (*MANY_MATCH, "no-such-text")

MEMORY = """
import sys
from pathlib import Path
from runtui.domain.filters import parse_filter
from runtui.services.store.store import RunQuery, Store
store = Store(Path(sys.argv[1]))
for text in sys.argv[2:]:
    for sort in ("status", "users"):
        store.count(RunQuery(parse_filter(text, 0), sort))
with open("/proc/self/status") as status:
    print(next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM")))
"""


class Tenant:
    """The number of runs for the rows below; `--runs` sets it."""

    runs = DEFAULT_RUNS


def milliseconds(work: Callable[[], object]) -> float:
    """Return the CPU time of some work, in milliseconds."""
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1000


def pages(runs: int) -> Iterator[tuple[str, str]]:
    """Yield a workflow and the JSON of a page of its runs. The runs span two weeks and follow no order of an index."""
    now = now_ticks()
    for start in range(0, runs, PAGE):
        numbers = range(start, min(start + PAGE, runs))
        page = [a_run(number, now - number * 7_919 % runs * (SPAN // runs)) for number in numbers]
        yield f"workflow-{start // PAGE % WORKFLOWS}", json.dumps(page)


def a_run(number: int, began: int) -> dict[str, str | int]:
    return {
        "id": str(uuid5(NAMESPACE_OID, str(number))),
        "processingStatus": STATUSES[number * 13 % len(STATUSES)],
        "workflowExecutionType": "scheduled",
        "scheduledDateTime": format_ticks(began),
        "startedDateTime": format_ticks(began + number % 997),
        "completedDateTime": format_ticks(began + number % 99_991 * TICKS_PER_SECOND),
        "lastUpdatedDateTime": format_ticks(began + number % 104_729 * TICKS_PER_SECOND),
        "totalUsersCount": number % 97,
        "failedUsersCount": number % 5,
        "successfulUsersCount": number % 11,
        "failedTasksCount": number % 7,
        "totalTasksCount": number % 101,
        "totalUnprocessedTasksCount": 0,
    }


def fill(store: Store, runs: int) -> None:
    """Put runs into a store, as a refresh does."""
    number = store.next_listing()
    for workflow, text in pages(runs):
        store.put_runs(workflow, json.loads(text), number)
    store.complete_orders()


def listing() -> Pairs:
    """Measure the CPU time of the client to list a run of a sandbox into a new store, beside fetching the same pages
    and json.loads."""
    import httpx

    urls: list[str] = []

    async def token() -> str:
        return TOKEN

    async def listed(root: str, store: Store) -> None:
        async with Transport(root, token=token, on_exchange=lambda exchange: urls.append(exchange.url)) as transport:
            await Refresh(GraphClient(transport), store, interval=NEVER).list_once()

    def fetched() -> None:
        with httpx.Client(
            headers={"Authorization": f"Bearer {TOKEN}", "Prefer": f"odata.maxpagesize={PAGE}"}
        ) as client:
            for url in urls:
                json.loads(client.get(url).raise_for_status().content)

    with sandbox_process(runs=Tenant.runs) as sandbox:
        while True:
            urls.clear()
            with TemporaryDirectory() as folder, closing(Store(Path(folder) / "runs.db")) as store:
                ours = milliseconds(lambda: asyncio.run(listed(sandbox.root, store)))
            yield ours * 1000 / Tenant.runs, milliseconds(fetched) * 1000 / Tenant.runs


def megabytes_written() -> float:
    """Return the megabytes that this process has written so far (Linux)."""
    counters = dict(line.split(": ") for line in Path("/proc/self/io").read_text("ascii").splitlines())
    return int(counters["wchar"]) / 1e6


def written() -> Pairs:
    """Measure the bytes written to store runs that come in no order, beside the size of the file."""
    while True:
        with TemporaryDirectory() as folder:
            path, before = Path(folder) / "runs.db", megabytes_written()
            with closing(Store(path)) as store:
                fill(store, Tenant.runs)
            yield megabytes_written() - before, path.stat().st_size / 1e6


@contextmanager
def tenant(runs: int) -> Iterator[tuple[Store, Path]]:
    """Yield a store with that many runs, and its path."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "runs.db"
        with closing(Store(path)) as store:
            fill(store, runs)
            yield store, path


def quiet_refresh(store: Store) -> Callable[[], object]:
    """Return a function that refreshes a tenant in which nothing has changed since the last refresh."""
    graph = FakeGraph(**{f"workflow-{number}": [[]] for number in range(WORKFLOWS)})
    graph.clock = datetime.now(UTC)
    with store.writing() as (db, _):
        for name in graph.workflow_ids:
            put_listing(db, name, KnownListing(now_ticks(), now_ticks()))
    refresh = Refresh(graph, store, interval=NEVER)

    def work() -> None:
        graph.since.clear()
        asyncio.run(refresh.list_once())
        assert len(graph.since) == WORKFLOWS
        assert None not in dict(graph.since).values()

    work()
    return work


def refreshed() -> Pairs:
    with tenant(Tenant.runs) as (many, _), tenant(1_000) as (few, _):
        ours, theirs = quiet_refresh(many), quiet_refresh(few)
        while True:
            yield milliseconds(ours), milliseconds(theirs)


def window_of(store: Store, query: RunQuery) -> float:
    """Return the CPU time of reading one screen of rows in the middle of a query, in milliseconds."""
    return milliseconds(lambda: store.window(query, Tenant.runs // 2, SCREEN))


def sorted_by_the_slowest_column() -> Pairs:
    with tenant(Tenant.runs) as (store, _):
        while True:
            slowest = max(window_of(store, RunQuery(None, column.key)) for column in RUN_COLUMNS)
            yield slowest, window_of(store, EVERY_RUN)


def cost_of(path: Path, work: Callable[[Store, RunQuery], object], filters: Sequence[str]) -> Iterator[float]:
    """Yield the CPU time of some work for each filter, in milliseconds, each with a newly opened store."""
    for text in filters:
        with closing(Store(path)) as store:
            query = RunQuery(parse_filter(text, now_ticks()))
            yield milliseconds(lambda: work(store, query))  # noqa: B023


def first_rows_of_a_filter() -> Pairs:
    """Measure the first rows of the slowest filter that many runs match."""
    with tenant(Tenant.runs) as (_, path):
        while True:
            yield max(cost_of(path, lambda fresh, query: fresh.count_first(query, FIRST_ROWS, 60), MANY_MATCH)), 150.0


def all_rows_of_a_filter() -> Pairs:
    """Measure the slowest of the filters, beside one scan of all runs."""
    look = "SELECT count(*) FROM run WHERE instr(workflow_key, 'no-such-text') OR instr(id_key, 'no-such-text')"
    with tenant(Tenant.runs) as (_, path), closing(sqlite3.connect(path)) as db:
        while True:
            yield max(cost_of(path, Store.count, FILTERS)), milliseconds(lambda: db.execute(look).fetchall())


def memory() -> Pairs:
    """Measure the peak memory of a new process that counts each filter in two orders."""
    with tenant(Tenant.runs) as (_, many), tenant(1_000) as (_, few):

        def mebibytes(path: Path) -> float:
            return float(run(("python", "-c", MEMORY, str(path), *FILTERS)))

        while True:
            yield mebibytes(many), mebibytes(few)


ROWS = (
    Row("a run listed into the store", "µs", "its page and json.loads", 5, listing, rounds=3),
    Row("written for runs in no order", "MB", "the file", 2.5, written, rounds=1),
    Row("refresh, nothing changed", "ms", "the same, 1,000 runs", 1.5, refreshed),
    Row("sort by the slowest column, middle", "ms", "page down", 4, sorted_by_the_slowest_column),
    Row("filter: first rows", "ms", "a moment", 1, first_rows_of_a_filter),
    Row("filter: all rows", "ms", "a look at every run", 4, all_rows_of_a_filter),
    Row("memory after filters", "MiB", "the same, 1,000 runs", 2.5, memory, rounds=3),
)
