"""`runtui doctor`: checks this machine, the connection and the server.

Invariant: a finding holds no secret. Every finding except an ok has a next step. A failed check does not end the
others. No request can change anything: one GET for a single workflow, and one OPTIONS for a run that cannot exist. The
only file written is a temporary one in the state folder.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import sqlite3
import ssl
import sys
import tempfile
import textwrap
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import aclosing, closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from urllib.parse import quote, urlsplit

from runtui import __version__
from runtui.auth.claims import WRITE_PERMISSION, read_claims
from runtui.command_line import CommandLine, token_source
from runtui.config import Choices, Config, choose, read_config
from runtui.domain.text import count_words, visible
from runtui.errors import ExitCode, RuntuiError
from runtui.graph.client import GraphClient
from runtui.graph.exchange import Exchange
from runtui.graph.network import proxy_of, tls_context
from runtui.graph.pages import GraphError
from runtui.graph.root import root_is_loopback
from runtui.graph.transport import Transport
from runtui.headless.config import problems_of
from runtui.headless.output import standard_output
from runtui.options import OPTION_BY_NAME
from runtui.private_files import explanation, private_folder
from runtui.profiles import PROXY_VARIABLES, names_server, settings_of
from runtui.redact import redact
from runtui.services.records.journal_file import STEPS, damaged_files
from runtui.settings import JOURNAL_FILE, Settings, config_path, state_folder

if TYPE_CHECKING:
    from runtui.graph.transport import Wire

PACKAGES: Final = ("textual", "httpx", "msal", "pydantic", "truststore")
RECOMMENDED_SIZE: Final = (80, 24)
"""The columns and lines that a terminal needs to show everything."""
SCARCE_BYTES: Final = 100 * 1024 * 1024
"""The free space, in bytes, below which the journal and a long list may not fit."""

MAX_SKEW_SECONDS: Final = 120.0
"""The most that the clocks may differ: tokens and signed proofs are refused beyond a few minutes."""

_NO_TOKEN: Final = "runtui-doctor-has-no-token"  # noqa: S105 - that is what it says
"""Sent if there is no token: the server's refusal still shows that it responds, and its time."""

_SIGN_IN: Final = "Sign in: runtui login, or open runtui."

State: TypeAlias = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    about: str
    """The subject of the check, in one or two words."""
    state: State
    what: str
    next_step: str = ""


def ok(about: str, what: str) -> Finding:
    return Finding(about, "ok", what)


def warning(about: str, what: str, next_step: str) -> Finding:
    """Return a finding that may cause problems, or a check without a result."""
    return Finding(about, "warning", what, next_step)


def problem(about: str, what: str, next_step: str) -> Finding:
    return Finding(about, "problem", what, next_step)


_MARKS: Final[Mapping[State, str]] = {"ok": "✓", "warning": "!", "problem": "✗"}
_ABOUT_CELLS: Final = 12
_ENDLESS: Final = 1_000_000
"""The width of output that is not a terminal, in characters."""


def examine(line: CommandLine, *, offline: bool, output: str) -> int:
    """Run every check, print what it finds, and return NOT_DONE for a problem. `offline` sends no request."""
    findings = [*python(), *terminal(), *language(), *_state()]
    chosen, settings = _choices(line)
    findings += chosen
    if settings is not None:
        findings += asyncio.run(_network(settings, offline=offline))
    has_problem = any(finding.state == "problem" for finding in findings)
    width = standard_output().width or _ENDLESS
    print(_json(findings) if output == "json" else "\n".join(_lines(findings, width)))
    return ExitCode.NOT_DONE if has_problem else ExitCode.DONE


def _state() -> Iterable[Finding]:
    try:
        return state(state_folder())
    except RuntuiError as error:
        return [problem("state folder", error.message, error.hint)]


def _choices(line: CommandLine) -> tuple[list[Finding], Settings | None]:
    """Return the findings on config.toml, the profile and the source of each value, and the settings if complete."""
    findings: list[Finding] = []
    try:
        config = read_config(config_path())
        findings += _file(config)
        choices = choose(config, line.flags, profile=line.profile)
        findings.append(_given(config, choices))
        if not names_server(choices):
            return [*findings, _no_server(config)], None
        return findings, settings_of(choices)
    except RuntuiError as error:
        return [*findings, problem("options", error.summary, error.hint or "Correct it.")], None


def _given(config: Config, choices: Choices) -> Finding:
    name = f"Profile {choices.profile} ({choices.profile_where})" if choices.profile else "No profile"
    sources = {option: chosen.where.removeprefix(f"{config.path}, ") for option, chosen in choices.values.items()}
    given = ", ".join(f"{option} from {source}" for option, source in sources.items())
    return ok("options", f"{name}: {given or 'only defaults'}.")


def _no_server(config: Config) -> Finding:
    if config.profiles:
        return problem("server", "No profile is chosen.", "Add --profile NAME, or set default-profile.")
    return problem("server", "No server is set up yet.", "Run runtui to see the first steps. Or try: runtui demo.")


def _file(config: Config) -> Iterator[Finding]:
    if not config.exists:
        yield ok("config", f"There is no {config.path}; none is needed.")
        return
    problems = problems_of(config)
    if not problems:
        yield ok("config", f"{config.path}: {count_words(len(config.profiles), 'profile')}, no problem.")
    for found in problems:
        place = f"{config.path}, line {found.line}" if found.line else f"{config.path}"
        yield warning("config", f"{place}: {found.message}", "Correct it; runtui config check lists every problem.")


async def _network(settings: Settings, *, offline: bool) -> list[Finding]:
    findings = [await asyncio.to_thread(trust, settings), await asyncio.to_thread(proxy, settings)]
    signed_in, token = await sign_in(settings, offline=offline)
    findings += signed_in
    if offline:
        return [*findings, ok("root", f"{settings.root} was not contacted (--offline).")]
    return findings + [finding async for finding in server(settings, token)]


def _json(findings: Iterable[Finding]) -> str:
    listed = [{**asdict(finding), "what": redact(finding.what)} for finding in findings]
    return json.dumps({"ok": all(it["state"] != "problem" for it in listed), "findings": listed}, indent=2)


def _lines(findings: Iterable[Finding], width: int) -> Iterator[str]:
    for finding in findings:
        head = f"{_MARKS[finding.state]} {finding.state:<8}{finding.about:<{_ABOUT_CELLS}}  "
        yield _under(head, finding.what, width)
        if finding.next_step:
            yield _under(" " * len(head) + "→ ", finding.next_step, width)


def _under(head: str, text: str, width: int) -> str:
    """Return `head` and `text`, wrapped to `width` characters with a hanging indent."""
    shown = visible(redact(text))
    return textwrap.fill(
        shown, width, initial_indent=head, subsequent_indent=" " * len(head), break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


# The checks


def python() -> Iterator[Finding]:
    found, missing = [f"runtui {__version__}", f"Python {platform.python_version()}"], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        yield problem("versions", f"{', '.join(found)}; not installed: {', '.join(missing)}.", "Reinstall runtui.")
    else:
        yield ok("versions", f"{', '.join(found)}, on {platform.system()} {platform.release()}.")


def terminal() -> Iterator[Finding]:
    """Check the terminal's type, size and colours, and whether copied text reaches the clipboard."""
    streams = [stream for stream in (sys.stderr, sys.stdout, sys.stdin) if stream.isatty()]
    if not streams:
        yield warning("terminal", "No terminal here.", "Use the commands without a screen: runtui list.")
        return
    term = os.environ.get("TERM", "")
    if term in ("", "dumb", "unknown"):
        what = f"TERM is {term or 'not set'}: the terminal cannot place a cursor."
        yield problem("terminal", what, "Set TERM to the type of the terminal, such as xterm-256color.")
        return
    columns, lines = os.get_terminal_size(streams[0].fileno())
    words = f"TERM is {term}, {columns}x{lines}, {_colours(term)}."
    if (columns, lines) < RECOMMENDED_SIZE or lines < RECOMMENDED_SIZE[1]:
        yield warning("terminal", words, f"Make it {RECOMMENDED_SIZE[0]}x{RECOMMENDED_SIZE[1]} or larger.")
    else:
        yield ok("terminal", words)
    yield _clipboard(term)


def _colours(term: str) -> str:
    if "NO_COLOR" in os.environ:
        return "no colours (NO_COLOR)"
    if os.environ.get("COLORTERM", "").lower() in ("truecolor", "24bit") or term.endswith("-direct"):
        return "16.7 million colours"
    return "256 colours" if "256color" in term else "16 colours"


def _clipboard(term: str) -> Finding:
    way = "Copied text goes to the terminal's clipboard (OSC 52)"
    if "SSH_CONNECTION" in os.environ or "SSH_TTY" in os.environ:
        way += ", across SSH"
    if os.environ.get("STY") or (term.startswith("screen") and not os.environ.get("TMUX")):
        return warning("clipboard", f"{way}, which GNU screen does not pass on.", "Use tmux, or select with the mouse.")
    if os.environ.get("TMUX"):
        if not term.startswith(("tmux", "screen")):
            what = f"This is tmux, but TERM is {term}: its features are misread."
            return warning("clipboard", what, "In ~/.tmux.conf: set -g default-terminal tmux-256color")
        return ok("clipboard", f"{way}, through tmux with: set -g set-clipboard on.")
    return ok("clipboard", f"{way}, where the terminal allows it.")


def language() -> Iterator[Finding]:
    encoding = sys.getfilesystemencoding()  # of the arguments; the output is UTF-8 in any locale
    named = (f"{name}={os.environ[name]}" for name in ("LC_ALL", "LC_CTYPE", "LANG") if os.environ.get(name))
    found = next(named, "not set")
    if encoding.lower().replace("-", "") != "utf8":
        yield problem(
            "locale", f"The encoding is {encoding} ({found}).", "Set LANG to a UTF-8 locale, such as C.UTF-8."
        )
    else:
        yield ok("locale", f"The encoding is UTF-8 ({found}).")


def state(folder: Path) -> Iterator[Finding]:
    """Check that the state folder can be written and has room, and that its journal is sound."""
    place = folder
    try:
        while not place.exists() and place != place.parent:
            place = place.parent
        if place == folder:
            private_folder(folder)
        with tempfile.NamedTemporaryFile(dir=place, prefix=".runtui-doctor-"):
            pass
    except OSError as error:
        yield problem("state folder", *explanation(place, error))
        return
    free = shutil.disk_usage(place).free
    words = f"{folder} {'is writable' if place == folder else 'will be created'}, {free / 2**30:.1f} GiB free."
    if free < SCARCE_BYTES:
        yield warning("state folder", words, "Free some space: a change that cannot be recorded is not sent.")
    else:
        yield ok("state folder", words)
    yield from journal(folder / JOURNAL_FILE)


def journal(path: Path) -> Iterator[Finding]:
    """Check that the journal is sound, and report broken ones that were set aside."""
    if path.exists():
        yield _journal_state(path)
    else:
        yield ok("journal", "None yet: no change was made from here.")
    if damaged := damaged_files(path):
        names = ", ".join(damaged_file.name for damaged_file in damaged)
        yield warning("journal", f"Broken files were set aside: {names}.", "Keep them if you need what they record.")


def _journal_state(path: Path) -> Finding:
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as db:
            answer = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if db.execute("PRAGMA user_version").fetchone()[0] > len(STEPS):
                hint = "Use that one, or another RUNTUI_STATE."
                return problem("journal", f"{path} was written by a newer runtui.", hint)
            if answer == "ok":
                count = db.execute("SELECT count(*) FROM entry").fetchone()[0]
                return ok("journal", f"{count_words(count, 'entry', 'entries')}, sound.")
    except sqlite3.Error as error:
        answer = str(error)
    return problem("journal", f"{path} is broken: {answer}.", "Keep a copy: runtui sets it aside when it starts.")


def trust(settings: Settings) -> Finding:
    if settings.root.startswith("http:"):
        return ok("trust", "No certificate is needed: the root is plain http on this machine.")
    try:
        context = tls_context(settings.ca_file)
    except OSError as error:
        return problem(
            "trust", f"The certificates cannot be loaded: {error}.", "Correct ca-file, SSL_CERT_FILE or SSLKEYLOGFILE."
        )
    own = f", and {settings.ca_file}" if settings.ca_file else ""
    if type(context) is not ssl.SSLContext:
        return ok("trust", f"The certificates of the operating system{own}.")
    variable = next((f" ({name})" for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)), "")
    return ok("trust", f"{len(context.get_ca_certs())} certificates of the system{variable}{own}.")


def proxy(settings: Settings) -> Finding:
    if root_is_loopback(settings.root):
        return ok("proxy", "None: the root is this machine.")
    found = proxy_of(settings.root, settings.proxy)
    if found is None and any(map(os.environ.get, PROXY_VARIABLES)):
        return ok("proxy", f"None: NO_PROXY excludes {urlsplit(settings.root).hostname}.")
    if found is None:
        return ok("proxy", "None is named for this root.")
    return ok("proxy", f"{OPTION_BY_NAME['proxy'].shown(found.url)}, from {found.source}.")


async def sign_in(settings: Settings, *, offline: bool) -> tuple[list[Finding], str]:
    """Check who is signed in, until when, with which permissions. Return the findings and the token ("" if none)."""
    try:
        source = token_source(settings)
        if settings.sign_in is None or settings.sign_in.method == "token":
            token = await source()
            return list(_token_findings(token, settings)), token
        return await _held(source, settings, offline=offline)
    except RuntuiError as error:
        return [problem("sign-in", error.summary, error.hint or _SIGN_IN)], ""


async def _held(source: object, settings: Settings, *, offline: bool) -> tuple[list[Finding], str]:
    """Check the stored sign-in, which is renewed unless `offline`. Return the findings and the token."""
    from runtui.auth.signin import SignIn

    assert isinstance(source, SignIn)  # noqa: S101 - every other source is a token by hand
    async with aclosing(source):
        state = await source.load()
        scopes = ", ".join(scope.rpartition("/")[2] for scope in source.scopes)
        if state.account is None and source.is_person:
            return [problem("sign-in", f"Nobody is signed in; a sign-in would request {scopes}.", _SIGN_IN)], ""
        if offline:
            account = state.account
            who = str(account) if account else settings.sign_in.client_id if settings.sign_in else ""
            return [ok("sign-in", f"{who}{_until(state.expires_at)}; {scopes}.")], ""
        token = await source()
        return list(_token_findings(token, settings)), token


def _token_findings(token: str, settings: Settings) -> Iterator[Finding]:
    claims = read_claims(token)
    if claims.expires_at is not None and claims.expires_at <= datetime.now(UTC):
        when = f"{claims.expires_at:%Y-%m-%d %H:%M} UTC"
        who = claims.account or "an unnamed account"
        yield problem("sign-in", f"The token of {who} expired {when}.", "Get another token.")
        return
    who = claims.account or "a token without an account name"
    yield ok(
        "sign-in", f"{who}{f', tenant {claims.tenant_id}' if claims.tenant_id else ''}{_until(claims.expires_at)}."
    )
    if claims.permissions is None:
        return
    words = ", ".join(sorted(claims.permissions)) or "none"
    if WRITE_PERMISSION in claims.permissions or settings.read_only:
        yield ok("permissions", f"{words}.")
    else:
        what = f"{words}: without {WRITE_PERMISSION} no run can be changed."
        yield warning("permissions", what, "Ask an administrator to grant it, or set read-only.")


def _until(moment: datetime | None) -> str:
    if moment is None:
        return ""
    minutes = int((moment - datetime.now(UTC)).total_seconds() // 60)
    return f", {minutes} minutes left" if minutes >= 0 else ", renewal due"


async def server(settings: Settings, token: str, wire: Wire | None = None) -> AsyncIterator[Finding]:
    """Check that the server responds, its clock, and whether runs can be read and changed."""

    async def bearer() -> str:
        return token or _NO_TOKEN

    async with Transport(
        settings.root, token=bearer, ca_file=settings.ca_file, proxy=settings.proxy, wire=wire
    ) as transport:
        client = GraphClient(transport, patch_path=settings.patch_path, page_size=1)
        exchange, fault = await _one_read(client)
        if exchange.status is None:
            what = fault.message if fault else "No response."
            yield problem("root", f"{settings.root}: {what}", fault.hint if fault else "Try again.")
            return
        yield ok("root", f"{settings.root} responds in {(exchange.seconds or 0) * 1000:.0f} ms.")
        yield clock(exchange)
        if not token:
            yield warning("read", "Skipped: there is no token.", _SIGN_IN)
        elif fault is not None:
            yield problem("read", fault.summary, fault.hint or "Ask the server's administrator.")
        else:
            yield ok("read", "The workflows can be listed.")
        yield await _change(client, settings, has_token=bool(token))


async def _one_read(client: GraphClient) -> tuple[Exchange, RuntuiError | None]:
    try:
        async for page in client.workflows():
            return page.exchange, None
    except GraphError as error:
        return error.exchange, error
    raise RuntimeError("A listing has a first page or an error.")


def clock(exchange: Exchange) -> Finding:
    seconds = exchange.clock_ahead
    if seconds is None:
        return warning("clock", "The server sends no time.", "Check the clock yourself: date -u.")
    if abs(seconds) <= MAX_SKEW_SECONDS:
        return ok("clock", "In step with the server.")
    minutes = f"{abs(seconds) / 60:.0f} minutes {'ahead of' if seconds < 0 else 'behind'}"
    return warning("clock", f"It is {minutes} the server.", "Correct it (NTP): sign-in fails when clocks differ.")


async def _change(client: GraphClient, settings: Settings, *, has_token: bool) -> Finding:
    """Check with OPTIONS, which changes nothing, whether the server offers the update of a run."""
    if settings.read_only:
        return ok("change", "Skipped: this profile is read-only.")
    exchange = await client.ask_for_update()
    allowed = {method.strip().upper() for method in exchange.response_header("allow").split(",")} - {""}
    if "PATCH" in allowed:
        return ok("change", f"The server offers PATCH {settings.patch_path}.")
    body = exchange.response_body.decode(errors="replace").lower()
    if allowed or "not found for the segment" in body:
        return warning(
            "change",
            f"The server does not offer PATCH {settings.patch_path}.",
            "Runs can still be read; set patch-path if this server updates runs elsewhere.",
        )
    answer = f"answered OPTIONS with {exchange.status}" if exchange.status else "did not answer OPTIONS"
    why = "" if has_token else ", and there is no token"
    return warning(
        "change",
        f"Unknown until the first change: the server {answer}{why}.",
        "Try a change; the review shows it before it is sent.",
    )
