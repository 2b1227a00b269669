"""From an exchange to an outcome (done, not done, unknown), and to words with a next step.

Invariant: a write is NOT_DONE only if that is proved: it was never sent, or Graph itself refused it in its own error
format. Every other trouble after the first byte was sent is UNKNOWN. All texts are plain and redacted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from http import HTTPStatus
from itertools import islice
from typing import Any, NamedTuple

from runtui.domain.report import Outcome, sentences
from runtui.domain.text import count_words
from runtui.domain.times import length_words
from runtui.domain.triage.service_actions import PERMISSIONS, ServiceAction
from runtui.graph.exchange import THROTTLING, AnswerError, Exchange, Failure, FailureKind
from runtui.graph.retry import retry_after_seconds
from runtui.redact import redact

LONGEST_MESSAGE = 600
"""The most characters of a server's message that are shown; the body has the rest."""

MAX_DETAILS = 50
"""The most details of an error that are shown; the body has the rest."""


class Fault(NamedTuple):
    """What went wrong with one request: `title` in a few words, `message` in sentences, `hint` as the next step.

    `code` is Graph's own error code ("" if it sent none). `details` are pairs (target, message) that the message does
    not contain; a target is the property that the server refuses, if it names one.
    """

    title: str
    message: str
    hint: str
    outcome: Outcome
    status: int | None = None
    code: str = ""
    details: tuple[tuple[str, str], ...] = ()

    @property
    def summary(self) -> str:
        """Title and message, without the hint."""
        return f"{self.title}. {self.message}"


class FaultText(NamedTuple):
    """The words for one kind of fault. `message` is used if the server gives none."""

    title: str
    message: str
    hint: str


NOT_OFFERED = FaultText(
    "This service does not offer this change",
    "It does not know this request; nothing is wrong with the run or with what you typed.",
    "The published Graph service offers actions instead: runtui cancel stops a run (cancelProcessing), "
    "runtui reprocess processes it again (activateWithScope). The sandbox offers the change itself: runtui demo.",
)

_BY_STATUS: dict[int, FaultText] = {
    400: FaultText(
        "The server rejects the request",
        "The request is malformed, or one of its values is invalid.",
        "Compare the request with the server's message.",
    ),
    401: FaultText(
        "The server rejects the token",
        "The token is missing, expired, revoked, or made for another cloud.",
        "Sign in again.",
    ),
    403: FaultText(
        "Access denied",
        "A permission, a role or a license is missing, or an access policy blocks it.",
        "Reading needs LifecycleWorkflows.Read.All and an Entra ID Governance license; a person also needs the role "
        "Global Reader or Lifecycle Workflows Administrator.",
    ),
    404: FaultText(
        "Not found",
        "The run or the workflow no longer exists, or the root is wrong.",
        "Refresh the list; if everything is missing, check the root.",
    ),
    405: FaultText(
        "The server does not allow this method here", "The address exists, but not for this method.", "Check the root."
    ),
    406: FaultText(
        "The server finds nothing to process",
        "Nothing in this request can be processed.",
        "Refresh, then check the run again.",
    ),
    409: FaultText(
        "The run is in a conflicting state",
        "The change conflicts with the run's current state.",
        "Refresh the run, then decide again.",
    ),
    407: FaultText(
        "A proxy asks for authentication",
        "The proxy answered instead of the server.",
        "Check the proxy's user name and password.",
    ),
    412: FaultText(
        "The run has changed in the meantime",
        "The server has a newer version than the one you edited.",
        "Refresh the run, then decide again.",
    ),
    413: FaultText(
        "The request is too large",
        "The server, or a gateway in front of it, does not accept a body of this size.",
        "Send a smaller body.",
    ),
    415: FaultText(
        "The server does not accept JSON here",
        "It rejects the Content-Type of the request.",
        "Check the root: Graph itself accepts application/json.",
    ),
    423: FaultText("The run is locked", "Nobody can change it at the moment.", "Try again in a few minutes."),
    429: FaultText("Too many requests", "The service is throttling this tenant.", "Wait before trying again."),
    501: FaultText(
        "The server does not offer this", "It says that it does not implement the request.", "Check the root."
    ),
    503: FaultText("The service is unavailable", "It is overloaded or under maintenance.", "Try again in a minute."),
}

_NEEDED_TO_WRITE = (
    "A change needs LifecycleWorkflows.ReadWrite.All and an Entra ID Governance license; a person also needs the role "
    "Lifecycle Workflows Administrator."
)
_SERVER_ERROR = FaultText(
    "The server failed",
    "The error is in the server or in a gateway in front of it.",
    "If it happens again, give the request-id to support.",
)
_REFUSED = FaultText("The server rejects the request", "It gives no reason.", "Read the full response.")
_REDIRECT = FaultText(
    "The server redirects the request",
    "Redirects are not followed, because the token goes to the configured root only.",
    "Check the root; a sign-in page or a proxy may be in between.",
)
_NOT_GRAPH = FaultText(
    "This is not a response from Graph",
    "The response is not the JSON object that Graph sends.",
    "Check the root; a sign-in page or a proxy may be in between.",
)
_UNREADABLE = FaultText(
    "The response cannot be read",
    "It is not the JSON that Graph sends.",
    "If it happens again, check the proxies in between.",
)
_FOREIGN = FaultText(
    "The response belongs to another request",
    "It carries the client-request-id of another request, so it says nothing about this one.",
    "A proxy in between may be mixing up connections.",
)
_ACCEPTED = FaultText(
    "Accepted, but not confirmed",
    "The server accepted the change (202) but has not confirmed it.",
    "It may take a moment to take effect.",
)

_BY_FAILURE: dict[FailureKind, tuple[str, str]] = {
    FailureKind.REFUSED_ADDRESS: (
        "The address is refused",
        "The token goes to the configured root only. If a server sent this link, tell its administrator.",
    ),
    FailureKind.TOKEN: ("There is no usable token", "Sign in again."),
    FailureKind.HEADER: ("The request cannot be sent", "If a server supplied the value, tell its administrator."),
    FailureKind.SETUP: (
        "The connection cannot be set up",
        "Check ca-file and proxy, or the variables SSL_CERT_FILE, SSLKEYLOGFILE, HTTPS_PROXY, ALL_PROXY and NO_PROXY.",
    ),
    FailureKind.NAME: ("The host name cannot be resolved", "Check the root for a typo, and the network."),
    FailureKind.CONNECTION_REFUSED: (
        "Nothing listens at this address",
        "Check the port in the root, and whether the server is running.",
    ),
    FailureKind.CONNECTION: ("The server cannot be reached", "Check the root and the network."),
    FailureKind.TLS: (
        "There is no secure connection",
        "If your company inspects TLS traffic, trust its certificate with --ca-file; otherwise stop here.",
    ),
    FailureKind.PROXY: ("The proxy rejects the request", "Check the proxy, and its user name and password."),
    FailureKind.PROXY_UNREACHABLE: ("The proxy cannot be reached", "Check the address of the proxy, and the network."),
    FailureKind.TIMEOUT: ("The request timed out", "If it happens again, check the network."),
    FailureKind.CUT: ("The connection broke", "If it happens again, check the network and the proxies in between."),
    FailureKind.UNANSWERED: ("The response is incomplete", "If it happens again, check the proxies in between."),
    FailureKind.PROTOCOL: ("The response is not HTTP", "Check the root: the scheme and the port may not match."),
    FailureKind.HEAD: ("The response cannot be read", "Check the proxies in between."),
    FailureKind.ENCODING: ("The response cannot be decompressed", "Check the proxies in between."),
    FailureKind.TOO_LARGE: ("The response is too large", "Narrow the request; Graph itself sends smaller pages."),
    FailureKind.CANCELLED: ("Stopped waiting", "Read the run again to see its current state."),
}

# Graph sends every other 4xx before it does anything. 408, 424 and 499 may come too late to tell, and 407 does not
# come from Graph.
_NOT_A_REFUSAL = frozenset({407, 408, 424, 499})


def fault_of(exchange: Exchange, *, writing: bool) -> Fault | None:
    return read_answer(exchange, writing=writing)[1]


def read_answer(exchange: Exchange, *, writing: bool) -> tuple[dict[str, Any] | None, Fault | None]:
    """Return the JSON object of an answer, and its fault; the object is None with a fault and for an empty answer. An
    empty answer is a success of a write (Graph's usual 204) and a fault of a read."""
    if exchange.failure is not None:
        return None, _failed(exchange, exchange.failure, writing)
    status = exchange.status or 0
    outcome = _unproved(writing)
    if exchange.is_foreign:
        return None, _fault(exchange, _FOREIGN, outcome)
    if not 200 <= status < 300:
        return None, _refused(exchange, status, writing)
    if status == 202 and writing:
        return None, _fault(exchange, _ACCEPTED, outcome)
    if writing and not exchange.response_body.strip():
        return None, None
    return _read_object(exchange, outcome)


def mismatch(exchange: Exchange, message: str, *, writing: bool) -> Fault:
    """Return the fault of a well-formed answer with the wrong content, such as another run's id."""
    hint = "Read the full response." if writing else _NOT_GRAPH.hint  # the Log tab leaves listings out
    return _fault(exchange, FaultText("The response does not match the request", message, hint), _unproved(writing))


def without_ids(exchange: Exchange, count: int) -> Fault:
    """Return the fault of a list whose other items were read."""
    message = f"Not shown: {count_words(count, 'item')} of a list, because nothing can refer to them."
    words = FaultText("The service sent items without an id", message, _SERVER_ERROR.hint)
    return _fault(exchange, words, Outcome.NOT_DONE)


def unconfirmed(exchange: Exchange) -> Fault:
    """Return the fault of a write with a successful answer that lacks the run, which could not be read afterwards."""
    message = f"The service answered {exchange.status} without the run, and the run could not be read afterwards."
    words = FaultText("Not confirmed", message, "If it happens again, check the network.")
    return _fault(exchange, words, Outcome.UNKNOWN)


def refused_action(fault: Fault, action: ServiceAction) -> Fault:
    """Return the refusal of an action with what the action needs, or that the service does not offer it."""
    if fault.title == NOT_OFFERED.title:
        message = f"It does not know {action.name}. Nothing is wrong with the run."
        return fault._replace(title="This service does not offer this action", message=message, hint="Check the root.")
    if fault.status == HTTPStatus.FORBIDDEN:
        needed = f"{action.name} needs {PERMISSIONS[action.name][0]} or a wider permission"
        return fault._replace(hint=f"{needed}; a person also needs the role Lifecycle Workflows Administrator.")
    return fault


def perhaps_repeated(fault: Fault) -> Fault:
    """Return the refusal of a write that a gateway may have sent twice: the outcome of the first copy is unknown."""
    message = f"{fault.message} A gateway that sends a change twice gets this answer to the second one."
    return fault._replace(message=message, outcome=Outcome.UNKNOWN)


def _unproved(writing: bool) -> Outcome:
    return Outcome.UNKNOWN if writing else Outcome.NOT_DONE


def _failed(exchange: Exchange, failure: Failure, writing: bool) -> Fault:
    title, hint = _BY_FAILURE[failure.kind]
    outcome = Outcome.NOT_DONE if failure.sent == "no" else _unproved(writing)
    return _fault(exchange, FaultText(title, failure.message, failure.hint or hint), outcome)


def _read_object(exchange: Exchange, outcome: Outcome) -> tuple[dict[str, Any] | None, Fault | None]:
    try:
        value = exchange.json()
    except AnswerError as error:
        if exchange.content_type.endswith("json"):
            return None, _fault(exchange, _UNREADABLE._replace(message=str(error)), outcome)
        return None, _fault(exchange, _NOT_GRAPH._replace(message=_what_it_is(exchange)), outcome)
    if not isinstance(value, dict):
        return None, _fault(exchange, _NOT_GRAPH, outcome)
    if isinstance(value.get("error"), dict):
        return None, _fault(exchange, _REFUSED, outcome, value["error"])
    return value, None


def _refused(exchange: Exchange, status: int, writing: bool) -> Fault:
    error = graph_error(exchange)
    is_graphs_own = error is not None and isinstance(error.get("code"), str)  # perhaps ""; gateways send others
    proved = is_graphs_own and 400 <= status < 500 and status not in _NOT_A_REFUSAL
    words = _words(exchange, status, offered=not (writing and proved and _is_no_request(status, error)))
    if status == HTTPStatus.FORBIDDEN and writing:
        words = words._replace(hint=_NEEDED_TO_WRITE)
    elif not writing and _is_no_request(status, error):
        words = words._replace(hint="Check the path of the root, such as https://graph.microsoft.com/beta.")
    if error is None and exchange.response_body.strip() and not 300 <= status < 400:
        words = words._replace(message=_what_it_is(exchange))
    return _fault(exchange, words, Outcome.NOT_DONE if proved else _unproved(writing), error)


def _words(exchange: Exchange, status: int, *, offered: bool) -> FaultText:
    if status == HTTPStatus.NOT_MODIFIED:  # runtui asks for no such answer
        return _NOT_GRAPH
    if 300 <= status < 400:
        target = exchange.response_header("location")
        return _REDIRECT._replace(message=f"{_REDIRECT.message} It points to {target}.") if target else _REDIRECT
    if not offered:
        return NOT_OFFERED
    words = _BY_STATUS.get(status) or (_SERVER_ERROR if status >= 500 else _REFUSED)
    if status == HTTPStatus.UNAUTHORIZED and exchange.token_hint:
        words = words._replace(hint=exchange.token_hint)
    wait = retry_after_seconds(exchange) if status in THROTTLING else None
    if wait:
        words = words._replace(hint=f"The server asks to wait {length_words(wait)} before the next try.")
    return words


def _is_no_request(status: int, error: dict[str, Any] | None) -> bool:
    said = _text(error.get("message")) if error else ""
    return status == 405 or (status in (400, 404) and "not found for the segment" in said.lower())


def graph_error(exchange: Exchange) -> dict[str, Any] | None:
    """Return the `error` object of a Graph error body; None if the body is anything else."""
    try:
        body = exchange.json()
    except AnswerError:
        return None
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else None


def _what_it_is(exchange: Exchange) -> str:
    """Return a sentence about a body that is not Graph's JSON."""
    if not exchange.response_body.strip():
        return "The answer is empty."
    text = exchange.body_text
    kind = exchange.content_type or "of no stated type"
    if "html" in kind or text.lstrip()[:1] == "<":
        found = re.search(r"(?is)<title[^>]*>(.{1,200}?)</title>", text[:20_000])
        title = f' titled "{" ".join(found[1].split())}"' if found else ""
        return f"The server answered {exchange.status} with a web page{title}, not with Graph's JSON."
    return f"The server answered {exchange.status} with a body that is not Graph's JSON ({kind})."


def _fault(exchange: Exchange, words: FaultText, outcome: Outcome, error: dict[str, Any] | None = None) -> Fault:
    said = _sentence(error) if error else ""
    message = said or _shortened(redact(words.message))
    if words is NOT_OFFERED and said:
        message = f"{words.message} The server says: {said}"
    more = (detail for detail in _details(error) if not _is_repeated(*detail, message)) if error else ()
    return Fault(
        title=words.title,
        message=redact(sentences(message)),
        hint=redact(words.hint),
        outcome=outcome,
        status=exchange.status,
        code=_text(error.get("code")) if error else "",
        details=tuple(islice(more, MAX_DETAILS)),
    )


def _is_repeated(target: str, detail: str, message: str) -> bool:
    """Return whether `message` already has a detail's text and names the property that it is about, if any."""
    return detail in message and (not target or target in re.findall(r"\w+", message))


def _sentence(error: dict[str, Any]) -> str:
    """Return the server's words: its message, else the first message of its details, else its code."""
    said = _text(error.get("message")) or next((message for _, message in _details(error)), "")
    return said or _text(error.get("code"))


def _details(error: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (target, message) of every detail at any depth; the error's own target comes first."""
    target = _text(error.get("target"))
    if target:
        yield target, _text(error.get("message"))
    details = error.get("details")
    for detail in details if isinstance(details, list) else []:
        if isinstance(detail, dict):
            message = _text(detail.get("message")) or _text(detail.get("code"))
            if message:
                yield _text(detail.get("target")), message


def _text(value: Any) -> str:
    """Return a text, redacted and shortened. Some services send {"lang", "value"}, a list, or nothing."""
    if isinstance(value, dict):
        value = value.get("value")
    if isinstance(value, list):
        value = " ".join(part.strip() for part in value if isinstance(part, str))
    # Redact before shortening for display, because half a token no longer looks like one; redact only part, for speed.
    return _shortened(redact(value.strip()[: 10 * LONGEST_MESSAGE])) if isinstance(value, str) else ""


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_MESSAGE else text[: LONGEST_MESSAGE - 1] + "…"
