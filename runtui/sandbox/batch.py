"""POST /$batch: up to 20 requests in one, each answered as if it had come alone.

Invariant: an item is answered as a request is, so it has its own status, headers and ids. All items are carried out at
the same time; a batch that is malformed or asks for an order (`dependsOn`) is refused before any is. Rules: Microsoft
Graph, "Combine multiple HTTP requests using JSON batching".
"""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope

from runtui.sandbox.errors import bad_request
from runtui.sandbox.exchange import GraphResponse, receive_once
from runtui.sandbox.requests import Endpoint, read_json

_MAX_ITEMS: Final = 20
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})


class _BatchItem(NamedTuple):
    """One request of a batch, well-formed."""

    id: str
    method: str
    url: str
    headers: dict[str, str]
    body: Any


async def post_batch(request: Request, respond: Endpoint) -> Response:
    """Answer a batch: 200 whatever the statuses of its items, 400 if it is malformed. `respond` answers an item."""
    items = _items(read_json(request.headers.get("content-type"), await request.body()))
    answers = await asyncio.gather(*(_answer(request, item, respond) for item in items))
    return GraphResponse({"responses": answers})


def _items(body: Any) -> list[_BatchItem]:
    requests = body.get("requests") if isinstance(body, dict) else None
    if not isinstance(requests, list) or not requests:
        raise bad_request("Invalid batch payload format.")
    if len(requests) > _MAX_ITEMS:
        raise bad_request(f"Number of batch request steps exceeds the maximum value of {_MAX_ITEMS}.")
    items = [_item(raw) for raw in requests]
    if len({item.id.lower() for item in items}) < len(items):
        raise bad_request("Invalid batch: the ids of its requests must be unique; case does not tell them apart.")
    return items


def _item(raw: Any) -> _BatchItem:
    if not isinstance(raw, dict):
        raise bad_request("Invalid batch payload format.")
    key, method, url = raw.get("id"), raw.get("method"), raw.get("url")
    headers = raw.get("headers", {})
    if not (isinstance(key, str) and key and isinstance(url, str) and str(method).upper() in _METHODS):
        raise bad_request("Invalid batch: a request needs an id, a method and a url.")
    if not _is_plain(url) or "://" in url or url.lstrip("/").startswith("$batch"):
        raise bad_request("Invalid batch: a url is relative to the version, and is no batch itself.")
    if not isinstance(headers, dict) or not all(
        isinstance(value, str) and name and _is_plain(name + value) for name, value in headers.items()
    ):
        raise bad_request("Invalid batch: headers are an object of strings.")
    if raw.get("body") is not None and not any(name.lower() == "content-type" for name in headers):
        raise bad_request("Invalid batch: a request with a body needs a Content-Type header.")
    if raw.get("dependsOn"):
        raise bad_request("dependsOn is not supported here.")
    return _BatchItem(key, str(method).upper(), url, headers, raw.get("body"))


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


async def _answer(request: Request, item: _BatchItem, respond: Endpoint) -> dict[str, Any]:
    body = b"" if item.body is None else json.dumps(item.body).encode()
    scope, receive = _scope(request, item), receive_once(body, request.receive)
    response = await respond(Request(scope, receive))
    answer: dict[str, Any] = {"id": item.id, "status": response.status_code, "headers": dict(response.headers)}
    if received := await _body_of(response, scope, receive):
        is_json = response.headers.get("content-type", "").startswith("application/json")
        answer["body"] = json.loads(received) if is_json else base64.b64encode(received).decode()
    return answer


async def _body_of(response: Response, scope: Scope, receive: Receive) -> bytes:
    """Return the body of a response as it would be sent: slowly, or not at all, if a scenario says so."""
    chunks: list[bytes] = []

    async def take(message: Message) -> None:
        chunks.append(message.get("body", b""))

    await response(scope, receive, take)
    return b"".join(chunks)


def _scope(request: Request, item: _BatchItem) -> Scope:
    """Return the ASGI scope of an item: its request line and headers; token and host default to those of the batch."""
    path, _, query = item.url.partition("?")
    headers = {name.lower(): value for name, value in item.headers.items()}
    for name in ("authorization", "host"):
        headers.setdefault(name, request.headers.get(name, ""))
    version = request.scope["root_path"]
    raw_path = f"{version}/{path.lstrip('/')}"
    return {
        **{name: request.scope[name] for name in ("type", "asgi", "app", "http_version", "scheme", "server", "client")},
        "method": item.method,
        "root_path": "",
        "path": unquote(raw_path),
        "raw_path": raw_path.encode(),
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "state": {},
    }
