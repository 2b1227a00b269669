"""What can be copied of a thing on the screen: lines to choose from, each with its text.

Invariant: every text is redacted, and nothing in it acts where it is pasted: no control character, and in an id no line
end. A row and a reason are code, so that they are no markup in a ticket; a command is quoted for its shell; JSON is
ASCII. What there is not is offered all the same, and says why not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from runtui.auth.clouds import cloud_of_root
from runtui.domain.columns import Column, RowT
from runtui.domain.results import Cause
from runtui.domain.text import visible
from runtui.domain.times import now_ticks
from runtui.graph.exchange import Exchange
from runtui.redact import redact, redact_values
from runtui.services.journal import Entry
from runtui.services.sharing.commands import SharedRequest, azure_cli, curl, portal_link, powershell
from runtui.services.sharing.formats import code_block, code_span
from runtui.services.store import RunQuery
from runtui.tui.screens.questions import Choice

_PREVIEW: Final = 230
"""Characters of a text that are shown before it is copied."""

_WRITES: Final = "Whoever runs it sends the change once more. "


HANDOFF: Final = "Hand-over"

Way = Literal["clipboard", "page", "file"]
"""How a text leaves; a clipboard that is not there is replaced by one of the others."""


class CauseOfRuns(NamedTuple):
    """A cause, and the runs that it is told of."""

    cause: Cause
    query: RunQuery


HandoffOf: TypeAlias = str | CauseOfRuns
"""What a hand-over can be of: the id of a run, or a cause."""


class Copy(NamedTuple):
    """One thing to copy."""

    what: str
    """What it is, as a sentence about it begins."""
    text: str = ""
    handoff_of: HandoffOf | None = None
    """Of what the hand-over is to be made, in place of a text."""
    ending: str = "txt"
    """Of the name of a file that it is written to."""
    way: Way = "clipboard"


CopyChoice: TypeAlias = Choice[Copy]


def text_choice(
    line: str, what: str, text: str, *, refusal: str = "", about: str = "", ending: str = "txt"
) -> CopyChoice:
    """A text, shown in part before it is copied; without one, the reason."""
    if refusal and not text:
        return Choice(Copy(what), line, refusal, refusal)
    shown = visible(redact(text), newlines=True)
    flat = " ".join(shown.split())
    preview = flat if len(flat) <= _PREVIEW else f"{flat[: _PREVIEW - 1]}…"
    return Choice(Copy(what, shown, ending=ending), line, f"{about}{preview}")


def code_choice(line: str, what: str, text: str) -> CopyChoice:
    """Foreign text, as code."""
    text = redact(text)  # before its marks, or what it hides would end with them
    return text_choice(line, what, "\n".join(code_block(text)) if "\n" in text else code_span(text))


def id_choice(what: str, text: str) -> CopyChoice:
    return text_choice(f"{what} id", f"{what.capitalize()} id", visible(text), refusal=f"There is no {what} id.")


def marked_choices(run_ids: Iterable[str]) -> tuple[CopyChoice, ...]:
    """The ids of the marked runs, one a line; nothing where none is marked."""
    ids = [visible(run_id) for run_id in sorted(run_ids)]
    return (text_choice(f"ids of the {len(ids)} marked runs", "Ids", "\n".join(ids)),) if ids else ()


def reason_choices(reason: str) -> tuple[CopyChoice, ...]:
    return (code_choice("reason", "Reason", reason),) if reason else ()


def filter_choice(text: str) -> CopyChoice:
    return text_choice("filter that finds its runs", "Filter", text)


def response_choice(body: str) -> CopyChoice:
    """The body of a response: JSON is laid out, which leaves no character in it that acts."""
    try:
        text, ending = json.dumps(redact_values(json.loads(body)), indent=2), "json"
    except (ValueError, RecursionError):
        text, ending = body, "txt"
    return text_choice("response", "Response", text, refusal="There is no response.", ending=ending)


def handoff_choice(of: HandoffOf | None, why_not: str = "Only runs, changes and causes are handed over.") -> CopyChoice:
    """The hand-over; it is made when it is chosen."""
    about = "For a ticket, as Markdown: causes, people, what was changed with request ids, what is still open."
    why = "" if of is not None else why_not
    return Choice(Copy(HANDOFF, handoff_of=of, ending="md"), "hand-over", why or about, why)


def link_choice(root: str, workflow_id: str) -> CopyChoice:
    """The workflow in the portal of the root's cloud."""
    cloud = cloud_of_root(root)
    return text_choice(
        "link to the workflow in the portal",
        "Link",
        portal_link(cloud, workflow_id) if cloud is not None else "",
        refusal="This server is none of Microsoft's clouds; no portal shows it.",
        about="Its runs are under Workflow history; there is no link to one run. ",
    )


def command_choices(request: SharedRequest, root: str) -> Iterator[CopyChoice]:
    """A request for three programs; two of them sign in to Microsoft's clouds alone."""
    cloud = cloud_of_root(root)
    about = _WRITES if request.method != "GET" else ""
    yield text_choice("curl", "curl command", curl(request), about=f"{about}The token is in $TOKEN. ")
    first = f"{about}After Connect-MgGraph -Environment {cloud.environment if cloud is not None else ''}. "
    for line, what, make, words in (
        ("PowerShell", "PowerShell command", powershell, first),
        ("az rest", "az command", azure_cli, about),
    ):
        made = make(request) if cloud is not None else ""
        elsewhere = "It signs in to Microsoft's clouds alone, and this server is none of them."
        yield text_choice(line, what, made, refusal=elsewhere, about=words)


def json_choice(value: Mapping[str, Any] | None) -> CopyChoice:
    text = json.dumps(redact_values(value), indent=2) if value is not None else ""
    return text_choice("JSON", "JSON", text, refusal="There is no JSON.", ending="json")


def row_choice(columns: Sequence[Column[RowT]], row: RowT) -> CopyChoice:
    """All cells of a row in one line."""
    now = now_ticks()
    cells = [column.show(row, now).text.strip() for column in columns]
    return text_choice("row", "Row", code_span("  ".join(filter(None, cells))))


def request_ids_choice(entries: Iterable[Entry], exchanges: Iterable[Exchange]) -> CopyChoice:
    """The ids that the service knows requests by: those of the journal, and of this session's other requests."""
    lines = {entry.client_request_id: _request_line(entry.opened_at, entry) for entry in entries if not entry.damage}
    for exchange in exchanges:
        lines.setdefault(exchange.client_request_id, _request_line(exchange.started_at, exchange))
    return text_choice(
        "request ids", "Request ids", "\n".join(lines.values()), refusal="No request about it is known here."
    )


def _request_line(sent: datetime, request: Entry | Exchange) -> str:
    ids = [("request-id", request.request_id), ("client-request-id", request.client_request_id)]
    told = " ".join(f"{name} {code_span(value)}" for name, value in ids if value)
    status = request.status if request.status is not None else "no answer"
    return f"{sent:%Y-%m-%dT%H:%M:%SZ} {request.method} {status} {told}"
