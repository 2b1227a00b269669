"""What runtui asks of Graph, by name: workflows, runs, one run, the results of a run, the update of a run.

Invariant: an answer reaches the caller only when it is a JSON object about the thing that was asked for. What is
sent as a body is the text that was given, byte for byte.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from runtui.errors import ExitCode, RuntuiError, UsageError
from runtui.graph.exchange import Exchange, Outcome
from runtui.graph.faults import Fault, mismatch, read_answer
from runtui.graph.transport import Transport
from runtui.settings import PATCH_PATH

WORKFLOWS_PATH = "/identityGovernance/lifecycleWorkflows/workflows"

PAGE_SIZE = 999
"""Items asked for in one page; Graph documents no size for these collections and may send fewer."""

MAX_EMPTY_PAGES = 50
"""Empty pages in a row, each with a next link, that are believed. OData allows them; a loop looks the same."""

# Members after an enum's sentinel are sent only to those who ask; without it they read "unknownFutureValue".
_ALL_ENUM_MEMBERS = "include-unknown-enum-members"


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a collection, each item with a non-empty `id`, and the exchange that brought it."""

    items: tuple[dict[str, Any], ...]
    exchange: Exchange


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one request: the entity, a fault, or neither when a write was answered without a body."""

    exchange: Exchange
    entity: dict[str, Any] | None
    fault: Fault | None


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

    Ids are opaque. One that cannot be part of an address (empty, or with a slash or a control character in it) is
    refused by the transport's guard: the answer is then a fault, and nothing was sent.
    """

    def __init__(self, transport: Transport, *, patch_path: str = PATCH_PATH) -> None:
        if not patch_path.startswith("/") or "{runId}" not in patch_path:
            raise UsageError(
                "This path cannot be used for changes",
                f"{patch_path!r} has to start with a slash and to name {{runId}}.",
                f"The default is {PATCH_PATH}.",
            )
        self._transport = transport
        self._patch_path = patch_path

    def workflows(self, *, page_size: int = PAGE_SIZE) -> AsyncIterator[Page]:
        """All workflows, page by page; GraphError when the listing cannot go on."""
        return self._pages(WORKFLOWS_PATH, "list workflows", page_size)

    def runs(self, workflow_id: str, *, page_size: int = PAGE_SIZE) -> AsyncIterator[Page]:
        """All runs of one workflow, page by page; GraphError when the listing cannot go on."""
        return self._pages(f"{WORKFLOWS_PATH}/{_segment(workflow_id)}/runs", "list runs", page_size)

    def user_results(self, workflow_id: str, run_id: str, *, page_size: int = PAGE_SIZE) -> AsyncIterator[Page]:
        """What became of each user in a run, page by page; GraphError when the listing cannot go on."""
        path = f"{_run_path(workflow_id, run_id)}/userProcessingResults"
        return self._pages(path, "list user results", page_size)

    def task_results(self, workflow_id: str, run_id: str, *, page_size: int = PAGE_SIZE) -> AsyncIterator[Page]:
        """What became of each task in a run, page by page; GraphError when the listing cannot go on."""
        path = f"{_run_path(workflow_id, run_id)}/taskProcessingResults"
        return self._pages(path, "list task results", page_size)

    async def run(self, workflow_id: str, run_id: str) -> Answer:
        """One run, as it is now."""
        exchange = await self._transport.send(
            "GET", _run_path(workflow_id, run_id), purpose="read run", headers=_prefer(_ALL_ENUM_MEMBERS)
        )
        return _about(run_id, exchange, writing=False)

    async def update_run(self, workflow_id: str, run_id: str, body: str) -> Answer:
        """Change one run; `body` is the JSON to send. The entity is None when the server answers without a body."""
        method, url = self.write_target(workflow_id, run_id)
        exchange = await self._transport.send(
            method, url, purpose="update run", json_body=body, headers=_prefer(_ALL_ENUM_MEMBERS)
        )
        return _about(run_id, exchange, writing=True)

    def write_target(self, workflow_id: str, run_id: str) -> tuple[str, str]:
        """The method and the address of `update_run`, to be shown before anything is sent."""
        path = self._patch_path.replace("{runId}", _segment(run_id)).replace("{workflowId}", _segment(workflow_id))
        return "PATCH", self._transport.url(path)

    async def _pages(self, path: str, purpose: str, page_size: int) -> AsyncIterator[Page]:
        """Follow next links verbatim, under the same root only, until there is none; a link never twice."""
        # A next link does not carry headers on, so each page asks again.
        headers = _prefer(_ALL_ENUM_MEMBERS, f"odata.maxpagesize={page_size}")
        link: str | None = path
        seen: set[str] = set()
        empty = 0
        while link is not None:
            seen.add(link)
            exchange = await self._transport.send("GET", link, purpose=purpose, headers=headers)
            body, fault = read_answer(exchange, writing=False)
            if body is None or fault is not None:
                raise GraphError(fault or mismatch(exchange, "The answer is empty.", writing=False), exchange)
            items = _items(body, exchange)
            empty = 0 if items else empty + 1
            yield Page(items, exchange)
            link = body.get("@odata.nextLink") or None
            if link is not None and (not isinstance(link, str) or link in seen or empty > MAX_EMPTY_PAGES):
                raise GraphError(mismatch(exchange, "Its next links lead nowhere new.", writing=False), exchange)


def _items(body: dict[str, Any], exchange: Exchange) -> tuple[dict[str, Any], ...]:
    items = body.get("value")
    if not isinstance(items, list):
        raise GraphError(mismatch(exchange, 'The answer has no list "value".', writing=False), exchange)
    if not all(isinstance(item, dict) and isinstance(item.get("id"), str) and item["id"] for item in items):
        raise GraphError(mismatch(exchange, 'An item of the list has no "id".', writing=False), exchange)
    return tuple(items)


def _about(run_id: str, exchange: Exchange, *, writing: bool) -> Answer:
    """The answer to a request for one run, unless it is about another one."""
    entity, fault = read_answer(exchange, writing=writing)
    if entity is None:
        return Answer(exchange, None, fault)
    named = entity.get("id")
    if isinstance(named, str) and named.lower() == run_id.lower():
        return Answer(exchange, entity, fault)
    message = f"It is about run {named!r}, and {run_id!r} was asked for." if named else "It names no run."
    return Answer(exchange, None, mismatch(exchange, message, writing=writing))


def _run_path(workflow_id: str, run_id: str) -> str:
    return f"{WORKFLOWS_PATH}/{_segment(workflow_id)}/runs/{_segment(run_id)}"


def _segment(text: str) -> str:
    """An id as one segment of a path."""
    return quote(text, safe="", errors="replace")


def _prefer(*preferences: str) -> tuple[tuple[str, str], ...]:
    return (("Prefer", ", ".join(preferences)),)
