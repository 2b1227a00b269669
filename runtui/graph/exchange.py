"""One request and its answer, as the side panel and the journal show them.

Invariant: an Exchange shows no secret (it is redacted when it is built) and never changes. A secret that a server
echoed is only in `unredacted`, which goes back to the server and nowhere else. Nothing here reads the network; this
module imports neither httpx nor pydantic.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Final, Literal, NamedTuple, NoReturn, TypeVar

from runtui.domain.times import MONTHS

JsonT = TypeVar("JsonT")

_FIXDATE = re.compile(r"[A-Z][a-z]{2}, (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d:\d\d:\d\d) GMT", re.ASCII)
"""The form of a date that servers must send (RFC 9110, section 5.6.7)."""

# From left to right: an escaped backslash, a surrogate pair, or a lone surrogate. Only the last is no character.
_SURROGATES = re.compile(r"\\\\|\\u[dD][89abAB]\w\w\\u[dD][c-fC-F]\w\w|(\\u[dD][89a-fA-F]\w\w)")


THROTTLING: Final = frozenset({429, 503})
"""The statuses by which a service asks everybody to slow down."""

MAX_NESTING: Final = 100
"""The most levels of objects and arrays in a JSON body. Python could read more of them than it can then compare, show
or write, which happens deeper in the stack."""

_CONTAINERS: Final = frozenset({dict, list})

_TOO_DEEP: Final = "The answer is nested too deeply to be read."


class FailureKind(Enum):
    """Why there is no complete answer."""

    REFUSED_ADDRESS = "address refused"
    """The address lies outside the configured root; the token does not go there."""
    TOKEN = "token"  # noqa: S105 - a kind of failure
    HEADER = "header"
    """A header of the request contains what no header can carry."""
    SETUP = "setup"
    """The client could not be built: a CA file, a proxy setting."""
    NAME = "name"
    """The host name has no address."""
    CONNECTION_REFUSED = "connection refused"
    CONNECTION = "connection"
    """No connection was made, for another reason."""
    TLS = "tls"
    """The server's certificate was not accepted."""
    PROXY = "proxy"
    """The proxy refused the request."""
    PROXY_UNREACHABLE = "proxy unreachable"
    """The proxy could not be reached; nothing is known about the server behind it."""
    TIMEOUT = "timeout"
    CUT = "cut"
    """The connection ended before the answer."""
    UNANSWERED = "unanswered"
    """The answer of a batch lacks the one to this request."""
    PROTOCOL = "protocol"
    HEAD = "head"
    """The headers of the answer are too large to be read."""
    ENCODING = "encoding"
    """The body is compressed in a way that was not requested, or not as it claims."""
    TOO_LARGE = "too large"
    CANCELLED = "cancelled"
    """The program stopped waiting for the answer."""


class Failure(NamedTuple):
    """Why a request has no complete answer.

    `sent` is "no" only if the server provably has not seen the request. `message` is one sentence. `hint` is the next
    step if it is more specific than that of the kind.
    """

    kind: FailureKind
    sent: Literal["no", "maybe"]
    message: str
    hint: str = ""


class AnswerError(ValueError):
    """A body that is not strict JSON. The text is one sentence."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what came back: an answer, a failure, or both if an answer broke off.

    Header pairs keep the order and spelling in which they were received. `response_body` is decompressed and ends at
    the transport's limit, in which case `truncated` is true. `started_at` is UTC; `seconds` is the time from then to
    the last byte read. A mask replaces each secret in the request and in the answer.
    """

    number: int
    purpose: str
    method: str
    url: str
    request_headers: tuple[tuple[str, str], ...]
    request_body: str | None
    started_at: datetime
    seconds: float | None = None
    status: int | None = None
    reason: str = ""
    response_headers: tuple[tuple[str, str], ...] = ()
    response_body: bytes = b""
    truncated: bool = False
    failure: Failure | None = None
    token_hint: str = ""
    """What a person can do if the server refused the token; empty if its source does not say."""
    unredacted: bytes | None = field(default=None, repr=False, compare=False)
    """The body as received, if `response_body` masks a secret in it; None if nothing is masked."""

    @property
    def client_request_id(self) -> str:
        return self.request_header("client-request-id")

    @property
    def request_id(self) -> str:
        """The server's own id of this request; empty if it sent none."""
        return self.response_header("request-id")

    @property
    def answer(self) -> str:
        """The status and reason of the answer, such as "200 OK"; empty without an answer."""
        return f"{self.status} {self.reason}".rstrip() if self.status is not None else ""

    @property
    def is_gone(self) -> bool:
        """True if the server answered that there is nothing at this address."""
        return self.status in (404, 410)

    @property
    def ended_at(self) -> datetime:
        """The time of the last byte of the answer (UTC), or of the start of the request if that is unknown."""
        return self.started_at + timedelta(seconds=self.seconds or 0.0)

    @property
    def echoes_id(self) -> bool:
        """True if the answer names the id that this request was sent with."""
        return self.response_header("client-request-id").lower() == self.client_request_id.lower() != ""

    @property
    def is_foreign(self) -> bool:
        """True if the answer names another request, and so proves nothing about this one.

        It does not matter for a GET, or for a 429 or 503: gateways and mocks, such as Microsoft's Dev Proxy, put an id
        of their own there. An answer that says that a write was done, or why not, must be about that write.
        """
        if self.method == "GET" or self.status in THROTTLING:
            return False
        return self.response_header("client-request-id") != "" and not self.echoes_id

    @property
    def answered_at(self) -> datetime | None:
        """The `Date` of the answer: the server's clock, cut to whole seconds (RFC 9110, section 6.6.1). None without a
        valid one."""
        return http_date(self.response_header("date"))

    @property
    def clock_ahead(self) -> float | None:
        """The least number of seconds by which the server's clock is ahead of ours; None if `answered_at` is None."""
        date = self.answered_at
        return None if date is None else (date - self.ended_at).total_seconds()

    @property
    def lacks_token(self) -> bool:
        """True if there was no usable token, or the server refused it."""
        return self.status == 401 or (self.failure is not None and self.failure.kind is FailureKind.TOKEN)

    @property
    def content_type(self) -> str:
        """The media type of the answer in lower case, without parameters; empty if it has none."""
        return self.response_header("content-type").partition(";")[0].strip().lower()

    @property
    def body_text(self) -> str:
        """The body of the answer as text to read; bytes that are not UTF-8 become U+FFFD."""
        return self.response_body.decode("utf-8-sig", "replace")

    def request_header(self, name: str) -> str:
        return _header(self.request_headers, name)

    def response_header(self, name: str) -> str:
        """Return the first value of a response header; empty if it is absent."""
        return _header(self.response_headers, name)

    def json(self) -> Any:
        """Parse the body as strict JSON; AnswerError says what is wrong with it."""
        if self.truncated:
            raise AnswerError("The answer is larger than the limit and was not read to its end.")
        return load_strict_json(self.response_body)

    def as_received(self, body: JsonT) -> JsonT:
        """Return the body with the secrets that `body`, the result of `json`, masks: only to be sent back to the
        server."""
        received: JsonT = body if self.unredacted is None else load_strict_json(self.unredacted)
        return received


def http_date(text: str) -> datetime | None:
    """Parse an HTTP date in any of its three forms; return None if it is invalid."""
    if not text:
        return None
    try:
        if found := _FIXDATE.fullmatch(text):
            day, month, year, clock = found.groups()
            return datetime.fromisoformat(f"{year}-{MONTHS.index(month) + 1:02}-{day}T{clock}+00:00")
        from email.utils import parsedate_to_datetime  # 6 ms and 1 MiB, for forms that no server may send

        date = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)


def load_strict_json(body: bytes) -> Any:
    """Parse UTF-8 JSON; raise AnswerError for everything that JSON (RFC 8259) or a careful reader does not accept.

    Duplicate names, NaN, Infinity and numbers beyond a double are refused, because two programs would read them
    differently. A lone surrogate, which no file and no terminal can hold, becomes U+FFFD.
    """
    if not body.strip():
        raise AnswerError("The answer is empty.")
    try:
        text = body.decode("utf-8-sig")
        if "\\" in text and ("\\ud" in text or "\\uD" in text):  # one character is found ten times as fast as three
            text = _SURROGATES.sub(lambda found: "\\ufffd" if found[1] else found[0], text)
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant, parse_float=_finite_float)
    except AnswerError:
        raise
    except UnicodeDecodeError as error:
        raise AnswerError(f"The answer is not UTF-8 text (byte {error.start}).") from None
    except json.JSONDecodeError as error:
        if error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated"):
            raise AnswerError("The answer ends too early to be JSON.") from None
        place = f"line {error.lineno}, column {error.colno}"
        raise AnswerError(f"The answer is not JSON: {error.msg} ({place}).") from None
    except RecursionError:
        raise AnswerError(_TOO_DEEP) from None
    except ValueError:
        raise AnswerError("The answer holds a number with too many digits.") from None
    if _is_too_deep(value):
        raise AnswerError(_TOO_DEEP)
    return value


def _is_too_deep(value: Any) -> bool:
    nested: list[Any] = [[value]]
    for _ in range(MAX_NESTING + 1):
        children = (node.values() if type(node) is dict else node for node in nested)
        deeper = (some for some in children if not _CONTAINERS.isdisjoint(map(type, some)))  # most have none
        nested = [item for some in deeper for item in some if type(item) in _CONTAINERS]
        if not nested:
            return False
    return True


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        twice = next(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
        raise AnswerError(f"The answer names the property {twice!r} twice in one object.")
    return result


def _refuse_constant(name: str) -> NoReturn:
    raise AnswerError(f"The answer holds {name}, which is not a JSON number.")


def _finite_float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise AnswerError("The answer holds a number that is too large.")
    return number


def _header(headers: Iterable[tuple[str, str]], name: str) -> str:
    name = name.lower()
    return next((value for key, value in headers if key.lower() == name), "")
