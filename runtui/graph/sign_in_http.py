"""Carries MSAL's requests with httpx instead of requests, so that both kinds of connections follow the same rules.

Invariant: trust and proxies are those for Graph. Redirects are not followed, because a 307 would carry the form with
its refresh token or secret to another place; a body is never read beyond a limit.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from runtui import __version__
from runtui.auth.clouds import is_loopback
from runtui.auth.msal_client import HttpAnswer, ServiceError
from runtui.graph.network import BodyError, BoundedBody, Proxy, load_httpx, new_wire, proxy_of, tls_context
from runtui.redact import redact

if TYPE_CHECKING:
    import httpx

_logger: Final = logging.getLogger("runtui.auth.http")

SECONDS: Final = 15.0
"""The most seconds for one step of a request; a token is a few kilobytes."""

MAX_TOKEN_BYTES: Final = 1024 * 1024
"""The most decompressed bytes of an answer; the rest is refused."""

_IDENTITY_HOST: Final = "169.254.169.254"
"""The host of Azure's service for managed identities, which is never reached through a proxy."""


class SignInHttp:
    """The client of MSAL's requests. It may be used from several threads; every method blocks.

    If no proxy is given, HTTPS_PROXY and NO_PROXY apply.

    Raises:
        ServiceError: the file cannot be used, or there is no answer.
    """

    def __init__(self, ca_file: Path | None = None, *, proxy: str = "") -> None:
        load_httpx()
        self._proxy = proxy
        self._wires: dict[Proxy | None, httpx.HTTPTransport] = {}
        try:
            self._context = tls_context(ca_file)
        except (OSError, ImportError) as error:
            raise ServiceError(redact(f"{error}.")) from None

    def close(self) -> None:
        for wire in self._wires.values():
            wire.close()

    def _wire(self, proxy: Proxy | None) -> httpx.HTTPTransport:
        """Return the connections through a proxy, or the direct ones; raise as `new_wire` does."""
        import httpx

        if proxy not in self._wires:
            self._wires[proxy] = new_wire(httpx.HTTPTransport, self._context, proxy)
        return self._wires[proxy]

    def _address(self, url: str) -> str:
        """Return the address to which a request really goes.

        Raises:
            ServiceError: it may not go there.
        """
        parts = urlsplit(url)
        host = parts.hostname or ""
        # Plain http is allowed for services on this machine and for Azure's link-local service.
        if parts.scheme != "https" and not (parts.scheme == "http" and (is_loopback(host) or host == _IDENTITY_HOST)):
            raise ServiceError("Its address is not an https address.")
        return url

    def send(self, method: str, url: str, options: Mapping[str, Any]) -> HttpAnswer:
        """Send a request with the options `params`, `headers` and `data`; others are ignored."""
        import httpx

        from runtui.graph.failures import failure_of

        url = self._address(url)
        params, data, headers = (_present(options.get(name)) for name in ("params", "data", "headers"))
        headers = {"Accept-Encoding": "gzip", "User-Agent": f"runtui/{__version__}", **headers}
        proxy = None if urlsplit(url).hostname == _IDENTITY_HOST else proxy_of(url, self._proxy)
        timeout = {"timeout": httpx.Timeout(SECONDS).as_dict()}
        try:
            request = httpx.Request(
                method, url, params=params or None, data=data or None, headers=headers, extensions=timeout
            )
            with closing(self._wire(proxy).handle_request(request)) as response:
                body = BoundedBody(response.headers.get("content-encoding", ""), MAX_TOKEN_BYTES)
                for chunk in response.iter_raw():
                    body.feed(chunk)
                body.finish()
                text = body.data.decode("utf-8", "replace")
                # Leave out the query, which may contain a code.
                _logger.info("%s %s: %d", method, url.partition("?")[0], response.status_code)
                if response.is_redirect:
                    raise ServiceError(f"It answered {response.status_code}, a redirect, which is not followed.")
                return HttpAnswer(response.status_code, dict(response.headers), text)
        except BodyError as error:
            raise ServiceError(str(error)) from None
        except (ImportError, ValueError) as error:  # there can be no such proxy, or it needs a package
            raise ServiceError(redact(f"{error}.")) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            failure = failure_of(error, may_be_sent=True, proxy=proxy)
            _logger.info("%s %s: %s", method, url.partition("?")[0], failure.message)
            raise ServiceError(failure.message) from None


class DemoSignInHttp(SignInHttp):
    """The connection to the sandbox's sign-in: requests to a `name` that no host can have, such as
    https://login.fake.test, go to a `place` on this machine.

    Raises:
        ServiceError: it is not on this machine.
    """

    def __init__(self, name: str, place: str) -> None:
        parts = urlsplit(place)
        if parts.scheme != "http" or not is_loopback(parts.hostname or ""):
            raise ServiceError("The demo's sign-in is not on this machine.")
        super().__init__()
        self._name = name
        self._place = place

    def _address(self, url: str) -> str:
        if not url.startswith(f"{self._name}/"):
            raise ServiceError("The demo contacts only the sandbox.")
        return self._place + url.removeprefix(self._name)


def _present(values: Mapping[str, Any] | None) -> dict[str, str]:
    """Return MSAL's parameters without None, which httpx would send as an empty value."""
    return {
        name: value.decode() if isinstance(value, bytes) else str(value)
        for name, value in (values or {}).items()
        if value is not None
    }
