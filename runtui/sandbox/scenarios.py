"""The faults that the sandbox can simulate: for each its name, a sentence for people, and what it does.

Invariant: `SCENARIOS` is the only list of them, and each name has a test over a real socket. `none` comes first and
changes nothing. Importing this module does not import the server.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

from runtui.domain.properties import EDITABLE
from runtui.errors import UsageError, nearest
from runtui.sandbox.errors import GraphError, bad_request, method_not_allowed, token_revoked, unknown_segment

if TYPE_CHECKING:
    from starlette.responses import Response

    from runtui.sandbox.authority.service import Authority
    from runtui.sandbox.database import Database
    from runtui.sandbox.exchange import Exchange

SLOW_SECONDS: Final = 3.0
"""The delay of `slow` before a change is applied."""

READ_SECONDS: Final = 0.3
"""The delay of `slow-reads` before a read is answered."""

_DRIP_SECONDS: Final = 0.5
"""The pause of `slow-drip` after each byte: a response of 700 bytes takes minutes, and a client waits half a minute."""

SHORT_CODE_SECONDS: Final = 10
"""The lifetime of a code in `sign-in-expired`."""

BIG_BODY_BYTES: Final = 2_000_000
"""The number of bytes that `big-body` adds to a response."""

_SOON_SECONDS: Final = 3
_NOTE: Final = "(note)"
_HISTORY_LINE: Final = "What a service may add to a response, at length. " * 4

_POLL_SECONDS: Final = 2
_POLLS: Final = 4
"""The number of the poll at which the sandbox decides about a code by itself."""

Action = Callable[["Exchange"], Awaitable["Response"]]
"""What a scenario does to a request: it returns the response, or breaks the connection."""


# The actions.


def _refuse(status: int, code: str, message: str, **headers: str) -> Action:
    """Return an action that refuses a request as Graph does, and applies nothing.

    In a text, `{authorization}` stands for that header of the request, and `{soon}` for an HTTP date a few seconds
    ahead. In the name of a header, `_` stands for `-`.
    """

    async def refuse(exchange: Exchange) -> Response:
        facts = {
            "authorization": exchange.headers.get("authorization", ""),
            "soon": exchange.http_date(in_seconds=_SOON_SECONDS),
        }
        filled = {name.replace("_", "-"): value.format_map(facts) for name, value in headers.items()}
        return exchange.refuse(GraphError(status, code, message.format_map(facts), headers=filled))

    return refuse


def _throttle(**headers: str) -> Action:
    return _refuse(429, "TooManyRequests", "Too many requests.", **headers)


def _unavailable(**headers: str) -> Action:
    return _refuse(503, "ServiceUnavailable", "The service is temporarily unavailable.", **headers)


async def _revoked(exchange: Exchange) -> Response:
    return exchange.refuse(token_revoked('{"access_token":{"acrs":{"essential":true,"value":"cp1"}}}'))


def _web_page(status: int, title: str, *, is_applied: bool) -> Action:
    """Return an action that answers with a web page, as a proxy does; with `is_applied`, Graph gets the request too."""

    async def respond(exchange: Exchange) -> Response:
        if is_applied:
            await exchange.proceed()
        return exchange.page(status, title)

    return respond


def _empty(status: int) -> Action:
    """Return an action that sends no body, but another status."""

    async def respond(exchange: Exchange) -> Response:
        return await exchange.rewrite(lambda _body: b"", status)

    return respond


def _after(seconds: float) -> Action:
    """Return an action that carries a request out after a delay, even if the client has disconnected by then."""

    async def respond(exchange: Exchange) -> Response:
        await exchange.body()
        await exchange.app.state.pause(seconds)
        return await exchange.proceed()

    return respond


def _reset(*, is_applied: bool) -> Action:
    async def reset(exchange: Exchange) -> Response:
        await (exchange.proceed() if is_applied else exchange.body())
        raise ConnectionResetError(f"The scenario resets the connection; applied: {is_applied}.")

    return reset


async def _wrong_id(exchange: Exchange) -> Response:
    return await exchange.rewrite(lambda body: _with(body, id=f"{exchange.run_id}0"))


async def _at_length(exchange: Exchange) -> Response:
    history = [{"index": index, "text": _HISTORY_LINE} for index in range(BIG_BODY_BYTES // len(_HISTORY_LINE))]
    return await exchange.rewrite(lambda body: _with(body, history=history))


def _with(body: bytes, **properties: Any) -> bytes:
    """Return the JSON of a response with other values for some properties; unchanged if it is empty."""
    return json.dumps({**json.loads(body), **properties}).encode() if body else body


async def _ignore_a_property(exchange: Exchange) -> Response:
    """Pass the change on without the first property whose value would change."""
    from runtui.sandbox.requests import read_json
    from runtui.sandbox.writes import run_changes

    body = await exchange.body()
    try:
        sent = read_json(exchange.headers.get("content-type"), body)
        changes = run_changes(sent)
    except GraphError:
        pass  # the app refuses it in its own words
    else:
        before = exchange.database.run(exchange.run_id) or {}
        ignored = next((name for name, value in changes.items() if before.get(name) != value), None)
        body = json.dumps({name: value for name, value in sent.items() if name != ignored}).encode()
    return await exchange.proceed(body)


async def _edit_meanwhile(exchange: Exchange) -> Response:
    """Edit the run as somebody else, before a write is applied or after a read is carried out."""
    if exchange.method != "GET":
        exchange.edit_run()
        return await exchange.proceed()
    response = await exchange.proceed()
    if response.status_code == 200:
        exchange.edit_run()
    return response


async def _require_all(exchange: Exchange) -> Response:
    """Refuse a change that does not name each property that the API page calls Required."""
    body = await exchange.body()
    for item in EDITABLE:
        if item.required and f'"{item.name}"'.encode() not in body:
            message = f"The property '{item.name}' of resource 'run' is required."
            return exchange.refuse(bad_request(message, target=item.name))
    return await exchange.proceed()


async def _have_no_route(exchange: Exchange) -> Response:
    """Refuse as Graph does: it has no workflowBase, and no PATCH of a run below a workflow."""
    is_base = "/workflowBase/" in exchange.url.path
    return exchange.refuse(unknown_segment("workflowBase") if is_base else method_not_allowed({"Allow": "GET"}))


async def _revoke_sign_ins(exchange: Exchange) -> Response:
    authority: Authority = exchange.app.state.authority  # the scenario needs one
    for user in authority.directory.users:
        authority.revoke(user)
    return await exchange.proceed()


async def _echo_token(exchange: Exchange) -> Response:
    """Add a note with the token to each run of a response; a character that is no letter or digit is a JSON escape."""
    escaped = "".join(letter if letter.isalnum() else f"\\u{ord(letter):04X}" for letter in exchange.token)

    def with_notes(received: bytes) -> bytes:
        if not received:
            return received
        body = json.loads(received)
        for item in body.get("value", [body]):
            item["note"] = _NOTE
        return json.dumps(body).replace(_NOTE, f"Read with {escaped}.").encode()

    return await exchange.rewrite(with_notes)


# The table.


# The requests that a scenario acts on: patterns of method and path. A batch itself changes nothing: each of its items
# passes through the scenario by itself.
_ONE_BY_ONE: Final = re.compile(r"(?!POST .*/\$batch$).*", re.DOTALL)
_READS: Final = re.compile(r"GET .*", re.DOTALL)
_WRITES: Final = re.compile(r"(?:PATCH|POST) (?!.*/\$batch$).*", re.DOTALL)
_UPDATES: Final = re.compile(r"PATCH .*", re.DOTALL)
_ONE_RUN: Final = re.compile(r"\w+ .*/runs/[^/$]+")
_RESULTS: Final = re.compile(r"\w+ .*/\w+ProcessingResults(?:/.*)?")


class Codes(Enum):
    """What happens to the device codes of a sandbox with a sign-in."""

    APPROVED = auto()
    DECLINED = auto()
    EXPIRED = auto()


@dataclass(frozen=True, slots=True)
class Scenario:
    """One fault that the sandbox simulates."""

    name: str
    summary: str
    """What a person sees, in a sentence."""
    action: Action | None = None
    """What happens to the requests that match `requests`; None for nothing."""
    requests: re.Pattern[str] = _WRITES
    times: int | None = None
    """The number of requests that it happens to; None for all."""
    counts_paths: bool = False
    """`times` is counted separately for each method and path."""
    otherwise: Action | None = None
    """What happens to the other requests."""
    has_etags: bool = False
    """Runs have `@odata.etag`, and If-Match is honoured."""
    has_newer_members: bool = False
    """Some runs have enum members that no client knows."""
    codes: Codes = Codes.APPROVED
    needs_sign_in: bool = False
    """It works only in a sandbox with a sign-in."""


def _twice(name: str, summary: str, action: Action) -> Scenario:
    """Return a scenario that refuses each request twice, then lets it through. As Graph does, it refuses the items of a
    batch, and not the batch."""
    return Scenario(name, summary, action, requests=_ONE_BY_ONE, times=2, counts_paths=True)


_FORBIDDEN: Final = _refuse(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
_ECHO: Final = _refuse(
    400, "BadRequest", "The request cannot be understood. It said: Authorization: {authorization}",
    x_ms_request_authorization="{authorization}",
)  # fmt: skip

SCENARIOS: Final = (
    Scenario("none", "Everything works."),
    _twice("429-seconds", "429 twice per request: retry after 2 seconds.", _throttle(Retry_After="2")),
    _twice("429-date", "429 twice per request: retry after a date.", _throttle(Retry_After="{soon}")),
    _twice("429-absent", "429 twice per request: no Retry-After.", _throttle()),
    _twice("429-absurd", "429 twice per request: retry after 115 days.", _throttle(Retry_After="9999999")),
    _twice("503", "503 twice per request: no Retry-After.", _unavailable()),
    _twice("503-retry-after", "503 twice per request: retry after 2 seconds.", _unavailable(Retry_After="2")),
    Scenario("504", "Changes are applied; a gateway answers with a page (504).",
             _web_page(504, "504 Gateway Time-out", is_applied=True)),
    Scenario("slow", f"Each change takes {SLOW_SECONDS:g} seconds.", _after(SLOW_SECONDS)),
    Scenario("slow-reads", f"Each read takes {READ_SECONDS:g} seconds.", _after(READ_SECONDS), requests=_READS),
    Scenario("slow-drip", "Changes are applied; the response takes minutes.",
             lambda exchange: exchange.drip(_DRIP_SECONDS)),
    Scenario("reset-before", "The connection is reset before a change is applied.", _reset(is_applied=False)),
    Scenario("reset-after", "The connection is reset after a change is applied.", _reset(is_applied=True)),
    Scenario("half-body", "Changes are applied; the response breaks off.", lambda exchange: exchange.cut()),
    Scenario("wrong-id", "Changes are applied; the response describes another run.", _wrong_id),
    Scenario("html-200", "A network's sign-in page swallows each change (200).",
             _web_page(200, "Sign in to the network", is_applied=False)),
    Scenario("204", "Changes are applied; the response is empty (204).",
             _empty(204)),
    Scenario("202", "Changes are applied; the response only accepts them (202).",
             _empty(202)),
    Scenario("etag", "With ETags: a change to an outdated run is refused (412).", has_etags=True),
    Scenario("412", "With ETags: somebody edits each run before you do (412).", _edit_meanwhile,
             times=1, counts_paths=True, has_etags=True),
    Scenario("colleague", "Without ETags: somebody edits each run while you do.", _edit_meanwhile,
             requests=_ONE_RUN, times=1, counts_paths=True),
    Scenario("401-once", "The first change is refused: token revoked (401).", _revoked, times=1),
    Scenario("401-always", "Every change is refused: token revoked (401).", _revoked),
    Scenario("403", "You can read, but not change anything (403).", _FORBIDDEN),
    Scenario("403-results", "You can list runs, but not read their results (403).", _FORBIDDEN, requests=_RESULTS),
    Scenario("segment", "Changes of a run are not offered, as in the published Graph (400).", _have_no_route,
             requests=_UPDATES),
    Scenario("required", "A change without every required property is refused (400).", _require_all,
             requests=_UPDATES),
    Scenario("unknown-enum", "Newer than runtui: enum members, properties and an id.", has_newer_members=True),
    Scenario("big-body", "Each change is answered with 2 MB of JSON.", _at_length),
    Scenario("ignored", "One property of each change is ignored (200).", _ignore_a_property),
    Scenario("echo", "Your token comes back in errors (400) and in each run.", _ECHO, otherwise=_echo_token),
    Scenario("sign-in-refused", "With demo --sign-in: every code is declined.",
             codes=Codes.DECLINED, needs_sign_in=True),
    Scenario("sign-in-expired", f"With demo --sign-in: every code expires after {SHORT_CODE_SECONDS} seconds.",
             codes=Codes.EXPIRED, needs_sign_in=True),
    Scenario("sign-in-revoked", "With demo --sign-in: the first change revokes your sign-in.", _revoke_sign_ins,
             times=1, needs_sign_in=True),
)  # fmt: skip

_BY_NAME: Final = {scenario.name: scenario for scenario in SCENARIOS}


def summaries() -> dict[str, str]:
    return {scenario.name: scenario.summary for scenario in SCENARIOS}


def scenario_named(name: str) -> Scenario:
    """Return the scenario of that name.

    Raises:
        UsageError: there is none; the hint names the nearest one, or all.
    """
    if name in _BY_NAME:
        return _BY_NAME[name]
    near = nearest(name, _BY_NAME)
    hint = f"Did you mean {near!r}?" if near else f"There are: {', '.join(_BY_NAME)}."
    raise UsageError("No such scenario", f"The sandbox has no scenario {name!r}.", hint)


def check_sign_in(scenario: Scenario, *, has_sign_in: bool) -> None:
    """Check that a scenario can be used in a sandbox with or without a sign-in.

    Raises:
        UsageError: the scenario needs a sign-in, and there is none.
    """
    if scenario.needs_sign_in and not has_sign_in:
        raise UsageError("This sandbox has no sign-in", f"{scenario.name} needs one.", "Start: runtui demo --sign-in.")


# Carrying them out.


class ScenarioSwitch:
    """Holds the current scenario, and counts the requests that it has acted on."""

    def __init__(self, name: str, database: Database, authority: Authority | None) -> None:
        self._database = database
        self._authority = authority
        self.use(name)

    def use(self, name: str) -> None:
        """Switch to a scenario from the next request on, with its counts at zero.

        Raises:
            UsageError: there is no such scenario, or it needs a sign-in and there is none; nothing has changed.
        """
        scenario = scenario_named(name)
        check_sign_in(scenario, has_sign_in=self._authority is not None)
        self._decide_codes(scenario.codes)
        self.current: Scenario = scenario
        self._acted: Counter[tuple[str, str]] = Counter()
        if scenario.has_newer_members:
            self._database.add_future_values()

    def action(self, method: str, path: str) -> Action | None:
        """Count a request and return what happens to it; None for nothing."""
        scenario = self.current
        if scenario.action is not None and scenario.requests.fullmatch(f"{method} {path}"):
            key = (method, path) if scenario.counts_paths else ("", "")
            self._acted[key] += 1
            if scenario.times is None or self._acted[key] <= scenario.times:
                return scenario.action
        return scenario.otherwise

    def _decide_codes(self, codes: Codes) -> None:
        """Let the sandbox decide about codes, as if somebody entered them on another device."""
        if self._authority is None:
            return
        from runtui.sandbox.authority.directory import DEMO_ADMIN
        from runtui.sandbox.authority.grants import DEVICE_CODE_SECONDS, Autopilot

        devices = self._authority.devices
        devices.interval = _POLL_SECONDS
        devices.lifetime = SHORT_CODE_SECONDS if codes is Codes.EXPIRED else DEVICE_CODE_SECONDS
        user = DEMO_ADMIN if codes is Codes.APPROVED else None
        devices.autopilot = None if codes is Codes.EXPIRED else Autopilot(user, _POLLS)
