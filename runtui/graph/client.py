"""What runtui asks of Graph, by name: workflows, runs, one run, the results of runs, the update of a run.

Invariant: an answer reaches the caller only when it is a JSON object about the thing that was asked for. What is
sent as a body is the text that was given, byte for byte.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import uuid4

from runtui.domain.report import Outcome
from runtui.domain.triage.service_actions import REPROCESSED, Operation, ServiceAction
from runtui.errors import ExitCode, RuntuiError, UsageError
from runtui.graph.batch import (
    BATCH_PATH,
    MOST_BATCHED,
    BatchItem,
    Headers,
    answers_of,
    as_throttled,
    batch_of,
    is_batch_refused,
    unanswered,
)
from runtui.graph.exchange import Exchange, FailureKind
from runtui.graph.faults import Fault, fault_of, mismatch, read_answer
from runtui.graph.paths import (
    WORKFLOWS_PATH,
    action_path,
    extension_path,
    object_path,
    run_path,
    runs_path,
    segment,
    task_results_path,
    user_path,
    user_results_path,
    workflow_path,
)
from runtui.graph.recent_runs import recent_runs
from runtui.graph.retry import Pace, Retry, concerns_all, retry_of
from runtui.graph.root import linked, refusal, same_run
from runtui.graph.transport import Transport
from runtui.options import PATCH_PATH

PAGE_SIZE = 999
"""Items asked for in one page; Graph documents no size for these collections and may send fewer."""

MAX_EMPTY_PAGES = 50
"""Empty pages in a row, each with a next link, that are believed. OData allows them; a loop looks the same."""

RUNS_IN_BATCH = MOST_BATCHED // 2
"""Runs whose results fit into one request: those of its tasks, and those of its users."""

MOST_RESULTS_HELD = 2_000
"""Results of one run that are held at once: a run may have 10,000 users, with some tasks each."""

BATCHED_PAGE_SIZE = 200
"""Items of a page in a batch: twenty such pages with their subjects are well below the limit of an answer."""

READ_RESULTS = "read results"
"""The purpose of the requests for the results of several runs."""

# A subject is its id alone, unless asked for.
_EXPAND = "?$expand=subject"

# How a server says that it does not expand: not known, not allowed to whoever asks, not there.
_EXPAND_REFUSED = frozenset({400, 403, 501})

# How a server says that it has no such collection, or no `$batch`.
_NOT_OFFERED = frozenset({400, 404, 405, 501})

_NO_ID = "00000000-0000-0000-0000-000000000000"

# An entity tag as a header can carry it: visible ASCII.
_ETAG = re.compile(r"[!-~]+")

# Members after an enum's sentinel are sent only to those who ask; without it they read "unknownFutureValue".
_ALL_ENUM_MEMBERS = "include-unknown-enum-members"


@dataclass(frozen=True, slots=True)
class CollectionPage:
    """One page of a collection, each item with a non-empty `id`, and the exchange that brought it."""

    items: tuple[dict[str, Any], ...]
    exchange: Exchange


class ReadResults(NamedTuple):
    """Results of one run as received, or why they cannot all be read. A large run comes in several parts."""

    run_id: str
    tasks: Sequence[dict[str, Any]] = ()
    users: Sequence[dict[str, Any]] = ()
    ends: bool = True
    """Whether these are the last of the run."""
    error: GraphError | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one request: the entity, a fault, or neither when a write was answered without a body."""

    exchange: Exchange
    entity: dict[str, Any] | None
    fault: Fault | None

    @property
    def received(self) -> dict[str, Any]:
        """The entity with what is hidden in it, a secret that the server echoes: to be sent back, never shown or kept.

        Empty when there is no entity.
        """
        return {} if self.entity is None else _as_received(self.entity, self.exchange)


class RunUpdate(NamedTuple):
    """One change of a run."""

    workflow_id: str
    run_id: str
    body: str
    """The JSON to send."""
    client_request_id: str | None = None
    """The GUID to send it under; None makes one."""
    if_match: str | None = None
    """The entity tag of the version that the change was made for (see `etag_of`), opaque: the server then refuses the
    change of any other version. One that no header can carry is not sent: the answer is a fault."""

    @property
    def headers(self) -> Headers:
        tag = (("If-Match", self.if_match),) if self.if_match is not None else ()
        return (*_prefer(_ALL_ENUM_MEMBERS), *tag)


class GraphError(RuntuiError):
    """A listing that cannot go on: the fault, and the exchange it shows in."""

    def __init__(self, fault: Fault, exchange: Exchange) -> None:
        super().__init__(fault.title, fault.message, fault.hint)
        self.fault = fault
        self.exchange = exchange
        self.exit_code = ExitCode.UNKNOWN if fault.outcome is Outcome.UNKNOWN else ExitCode.NOT_DONE


class GraphClient:
    """The requests of runtui, on one Graph root.

    Args:
        transport: Sends them.
        patch_path: Where a change of a run goes, with {runId} and perhaps {workflowId} in it.
        page_size: Items asked for in one page.

    Ids are opaque. One that cannot be part of an address (empty, or with a slash or a control character in it) is
    refused by the transport's guard: the answer is then a fault, and nothing was sent.

    A GET that failed is sent again as the `pace` says that it is given; without one it is sent once.
    """

    def __init__(self, transport: Transport, *, patch_path: str = PATCH_PATH, page_size: int = PAGE_SIZE) -> None:
        if not patch_path.startswith("/") or "{runId}" not in patch_path:
            raise UsageError(
                "This path cannot be used for changes",
                f"{patch_path!r} has to start with a slash and to name {{runId}}.",
                f"The default is {PATCH_PATH}.",
            )
        self._transport = transport
        self._patch_path = patch_path
        self._page_size = page_size
        self._expands = True
        """Whether `$expand=subject` is asked for: until the server refuses it."""
        self._batches = True
        """Whether the root has a `$batch`: until it refuses one."""

    def workflows(self, *, pace: Pace | None = None) -> AsyncIterator[CollectionPage]:
        """All workflows, page by page; GraphError when the listing cannot go on."""
        return self._pages(WORKFLOWS_PATH, "list workflows", pace)

    def runs(
        self, workflow_id: str, *, changed_since: int | None = None, begun: int | None = None, pace: Pace | None = None
    ) -> AsyncIterator[CollectionPage]:
        """The runs of one workflow (see `runs_path`), page by page; GraphError when the listing cannot go on."""
        return self._pages(runs_path(workflow_id, changed_since, begun), "list runs", pace)

    def task_results(self, workflow_id: str, run_id: str, *, pace: Pace | None = None) -> AsyncIterator[CollectionPage]:
        """What became of each task in a run, page by page; GraphError when the listing cannot go on."""
        return self._results(task_results_path(workflow_id, run_id), "list task results", pace)

    def user_results(self, workflow_id: str, run_id: str, *, pace: Pace | None = None) -> AsyncIterator[CollectionPage]:
        """What became of each user of a run, page by page; GraphError when the listing cannot go on."""
        return self._results(user_results_path(workflow_id, run_id), "list user results", pace)

    async def results(self, runs: Sequence[tuple[str, str]], *, pace: Pace) -> AsyncIterator[ReadResults]:
        """All results of some runs, in as few requests as possible, run by run and part by part.

        Args:
            runs: The id of the workflow and the id of the run, for each.
            pace: Shared with whoever asks the same service at the same time.

        Raises:
            GraphError: when no run could be read, for a reason that concerns every request.
        """
        found = await self._first_pages([path(*run) for run in runs for path in _RESULT_PATHS], pace)
        for workflow_id, run_id in runs:
            tasks: list[dict[str, Any]] = []
            users: list[dict[str, Any]] = []
            try:
                # Users first: a list of them is of use before their tasks are there.
                for path, held in ((user_results_path, users), (task_results_path, tasks)):
                    is_first = True
                    try:
                        async for page in self._results_from(path(workflow_id, run_id), found, pace):
                            held.extend(page.items)
                            # Of many users the first are there at once.
                            is_full = is_first and held is users and len(users) >= BATCHED_PAGE_SIZE
                            is_first = False
                            if is_full or len(tasks) + len(users) >= MOST_RESULTS_HELD:
                                yield ReadResults(run_id, tuple(tasks), tuple(users), ends=False)
                                tasks.clear()
                                users.clear()
                    except GraphError as error:
                        # A root may tell of tasks alone.
                        if held is tasks or not is_first or error.exchange.status not in _NOT_OFFERED:
                            raise
            except GraphError as error:
                yield ReadResults(run_id, error=error)
            else:
                yield ReadResults(run_id, tuple(tasks), tuple(users))

    def user_results_of(
        self, workflow_id: str, subject_id: str, *, pace: Pace | None = None
    ) -> AsyncIterator[CollectionPage]:
        """What became of one user in all runs of a workflow, page by page; GraphError when that cannot go on."""
        subject = quote(f"subject/id eq '{subject_id.replace(chr(39), chr(39) * 2)}'", safe="")
        path = f"{workflow_path(workflow_id)}/userProcessingResults?$filter={subject}"
        return self._pages(path, "list user results", pace)

    def tasks_of_user(
        self, workflow_id: str, run_id: str, result_id: str, *, pace: Pace | None = None
    ) -> AsyncIterator[CollectionPage]:
        """What became of each task for one user of a run, by the id of the user's result; of a run that is not known,
        `run_id` is empty."""
        above = run_path(workflow_id, run_id) if run_id else workflow_path(workflow_id)
        path = f"{above}/userProcessingResults/{segment(result_id)}/taskProcessingResults"
        return self._pages(path, "list task results", pace)

    async def user(self, name: str, *, pace: Pace | None = None) -> dict[str, Any]:
        """A user of the directory, by id or userPrincipalName: names, and whether the account is synchronized.

        Raises:
            GraphError: there is no such user, or nobody may read users.
        """
        return _object(await self._read(self._transport.url(user_path(name)), "read user", (), pace))

    async def run(self, workflow_id: str, run_id: str, *, pace: Pace | None = None) -> Answer:
        """One run, as it is now, over a connection of its own: what is sent, and what is called done, rests on it."""
        headers = _prefer(_ALL_ENUM_MEMBERS)
        exchange = await self._read(run_path(workflow_id, run_id), "read run", headers, pace, alone=True)
        return _about(run_id, exchange, writing=False)

    async def peek(self, workflow_id: str, run_id: str) -> Answer:
        """One run, as it is now, asked once and with the token at hand: nobody is made to sign in for it."""
        path, headers = run_path(workflow_id, run_id), _prefer(_ALL_ENUM_MEMBERS)
        exchange = await self._transport.send("GET", path, purpose="read run", headers=headers)
        return _about(run_id, exchange, writing=False)

    async def custom_task_extension(self, extension_id: str) -> dict[str, Any] | None:
        """A custom task extension, asked for once and with the token at hand; None where it cannot be read."""
        path, headers = extension_path(extension_id), _prefer(_ALL_ENUM_MEMBERS)
        exchange = await self._transport.send("GET", path, purpose="read custom task extension", headers=headers)
        return read_answer(exchange, writing=False)[0]

    async def update_run(self, update: RunUpdate) -> Answer:
        """Change one run, with one request over a connection of its own; the entity is None when the server answers
        without a body.

        Whoever asks decides what a refusal or a silence calls for.
        """
        exchange = await self._transport.send(
            *self.write_target(update.workflow_id, update.run_id),
            purpose="update run",
            json_body=update.body,
            headers=update.headers,
            client_request_id=update.client_request_id,
            alone=True,
        )
        return _about(update.run_id, exchange, writing=True)

    async def act(self, action: ServiceAction, *, client_request_id: str | None = None) -> Answer:
        """POST an action once, over a connection of its own."""
        exchange = await self._transport.send(
            *self.target(action),
            purpose=action.name,
            json_body=action.body_text() or None,
            client_request_id=client_request_id,
            alone=True,
        )
        return Answer(exchange, *read_answer(exchange, writing=True))

    async def observe(self, action: ServiceAction, *, before: Mapping[str, Any] | None = None) -> Answer:
        """What an action is about, as it is now: the task result, the workflow, or the run; where the action makes a
        run, with those that the run was reprocessed by under `REPROCESSED`, or with `recent_runs`. `before` is the
        `evidence` that was kept when it was sent; None: it was not yet."""
        path, wanted = object_path(action), action.task_result_id or action.run_id
        exchange = await self._read(path, "read", _prefer(_ALL_ENUM_MEMBERS), None, alone=True)
        answer = _about(wanted, exchange, writing=False)
        if action.name == "activate" and answer.entity is not None:
            return replace(answer, entity=answer.entity | await recent_runs(self, exchange, action.workflow_id, before))
        if answer.entity is None or action.name != "activateWithScope":
            return answer
        try:
            pages = self._pages(f"{path}/{REPROCESSED}", "list reprocessed runs", None)
            made = [run async for page in pages for run in page.items]
            return replace(answer, entity=answer.entity | {REPROCESSED: made})
        except GraphError as error:
            return Answer(error.exchange, None, error.fault)

    async def preview_task_failures(self, workflow_id: str) -> Answer:
        """Have the service tell under "value" which tasks of a workflow would fail; it changes nothing."""
        path = f"{workflow_path(workflow_id)}/previewTaskFailures"
        exchange = await self._transport.send("POST", path, purpose="previewTaskFailures", alone=True)
        return Answer(exchange, *read_answer(exchange, writing=False))

    async def read_runs(self, runs: Sequence[tuple[str, str]]) -> Iterator[Answer]:
        """Some runs (workflow id, run id), at most MOST_BATCHED, each read once; taken apart when asked for."""
        items = [BatchItem("GET", run_path(*run), _prefer(_ALL_ENUM_MEMBERS)) for run in runs]
        run_ids = [run_id for _, run_id in runs]
        return await self._side_by_side("read runs", items, run_ids, lambda n: self.run(*runs[n]), writing=False)

    async def update_runs(self, updates: Sequence[RunUpdate]) -> Iterator[Answer]:
        """Change some runs, at most MOST_BATCHED, each as `update_run` changes one; answered as by `read_runs`."""
        root, items = self._transport.root, []
        for update in updates:
            method, url = self.write_target(update.workflow_id, update.run_id)
            headers = (*update.headers, ("client-request-id", update.client_request_id or str(uuid4())))
            items.append(BatchItem(method, url.removeprefix(root), headers, update.body))
        run_ids = [update.run_id for update in updates]
        return await self._side_by_side(
            "update runs", items, run_ids, lambda n: self.update_run(updates[n]), writing=True
        )

    async def _side_by_side(
        self,
        purpose: str,
        items: Sequence[BatchItem],
        run_ids: Sequence[str],
        alone: Callable[[int], Awaitable[Answer]],
        *,
        writing: bool,
    ) -> Iterator[Answer]:
        """The answers to requests for some runs: by `$batch`, or each alone where the root offers none.

        What the batch says as a whole, or breaks off with, holds for each of them.
        """
        root = self._transport.root
        if self._batches and len(items) > 1 and not any(refusal(root, root + item.path) for item in items):
            batch = await self._transport.send(
                "POST", BATCH_PATH, purpose=purpose, json_body=batch_of(items), alone=True
            )
            self._batches = not _has_no_batch(batch)
            if self._batches:
                answers = answers_of(batch, root, items)
                return (
                    _about(run_id, as_throttled(answer or unanswered(batch, root, item)), writing=writing)
                    for item, run_id, answer in zip(items, run_ids, answers, strict=True)
                )
        return iter(await asyncio.gather(*map(alone, range(len(items)))))

    async def ask_for_update(self) -> Exchange:
        """What the server says of the address of `update_run`, asked about a run that cannot exist.

        The method is OPTIONS, which is safe (RFC 9110): nothing can change by it. `Allow` names what is offered.
        """
        _, url = self.write_target(_NO_ID, _NO_ID)
        return await self._transport.send("OPTIONS", url, purpose="ask for update")

    async def renew_token(self, exchange: Exchange) -> bool:
        """Where a token was missing or refused: ask for another; whether the request makes sense once more."""
        return exchange.lacks_token and await self._transport.renew_token(exchange)

    def write_target(self, workflow_id: str, run_id: str) -> tuple[str, str]:
        """The method and the address of `update_run`, to be shown before anything is sent."""
        path = self._patch_path.replace("{runId}", segment(run_id)).replace("{workflowId}", segment(workflow_id))
        return "PATCH", self._transport.url(path)

    def target(self, operation: Operation) -> tuple[str, str]:
        """The method and the address of `act` or `update_run`."""
        if isinstance(operation, ServiceAction):
            return "POST", self._transport.url(action_path(operation))
        return self.write_target(operation.workflow_id, operation.run_id)

    def read_target(self, workflow_id: str, run_id: str = "", result_id: str = "") -> str:
        """The address of a workflow, of one of its runs, or of what a run did for one user (by the user's result)."""
        if not run_id:
            return self._transport.url(workflow_path(workflow_id))
        path = run_path(workflow_id, run_id)
        tasks = f"/userProcessingResults/{segment(result_id)}/taskProcessingResults" if result_id else ""
        return self._transport.url(f"{path}{tasks}")

    async def _read(
        self,
        path_or_url: str,
        purpose: str,
        headers: Headers,
        pace: Pace | None,
        *,
        alone: bool = False,
        batch: str | None = None,
    ) -> Exchange:
        """GET as often as the pace says, and once more when the token was refused and there is another one.

        `batch` is the body of a request for several GETs, which is a POST by form alone.
        """
        tries, has_new_token = 0, False
        while True:
            if pace is not None:
                await pace.ready()
            exchange = await self._transport.send(
                "GET" if batch is None else "POST",
                path_or_url,
                purpose=purpose,
                json_body=batch,
                headers=headers,
                alone=alone,
            )
            judged = exchange if batch is None else replace(exchange, method="GET")
            retry = retry_of(judged, tries + 1, has_new_token=has_new_token)
            if retry is Retry.NEW_TOKEN and await self.renew_token(exchange):
                has_new_token = True
                continue
            tries += 1
            if pace is None or not pace.retry(judged, tries):
                return exchange

    def _page_headers(self, most: int = PAGE_SIZE) -> Headers:
        """A next link does not carry headers on, so each page asks again."""
        return _prefer(_ALL_ENUM_MEMBERS, f"odata.maxpagesize={min(self._page_size, most)}")

    async def _results(self, path: str, purpose: str, pace: Pace | None) -> AsyncIterator[CollectionPage]:
        """Results with their subjects expanded, and as they are where the server refuses that."""
        if self._expands:
            has_begun = False
            try:
                async for page in self._pages(path + _EXPAND, purpose, pace):
                    has_begun = True
                    yield page
            except GraphError as error:
                if has_begun or error.exchange.status not in _EXPAND_REFUSED:
                    raise
            else:
                return
        async for page in self._pages(path, purpose, pace):
            self._expands = False
            yield page

    async def _first_pages(self, paths: Sequence[str], pace: Pace) -> dict[str, Exchange]:
        """The answers to some GETs of results, by `$batch`: by path, with what is expanded in it.

        What is missing is to be asked for alone: there is no `$batch`, or its answer is too large.
        """
        headers = self._page_headers(BATCHED_PAGE_SIZE)
        root = self._transport.root
        found: dict[str, Exchange] = {}
        tries: Counter[str] = Counter()
        waiting = [path + _EXPAND if self._expands else path for path in paths if not refusal(root, root + path)]
        while self._batches and waiting:
            part, waiting = waiting[:MOST_BATCHED], waiting[MOST_BATCHED:]
            items = [BatchItem("GET", path, headers) for path in part]
            batch = await self._read(BATCH_PATH, READ_RESULTS, (), pace, batch=batch_of(items))
            if concerns_all(batch) or (batch.failure and batch.failure.kind is not FailureKind.TOO_LARGE):
                _object(batch)  # raises what is wrong
            self._batches = not is_batch_refused(batch)
            tries.update(part)
            # The pages of twenty listings are too much to take apart between two keys.
            answers = await asyncio.to_thread(list, answers_of(batch, root, items))
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
        self, path: str, found: Mapping[str, Exchange], pace: Pace
    ) -> AsyncIterator[CollectionPage]:
        """Results whose first page may be there already."""
        for asked in (path + _EXPAND, path):
            if asked in found:
                async for page in self._pages(asked, READ_RESULTS, pace, first=found[asked]):
                    self._expands = self._expands and asked != path
                    yield page
                return
        async for page in self._results(path, READ_RESULTS, pace):
            yield page

    async def _pages(
        self, path: str, purpose: str, pace: Pace | None, *, first: Exchange | None = None
    ) -> AsyncIterator[CollectionPage]:
        """Follow next links verbatim, under the same root only, until there is none; a link never twice.

        A relative one starts at the page that has it. `first` is the answer to the first request, where it is known.
        """
        link: str | None = self._transport.url(path)
        seen: set[str] = set()
        empty = 0
        while link is not None:
            seen.add(link)
            exchange = first or await self._read(link, purpose, self._page_headers(), pace)
            first = None
            body, items = await asyncio.to_thread(_page, exchange)  # too much to take apart between two keys
            empty = 0 if items else empty + 1
            yield CollectionPage(items, exchange)
            found = _as_received(body, exchange).get("@odata.nextLink") or None
            link = linked(link, found) if isinstance(found, str) else None
            if found is not None and (link is None or link in seen or empty > MAX_EMPTY_PAGES):
                raise GraphError(mismatch(exchange, "Its next links lead nowhere new.", writing=False), exchange)


def etag_of(entity: Mapping[str, Any]) -> str | None:
    """The entity tag of an entity, opaque; None when it has none, or one that no header can carry."""
    tag = entity.get("@odata.etag")
    return tag if isinstance(tag, str) and _ETAG.fullmatch(tag) else None


def _as_received(body: dict[str, Any], exchange: Exchange) -> dict[str, Any]:
    """The body of an answer without anything hidden in it."""
    received: dict[str, Any] = body if exchange.unredacted is None else exchange.json_as_received()
    return received


def _object(exchange: Exchange) -> dict[str, Any]:
    """The JSON object that a page is."""
    body, fault = read_answer(exchange, writing=False)
    if body is None or fault is not None:
        raise GraphError(fault or mismatch(exchange, "The answer is empty.", writing=False), exchange)
    return body


def _page(exchange: Exchange) -> tuple[dict[str, Any], tuple[dict[str, Any], ...]]:
    """A page, and its items."""
    body = _object(exchange)
    items = body.get("value")
    if not isinstance(items, list):
        raise GraphError(mismatch(exchange, 'The answer has no list "value".', writing=False), exchange)
    if not all(isinstance(item, dict) and isinstance(item.get("id"), str) and item["id"] for item in items):
        raise GraphError(mismatch(exchange, 'An item of the list has no "id".', writing=False), exchange)
    return body, tuple(items)


def _about(run_id: str, exchange: Exchange, *, writing: bool) -> Answer:
    """The answer to a request for one run, unless it is about another one."""
    entity, fault = read_answer(exchange, writing=writing)
    if entity is None:
        return Answer(exchange, None, fault)
    named = entity.get("id")
    if isinstance(named, str) and same_run(named, run_id):
        return Answer(exchange, entity, fault)
    message = f"It is about {named!r}, and {run_id!r} was asked for." if named else "It names no run."
    return Answer(exchange, None, mismatch(exchange, message, writing=writing))


def _has_no_batch(batch: Exchange) -> bool:
    """Whether the service itself says that it has no `$batch`, and so has carried nothing out."""
    fault = fault_of(batch, writing=True) if batch.status in _NOT_OFFERED else None
    return fault is not None and fault.outcome is Outcome.NOT_DONE and fault.status in _NOT_OFFERED


_RESULT_PATHS = (user_results_path, task_results_path)


def _prefer(*preferences: str) -> Headers:
    return (("Prefer", ", ".join(preferences)),)
