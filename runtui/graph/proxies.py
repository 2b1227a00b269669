"""Which proxy a request goes through, and who chose it.

Invariant: this machine is never reached through a proxy. No user and no password of a proxy is part of what is shown.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from runtui.graph.root import root_is_loopback

_CHOSEN = "proxy (--proxy, RUNTUI_PROXY, or the profile)"


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy on the way to a server."""

    address: str
    """Host and port, as they were written."""
    source: str
    """The variable or the option that names it."""


def proxy_of(root: str, chosen: str = "") -> Proxy | None:
    """The proxy between us and a parsed root; None where there is none.

    Args:
        root: The Graph root.
        chosen: The option `proxy`; it stands above the environment. Empty without.
    """
    if root_is_loopback(root):
        return None
    if chosen:
        return Proxy(_place(chosen), _CHOSEN)
    from urllib.request import getproxies, proxy_bypass

    proxies = getproxies()
    scheme = next((scheme for scheme in ("https", "all") if proxies.get(scheme)), "")
    if not scheme or proxy_bypass(urlsplit(root).hostname or ""):
        return None
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper())
    source = next((name for name in names if os.environ.get(name)), "the proxy settings of the system")
    return Proxy(_place(proxies[scheme]), source)


def check_environment() -> None:
    """ValueError for a proxy port that is none: httpx takes it, and fails at each request in an undeclared way."""
    from urllib.request import getproxies

    import httpx

    proxies = getproxies()
    for scheme in ("https", "all"):
        address = proxies.get(scheme, "")
        port = httpx.URL(address if "://" in address else f"http://{address}").port
        if port is not None and port > 65_535:
            raise ValueError(f"The proxy for {scheme} has the port {port}, and there is no such port")


def _place(address: str) -> str:
    return address.partition("://")[2].rpartition("@")[2].strip("/") or address.rpartition("@")[2].strip("/")
