"""Microsoft's clouds: the sign-in service that belongs to each Graph.

Invariant: a token is requested and used within one cloud. Any other pair is refused, unless a person sets
unsafe-endpoint, or both ends are this machine or the demo.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from runtui.errors import UsageError

_DEMO_DOMAIN: Final = ".test"
"""A top-level domain without real hosts (RFC 2606)."""

_HOST: Final = r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|[0-9a-f:.]+"


class Cloud(NamedTuple):
    """A cloud: `graph` is the origin of its Graph, `authority` its sign-in service, `portal` its Entra admin center.

    The admin centers are those that "Microsoft Entra FAQ" names for allow lists; `environment` is what
    `Connect-MgGraph -Environment` calls the cloud.
    """

    name: str
    title: str
    graph: str
    authority: str
    portal: str
    environment: str
    older_authorities: tuple[str, ...] = ()

    def has_authority(self, authority: str) -> bool:
        return authority == self.authority or authority in self.older_authorities


_CLOUDS: Final = (
    Cloud(
        name="global",
        title="Global",
        graph="https://graph.microsoft.com",
        authority="https://login.microsoftonline.com",
        portal="https://entra.microsoft.com",
        environment="Global",
    ),
    Cloud(
        name="usgov",
        title="US Government L4",
        graph="https://graph.microsoft.us",
        authority="https://login.microsoftonline.us",
        portal="https://entra.microsoft.us",
        environment="USGov",
    ),
    Cloud(
        name="dod",
        title="US Government L5 (DoD)",
        graph="https://dod-graph.microsoft.us",
        authority="https://login.microsoftonline.us",
        portal="https://entra.microsoft.us",
        environment="USGovDoD",
    ),
    Cloud(
        name="china",
        title="China (21Vianet)",
        graph="https://microsoftgraph.chinacloudapi.cn",
        authority="https://login.partner.microsoftonline.cn",
        portal="https://entra.microsoftonline.cn",
        environment="China",
        older_authorities=("https://login.chinacloudapi.cn",),
    ),
)
CLOUD_BY_NAME: Final[Mapping[str, Cloud]] = {cloud.name: cloud for cloud in _CLOUDS}


def is_loopback(host: str) -> bool:
    """Return True if a host is this machine: 127.0.0.0/8, ::1 or localhost."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def cloud_of_root(root: str) -> Cloud | None:
    """Return the cloud of a Graph root (as `parse_root` returns it); None if it is not Microsoft's."""
    return next((cloud for cloud in CLOUD_BY_NAME.values() if f"{root}/".startswith(cloud.graph + "/")), None)


def why_not_offered(root: str, name: str) -> str:
    """Return why a Graph root does not offer an action of lifecycle workflows; empty if it may. Only the metadata of
    the global cloud has `cancelProcessing`.
    """
    cloud = cloud_of_root(root)
    if cloud is None or cloud.name == "global" or name != "cancelProcessing":
        return ""
    return f"The cloud {cloud.title} does not offer {name}."


def cloud_of_authority(authority: str) -> Cloud | None:
    """Return the first cloud with a sign-in service (as `parse_authority` returns it); None if there is none.

    The sign-in service of the US Government serves two clouds.
    """
    return next((cloud for cloud in CLOUD_BY_NAME.values() if cloud.has_authority(authority)), None)


def parse_authority(text: str) -> str:
    """Normalize the address of a sign-in service: https, lower-case host, no path. A bare host is accepted.

    Raises:
        UsageError: the text is not such an address.
    """
    given = text.strip()
    try:
        parts = urlsplit(given if "://" in given else f"https://{given}")
        host, port = parts.hostname or "", parts.port
        is_plain = parts.path in ("", "/") and not (parts.query or parts.fragment or "@" in parts.netloc)
        is_authority = parts.scheme == "https" and is_plain and re.fullmatch(_HOST, host)
    except ValueError:
        is_authority = None
    if not is_authority:
        shown = "An address with a user name or a password" if "@" in given else repr(given)
        raise UsageError(
            "This is not a sign-in service",
            f"{shown} is not the https address of a host.",
            f"Use an address such as {CLOUD_BY_NAME['global'].authority}.",
        )
    host = f"[{host}]" if ":" in host else host
    return f"https://{host}" + ("" if port in (None, 443) else f":{port}")


def check_pair(root: str, authority: str, *, unsafe: bool = False) -> None:
    """Check that tokens of a sign-in service may go to a Graph root. `unsafe` means that unsafe-endpoint is set.

    Raises:
        UsageError: the two do not belong together.
    """
    cloud = cloud_of_root(root)
    if unsafe or (cloud is not None and cloud.has_authority(authority)):
        return
    if _is_ours(root) and _is_ours(authority):
        return
    if cloud is not None:
        message = f"{authority} is not the sign-in service for {root}; that cloud's is {cloud.authority}."
        raise UsageError("Root and authority belong to different clouds", message, "Correct root or authority.")
    raise UsageError(
        "This is not one of Microsoft's clouds",
        f"A token of {authority} would go to {root}, and that server could use it in your name.",
        "Check root for typos. If you trust that server, set unsafe-endpoint.",
    )


def _is_ours(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    return is_loopback(host) or host.endswith(_DEMO_DOMAIN)
