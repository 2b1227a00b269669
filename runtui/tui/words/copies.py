"""The choices of the copy dialog, each with its text.

Invariant: every text is redacted and safe to paste: it has no control character, and an id has no line end. A row and a
reason are formatted as code, so that a ticket shows no markup; a command is quoted for its shell; JSON is ASCII. A
choice without a text is listed with the reason.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from runtui.auth.clouds import cloud_of_root
from runtui.domain.columns import Column, RowT
from runtui.domain.text import count_words, visible
from runtui.domain.times import now_ticks
from runtui.graph.exchange import Exchange
from runtui.redact import redact, redact_values
from runtui.services.records.journal import Entry
from runtui.services.sharing.commands import SharedRequest, azure_cli, curl, portal_link, powershell
from runtui.services.sharing.formats import code_block, code_span
from runtui.services.sharing.handoff import Handoff, Origin
from runtui.services.workspace import Workspace
from runtui.tui.screens.questions import Choice

_PREVIEW: Final = 230
"""The most characters of a text's preview."""

_WRITES: Final = "Running it sends the change again. "

HANDOFF: Final = "Hand-over"

Destination = Literal["clipboard", "page", "file"]
"""The destination of a text; without a clipboard another one is used."""


MakesHandoff: TypeAlias = Callable[[Workspace, Origin], Handoff]
"""Makes a hand-over from the files on this machine."""


class Copy(NamedTuple):
    """One thing to copy."""

    what: str
    """Its name, capitalized as at the start of a sentence."""
    text: str = ""
    handoff: MakesHandoff | None = None
    """Makes the hand-over to copy; None for `text`."""
    of_run: str = ""
    """The run of a hand-over, whose results it needs."""
    ending: str = "txt"
    """The extension of a file for it."""
    destination: Destination = "clipboard"


CopyChoice: TypeAlias = Choice[Copy]


def text_choice(
    line: str, what: str, text: str, *, refusal: str = "", about: str = "", ending: str = "txt"
) -> CopyChoice:
    """Return a choice with a preview of its text; without a text, one that is refused with the reason."""
    if refusal and not text:
        return Choice(Copy(what), line, refusal, refusal)
    shown = visible(redact(text), newlines=True)
    flat = " ".join(shown.split())
    preview = flat if len(flat) <= _PREVIEW else f"{flat[: _PREVIEW - 1]}…"
    return Choice(Copy(what, shown, ending=ending), line, f"{about}{preview}")


def code_choice(line: str, what: str, text: str) -> CopyChoice:
    text = redact(text)  # before adding code marks, which could become part of a redacted secret
    return text_choice(line, what, "\n".join(code_block(text)) if "\n" in text else code_span(text))


def id_choice(what: str, text: str) -> CopyChoice:
    return text_choice(f"{what} id", f"{what.capitalize()} id", visible(text), refusal=f"There is no {what} id.")


def marked_choices(run_ids: Iterable[str]) -> tuple[CopyChoice, ...]:
    """Return a choice of the marked runs' ids, one per line; empty if none is marked."""
    ids = [visible(run_id) for run_id in sorted(run_ids)]
    return (text_choice(f"ids of the {len(ids)} marked runs", "Ids", "\n".join(ids)),) if ids else ()


def reason_choices(reason: str) -> tuple[CopyChoice, ...]:
    return (code_choice("reason", "Reason", reason),) if reason else ()


def response_choice(body: str) -> CopyChoice:
    """Return a choice of a response's body; JSON is formatted, which also escapes control characters."""
    try:
        text, ending = json.dumps(redact_values(json.loads(body)), indent=2), "json"
    except (ValueError, RecursionError):
        text, ending = body, "txt"
    return text_choice("response", "Response", text, refusal="There is no response.", ending=ending)


def handoff_choice(
    handoff: MakesHandoff | None, of_run: str = "", why_not: str = "Only a run, change or cause has a hand-over."
) -> CopyChoice:
    """Return the choice of a hand-over, which is made only when chosen."""
    about = "Markdown for a ticket: causes, people, changes with request ids, open points."
    why = "" if handoff is not None else why_not
    return Choice(Copy(HANDOFF, handoff=handoff, of_run=of_run, ending="md"), "hand-over", why or about, why)


def link_choice(root: str, workflow_id: str) -> CopyChoice:
    """Return the choice of a link to the workflow in the portal of the root's cloud."""
    cloud = cloud_of_root(root)
    return text_choice(
        "link to the workflow in the portal",
        "Link",
        portal_link(cloud, workflow_id) if cloud is not None else "",
        refusal="This server is not a Microsoft cloud, so no portal shows it.",
        about="Its runs are under Workflow history; there is no link to one run. ",
    )


def command_choices(request: SharedRequest, root: str) -> Iterator[CopyChoice]:
    """Yield a request as a command for three programs; two of them can sign in only to Microsoft's clouds."""
    cloud = cloud_of_root(root)
    about = _WRITES if request.method != "GET" else ""
    yield text_choice("curl", "curl command", curl(request), about=f"{about}The token is in $TOKEN. ")
    first = f"{about}After Connect-MgGraph -Environment {cloud.environment if cloud is not None else ''}. "
    for line, what, make, words in (
        ("PowerShell", "PowerShell command", powershell, first),
        ("az rest", "az command", azure_cli, about),
    ):
        made = make(request) if cloud is not None else ""
        elsewhere = "It can sign in only to a Microsoft cloud, and this server is not one."
        yield text_choice(line, what, made, refusal=elsewhere, about=words)


def json_choice(value: Mapping[str, Any] | None) -> CopyChoice:
    text = json.dumps(redact_values(value), indent=2) if value is not None else ""
    return text_choice("JSON", "JSON", text, refusal="There is no JSON.", ending="json")


def row_choices(columns: Sequence[Column[RowT]], row: RowT, marked: Sequence[RowT] = ()) -> list[CopyChoice]:
    """Return a choice of a row's cells, and one of those of the marked rows, one row per line, if any is marked."""
    now = now_ticks()

    def line(row: RowT) -> str:
        return visible("  ".join(filter(None, (column.show(row, now).text.strip() for column in columns))))

    choices = [code_choice("row", "Row", line(row))]
    if marked:
        choices.append(
            code_choice(f"the {count_words(len(marked), 'marked row')}", "Rows", "\n".join(map(line, marked)))
        )
    return choices


def request_ids_choice(entries: Iterable[Entry], exchanges: Iterable[Exchange]) -> CopyChoice:
    """Return a choice of request ids, from journal entries and from other requests of this session."""
    lines = {entry.client_request_id: _request_line(entry.opened_at, entry) for entry in entries if not entry.damage}
    for exchange in exchanges:
        lines.setdefault(exchange.client_request_id, _request_line(exchange.started_at, exchange))
    return text_choice(
        "request ids", "Request ids", "\n".join(lines.values()), refusal="No request for it is known here."
    )


def _request_line(sent: datetime, request: Entry | Exchange) -> str:
    ids = [("request-id", request.request_id), ("client-request-id", request.client_request_id)]
    shown = " ".join(f"{name} {code_span(value)}" for name, value in ids if value)
    status = request.status if request.status is not None else "no answer"
    return f"{sent:%Y-%m-%dT%H:%M:%SZ} {request.method} {status} {shown}"
