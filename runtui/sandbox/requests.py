"""The parts of a request (path, query options, preferences, body), and the URLs in the response to it.

Invariant: an option that is given twice, or a body that cannot be read, raises GraphError. Of the spellings of a path
there is the one that runtui sends: each key is a segment of its own, and names are as in the reference. Rules:
Microsoft Graph, "Use query parameters", and OData 4.01, "URL conventions".
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple, NoReturn
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from runtui.sandbox.database import Database
from runtui.sandbox.errors import GraphError, bad_request, method_not_allowed, unknown_segment
from runtui.sandbox.query import MAX_PAGE_SIZE

_PAGE_SIZE: Final = re.compile(r"(?:odata\.)?maxpagesize=(\d{1,9})", re.ASCII)


class Preferences(NamedTuple):
    """The preferences of a request (`Prefer` headers) that the service honours."""

    page_size: int | None
    newer_members: bool


def database_of(request: Request) -> Database:
    database = request.app.state.database
    assert isinstance(database, Database)  # noqa: S101 - create_app put it there
    return database


def options_of(request: Request) -> dict[str, str]:
    """Return the query options by name; 400 if one is given twice."""
    options: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in options:
            message = f"Query option '{name}' was specified more than once, but it must be specified at most once."
            raise bad_request(message)
        options[name] = value
    return options


def preferences_of(request: Request) -> Preferences:
    words = [word.strip() for line in request.headers.getlist("prefer") for word in line.split(",")]
    sizes = [int(match[1]) for word in words if (match := _PAGE_SIZE.fullmatch(word))]
    page_size = min(sizes[0], MAX_PAGE_SIZE) if sizes and sizes[0] > 0 else None
    return Preferences(page_size, "include-unknown-enum-members" in words)


def segments_of(request: Request) -> list[str]:
    """Return the segments of the path below the version."""
    return str(request.scope["path"]).split("/")[2:]


def context_of(request: Request, metadata: str, select: Iterable[str] = ()) -> str:
    columns = f"({','.join(select)})" if select else ""
    return f"{request.url.scheme}://{request.url.netloc}{request.scope['root_path']}/$metadata#{metadata}{columns}"


def link_of(request: Request, options: Mapping[str, str]) -> str:
    """Return the URL of this request with other query options."""
    query = "&".join(f"{quote(name, safe='$')}={quote(value, safe='')}" for name, value in options.items())
    return f"{request.url.scheme}://{request.url.netloc}{quote(request.url.path)}?{query}"


def read_json(content_type: str | None, body: bytes) -> Any:
    """Return the JSON value of a request body; 415 if the content type is another, 400 if the body is not JSON."""
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        message = f"The content type '{media_type}' is not supported; send application/json."
        raise GraphError(415, "UnsupportedMediaType", message)
    if not body.strip():
        raise bad_request("Empty Payload. JSON content expected.")
    try:
        return json.loads(body.decode(), object_pairs_hook=_object_without_repeats, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"Unable to read JSON request payload. {error}") from error


def _object_without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("The payload has a property more than once.")
    return value


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON value.")


Endpoint = Callable[[Request], Awaitable[Response]]


class Route(NamedTuple):
    """The endpoint for a method and the paths of a template, in which `{key}` stands for any key."""

    path: str
    endpoint: Endpoint
    method: str = "GET"


class RouteTable:
    """Finds the endpoint for the path of a request."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._endpoints: dict[tuple[str, ...], dict[str, Endpoint]] = {}
        for route in routes:
            methods = self._endpoints.setdefault(tuple(route.path.strip("/").split("/")), {})
            methods[route.method] = route.endpoint
        self._beginnings = {template[:depth] for template in self._endpoints for depth in range(1, len(template) + 1)}
        self._names = {segment for template in self._endpoints for segment in template}

    def endpoint(self, request: Request) -> Endpoint:
        """Return the endpoint for a request, whose `root_path` becomes the version.

        Raises:
            GraphError: no route has the path. The error names the first segment that no route has; the last one if the
                path only ends too early.
        """
        segments = request.scope["path"].split("/")[1:]
        # A name is never a key: no entity has one as its key.
        template = tuple(segment if segment in self._names else "{key}" for segment in segments)
        methods = self._endpoints.get(template)
        if methods is None:
            known = sum(template[:depth] in self._beginnings for depth in range(1, len(template) + 1))
            raise unknown_segment(segments[min(known, len(segments) - 1)])
        if request.method not in methods:
            raise method_not_allowed({"Allow": ", ".join(methods)})
        request.scope["root_path"] = f"/{segments[0]}"
        return methods[request.method]
