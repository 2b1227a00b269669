"""Converts a request into a command for curl, Graph PowerShell or the Azure CLI; and makes links to the portal.

Invariant: a command holds no token and is always one line. Its words are quoted for its shell, and characters that act
on a terminal are escaped.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable
from typing import Final, NamedTuple
from urllib.parse import quote, urlsplit

from runtui.auth.clouds import Cloud
from runtui.domain.text import visible
from runtui.graph.exchange import Exchange
from runtui.graph.paths import segment
from runtui.redact import redact, redact_values

TOKEN_VARIABLE: Final = "$TOKEN"  # noqa: S105 - the name of a variable
"""Stands for the token in a curl command."""

_CARRIED: Final = frozenset({"content-type", "if-match", "prefer", "consistencylevel"})
"""The headers that change the meaning of a request. Ids and headers that the program adds itself are left out."""

_JSON: Final = ("Content-Type", "application/json")

_ADDRESS_MARKS: Final = "".join(chr(code) for code in range(0x21, 0x7F))

_POWERSHELL_QUOTES: Final = re.compile("['\u2018\u2019\u201a\u201b]")
"""The characters that end a single-quoted text in PowerShell (about_Quoting_Rules)."""

_OUTSIDE_ASCII: Final = re.compile(r"[^\x20-\x7e]")


class SharedRequest(NamedTuple):
    """A request without its token."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""


def shared_request(method: str, url: str, headers: Iterable[tuple[str, str]] = (), body: str = "") -> SharedRequest:
    """Return a redacted request that other people may see and another program can send."""
    kept = [(name, visible(redact(value))) for name, value in headers if name.lower() in _CARRIED]
    if body and not any(name.lower() == "content-type" for name, _ in kept):
        kept.append(_JSON)
    return SharedRequest(
        method,
        quote(redact(url), safe=_ADDRESS_MARKS, errors="replace"),
        tuple(kept),
        _OUTSIDE_ASCII.sub(_escape, _redacted(body)),
    )


def request_of(exchange: Exchange) -> SharedRequest:
    return shared_request(exchange.method, exchange.url, exchange.request_headers, exchange.request_body or "")


def curl(request: SharedRequest) -> str:
    """Return a curl command for a POSIX shell. It takes the token from the variable TOKEN and shows the headers."""
    # --globoff takes brackets in a URL literally; --data-raw takes a leading @ literally.
    words = ["curl", "--globoff", "--include", "--request", shlex.quote(request.method), shlex.quote(request.url)]
    words += ["--header", f'"Authorization: Bearer {TOKEN_VARIABLE}"']
    for name, value in request.headers:
        words += ["--header", shlex.quote(f"{name}: {value}")]
    if request.body:
        words += ["--data-raw", shlex.quote(request.body)]
    return " ".join(words)


def powershell(request: SharedRequest) -> str:
    """Return a command for PowerShell with Microsoft.Graph.Authentication, signed in by `connect_powershell`."""
    words = ["Invoke-MgGraphRequest", "-Method", request.method, "-Uri", _powershell_text(request.url)]
    headers = [(name, value) for name, value in request.headers if name.lower() != "content-type"]
    if headers:
        pairs = "; ".join(f"{_powershell_text(name)} = {_powershell_text(value)}" for name, value in headers)
        words += ["-Headers", f"@{{{pairs}}}"]
    if request.body:
        words += ["-ContentType", _powershell_text(_JSON[1]), "-Body", _powershell_text(request.body)]
    return " ".join([*words, "-OutputType", "Json"])


def azure_cli(request: SharedRequest) -> str:
    """Return a command for a POSIX shell with the Azure CLI, which gets the token itself."""
    parts = urlsplit(request.url)
    words = ["az", "rest", "--method", shlex.quote(request.method.lower()), "--url", shlex.quote(request.url)]
    words += ["--resource", shlex.quote(f"{parts.scheme}://{parts.netloc}")]
    if request.headers:
        words += ["--headers", *(shlex.quote(f"{name}={value}") for name, value in request.headers)]
    if request.body:
        words += ["--body", shlex.quote(request.body)]
    return " ".join(words)


def portal_link(cloud: Cloud, workflow_id: str) -> str:
    """Return the link to a workflow in the Entra admin center, which lists its runs: no link to a run is documented."""
    blade = "#view/Microsoft_AAD_LifecycleManagement/DetailedWorkflowMenuBlade/~/overview/workflowId"
    return f"{cloud.portal}/{blade}/{segment(redact(workflow_id))}"


def _powershell_text(text: str) -> str:
    return "'" + _POWERSHELL_QUOTES.sub(lambda found: found[0] * 2, text) + "'"


def _redacted(body: str) -> str:
    """Return a body without secrets: unchanged if it has none, and still valid JSON if it was."""
    if (text := redact(body)) == body:
        return body
    try:
        return json.dumps(redact_values(json.loads(body)))
    except (ValueError, RecursionError):
        return text


def _escape(found: re.Match[str]) -> str:
    """Return the replacement that makes JSON printable ASCII of the same meaning. Between values only white space can
    need it; within a text every character may be escaped (RFC 8259, section 7)."""
    if found[0] in "\t\n\r":
        return " "
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
