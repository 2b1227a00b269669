"""Microsoft's clouds: which sign-in service belongs to which Graph.

Invariant: a token is asked for and used within one cloud. A pair that is not known here is refused, unless a person
says so in as many words, or both ends are this machine or the demo.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from runtui.errors import UsageError

_DEMO_DOMAIN: Final = ".test"
"""The end of names that no real host can have (RFC 2606)."""

_HOST: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|[0-9a-f:.]+")


@dataclass(frozen=True, slots=True)
class Cloud:
    """One cloud. `graph` is the origin of its Graph, `authority` the sign-in service to use."""

    name: str
    title: str
    graph: str
    authority: str
    also: tuple[str, ...] = ()
    """Older addresses of the same sign-in service."""

    def has_authority(self, authority: str) -> bool:
        """Whether an authority, as `parse_authority` gives it, signs in for this cloud."""
        return authority == self.authority or authority in self.also


CLOUDS: Final[Mapping[str, Cloud]] = {
    cloud.name: cloud
    for cloud in (
        Cloud("global", "Global", "https://graph.microsoft.com", "https://login.microsoftonline.com"),
        Cloud("usgov", "US Government L4", "https://graph.microsoft.us", "https://login.microsoftonline.us"),
        Cloud("dod", "US Government L5 (DoD)", "https://dod-graph.microsoft.us", "https://login.microsoftonline.us"),
        Cloud(
            "china",
            "China (21Vianet)",
            "https://microsoftgraph.chinacloudapi.cn",
            "https://login.partner.microsoftonline.cn",
            ("https://login.chinacloudapi.cn",),
        ),
    )
}


def is_loopback(host: str) -> bool:
    """Whether a host, as written in an address, is this machine: 127.0.0.0/8, ::1 or localhost."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def cloud_of_root(root: str) -> Cloud | None:
    """The cloud of a Graph root, as `parse_root` gives it; None when it is none of Microsoft's."""
    return next((cloud for cloud in CLOUDS.values() if f"{root}/".startswith(cloud.graph + "/")), None)


def cloud_of_authority(authority: str) -> Cloud | None:
    """The first cloud that a sign-in service (as `parse_authority` gives it) is part of; None when it is none of them.

    The US Government's is part of two.
    """
    return next((cloud for cloud in CLOUDS.values() if cloud.has_authority(authority)), None)


def parse_authority(text: str) -> str:
    """The address of a sign-in service as it is used everywhere: https, lower-case host, no path. A bare host will do.

    Raises:
        UsageError: it is no such address.
    """
    given = text.strip()
    try:
        parts = urlsplit(given if "://" in given else f"https://{given}")
        port = parts.port
    except ValueError:
        raise _no_authority(text) from None
    host = parts.hostname or ""
    is_plain = parts.path in ("", "/") and not (parts.query or parts.fragment or "@" in parts.netloc)
    if parts.scheme != "https" or not is_plain or not _HOST.fullmatch(host):
        raise _no_authority(text)
    host = f"[{host}]" if ":" in host else host
    return f"https://{host}" + ("" if port in (None, 443) else f":{port}")


def check_pair(root: str, authority: str, *, unsafe: bool = False) -> None:
    """Nothing, when tokens of that sign-in service may go to that Graph root.

    Args:
        root: As `parse_root` gives it.
        authority: As `parse_authority` gives it.
        unsafe: Whether a person asked for a pair of their own.

    Raises:
        UsageError: they do not belong together.
    """
    cloud = cloud_of_root(root)
    if unsafe or (cloud is not None and cloud.has_authority(authority)):
        return
    if _is_ours(root) and _is_ours(authority):
        return
    if cloud is not None:
        what = f"{authority} does not sign in for {root}; the sign-in service of that cloud is {cloud.authority}."
        raise UsageError(
            "This root and this sign-in service do not belong together", what, "Correct root or authority."
        )
    raise UsageError(
        "This is not one of Microsoft's clouds",
        f"A token of {authority} would go to {root}, and that server could use it in your name.",
        "Check the root for a slip of the pen. If the server is meant, say so: unsafe-endpoint.",
    )


def _is_ours(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    return is_loopback(host) or host.endswith(_DEMO_DOMAIN)


def _no_authority(text: str) -> UsageError:
    return UsageError(
        "This is not a sign-in service",
        f"{text.strip()!r} is no https address of a host.",
        f"Give it like {CLOUDS['global'].authority}.",
    )
