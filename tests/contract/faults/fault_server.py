"""A Graph with one workflow, on raw sockets, that answers as a test wants and logs what it really applied.

Invariant: `applied` has every change that was carried out, whatever was answered; nothing outlives the `async with`.
The fault of a change or a read is a function of a `Call`; `first_faults` and `read_faults` have them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from enum import Enum
from typing import Any, Final, NamedTuple
from uuid import uuid4

from tests.contract.raw_server import Connection, ConnectionServer, answer, read_request

WORKFLOW: Final = "11111111-2222-4333-8444-555555555555"
PATCHES: Final = "/beta/workflowBase/runs/"
READS: Final = f"/beta/identityGovernance/lifecycleWorkflows/workflows/{WORKFLOW}/runs/"


class Etags(Enum):
    """The ETags of runs, and the effect of If-Match."""

    NONE = "no ETags"
    ENFORCED = "enforced ETags"
    IGNORED = "ETags that nobody enforces"


class Applied(NamedTuple):
    """One change that was carried out."""

    run_id: str
    client_request_id: str
    by_gateway: bool
    """A gateway repeated the request: the client did not send this one."""


@dataclass(frozen=True, slots=True)
class Request:
    """One whole request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def run_id(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def client_request_id(self) -> str:
        return self.headers.get("client-request-id", "")


class FaultServer(ConnectionServer):
    """Use it as an async context manager.

    Args:
        etags: The ETags of runs, and the effect of If-Match.
        echoes_ids: Whether Graph's answers contain the id of the request.
        forward: Puts the event loop's clock forward beyond every deadline.
        now: Seconds on the clock that pauses are measured by.
    """

    def __init__(
        self, etags: Etags, *, echoes_ids: bool, forward: Callable[[], None], now: Callable[[], float]
    ) -> None:
        self.etags = etags
        self.forward = forward
        self.applied: list[Applied] = []
        self.arrived: list[Request] = []
        """The changes that reached this server from the client, including repeated ones."""
        self.hurried: list[str] = []
        """The ids of changes that came before the end of a wait that an answer had asked for."""
        self.at_read: Behaviour = honest
        """The behaviour at reads before a change has arrived."""
        self.at_write: list[Behaviour] = [honest]
        """The behaviours at successive changes; the last one is repeated."""
        self.at_read_back: list[Behaviour] = [honest]
        """The behaviours at successive reads after a change has arrived; the last one is repeated."""
        self.late: list[tuple[Request, int]] = []
        """The changes that a slow network delays, and the number of reads before each."""
        self._echoes_ids = echoes_ids
        self._now = now
        self._runs: dict[str, dict[str, Any]] = {}
        self._before: dict[str, dict[str, Any]] = {}
        """The runs before their last change, by run id."""
        self._not_before: dict[str, float] = {}

    # The truth.

    def new_run(self) -> dict[str, Any]:
        """Add a run; return it as a listing shows it."""
        run_id = str(uuid4())
        self._runs[run_id] = {
            "id": run_id,
            "completedDateTime": "2026-11-20T06:09:38.186588Z",
            "failedTasksCount": 2,
            "failedUsersCount": 1,
            "lastUpdatedDateTime": "2026-11-20T06:09:38.186588Z",
            "processingStatus": "completedWithErrors",
            "scheduledDateTime": "2026-11-20T06:00:01.2034518Z",
            "startedDateTime": "2026-11-20T06:00:04.5688752Z",
            "successfulUsersCount": 10,
            "totalTasksCount": 36,
            "totalUnprocessedTasksCount": 1,
            "totalUsersCount": 12,
            "workflowExecutionType": "scheduled",
        }
        self._touch(run_id)
        return self.run(run_id)

    def run(self, run_id: str) -> dict[str, Any]:
        """Return a run as it is."""
        return dict(self._runs[run_id])

    def run_before(self, run_id: str) -> dict[str, Any]:
        """Return a run as it was before its last change, or as it is if there was none."""
        return dict(self._before.get(run_id, self._runs[run_id]))

    def carry_out(self, request: Request, *, by_gateway: bool = False) -> bytes:
        """Apply a change as Graph does, or refuse it because of its If-Match. Return the answer."""
        run_id = request.run_id
        run, tag = self._runs[run_id], request.headers.get("if-match")
        if self.etags is Etags.ENFORCED and tag is not None and tag != run["@odata.etag"]:
            return self.refusal(request, "412 Precondition Failed")
        self._before[run_id] = dict(run)
        run |= {name: value for name, value in json.loads(request.body).items() if "@" not in name}
        run["lastUpdatedDateTime"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        self._touch(run_id)
        self.applied.append(Applied(run_id, request.client_request_id, by_gateway))
        return self.graph(request, "200 OK", self.run(run_id))

    def land(self) -> None:
        """Carry out the delayed changes."""
        late, self.late = self.late, []
        for request, _ in late:
            self.carry_out(request)

    def _touch(self, run_id: str) -> None:
        if self.etags is not Etags.NONE:
            self._runs[run_id]["@odata.etag"] = f'"{uuid4().hex}"'

    # Answers

    def graph(self, request: Request, status: str, body: dict[str, Any] | None, headers: str = "") -> bytes:
        """Return an answer of Graph."""
        headers += f"Date: {format_datetime(datetime.now(UTC), usegmt=True)}\r\nrequest-id: {uuid4()}\r\n"
        if self._echoes_ids:
            headers += f"client-request-id: {request.client_request_id}\r\n"
        return answer(b"" if body is None else json.dumps(body).encode(), status=status, headers=headers)

    def refusal(self, request: Request, status: str, headers: str = "") -> bytes:
        """Return a refusal of Graph."""
        error = {"code": "refused", "message": "No.", "innerError": {"client-request-id": request.client_request_id}}
        return self.graph(request, status, {"error": error}, headers)

    def asks_to_wait(self, request: Request, seconds: float) -> None:
        """Record that another change of this run must not come within that time."""
        self._not_before[request.run_id] = self._now() + seconds

    # The wire.

    async def _serve(self, connection: Connection) -> None:
        try:
            while not connection.writer.is_closing():
                await self._handle(Call(self, _parsed(await read_request(connection.reader)), connection))
                await connection.writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            return  # the client has gone, or a fault broke the connection
        finally:
            connection.writer.close()
            await asyncio.gather(connection.writer.wait_closed(), return_exceptions=True)

    async def _handle(self, call: Call) -> None:
        request = call.request
        if request.method == "PATCH":
            assert request.path.startswith(PATCHES)
            self.arrived.append(request)
            if self._now() < self._not_before.get(request.run_id, 0.0):
                self.hurried.append(request.client_request_id)
            await _next(self.at_write)(call)
            return
        assert request.path.startswith(READS)
        is_read_back = any(change.run_id == request.run_id for change in self.arrived)
        await (_next(self.at_read_back) if is_read_back else self.at_read)(call)
        waiting, self.late = self.late, []
        for late, readings in waiting:
            if readings <= 1:
                self.carry_out(late)
            else:
                self.late.append((late, readings - 1))


@dataclass(frozen=True, slots=True)
class Call:
    """One request and the connection that it came over."""

    server: FaultServer
    request: Request
    connection: Connection

    def honestly(self) -> bytes:
        """Carry the request out; return Graph's answer."""
        if self.request.method == "PATCH":
            return self.server.carry_out(self.request)
        return self.server.graph(self.request, "200 OK", self.server.run(self.request.run_id))

    def answer(self, data: bytes) -> None:
        self.connection.write(data)

    def close(self) -> None:
        self.connection.writer.close()


Behaviour = Callable[[Call], Awaitable[None]]


async def honest(call: Call) -> None:
    """Carry the request out and send the answer."""
    call.answer(call.honestly())


def _next(behaviours: list[Behaviour]) -> Behaviour:
    return behaviours.pop(0) if len(behaviours) > 1 else behaviours[0]


def _parsed(whole: bytes) -> Request:
    head, _, body = whole.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    method, path, _ = first.split(" ")
    return Request(method, path, {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}, body)
