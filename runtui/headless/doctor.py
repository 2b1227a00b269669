"""`runtui doctor`: what works here and what does not, each with a next step.

Invariant: no secret is printed, nothing that is asked can change anything, and whatever fails ends one check and not
the others.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from runtui.config import Choices, Config, choose, config_path, read_config
from runtui.domain.text import visible
from runtui.errors import ExitCode, RuntuiError
from runtui.headless import doctor_place, doctor_server
from runtui.headless.config import problems_of
from runtui.headless.findings import Finding, State, ok, problem, warning
from runtui.redact import redact
from runtui.session_settings import names_server, settings_of
from runtui.settings import Settings, state_folder

_MARKS: Final[Mapping[State, str]] = {"ok": "✓", "warning": "!", "problem": "✗"}
_ABOUT_CELLS: Final = 12
_ENDLESS: Final = 1_000_000
"""The width of what is no terminal, in characters."""


def examine(flags: Mapping[str, Any], profile: str | None, *, offline: bool, as_json: bool) -> int:
    """Look at everything and print what was found; exit code 1 when there is a problem.

    Args:
        flags: The options of the command line, by name.
        profile: The profile that it names.
        offline: Whether no server may be asked.
        as_json: Print one JSON object instead of lines.
    """
    findings = list(_place())
    chosen, settings = _choices(flags, profile)
    findings += chosen
    if settings is not None:
        findings += asyncio.run(_network(settings, offline=offline))
    has_problem = any(finding.state == "problem" for finding in findings)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _ENDLESS
    print(_json(findings) if as_json else "\n".join(_lines(findings, width)))
    return int(ExitCode.NOT_DONE if has_problem else ExitCode.DONE)


def _place() -> Iterator[Finding]:
    yield from doctor_place.python()
    yield from doctor_place.terminal()
    yield from doctor_place.language()
    try:
        folder: Path = state_folder()
    except RuntuiError as error:
        yield problem("state folder", error.message, error.hint)
    else:
        yield from doctor_place.state(folder)


def _choices(flags: Mapping[str, Any], profile: str | None) -> tuple[list[Finding], Settings | None]:
    """The file, the profile, where each value that was given comes from; and the settings, if they make some."""
    findings: list[Finding] = []
    try:
        config = read_config(config_path())
        findings += _file(config)
        choices = choose(config, flags, profile=profile)
        findings.append(_given(config, choices))
        if not names_server(choices):
            return [*findings, _no_server(config)], None
        return findings, settings_of(choices)
    except RuntuiError as error:
        return [*findings, problem("choices", f"{error.title}. {error.message}", error.hint or "Correct it.")], None


def _given(config: Config, choices: Choices) -> Finding:
    name = f"Profile {choices.profile} ({choices.profile_where})" if choices.profile else "No profile"
    given = ", ".join(f"{option} from {_short(config, choices, option)}" for option in choices.values)
    return ok("choices", f"{name}: {given or 'defaults alone'}.")


def _no_server(config: Config) -> Finding:
    if config.profiles:
        return problem("server", "Nothing says which profile to use.", "Give --profile NAME, or write default-profile.")
    return problem("server", "No server is known yet.", "runtui alone shows how to begin. Or try: runtui demo.")


def _file(config: Config) -> Iterator[Finding]:
    if not config.exists:
        yield ok("config", f"There is no {config.path}; it is not needed.")
        return
    problems = problems_of(config)
    if not problems:
        yield ok("config", f"{config.path}: {len(config.profiles)} profiles, no problem.")
    for found in problems:
        place = f"{config.path}, line {found.line}" if found.line else f"{config.path}"
        yield warning("config", f"{place}: {found.what}", "Correct it; runtui config check lists what is left.")


def _short(config: Config, choices: Choices, option: str) -> str:
    return choices.where(option).removeprefix(f"{config.path}, ")


async def _network(settings: Settings, *, offline: bool, environ: Mapping[str, str] = os.environ) -> list[Finding]:
    findings = [
        await asyncio.to_thread(doctor_server.trust, settings, environ),
        await asyncio.to_thread(doctor_server.proxy, settings),
    ]
    held, token = await doctor_server.sign_in(settings, offline=offline, environ=environ)
    findings += held
    if offline:
        return [*findings, ok("root", f"{settings.root} was not asked: offline.")]
    return findings + [finding async for finding in doctor_server.server(settings, token)]


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
    """A text beside its head, in lines of at most `width` characters, each of which begins below the first."""
    said = visible(redact(text))
    return textwrap.fill(
        said, width, initial_indent=head, subsequent_indent=" " * len(head), break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
