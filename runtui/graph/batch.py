"""Several GETs in one request: the body of a `$batch`, and its items as exchanges of their own.

Invariant: an item is judged as if it had come alone, by its own status, headers and body; what is hidden in the whole
is hidden in each. Rules: Microsoft Graph, "Combine multiple HTTP requests using JSON batching".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

from runtui.graph.exchange import AnswerError, Exchange
from runtui.redact import redact

BATCH_PATH: Final = "/$batch"

MOST_BATCHED: Final = 20
"""GETs in one request; Graph refuses more."""

_NOT_OFFERED: Final = range(400, 500)

_KEPT_HEADERS: Final = frozenset({"content-type", "retry-after", "date", "request-id", "client-request-id"})
"""The headers of an item that somebody reads."""


def batch_of(paths: Sequence[str], headers: Iterable[tuple[str, str]]) -> str:
    """The body that asks for `paths` (below the root, percent-encoded), each with the same headers."""
    common = dict(headers)
    requests = [
        {"id": str(number), "method": "GET", "url": path, "headers": common} for number, path in enumerate(paths)
    ]
    return json.dumps({"requests": requests})


def is_batch_refused(exchange: Exchange) -> bool:
    """Whether the root offers no `$batch` at all, so that there is no use in asking again."""
    return exchange.failure is None and (exchange.status in _NOT_OFFERED or exchange.status == 501)


def answers_of(exchange: Exchange, urls: Sequence[str]) -> list[Exchange | None]:
    """The answers to the GETs of a batch, in their order; None for one that it does not hold, or not legibly.

    Args:
        exchange: The batch, asked for by `batch_of`.
        urls: The whole address of each GET.
    """
    if exchange.failure is not None or exchange.status != HTTPStatus.OK:
        return [None] * len(urls)
    try:
        shown = _items(exchange.json())
        received = shown if exchange.unredacted is None else _items(exchange.json_as_received())
    except AnswerError:
        return [None] * len(urls)
    return [_answer(exchange, url, shown.get(str(n)), received.get(str(n))) for n, url in enumerate(urls)]


def as_throttled(answer: Exchange) -> Exchange:
    """An item as `retry` judges it: it is answered 424 when the service throttled another item of its batch."""
    is_dragged_along = answer.status == HTTPStatus.FAILED_DEPENDENCY
    return replace(answer, status=HTTPStatus.TOO_MANY_REQUESTS.value) if is_dragged_along else answer


def _items(body: Any) -> dict[str, Mapping[str, Any]]:
    """The items, by id; of two with one id, the last."""
    items = body.get("responses") if isinstance(body, Mapping) else None
    return {
        item["id"]: item
        for item in (items if isinstance(items, list) else ())
        if isinstance(item, Mapping) and isinstance(item.get("id"), str)
    }


def _answer(
    batch: Exchange, url: str, shown: Mapping[str, Any] | None, received: Mapping[str, Any] | None
) -> Exchange | None:
    status = shown.get("status") if shown is not None else None
    if shown is None or received is None or type(status) is not int or status not in range(100, 600):
        return None
    headers = shown.get("headers")
    pairs = headers.items() if isinstance(headers, Mapping) else ()
    body, unredacted = _bytes(shown), _bytes(received)
    return replace(
        batch,
        method="GET",
        url=redact(url),
        request_body=None,
        status=status,
        reason=next((known.phrase for known in HTTPStatus if known == status), ""),
        response_headers=tuple(
            (name, redact(value)) for name, value in pairs if name.lower() in _KEPT_HEADERS and isinstance(value, str)
        ),
        response_body=body,
        unredacted=None if unredacted == body else unredacted,
    )


def _bytes(item: Mapping[str, Any]) -> bytes:
    body = item.get("body")
    return b"" if body is None else json.dumps(body).encode()
