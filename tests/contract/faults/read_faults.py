"""The faults that the read-back of a run can meet after a change was sent, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tests.contract.faults.fault_server import Behaviour, Call, honest
from tests.contract.raw_server import answer


async def _reset(call: Call) -> None:
    call.connection.reset()


async def _closed(call: Call) -> None:
    call.close()


async def _cut(call: Call) -> None:
    whole = call.honestly()
    call.answer(whole[: len(whole) * 3 // 4])
    await call.connection.writer.drain()
    call.close()


async def _silence(call: Call) -> None:
    call.server.forward()
    await call.connection.until_closed()


def _refused(status: str, headers: str = "") -> Behaviour:
    async def behave(call: Call) -> None:
        call.answer(call.server.refusal(call.request, status, headers))

    return behave


def _page(status: str, body: bytes) -> Behaviour:
    async def behave(call: Call) -> None:
        call.answer(answer(body, status=status, headers="Content-Type: text/html\r\n"))

    return behave


def _shown(change: Callable[[Call], dict[str, Any]]) -> Behaviour:
    """Answer with a changed representation of the run."""

    async def behave(call: Call) -> None:
        call.answer(call.server.graph(call.request, "200 OK", change(call)))

    return behave


def _run(call: Call) -> dict[str, Any]:
    return call.server.run(call.request.run_id)


def _stale(call: Call) -> dict[str, Any]:
    return call.server.run_before(call.request.run_id)


def _lacking(*names: str) -> Behaviour:
    return _shown(lambda call: {name: value for name, value in _run(call).items() if name not in names})


READ_FAULTS: Final[dict[str, Behaviour]] = {
    "none": honest,
    "reset": _reset,
    "closed": _closed,
    "cut": _cut,
    "silence": _silence,
    "404": _refused("404 Not Found"),
    "500": _refused("500 Internal Server Error"),
    "503": _refused("503 Service Unavailable", "Retry-After: 1\r\n"),
    "429": _refused("429 Too Many Requests", "Retry-After: 1\r\n"),
    "502 of a gateway": _page("502 Bad Gateway", b"<html><title>Bad Gateway</title></html>"),
    "a web page": _page("200 OK", b"<html><title>Sign in</title></html>"),
    "nothing": _page("200 OK", b""),
    "stale": _shown(_stale),
    "without what was changed": _lacking("failedTasksCount", "processingStatus", "completedDateTime"),
    "without a count": _lacking("failedTasksCount"),
    "without other properties": _lacking("successfulUsersCount", "startedDateTime", "lastUpdatedDateTime"),
    "without its ETag": _lacking("@odata.etag"),
    "another run": _shown(lambda call: {**_run(call), "id": "another"}),
    "no run": _shown(lambda _call: {}),
}
