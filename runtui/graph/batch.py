"""Several requests in one: the body of a `$batch`, and its items as separate exchanges.

Invariant: an item is judged by its own status, headers and body, as if it had come alone; what is masked in the batch
is masked in each item. A body is sent byte for byte as given. An item that is missing in the answer, or is in it twice,
counts as unanswered.

Rules: Microsoft Graph, "Combine multiple HTTP requests using JSON batching".
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final, NamedTuple, TypeAlias

from runtui.graph.exchange import AnswerError, Exchange, Failure, FailureKind
from runtui.redact import hide_secrets, redact

Headers: TypeAlias = tuple[tuple[str, str], ...]
"""Pairs of header name and value, as they are sent."""

BATCH_PATH: Final = "/$batch"

MAX_BATCH: Final = 20
"""The most requests in one batch; Graph refuses more."""

_ID_HEADER: Final = "client-request-id"
_KEPT_HEADERS: Final = frozenset({"content-type", "retry-after", "date", "request-id", _ID_HEADER})


class BatchItem(NamedTuple):
    """One request of a batch."""

    method: str
    path: str
    """The path below the root, percent-encoded."""
    headers: Headers = ()
    body: str | None = None


def batch_of(items: Iterable[BatchItem]) -> str:
    return f'{{"requests": [{", ".join(_request(number, item) for number, item in enumerate(items))}]}}'


def _request(number: int, item: BatchItem) -> str:
    headers = dict(item.headers) | ({} if item.body is None else {"Content-Type": "application/json"})
    head = json.dumps({"id": str(number), "method": item.method, "url": item.path, "headers": headers})
    return head if item.body is None else f'{head[:-1]}, "body": {item.body}}}'


def answers_of(exchange: Exchange, root: str, items: Sequence[BatchItem]) -> Iterator[Exchange | None]:
    """Yield the answers to the items of a batch, in order; None for one that is missing, repeated or unreadable.
    Nothing is read before it is used."""
    shown = received = dict[str, Mapping[str, Any]]()
    if exchange.failure is None and exchange.status == HTTPStatus.OK and not exchange.is_foreign:
        with suppress(AnswerError):
            body = exchange.json()
            shown, received = _items(body), _items(exchange.as_received(body))
    for n, item in enumerate(items):
        yield _answer(exchange, root, item, shown.get(str(n)), received.get(str(n)))


def _asked(root: str, item: BatchItem) -> dict[str, Any]:
    """Return the fields of an exchange that are known before an item is answered."""
    return {
        "method": item.method,
        "url": redact(root + item.path),
        "request_headers": item.headers,
        "request_body": None if item.body is None else hide_secrets(item.body),
    }


def unanswered(batch: Exchange, root: str, item: BatchItem) -> Exchange:
    """Return the exchange for an item without an answer: the batch was refused as a whole, or the outcome is
    unknown."""
    kept = [pair for pair in batch.response_headers if not batch.echoes_id or pair[0].lower() != _ID_HEADER]
    exchange = replace(batch, response_headers=tuple(kept), **_asked(root, item))
    if batch.failure is not None or not 200 <= (batch.status or 0) < 300 or batch.is_foreign:
        return exchange
    # A batch without a body (204) says nothing about this request either, although alone it would.
    missing = Failure(FailureKind.UNANSWERED, "maybe", "The batch has no answer to this request.")
    return replace(exchange, failure=missing)


def as_throttled(answer: Exchange) -> Exchange:
    """Return an item as `retry` judges it: a 424 means that the service throttled another item of its batch."""
    is_dragged_along = answer.status == HTTPStatus.FAILED_DEPENDENCY
    if not is_dragged_along or answer.failure is not None:
        return answer
    return replace(answer, status=HTTPStatus.TOO_MANY_REQUESTS.value, reason="Throttled with its batch (424)")


def _items(body: Any) -> dict[str, Mapping[str, Any]]:
    """Return the items by id, without those whose id occurs twice."""
    responses = body.get("responses") if isinstance(body, Mapping) else None
    items = [item for item in (responses if isinstance(responses, list) else ()) if isinstance(item, Mapping)]
    times = Counter(item["id"] for item in items if isinstance(item.get("id"), str))
    return {item["id"]: item for item in items if isinstance(item.get("id"), str) and times[item["id"]] == 1}


def _answer(
    batch: Exchange, root: str, item: BatchItem, shown: Mapping[str, Any] | None, received: Mapping[str, Any] | None
) -> Exchange | None:
    status = shown.get("status") if shown is not None else None
    if shown is None or received is None or type(status) is not int or status not in range(100, 600):
        return None
    headers = shown.get("headers")
    pairs = headers.items() if isinstance(headers, Mapping) else ()
    kept = [(name, redact(value)) for name, value in pairs if name.lower() in _KEPT_HEADERS and isinstance(value, str)]
    if all(name.lower() != "date" for name, _ in kept):  # Graph dates only the batch
        kept += [pair for pair in batch.response_headers if pair[0].lower() == "date"]
    body = _bytes(shown)
    unredacted = body if received is shown else _bytes(received)
    return replace(
        batch,
        **_asked(root, item),
        status=status,
        reason=next((known.phrase for known in HTTPStatus if known == status), ""),
        response_headers=tuple(kept),
        response_body=body,
        unredacted=None if unredacted == body else unredacted,
    )


def _bytes(item: Mapping[str, Any]) -> bytes:
    body = item.get("body")
    return b"" if body is None else json.dumps(body).encode()
