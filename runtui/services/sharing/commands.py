"""A request as a command for another program: curl, Graph PowerShell, Azure CLI; and a link to the portal.

Invariant: a command holds no token, and one line whatever the request holds: its words are quoted for the shell that it
is made for, and what acts on a terminal is escaped within them.
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
"""What stands in a curl command in the place of the token."""

_CARRIED: Final = frozenset({"content-type", "if-match", "prefer", "consistencylevel"})
"""The headers that a request means something else without. Ids and what the program adds itself are left out."""

_JSON: Final = ("Content-Type", "application/json")

_ADDRESS_MARKS: Final = "".join(chr(code) for code in range(0x21, 0x7F))

_POWERSHELL_QUOTES: Final = re.compile("['\u2018\u2019\u201a\u201b]")
"""PowerShell ends a text in single quotes at any of these (about_Quoting_Rules)."""

_OUTSIDE_ASCII: Final = re.compile(r"[^\x20-\x7e]")


class SharedRequest(NamedTuple):
    """A request without its token."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""


def shared_request(method: str, url: str, headers: Iterable[tuple[str, str]] = (), body: str = "") -> SharedRequest:
    """A request as it can be shown to anybody and sent by another program."""
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
    """For a POSIX shell; the token comes from the variable TOKEN. The answer is shown with its headers."""
    # --globoff: brackets in an address are no pattern. --data-raw: an @ at its start names no file.
    words = ["curl", "--globoff", "--include", "--request", shlex.quote(request.method), shlex.quote(request.url)]
    words += ["--header", f'"Authorization: Bearer {TOKEN_VARIABLE}"']
    for name, value in request.headers:
        words += ["--header", shlex.quote(f"{name}: {value}")]
    if request.body:
        words += ["--data-raw", shlex.quote(request.body)]
    return " ".join(words)


def powershell(request: SharedRequest) -> str:
    """For PowerShell with the module Microsoft.Graph.Authentication, signed in by `connect_powershell`."""
    words = ["Invoke-MgGraphRequest", "-Method", request.method, "-Uri", _powershell_text(request.url)]
    headers = [(name, value) for name, value in request.headers if name.lower() != "content-type"]
    if headers:
        pairs = "; ".join(f"{_powershell_text(name)} = {_powershell_text(value)}" for name, value in headers)
        words += ["-Headers", f"@{{{pairs}}}"]
    if request.body:
        words += ["-ContentType", _powershell_text(_JSON[1]), "-Body", _powershell_text(request.body)]
    return " ".join([*words, "-OutputType", "Json"])


def azure_cli(request: SharedRequest) -> str:
    """For a POSIX shell with the Azure CLI, which gets the token itself."""
    parts = urlsplit(request.url)
    words = ["az", "rest", "--method", shlex.quote(request.method.lower()), "--url", shlex.quote(request.url)]
    words += ["--resource", shlex.quote(f"{parts.scheme}://{parts.netloc}")]
    if request.headers:
        words += ["--headers", *(shlex.quote(f"{name}={value}") for name, value in request.headers)]
    if request.body:
        words += ["--body", shlex.quote(request.body)]
    return " ".join(words)


def portal_link(cloud: Cloud, workflow_id: str) -> str:
    """The workflow in the Microsoft Entra admin center. Of a run there is no link that anybody documents: it is listed
    under *Workflow history* there."""
    blade = "#view/Microsoft_AAD_LifecycleManagement/DetailedWorkflowMenuBlade/~/overview/workflowId"
    return f"{cloud.portal}/{blade}/{segment(redact(workflow_id))}"


def _powershell_text(text: str) -> str:
    return "'" + _POWERSHELL_QUOTES.sub(lambda found: found[0] * 2, text) + "'"


def _redacted(body: str) -> str:
    """A body without secrets: as it is where it has none, and valid JSON where it was."""
    if (text := redact(body)) == body:
        return body
    try:
        return json.dumps(redact_values(json.loads(body)))
    except (ValueError, RecursionError):
        return text


def _escape(found: re.Match[str]) -> str:
    """What makes JSON printable ASCII of the same meaning. What stands between values may be a line end, nothing else
    there can be outside ASCII, and within a text every character may be escaped (RFC 8259, section 7)."""
    if found[0] in "\t\n\r":
        return " "
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
