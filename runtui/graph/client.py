"""The requests of runtui to Graph, by name: workflows, runs, one run, results of runs, the update of a run.

Invariant: an answer reaches the caller only if it is a JSON object about the requested thing. A body is sent byte for
byte as given.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from itertools import chain, islice
from typing import Any, Final, NamedTuple
from uuid import uuid4

from runtui.domain.times import MINUTE, format_ticks, parse_ticks, ticks_of
from runtui.domain.triage.service_actions import (
    AS_OF,
    MAKE_RUNS,
    READ_BESIDES,
    RECENT_RUNS,
    REPROCESSED,
    SUBJECT_IDS,
    Operation,
    ServiceAction,
)
from runtui.errors import RuntuiError
from runtui.graph.batch import BATCH_PATH, BatchItem, Headers, answers_of, as_throttled, batch_of, unanswered
from runtui.graph.exchange import Exchange
from runtui.graph.faults import Fault, fault_of, mismatch, read_answer
from runtui.graph.pages import (
    ALL_ENUM_MEMBERS,
    PAGE_SIZE,
    CollectionPage,
    GraphError,
    PageReader,
    UsedT,
    all_items,
    object_of,
    prefer,
)
from runtui.graph.paths import (
    WORKFLOWS_PATH,
    action_path,
    extension_path,
    object_path,
    run_path,
    runs_path,
    segment,
    user_path,
    user_tasks_path,
    workflow_path,
)
from runtui.graph.results import ResultsClient
from runtui.graph.retry import Pace
from runtui.graph.root import refusal, run_key
from runtui.graph.transport import Transport
from runtui.options import PATCH_PATH

_NO_ID = "00000000-0000-0000-0000-000000000000"

ALONE_AT_ONCE: Final = 8
"""The most requests in progress for items of batches, of a root that offers no `$batch`."""

SHORTLY_BEFORE: Final = MINUTE
"""How long before an action the runs that others started are read."""

# An entity tag that a header can carry: visible ASCII.
_ETAG = re.compile(r"[!-~]+")


class Answer(NamedTuple):
    """The result of one request: the entity, a fault, or neither if a write was answered without a body."""

    exchange: Exchange
    entity: dict[str, Any] | None
    fault: Fault | None

    @property
    def received(self) -> dict[str, Any]:
        """The entity with any secret that the server echoed: only to be sent back, never shown or kept. Empty without
        an entity."""
        return {} if self.entity is None else self.exchange.as_received(self.entity)


class RunUpdate(NamedTuple):
    """One change of a run."""

    workflow_id: str
    run_id: str
    body: str
    client_request_id: str | None = None
    """The GUID to send as client-request-id; None makes one."""
    if_match: str | None = None
    """The entity tag of the version that the change is for (see `etag_of`): the server then refuses to change any other
    version. If no header can carry it, nothing is sent and the answer is a fault."""

    @property
    def headers(self) -> Headers:
        tag = (("If-Match", self.if_match),) if self.if_match is not None else ()
        return (*prefer(ALL_ENUM_MEMBERS), *tag)


class GraphClient:
    """The requests of runtui on one Graph root. `patch_path` is the path that changes a run. For `on_unusable` see
    `PageReader`.

    Ids are opaque. The transport refuses an id that cannot be part of an address (empty, or with a slash or a control
    character): the answer is then a fault, and nothing was sent.

    A `pace` decides when to send a GET, and when to repeat a failed one; without a pace it is sent once.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        patch_path: str = PATCH_PATH,
        page_size: int = PAGE_SIZE,
        on_unusable: Callable[[Exchange], object] = lambda _exchange: None,
    ) -> None:
        self._transport = transport
        self._patch_path = patch_path
        self._reader = PageReader(transport, page_size, on_unusable)
        self._alone = asyncio.Semaphore(ALONE_AT_ONCE)
        self.results = ResultsClient(self._reader)

    def workflows(self, *, pace: Pace | None = None) -> AsyncIterator[CollectionPage]:
        return self._reader.pages(WORKFLOWS_PATH, "list workflows", pace)

    def runs(
        self, workflow_id: str, *, begun: int | None = None, pace: Pace | None = None
    ) -> AsyncIterator[CollectionPage]:
        """Yield the runs of one workflow, or those scheduled since `begun`; raise GraphError if the listing fails."""
        return self._reader.pages(runs_path(workflow_id, begun=begun), "list runs", pace)

    def each_page_of_runs(
        self, workflow_id: str, use: Callable[[CollectionPage], UsedT], *, changed_since: int | None, pace: Pace
    ) -> AsyncIterator[UsedT]:
        """Yield what `use` returns for each page of the runs of one workflow, or of those changed since a time; see
        `PageReader.each` and `runs_path`."""
        return self._reader.each(runs_path(workflow_id, changed_since), "list runs", pace, use)

    async def user(self, name: str, *, pace: Pace | None = None) -> dict[str, Any]:
        """Return a user of the directory, by id or userPrincipalName: names, and whether the account is synchronized.

        Raises:
            GraphError: there is no such user, or reading users is not allowed.
        """
        return object_of(await self._reader.get(self._transport.url(user_path(name)), "read user", (), pace))

    async def run(self, workflow_id: str, run_id: str, *, pace: Pace | None = None) -> Answer:
        """Read one run over a connection of its own, because writes and outcomes rely on it."""
        headers = prefer(ALL_ENUM_MEMBERS)
        exchange = await self._reader.get(run_path(workflow_id, run_id), "read run", headers, pace, alone=True)
        return _about(run_id, exchange, writing=False)

    async def peek(self, workflow_id: str, run_id: str) -> Answer:
        """Read one run once with the token at hand, without asking anybody to sign in."""
        return _about(run_id, await self._glance(run_path(workflow_id, run_id), "read run"), writing=False)

    async def custom_task_extension(self, extension_id: str) -> dict[str, Any] | None:
        """Read a custom task extension once with the token at hand; return None if it cannot be read."""
        exchange = await self._glance(extension_path(extension_id), "read custom task extension")
        return read_answer(exchange, writing=False)[0]

    async def _glance(self, path: str, purpose: str) -> Exchange:
        return await self._transport.send("GET", path, purpose=purpose, headers=prefer(ALL_ENUM_MEMBERS))

    async def update_run(self, update: RunUpdate) -> Answer:
        """Change one run with one request over a connection of its own; the entity is None if the answer has no body.
        The caller decides what follows a refusal or a lost answer."""
        exchange = await self._transport.send(
            "PATCH",
            self._update_url(update.workflow_id, update.run_id),
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
        """Read the object of an action: the task result, the workflow, or the run.

        If the action makes runs, the answer has them too: under `REPROCESSED` those that reprocess the run, or the
        result of `_recent_runs`. `before` is the `evidence` stored when the action was sent; None before that.
        """
        path, wanted = object_path(action), action.task_result_id or action.run_id
        exchange = await self._reader.get(path, "read", prefer(ALL_ENUM_MEMBERS), None, alone=True)
        answer = _about(wanted, exchange, writing=False)
        if answer.entity is None or action.name not in MAKE_RUNS:
            return answer
        # Only runtui's own reads are stored under these names, because a server may send properties with these names.
        entity = {name: value for name, value in answer.entity.items() if name not in READ_BESIDES}
        if action.name == "activate":
            return answer._replace(entity=entity | await self._recent_runs(exchange, action.workflow_id, before))
        try:
            made = await all_items(self._reader.pages(f"{path}/{REPROCESSED}", "list reprocessed runs", None))
            return answer._replace(entity=entity | {REPROCESSED: made})
        except GraphError as error:
            return Answer(error.exchange, None, error.fault)

    async def _recent_runs(self, now: Exchange, workflow_id: str, before: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the on-demand runs since shortly before an action, under `RECENT_RUNS`, and the time of the action by
        the service's clock, under `AS_OF`.

        Each new run has the ids of its users, None if they cannot be read. The result is empty if the runs cannot be
        read, or if no answer tells the time. `now` is a recent answer, `before` the facts stored before the action was
        sent; None if this call is before that.
        """
        kept = before or {}
        as_of = kept.get(AS_OF) or (format_ticks(ticks_of(now.answered_at)) if now.answered_at is not None else "")
        if not as_of:
            return {}
        try:
            begun = max(0, parse_ticks(as_of) - SHORTLY_BEFORE)
            listed = await all_items(self.runs(workflow_id, begun=begun))
        except (RuntuiError, ValueError):
            return {}
        runs = [run for run in listed if run.get("workflowExecutionType") == "onDemand"]
        for run in runs if before is not None else ():
            if run["id"] not in kept.get(RECENT_RUNS, ()):
                run[SUBJECT_IDS] = await self._subject_ids(workflow_id, run["id"])
        return {AS_OF: as_of, RECENT_RUNS: runs}

    async def _subject_ids(self, workflow_id: str, run_id: str) -> list[str] | None:
        try:
            results = await all_items(self.results.user_results(workflow_id, run_id))
            return [str(item["subject"]["id"]) for item in results]
        except (RuntuiError, LookupError, TypeError):
            return None

    async def preview_task_failures(self, workflow_id: str) -> Answer:
        """Return the tasks of a workflow that the service expects to fail, a list of objects under "value"; nothing is
        changed."""
        path = f"{workflow_path(workflow_id)}/previewTaskFailures"
        exchange = await self._transport.send("POST", path, purpose="previewTaskFailures", alone=True)
        body, fault = read_answer(exchange, writing=False)
        tasks = body.get("value") if body is not None else None
        if fault is None and not (isinstance(tasks, list) and all(isinstance(task, dict) for task in tasks)):
            body, fault = None, mismatch(exchange, "It has no list of tasks.", writing=False)
        return Answer(exchange, body, fault)

    async def read_runs(self, runs: Sequence[tuple[str, str]]) -> Iterable[Answer]:
        """Read at most MAX_BATCH runs (workflow id, run id), each once; an answer is parsed when it is used."""
        items = [BatchItem("GET", run_path(*run), prefer(ALL_ENUM_MEMBERS)) for run in runs]
        run_ids = [run_id for _, run_id in runs]
        return await self._side_by_side("read runs", items, run_ids, lambda n: self.run(*runs[n]), writing=False)

    async def update_runs(self, updates: Sequence[RunUpdate]) -> Iterable[Answer]:
        """Change at most MAX_BATCH runs, each as `update_run` does; the answers are as in `read_runs`."""
        root, items = self._transport.root, []
        for update in updates:
            path = self._update_url(update.workflow_id, update.run_id).removeprefix(root)
            headers = (*update.headers, ("client-request-id", update.client_request_id or str(uuid4())))
            items.append(BatchItem("PATCH", path, headers, update.body))
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
    ) -> Iterable[Answer]:
        """Return the answers to requests for some runs: by `$batch`, or one by one if the root offers none. A refusal
        or failure of the whole batch counts for each item. If a 403 is about `$batch` alone, the first item shows."""

        async def one(number: int) -> Answer:
            async with self._alone:
                return await alone(number)

        root, first = self._transport.root, list[Answer]()
        if self._reader.has_batch and len(items) > 1 and not any(refusal(root, root + item.path) for item in items):
            batch = await self._transport.send(
                "POST", BATCH_PATH, purpose=purpose, json_body=batch_of(items), alone=True
            )
            # What the answer to another batch says meanwhile does not count: this one may have been carried out.
            is_refused = self._reader.refuses_batch(batch, writing=writing)
            if is_refused and batch.status == HTTPStatus.FORBIDDEN:
                first = [await alone(0)]
                causes = {(it.status, it.code) for it in (first[0].fault, fault_of(batch, writing=writing)) if it}
                is_refused = first[0].fault is None or len(causes) > 1
                self._reader.has_batch = not is_refused
            if not is_refused:
                answers = (
                    _about(run_id, as_throttled(answer or unanswered(batch, root, item)), writing=writing)
                    for item, run_id, answer in zip(items, run_ids, answers_of(batch, root, items), strict=True)
                )
                return chain(first, islice(answers, len(first), None))
        return iter([*first, *await asyncio.gather(*map(one, range(len(first), len(items))))])

    async def ask_for_update(self) -> Exchange:
        """Ask the server what it offers at the address of `update_run`, for a run that cannot exist.

        The method is OPTIONS, which is safe (RFC 9110): it changes nothing. `Allow` names the offered methods.
        """
        url = self._update_url(_NO_ID, _NO_ID)
        return await self._transport.send("OPTIONS", url, purpose="ask for update")

    async def renew_token(self, exchange: Exchange) -> bool:
        """Get another token if the token was missing or refused; return whether to send the request again."""
        return exchange.lacks_token and await self._transport.renew_token(exchange)

    def _update_url(self, workflow_id: str, run_id: str) -> str:
        path = self._patch_path.replace("{runId}", segment(run_id)).replace("{workflowId}", segment(workflow_id))
        return self._transport.url(path)

    def target(self, operation: Operation) -> tuple[str, str]:
        """Return the method and address of `act` or `update_run`, to show them before the request is sent."""
        if isinstance(operation, ServiceAction):
            return "POST", self._transport.url(action_path(operation))
        return "PATCH", self._update_url(operation.workflow_id, operation.run_id)

    def read_target(self, workflow_id: str, run_id: str = "", result_id: str = "") -> str:
        """Return the address of a workflow, of one of its runs, or of a run's tasks for one user (by the user's
        result)."""
        if result_id:
            return self._transport.url(user_tasks_path(workflow_id, run_id, result_id))
        return self._transport.url(run_path(workflow_id, run_id) if run_id else workflow_path(workflow_id))


def etag_of(entity: Mapping[str, Any]) -> str | None:
    """Return the entity tag of an entity; None if it has none, or one that no header can carry."""
    tag = entity.get("@odata.etag")
    return tag if isinstance(tag, str) and _ETAG.fullmatch(tag) else None


def _about(run_id: str, exchange: Exchange, *, writing: bool) -> Answer:
    """Return the answer to a request for one run, or a fault if it is about another run."""
    entity, fault = read_answer(exchange, writing=writing)
    if entity is None:
        return Answer(exchange, None, fault)
    named = entity.get("id")
    if isinstance(named, str) and run_key(named) == run_key(run_id):
        return Answer(exchange, entity, fault)
    message = f"It is about {named!r}, but {run_id!r} was requested." if named else "It names no run."
    return Answer(exchange, None, mismatch(exchange, message, writing=writing))
