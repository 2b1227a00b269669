"""The ways in which the sandbox can misbehave, each a line of one table.

Invariant: `SCENARIOS` is the only list of them. It is pure data: `misbehave.py` carries it out, the command line shows
it, and each name has a test over a real socket. `none` comes first and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from runtui.errors import UsageError

SLOW_SECONDS: Final = 3.0
"""How long `slow` holds a change back before it is applied."""

CODE_SECONDS: Final = 10
"""How long a code of `sign-in-expired` lives."""

DRIP_SECONDS: Final = 0.5
"""The pause between two bytes of `slow-drip`: an answer of 700 bytes takes minutes, a client waits half a minute."""

BIG_BODY_BYTES: Final = 2_000_000
"""How much `big-body` adds to an answer."""


class Requests(Enum):
    """Which requests a scenario strikes."""

    WRITES = auto()
    """Every PATCH."""
    ONE_RUN = auto()
    """What reads or writes one run."""
    ALL = auto()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Graph refuses in its own words, and applies nothing.

    In a text, `{authorization}` stands for that header of the request, and `{soon}` for a moment just ahead as an HTTP
    date.
    """

    status: int
    code: str
    message: str
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class WebPage:
    """Somebody between the client and Graph answers with a page of HTML, without a header of Graph's."""

    status: int
    title: str
    is_applied: bool
    """Whether Graph has carried the request out all the same."""


class Act(Enum):
    """What else can befall a request."""

    WAIT = auto()
    DRIP = auto()
    RESET_BEFORE = auto()
    RESET_AFTER = auto()
    CUT_ANSWER = auto()
    ANSWER_WITH_OTHER_ID = auto()
    ANSWER_WITHOUT_BODY = auto()
    ANSWER_ACCEPTED = auto()
    ANSWER_AT_LENGTH = auto()
    IGNORE_A_PROPERTY = auto()
    EDIT_MEANWHILE = auto()
    HAVE_NO_ROUTE = auto()
    REVOKE_SIGN_IN = auto()


class Codes(Enum):
    """What becomes of the codes that people sign in with, where the sandbox has a sign-in."""

    APPROVED = auto()
    REFUSED = auto()
    EXPIRED = auto()


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way to behave."""

    name: str
    summary: str
    """What a person sees it do, in one sentence."""
    fault: Refusal | WebPage | Act | None = None
    """What befalls a request that is struck."""
    strikes: Requests = Requests.WRITES
    times: int | None = None
    """How often it strikes; None for always."""
    counts_paths: bool = False
    """Whether `times` is counted for each method and path apart."""
    has_etags: bool = False
    """Whether runs carry `@odata.etag`, and If-Match is honoured."""
    has_newer_members: bool = False
    """Whether some runs carry enum members that no client knows yet."""
    has_echoes: bool = False
    """Whether each run carries the token that it was read with, escaped as some JSON writers do."""
    codes: Codes = Codes.APPROVED
    """What becomes of a code that nobody types in."""

    @property
    def needs_sign_in(self) -> bool:
        """Whether it means something only in a sandbox with a sign-in of its own."""
        return self.codes is not Codes.APPROVED or self.fault is Act.REVOKE_SIGN_IN


_CHALLENGE: Final = (
    'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", '
    'error="insufficient_claims", '
    'claims="eyJhY2Nlc3NfdG9rZW4iOnsiYWNycyI6eyJlc3NlbnRpYWwiOnRydWUsInZhbHVlIjoiY3AxIn19fQ=="'
)
_REVOKED: Final = Refusal(
    401,
    "InvalidAuthenticationToken",
    "Continuous access evaluation resulted in challenge with result: InteractionRequired and code: TokenIssuedBefore"
    "RevocationTimestamp",
    (("WWW-Authenticate", _CHALLENGE),),
)


def _throttled(retry_after: str | None) -> Refusal:
    headers = () if retry_after is None else (("Retry-After", retry_after),)
    return Refusal(429, "TooManyRequests", "Too many requests.", headers)


def _unavailable(retry_after: str | None) -> Refusal:
    headers = () if retry_after is None else (("Retry-After", retry_after),)
    return Refusal(503, "ServiceUnavailable", "The service is temporarily unavailable.", headers)


def _storm(name: str, summary: str, refusal: Refusal) -> Scenario:
    """Two refusals for whatever is asked, then it goes through: patience gets the job done."""
    return Scenario(name, summary, refusal, strikes=Requests.ALL, times=2, counts_paths=True)


SCENARIOS: Final = (
    Scenario("none", "Everything works."),
    _storm("429-seconds", "Each request is throttled twice (429), to be repeated after 2 seconds.", _throttled("2")),
    _storm("429-date", "Each request is throttled twice (429), to be repeated after a date.", _throttled("{soon}")),
    _storm("429-absent", "Each request is throttled twice (429), and nobody says for how long.", _throttled(None)),
    _storm("429-absurd", "Each request is throttled twice (429), to be repeated in 115 days.", _throttled("9999999")),
    _storm("503", "Each request finds the service unavailable twice (503).", _unavailable(None)),
    _storm(
        "503-retry-after",
        "Each request finds the service unavailable twice (503), to be repeated after 2 seconds.",
        _unavailable("2"),
    ),
    Scenario(
        "504",
        "Each change is applied, but a gateway answers in the service's place with a web page (504).",
        WebPage(504, "504 Gateway Time-out", is_applied=True),
    ),
    Scenario("slow", f"Each change takes {SLOW_SECONDS:g} seconds.", Act.WAIT),
    Scenario("slow-drip", "Each change is applied, but its answer drips byte by byte for minutes.", Act.DRIP),
    Scenario("reset-before", "The connection is reset before a change is applied.", Act.RESET_BEFORE),
    Scenario("reset-after", "The connection is reset after a change is applied.", Act.RESET_AFTER),
    Scenario("half-body", "Each change is applied, but its answer breaks off in the middle.", Act.CUT_ANSWER),
    Scenario("wrong-id", "Each change is applied, but the answer is about another run.", Act.ANSWER_WITH_OTHER_ID),
    Scenario(
        "html-200",
        "A sign-in page of the network swallows each change and answers 200.",
        WebPage(200, "Sign in to the network", is_applied=False),
    ),
    Scenario("204", "Each change is applied and answered without a body (204).", Act.ANSWER_WITHOUT_BODY),
    Scenario(
        "202", "Each change is applied, but the answer only says that it was accepted (202).", Act.ANSWER_ACCEPTED
    ),
    Scenario("etag", "Runs carry ETags, and a change of an older version is refused (412).", has_etags=True),
    Scenario(
        "412",
        "Runs carry ETags, and someone else edits each run just before its first change arrives (412).",
        Act.EDIT_MEANWHILE,
        times=1,
        counts_paths=True,
        has_etags=True,
    ),
    Scenario(
        "colleague",
        "Without ETags: someone else edits a run after it is first read, and again before it is first changed.",
        Act.EDIT_MEANWHILE,
        strikes=Requests.ONE_RUN,
        times=1,
        counts_paths=True,
    ),
    Scenario("401-once", "The first change is refused, because the token was revoked (401).", _REVOKED, times=1),
    Scenario("401-always", "Every change is refused, because the token was revoked (401).", _REVOKED),
    Scenario(
        "403",
        "You may read, but not change anything (403).",
        Refusal(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."),
    ),
    Scenario("segment", "The service does not offer changes, as the published Graph (400).", Act.HAVE_NO_ROUTE),
    Scenario(
        "unknown-enum",
        "Every fourth run has a status and an execution type that runtui has never heard of.",
        has_newer_members=True,
    ),
    Scenario("big-body", "Each change is answered with 2 MB of JSON.", Act.ANSWER_AT_LENGTH),
    Scenario("ignored", "One property of each change is left as it was, and the answer is 200.", Act.IGNORE_A_PROPERTY),
    Scenario(
        "echo",
        "Each change is refused (400) with the token in the message and in a header; each run read has it in a note.",
        Refusal(
            400,
            "BadRequest",
            "The request cannot be understood. It said: Authorization: {authorization}",
            (("x-ms-request-authorization", "{authorization}"),),
        ),
        has_echoes=True,
    ),
    Scenario("sign-in-refused", "With --sign-in: somebody says no to every code.", codes=Codes.REFUSED),
    Scenario(
        "sign-in-expired",
        f"With --sign-in: every code runs out after {CODE_SECONDS} seconds, and nobody types it in.",
        codes=Codes.EXPIRED,
    ),
    Scenario(
        "sign-in-revoked",
        "With --sign-in: every sign-in is revoked as the first change arrives, so a person must sign in again (401).",
        Act.REVOKE_SIGN_IN,
        times=1,
    ),
)

_BY_NAME: Final = {scenario.name: scenario for scenario in SCENARIOS}


def check_sign_in(scenario: Scenario, *, has_sign_in: bool) -> None:
    """Nothing, when the scenario means something in a sandbox with or without a sign-in.

    Raises:
        UsageError: it is about a sign-in, and there is none.
    """
    if scenario.needs_sign_in and not has_sign_in:
        raise UsageError(
            "There is no sign-in here",
            f"{scenario.name} is about signing in, and this sandbox takes any token.",
            "Start it with --sign-in.",
        )


def summaries() -> dict[str, str]:
    """The name and the summary of every scenario, in the order in which they are shown."""
    return {scenario.name: scenario.summary for scenario in SCENARIOS}


def scenario_named(name: str) -> Scenario:
    """The scenario of that name.

    Raises:
        UsageError: there is none; it names the nearest one, or all.
    """
    if name in _BY_NAME:
        return _BY_NAME[name]
    import difflib

    near = difflib.get_close_matches(name, _BY_NAME, n=1, cutoff=0.4)
    hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(_BY_NAME)}."
    raise UsageError("No such scenario", f"The sandbox has no scenario {name!r}.", hint)
