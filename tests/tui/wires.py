"""A small scripted Graph, for answers that the sandbox never gives."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

Answer = Callable[[dict[str, Any]], httpx.Response]

NEWEST: Final = "run-4"
"""The run under the cursor at the start, which is the one that started last."""


def reply(status: int, body: Any = None, headers: dict[str, str] | None = None) -> httpx.Response:
    """Return a response that is not read yet, as from a network; `bytes` and `str` are sent as they are."""
    content = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    if body is None:
        content = b""
    kind = "text/html" if isinstance(body, str) else "application/json"
    return httpx.Response(status, headers={"content-type": kind} | (headers or {}), stream=httpx.ByteStream(content))


def a_run(number: int) -> dict[str, Any]:
    """Return a run as Graph sends it."""
    return {
        "id": f"run-{number}",
        "processingStatus": "failed",
        "workflowExecutionType": "scheduled",
        "scheduledDateTime": f"2026-11-20T09:15:{number:02}.9206151Z",
        "startedDateTime": f"2026-11-20T09:16:{number:02}Z",
        "completedDateTime": None,
        "lastUpdatedDateTime": "2026-11-20T10:00:00Z",
        "totalUsersCount": 3,
        "successfulUsersCount": 1,
        "failedUsersCount": 2,
        "failedTasksCount": 2,
        "totalUnprocessedTasksCount": 0,
    }


@dataclass
class Graph:
    """One workflow and its runs; the fields replace the usual answers."""

    runs: dict[str, dict[str, Any]] = field(default_factory=lambda: {f"run-{n}": a_run(n) for n in range(5)})
    answer_to_list: Callable[[], httpx.Response] | None = None
    answer_to_patch: Answer | None = None
    answer_to_results: Callable[[], httpx.Response] = lambda: reply(200, {"value": []})
    users: dict[str, dict[str, Any]] | None = None
    """The directory; None if it may not be read."""
    patches: list[bytes] = field(default_factory=list)

    @property
    def wire(self) -> httpx.MockTransport:
        """The transport to this Graph."""
        return httpx.MockTransport(self._handle)

    def _handle(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.endswith("/$batch"):
            return self._batch(request)
        if request.method == "PATCH":
            return self._patch(request)
        if path.endswith("/runs") or path.endswith("/workflows"):
            if self.answer_to_list is not None:
                return self.answer_to_list()
            items = list(self.runs.values()) if path.endswith("/runs") else [{"id": "w1", "displayName": "Onboard"}]
            return reply(200, {"value": items})
        if path.endswith("/$batch"):
            return reply(404, {"error": {"code": "UnknownError", "message": "There is no $batch."}})
        if "/users/" in path:
            user = (self.users or {}).get(path.rsplit("/", 1)[1])
            return reply(403 if self.users is None else 404 if user is None else 200, user or {"error": {"code": "No"}})
        if path.endswith("Results"):
            return self.answer_to_results()
        return reply(200, self.runs[path.rsplit("/", 1)[1]])

    def _batch(self, request: httpx.Request) -> httpx.Response:
        """Answer each request of a batch by itself (Graph: POST /$batch)."""
        responses = []
        for part in json.loads(request.content)["requests"]:
            url = request.url.join(f"x/../{part['url'].lstrip('/')}")
            answer = self._handle(httpx.Request(part["method"], url, content=json.dumps(part.get("body")).encode()))
            body = json.loads(answer.read() or b"null")
            headers = dict(answer.headers)
            responses.append({"id": part["id"], "status": answer.status_code, "headers": headers, "body": body})
        return reply(200, {"responses": responses})

    def _patch(self, request: httpx.Request) -> httpx.Response:
        self.patches.append(request.content)
        run_id = request.url.path.rsplit("/", 1)[1]
        entity = self.runs[run_id] | {
            name: value for name, value in json.loads(request.content).items() if not name.startswith("@")
        }
        if self.answer_to_patch is not None:
            return self.answer_to_patch(entity)
        self.runs[run_id] = entity
        return reply(200, entity)


@dataclass
class Slow:
    """A Graph that delays the answer to the read of a run."""

    graph: Graph = field(default_factory=Graph)
    reads: int = 0
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    trouble: Any = None

    @property
    def wire(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._handle)

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET" and request.url.path.endswith(f"/{NEWEST}"):
            self.reads += 1
            await self.may_answer.wait()
            if self.trouble is not None:
                answer: httpx.Response = self.trouble()
                return answer
        return self.graph._handle(request)

    def move(self, **values: Any) -> None:
        """Change the run as somebody else."""
        self.graph.runs[NEWEST] = self.graph.runs[NEWEST] | values


class Held(httpx.AsyncBaseTransport):
    """A network that delays all requests while it is held."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self._free = asyncio.Event()
        self._free.set()

    def hold(self) -> None:
        """Delay every request from now on."""
        self._free.clear()

    def release(self) -> None:
        """Send the delayed requests, and new ones at once."""
        self._free.set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self._free.wait()
        return await self._inner.handle_async_request(request)
