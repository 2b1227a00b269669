"""Shared by the connections to Graph and to the sign-in service: httpx, the trusted certificates, the proxy, bodies.

Invariant: whoever imports httpx has called `load_httpx` first. A certificate is always verified, by the same rules on
every Python: the operating system's and those of an own file are trusted. This machine is never reached through a
proxy, and no user or password of a proxy is shown. A body is never decompressed beyond its limit.
"""

from __future__ import annotations

import logging
import os
import ssl
import sys
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from runtui.config import check_regular
from runtui.graph.exchange import FailureKind
from runtui.graph.root import root_is_loopback
from runtui.unused_modules import IMPORT_LOCK, without_unused

WireT = TypeVar("WireT")

LARGE_BODY = 128 * 1024
"""The size in bytes from which glibc gives a block its own mapping; this is its initial value."""

_CHOSEN = "proxy (--proxy, RUNTUI_PROXY, or the profile)"


def load_httpx() -> None:
    """Import httpx for its transports alone, with the event loop support that its first request would load.

    httpcore searches for sniffio several times per request, and works without: one search is enough.
    """
    if "httpx" not in sys.modules:
        with without_unused("httpx"):
            import httpcore  # noqa: F401 - which httpx loads for its first transport
            import httpx  # noqa: F401
        import anyio

        anyio.run(anyio.sleep, 0)
        if find_spec("sniffio") is None:
            sys.modules["sniffio"] = None  # type: ignore[assignment]
    # At INFO they log whole addresses, at DEBUG cookies.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)


@cache
def return_large_blocks() -> None:
    """From now on, return the memory of a large body to the system once it is read.

    glibc stops doing so after the first such block, and keeps them in an arena per thread: 30 MB after a listing, and 5
    MB of smaller blocks, which two arenas share (mallopt(3)).
    """
    _call_glibc("mallopt", -3, LARGE_BODY)  # M_MMAP_THRESHOLD
    _call_glibc("mallopt", -8, 2)  # M_ARENA_MAX


def return_free_memory() -> None:
    """Return to the system what is free between blocks in use, which glibc keeps (malloc_trim(3)): 10 MB after a
    million runs were listed. Call it in a thread: it takes milliseconds."""
    return_large_blocks()
    _call_glibc("malloc_trim", 0)


def _call_glibc(function: str, *numbers: int) -> None:
    """Call a function of glibc. Any other C library is left alone."""
    import ctypes

    with suppress(AttributeError):
        getattr(ctypes.CDLL(None), function)(*numbers)


def tls_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """Return a context that trusts what the operating system trusts, and the certificates of `ca_file` (PEM).

    It reads files for about 20 ms: call it in a thread.

    Raises:
        OSError: the file cannot be read, or has no certificate.
    """
    context = _system_trust()
    # A file with the issuing authority, or with the server's own certificate, is enough, because the root is often not
    # at hand. Python has this as its default from 3.13 on.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # Company authorities often lack the key identifiers that RFC 5280 asks for; Python refuses those from 3.13 on.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    # RFC 9110, 4.3.4: a server's name is in subjectAltName. Without one, OpenSSL would accept the common name.
    context.hostname_checks_common_name = False
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context


def _system_trust() -> ssl.SSLContext:
    if sys.platform == "linux":
        for variable in ("SSL_CERT_FILE", "SSLKEYLOGFILE"):
            if path := os.environ.get(variable):
                check_regular(Path(path))
        context = ssl.create_default_context()
        # Load the bundle once, here: truststore would load it again for each connection, on the event loop.
        if context.get_ca_certs():
            return context
    import truststore

    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Proxy(NamedTuple):
    """A proxy on the way to a server."""

    url: str
    """Its address, with the user and the password if it has any."""
    source: str
    """The variable or the option that sets it."""

    @property
    def place(self) -> str:
        """Host and port, to be shown."""
        return self.url.partition("://")[2].rpartition("@")[2].strip("/")


def new_wire(kind: Callable[..., WireT], context: ssl.SSLContext, proxy: Proxy | None, **options: Any) -> WireT:
    """Return a transport of httpx, direct or through a proxy; a proxy that speaks TLS is trusted by the same context.

    Raises:
        ValueError, ImportError, httpx.InvalidURL: there can be no such proxy, or it needs a package.
    """
    import httpx

    through = None
    if proxy is not None:
        url = httpx.URL(proxy.url)
        if url.port is not None and url.port > 65_535:  # httpx accepts it, and fails at each request
            raise ValueError(f"The proxy of {proxy.source} has the port {url.port}, and there is no such port")
        through = httpx.Proxy(url, ssl_context=context if url.scheme == "https" else None)
    with without_unused("httpx"):  # each time it would import certifi, whose certificates it does not get
        return kind(context, proxy=through, **options)


def proxy_of(root: str, chosen: str = "") -> Proxy | None:
    """Return the proxy on the way to a parsed root; None if there is none. The option `chosen` overrides the
    environment."""
    if root_is_loopback(root):
        return None
    if chosen:
        return Proxy(chosen, _CHOSEN)
    if sys.platform == "linux" and not any(name.lower().endswith("_proxy") for name in os.environ):
        return None  # Linux has no other place for them, and this module takes 20 ms:
    with IMPORT_LOCK:
        from urllib.request import getproxies, proxy_bypass
    proxies = getproxies()
    scheme = next((scheme for scheme in ("https", "all") if proxies.get(scheme)), "")
    if not scheme or proxy_bypass(urlsplit(root).hostname or ""):
        return None
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper())
    source = next((name for name in names if os.environ.get(name)), "the proxy settings of the system")
    address = proxies[scheme]
    return Proxy(address if "://" in address else f"http://{address}", source)


class BodyError(Exception):
    """A body that cannot be read completely: `kind` and one sentence."""

    def __init__(self, kind: FailureKind, what: str) -> None:
        super().__init__(what)
        self.kind = kind


class BoundedBody:
    """Collects the raw chunks of a body, plain or as a single gzip stream, up to `limit` decompressed bytes.

    It raises BodyError for any other Content-Encoding: no other is requested, and layers of compression turn a few
    bytes into gigabytes.
    """

    def __init__(self, content_encoding: str, limit: int) -> None:
        encoding = content_encoding.strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip"):
            raise BodyError(FailureKind.ENCODING, f"The answer is compressed as {encoding!r}, which was not asked for.")
        self._limit = limit
        self._unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16) if "gzip" in encoding else None
        self._data = BytesIO()
        self.truncated = False

    @property
    def data(self) -> bytes:
        return self._data.getvalue()

    def feed(self, chunk: bytes) -> None:
        """Take the next chunk; raise BodyError if it is not gzip or exceeds the limit."""
        room = self._limit - self._data.tell()
        if self._unpacker is not None:
            chunk = self._unpack(self._unpacker, chunk, room + 1)
        self._data.write(chunk[:room])
        if len(chunk) > room:
            self.truncated = True
            size = f"{self._limit / 1024 / 1024:g} MiB"
            raise BodyError(FailureKind.TOO_LARGE, f"The answer is larger than {size}; the rest was not read.")

    def finish(self) -> None:
        """End the body; raise BodyError if its gzip stream is incomplete."""
        if self._unpacker is not None and not self._unpacker.eof:
            raise BodyError(FailureKind.CUT, "The compressed answer ended before it was complete.")

    @staticmethod
    def _unpack(unpacker: zlib._Decompress, chunk: bytes, at_most: int) -> bytes:
        try:
            unpacked = unpacker.decompress(chunk, at_most)
        except zlib.error:
            raise BodyError(FailureKind.ENCODING, "The answer claims to be gzip, but is not.") from None
        if unpacker.unused_data:
            raise BodyError(FailureKind.ENCODING, "There is extra data after the compressed answer.")
        return unpacked
