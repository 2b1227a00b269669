"""The Graph root: where a token may go, and which names of a server or a run mean the same one.

Invariant: an address that `refusal` accepts has the root's scheme, host and port and lies below its path, however a
server, a proxy or a URL library reads it. Whatever is not plainly inside counts as outside. Two names differ only if
they may lead to two runs, so a guard based on them never lets two changes of one run pass each other; names are
compared, never replaced.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from urllib.parse import urljoin, urlsplit

from runtui.auth.clouds import is_loopback
from runtui.errors import UsageError

LONGEST_ADDRESS = 16_384
"""The most characters of an address; the opaque links of next pages are long, but not endless."""

_DEFAULT_PORTS = {"http": 80, "https": 443}

# An allow-list, not a URL parser: printable ASCII without a user name, a fragment or a backslash.
_ADDRESS = (
    r"(?ai)(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[!\"$->@-\[\]-~]*)?(?:\?(?P<query>[!\"$-\[\]-~]*))?"
)
_ROOT_PATH = r"(?a)(?:/[\w~-][\w.~-]*)*"
# A percent-encoded character with a meaning in addresses (dot, slash, backslash, question mark, hash) or a control
# character, at any level of encoding.
_DISGUISED = r"(?i)%(?:25)*(?:2e|2f|5c|3f|23|0[0-9a-f]|1[0-9a-f]|7f)"

# A link that may be joined to the address of its page: printable ASCII that does not begin like a full address.
_RELATIVE = r"(?![A-Za-z][A-Za-z0-9+.-]*:)[!-\[\]-~]+"

_VERSION = r"/(?:beta|v[0-9]+(?:\.[0-9]+)?)$"

_EXAMPLE = "Write it like https://graph.microsoft.com/beta or http://127.0.0.1:8080/beta."


def parse_root(text: str) -> str:
    """Return a Graph root in its one form: lower-case host, no default port, no trailing slash.

    Raises UsageError if `text` is no root, or if it would send a token unencrypted off this machine.
    """
    found = re.fullmatch(_ADDRESS, text.strip().rstrip("/"))
    if "@" in text:
        raise UsageError("This is not a Graph root", "A root must not contain a user name or a password.", _EXAMPLE)
    if found is None or found["query"] is not None:
        raise UsageError("This is not a Graph root", f"{text.strip()!r} is not a plain http(s) address.", _EXAMPLE)
    scheme, host, port = _origin(found)
    path = found["path"] or ""
    if not 0 < port < 65_536:
        raise UsageError("This is not a Graph root", f"There is no port {port}.", _EXAMPLE)
    if not re.fullmatch(_ROOT_PATH, path):
        raise UsageError("This is not a Graph root", f"The path {path!r} is not a plain one.", _EXAMPLE)
    if scheme == "http" and not is_loopback(host):
        raise UsageError(
            "Plain http is refused",
            f"A token sent to {host} without encryption could be read on the way.",
            "Use https; plain http is for servers on this machine (127.0.0.1, ::1, localhost).",
        )
    suffix = "" if port == _DEFAULT_PORTS[scheme] else f":{port}"
    return f"{scheme}://{host}{suffix}{path}"


def root_is_loopback(root: str) -> bool:
    """Return whether a parsed root is a server on this machine, which is never reached through a proxy."""
    found = re.fullmatch(_ADDRESS, root)
    return found is not None and is_loopback(found["host"])


def resolve_link(page: str, link: str) -> str:
    """Return the address that `link` on the page at the address `page` leads to (RFC 3986, section 5). An absolute or
    invalid link is returned as it is; `refusal` judges the result."""
    if not re.fullmatch(_RELATIVE, link):
        return link
    try:
        return urljoin(page, link)
    except ValueError:
        return link


def refusal(root: str, address: str) -> str | None:
    """Return why the token of `root` (as `parse_root` gives it) must not be sent to `address`; None if it may. Ids are
    part of addresses: an empty one, or one with a slash or a control character, is refused here too."""
    if len(address) > LONGEST_ADDRESS:
        return f"The address is longer than {LONGEST_ADDRESS:,} characters."
    found, home = re.fullmatch(_ADDRESS, address), re.fullmatch(_ADDRESS, root)
    if found is None or home is None:
        return "The address is not a plain http(s) address."
    if _origin(found) != _origin(home):
        return f"The address leads to {_server(found)}, which is not the configured server {_server(home)}."
    path, base = found["path"] or "", home["path"] or ""
    if not path.startswith(base + "/"):
        return f"The address lies outside the configured root {root}."
    segments = path.split("/")[1:]
    if not {"", ".", ".."}.isdisjoint(segments) or re.search(_DISGUISED, path):
        return "A part of its path, such as an id, is empty or has characters that could lead elsewhere."
    return None


@lru_cache(maxsize=256)
def server_key(root: str) -> str:
    """Return a key that all names of one server share.

    Graph's versions (`/beta`, `/v1.0`) show the same runs, every loopback name is this machine, and the case of host
    and path does not matter. The port distinguishes servers, whatever the scheme.
    """
    try:
        parts = urlsplit(root.lower())
        host, port = parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        return root.lower()  # an invalid address is equal only to itself
    return f"{_host_key(host)}:{port}{re.sub(_VERSION, '', parts.path.rstrip('/'))}"


def run_key(run_id: str) -> str:
    """Return a key that all spellings of one run's id share: GUIDs compare without case (RFC 9562, section 4)."""
    return run_id.lower()


def same_server(root: str, other: str) -> bool:
    return server_key(root) == server_key(other)


def _host_key(host: str) -> str:
    if is_loopback(host):
        return "localhost"
    try:
        return ipaddress.ip_address(host).compressed
    except ValueError:
        return host


def _server(found: re.Match[str]) -> str:
    """Return scheme, host and port, so that a message shows which of them differs."""
    scheme, host, port = _origin(found)
    return f"{scheme}://{host}{'' if port == _DEFAULT_PORTS[scheme] else f':{port}'}"


def _origin(found: re.Match[str]) -> tuple[str, str, int]:
    scheme = found["scheme"].lower()
    return scheme, found["host"].lower(), int(found["port"] or _DEFAULT_PORTS[scheme])
