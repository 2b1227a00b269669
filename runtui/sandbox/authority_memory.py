"""The authority without a socket: an HTTP client, as a sign-in library takes one, that asks it in memory.

Invariant: it reaches the authority's own address and nothing else; no request leaves the process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

from runtui.sandbox.authority import Authority

Parameters = Mapping[str, object] | None


@dataclass(frozen=True, slots=True)
class MemoryResponse:
    """An answer with the four things that sign-in libraries look at."""

    status_code: int
    headers: Mapping[str, str]
    text: str

    def raise_for_status(self) -> None:
        """Nothing, unless it is a refusal.

        Raises:
            OSError: it is one, as the libraries' own errors are.
        """
        if self.status_code >= 400:
            raise OSError(f"HTTP {self.status_code} {HTTPStatus(self.status_code).phrase}")


class MemoryHttp:
    """What MSAL takes as its `http_client`.

    Args:
        authority: who answers.
        pause: waits some seconds, for answers that take their time; a test hands in its own.
    """

    def __init__(self, authority: Authority, pause: Callable[[float], None] = time.sleep) -> None:
        self._authority = authority
        self._pause = pause

    def get(
        self, url: str, params: Parameters = None, headers: Mapping[str, str] | None = None, **_options: object
    ) -> MemoryResponse:
        """Ask by GET.

        Raises:
            ConnectionError: the address is not the authority's.
        """
        return self._send("GET", url, params, headers, None)

    def post(
        self,
        url: str,
        params: Parameters = None,
        data: Parameters = None,
        headers: Mapping[str, str] | None = None,
        **_options: object,
    ) -> MemoryResponse:
        """Ask by POST.

        Raises:
            ConnectionError: the address is not the authority's.
        """
        return self._send("POST", url, params, headers, data)

    def close(self) -> None:
        """There is nothing to close."""

    def _send(
        self, method: str, url: str, params: Parameters, headers: Mapping[str, str] | None, data: Parameters
    ) -> MemoryResponse:
        parts = urlsplit(url)
        if f"{parts.scheme}://{parts.netloc}" != self._authority.base:
            raise ConnectionError(f"{parts.netloc} cannot be reached: only the sandbox's own sign-in can.")
        form = {**dict(parse_qsl(parts.query)), **_texts(params), **_texts(data)}
        small = {name.lower(): str(value) for name, value in (headers or {}).items() if value is not None}
        answer = self._authority.handle(method, parts.path, small, form)
        if answer.delay:
            self._pause(answer.delay)
        return MemoryResponse(answer.status, answer.headers, answer.body.decode())


def _texts(parameters: Parameters) -> dict[str, str]:
    """Parameters as a form would carry them: None is left out, bytes are text."""
    return {
        name: value.decode() if isinstance(value, bytes) else str(value)
        for name, value in (parameters or {}).items()
        if value is not None
    }
