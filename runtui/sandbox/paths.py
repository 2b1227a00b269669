"""Paths as clients write them, and as the routes do.

Invariant: names of segments are the same in any case, a key stands in a segment of its own or as `name('key')`, and a
slash at the end means nothing; keys stay letter for letter as they are. What no route knows stays as it is, so that
the refusal repeats it. Rules: OData 4.01, "URL conventions".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

_KEYED: Final = re.compile(r"([\w$.]+)\((?:'((?:[^']|'')*)'|(\d+))\)", re.ASCII)
"""A collection and the key of one of its entities."""


class PathReader:
    """Finds the way through the paths of some routes, in which a segment in braces stands for any key, one that ends in
    `({…})` for a function.
    """

    def __init__(self, templates: Iterable[str]) -> None:
        self._templates = [template.strip("/").split("/") for template in templates]

    def canonical(self, path: str) -> str:
        """A path as the routes write it."""
        return "/" + "/".join(self._read(path)[0])

    def first_unknown(self, path: str) -> str:
        """The first segment that no route has; the last one if the path only ends too early."""
        segments, known = self._read(path)
        return segments[known] if known < len(segments) else segments[-1] if segments else ""

    def _read(self, path: str) -> tuple[list[str], int]:
        """The segments of a path, and how many of them some route has."""
        waiting = [segment for segment in path.split("/") if segment][::-1]
        templates = self._templates
        segments: list[str] = []
        known = 0
        while waiting:
            segment = waiting.pop()
            depth = len(segments)
            longer = [template for template in templates if depth < len(template)]
            fits = {pattern: _fits(pattern, segment) for pattern in {template[depth] for template in longer}}
            fitting = [template for template in longer if fits[template[depth]]]
            keyed = _KEYED.fullmatch(segment)
            if not fitting and keyed is not None:
                waiting += [keyed[3] or keyed[2].replace("''", "'"), keyed[1]]
                continue
            literal = next((template[depth] for template in fitting if not template[depth].startswith("{")), None)
            if literal is not None:
                # A name is never a key: a collection has no entity that is called like one of its segments.
                fitting = [template for template in fitting if template[depth] == literal]
                name = literal.partition("(")[0]
                segment = name + segment[len(name) :]
            known += bool(fitting)
            templates = fitting
            segments.append(segment)
        return segments, known


@lru_cache(4_096)
def _fits(pattern: str, segment: str) -> bool:
    """Whether a segment is one that a pattern stands for."""
    if pattern.startswith("{"):
        return _KEYED.fullmatch(segment) is None
    name, has_parameters, _ = pattern.partition("(")
    written, has_arguments, _ = segment.partition("(")
    return name.casefold() == written.casefold() and bool(has_parameters) == bool(has_arguments)


class CanonicalPaths:
    """ASGI middleware: every path as the routes write it, whoever sees it next."""

    def __init__(self, app: ASGIApp, reader: PathReader) -> None:
        self._app = app
        self._reader = reader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["path"] = self._reader.canonical(scope["path"])
        await self._app(scope, receive, send)
