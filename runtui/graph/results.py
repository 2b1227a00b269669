"""The results of runs by user and by task: of one run, of one user, and of many runs by `$batch`.

Invariant: results are requested with expanded subjects and in batches until the server refuses that; then plainly, run
by run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from runtui.graph.batch import BATCH_PATH, MAX_BATCH, BatchItem, answers_of, as_throttled, batch_of
from runtui.graph.exchange import Exchange, FailureKind
from runtui.graph.pages import NO_SUCH_PATH, CollectionPage, GraphError, PageReader, object_of
from runtui.graph.paths import segment, task_results_path, user_results_path, user_tasks_path, workflow_path
from runtui.graph.retry import Pace, concerns_all
from runtui.graph.root import refusal

RUNS_IN_BATCH = MAX_BATCH // 2
"""The number of runs whose results (tasks and users) fit into one batch."""

MAX_RESULTS_HELD = 500
"""No more results of one run are held while a page is read: a run may have 100,000, and each takes 4 KB."""

BATCHED_PAGE_SIZE = 200
"""Items per page in a batch: twenty such pages with their subjects are well below the limit of an answer."""

READ_RESULTS = "read results"
"""The purpose of the requests for the results of several runs."""

# Without $expand a subject has only its id.
_EXPAND = "?$expand=subject"

# The statuses of a server that does not expand: unknown, not allowed for this caller, not there.
_EXPAND_REFUSED = frozenset({400, 403, 501})

_RESULT_PATHS = (user_results_path, task_results_path)


class ReadResults(NamedTuple):
    """Results of one run as received, or why they cannot all be read. A large run comes in several parts."""

    run_id: str
    tasks: Sequence[dict[str, Any]] = ()
    users: Sequence[dict[str, Any]] = ()
    ends: bool = True
    """True if these are the last of the run."""
    error: GraphError | None = None


class ResultsClient:
    """Requests results. GraphError tells why a listing cannot continue."""

    def __init__(self, reader: PageReader) -> None:
        self._reader = reader
        self._expands = True
        """True until the server refuses `$expand=subject`."""

    def task_results(self, workflow_id: str, run_id: str, *, pace: Pace | None = None) -> AsyncIterator[CollectionPage]:
        """Yield the results of each task in a run, page by page."""
        return self._results(task_results_path(workflow_id, run_id), "list task results", pace)

    def user_results(self, workflow_id: str, run_id: str) -> AsyncIterator[CollectionPage]:
        return self._results(user_results_path(workflow_id, run_id), "list user results", None)

    def user_runs(self, workflow_id: str, user_id: str, *, pace: Pace | None = None) -> AsyncIterator[CollectionPage]:
        """Yield the results of one user in all runs of a workflow, page by page."""
        subject = segment("subject/id eq '{}'".format(user_id.replace("'", "''")))
        path = f"{workflow_path(workflow_id)}/userProcessingResults?$filter={subject}"
        return self._reader.pages(path, "list user results", pace)

    def tasks_of_user(
        self, workflow_id: str, run_id: str, result_id: str, *, pace: Pace | None = None
    ) -> AsyncIterator[CollectionPage]:
        """Yield the task results of one user of a run, by the id of the user's result; `run_id` is "" if unknown."""
        return self._reader.pages(user_tasks_path(workflow_id, run_id, result_id), "list task results", pace)

    async def run_results(self, runs: Sequence[tuple[str, str]], *, pace: Pace) -> AsyncIterator[ReadResults]:
        """Yield all results of some runs (workflow id, run id) with few requests, run by run and part by part.

        Raises:
            GraphError: no run could be read, for a reason that concerns every request.
        """
        first_pages = await self._first_pages([path(*run) for run in runs for path in _RESULT_PATHS], pace)
        for run in runs:
            try:
                async for part in self._parts(run, first_pages, pace):
                    yield part
            except GraphError as error:
                yield ReadResults(run[1], error=error)

    async def _parts(
        self, run: tuple[str, str], first_pages: Mapping[str, Exchange], pace: Pace
    ) -> AsyncIterator[ReadResults]:
        """Yield the results of one run; raise GraphError if they cannot all be read."""
        tasks: list[dict[str, Any]] = []
        users: list[dict[str, Any]] = []
        # Users come first: a list of them is useful before their tasks are known.
        for path, held in ((user_results_path, users), (task_results_path, tasks)):
            is_first = True
            try:
                async for page in self._results_from(path(*run), first_pages, pace):
                    held.extend(page.items)
                    # The first of many users are shown at once.
                    is_full = is_first and held is users and len(users) >= BATCHED_PAGE_SIZE
                    is_first = False
                    if is_full or len(tasks) + len(users) >= MAX_RESULTS_HELD:
                        yield ReadResults(run[1], tuple(tasks), tuple(users), ends=False)
                        tasks.clear()
                        users.clear()
            except GraphError as error:
                # A root may offer task results only.
                if held is tasks or not is_first or error.exchange.status not in NO_SUCH_PATH:
                    raise
        yield ReadResults(run[1], tuple(tasks), tuple(users))

    async def _results(self, path: str, purpose: str, pace: Pace | None) -> AsyncIterator[CollectionPage]:
        """Yield results with expanded subjects, or plain ones if the server refuses that."""
        if self._expands:
            has_begun = False
            try:
                async for page in self._reader.pages(path + _EXPAND, purpose, pace):
                    has_begun = True
                    yield page
            except GraphError as error:
                if has_begun or error.exchange.status not in _EXPAND_REFUSED:
                    raise
            else:
                return
        async for page in self._reader.pages(path, purpose, pace):
            self._expands = False
            yield page

    async def _first_pages(self, paths: Sequence[str], pace: Pace) -> dict[str, Exchange]:
        """Return the answers to some GETs of results by `$batch`, by path, including the $expand if it was used.
        Missing ones must be requested separately: there is no `$batch`, or its answer is too large."""
        headers = self._reader.headers(BATCHED_PAGE_SIZE)
        root = self._reader.transport.root
        found: dict[str, Exchange] = {}
        tries: Counter[str] = Counter()
        waiting = [path + _EXPAND if self._expands else path for path in paths if not refusal(root, root + path)]
        while self._reader.has_batch and waiting:
            part, waiting = waiting[:MAX_BATCH], waiting[MAX_BATCH:]
            items = [BatchItem("GET", path, headers) for path in part]
            batch = await self._reader.get(BATCH_PATH, READ_RESULTS, (), pace, batch=batch_of(items))
            if concerns_all(batch) or (batch.failure and batch.failure.kind is not FailureKind.TOO_LARGE):
                object_of(batch)  # raises its fault
            self._reader.refuses_batch(batch, writing=False)
            tries.update(part)
            # Parsing the pages of twenty listings takes too long for the time between two keys.
            parse = partial(list[Exchange | None], answers_of(batch, root, items))
            answers = await self._reader.alone(parse)
            for path, answer in zip(part, answers, strict=True):
                if answer is None:
                    continue
                if path.endswith(_EXPAND) and answer.status in _EXPAND_REFUSED:
                    waiting.append(path.removesuffix(_EXPAND))
                elif pace.retry(as_throttled(answer), tries[path]):
                    waiting.append(path)
                else:
                    found[path] = answer
        return found

    async def _results_from(
        self, path: str, first_pages: Mapping[str, Exchange], pace: Pace
    ) -> AsyncIterator[CollectionPage]:
        """Yield results; the first page may be known already."""
        for asked in (path + _EXPAND, path):
            if asked in first_pages:
                async for page in self._reader.pages(asked, READ_RESULTS, pace, first=first_pages[asked]):
                    self._expands = self._expands and asked != path
                    yield page
                return
        async for page in self._results(path, READ_RESULTS, pace):
            yield page
