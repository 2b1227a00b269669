"""Which run is which: the same one under another name of its server, or with its id in another spelling.

Invariant: two names are told apart only where they may lead to two runs, so a guard that asks here never lets two
changes of one run pass each other. Names are compared, never replaced: what was sent or recorded stays as it was.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from runtui.auth.clouds import is_loopback

_VERSION: Final = re.compile(r"/(?:beta|v[0-9]+(?:\.[0-9]+)?)$")
_PORTS: Final = {"http": 80, "https": 443}
_THIS_MACHINE: Final = "localhost"


@lru_cache(maxsize=256)
def server_key(root: str) -> str:
    """What all names of one server have in common.

    Graph's versions (`/beta`, `/v1.0`) are views of the same runs, every loopback name is this machine, and host and
    path are the same in upper case. The port tells servers apart, whichever scheme it speaks.
    """
    try:
        parts = urlsplit(root.lower())
        host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return root.lower()  # no address; it is itself alone
    return f"{_host_key(host)}:{port}{_VERSION.sub('', parts.path.rstrip('/'))}"


def run_key(run_id: str) -> str:
    """What all spellings of one run's id have in common: GUIDs compare without regard to case (RFC 9562, section 4)."""
    return run_id.lower()


def same_server(root: str, other: str) -> bool:
    """Whether two roots are names of one server."""
    return server_key(root) == server_key(other)


def same_run(run_id: str, other: str) -> bool:
    """Whether two ids of one server name the same run."""
    return run_key(run_id) == run_key(other)


def _host_key(host: str) -> str:
    if is_loopback(host):
        return _THIS_MACHINE
    try:
        return ipaddress.ip_address(host).compressed
    except ValueError:
        return host
