"""`runtui doctor`: what works and what does not, each problem with a next step.

Invariant: no secret is printed, no request can change anything, and a check that fails does not end the others.
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
from typing import Final

from runtui.command_line import CommandLine
from runtui.config import Choices, Config, choose, read_config
from runtui.domain.text import visible
from runtui.errors import ExitCode, RuntuiError
from runtui.headless import checks
from runtui.headless.checks import Finding, State, ok, problem, warning
from runtui.headless.config import problems_of
from runtui.profiles import names_server, settings_of
from runtui.redact import redact
from runtui.settings import Settings, config_path, state_folder

_MARKS: Final[Mapping[State, str]] = {"ok": "✓", "warning": "!", "problem": "✗"}
_ABOUT_CELLS: Final = 12
_ENDLESS: Final = 1_000_000
"""The width of output that is not a terminal, in characters."""


def examine(line: CommandLine, *, offline: bool, as_json: bool) -> int:
    """Run every check and print the findings; the exit code is NOT_DONE when there is a problem.

    Args:
        line: The options of the command line.
        offline: Ask no server.
        as_json: Print one JSON object instead of text.
    """
    findings = list(_place())
    chosen, settings = _choices(line)
    findings += chosen
    if settings is not None:
        findings += asyncio.run(_network(settings, offline=offline))
    has_problem = any(finding.state == "problem" for finding in findings)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _ENDLESS
    print(_json(findings) if as_json else "\n".join(_lines(findings, width)))
    return int(ExitCode.NOT_DONE if has_problem else ExitCode.DONE)


def _place() -> Iterator[Finding]:
    yield from checks.python()
    yield from checks.terminal()
    yield from checks.language()
    try:
        folder: Path = state_folder()
    except RuntuiError as error:
        yield problem("state folder", error.message, error.hint)
    else:
        yield from checks.state(folder)


def _choices(line: CommandLine) -> tuple[list[Finding], Settings | None]:
    """The file, the profile and the source of each given value; and the settings, where the values are complete."""
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
        return [*findings, problem("options", f"{error.title}. {error.message}", error.hint or "Correct it.")], None


def _given(config: Config, choices: Choices) -> Finding:
    name = f"Profile {choices.profile} ({choices.profile_where})" if choices.profile else "No profile"
    given = ", ".join(f"{option} from {_short(config, choices, option)}" for option in choices.values)
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
        yield ok("config", f"{config.path}: {len(config.profiles)} profiles, no problem.")
    for found in problems:
        place = f"{config.path}, line {found.line}" if found.line else f"{config.path}"
        yield warning("config", f"{place}: {found.what}", "Correct it; runtui config check lists every problem.")


def _short(config: Config, choices: Choices, option: str) -> str:
    return choices.where(option).removeprefix(f"{config.path}, ")


async def _network(settings: Settings, *, offline: bool, environ: Mapping[str, str] = os.environ) -> list[Finding]:
    findings = [
        await asyncio.to_thread(checks.trust, settings, environ),
        await asyncio.to_thread(checks.proxy, settings),
    ]
    signed_in, token = await checks.sign_in(settings, offline=offline, environ=environ)
    findings += signed_in
    if offline:
        return [*findings, ok("root", f"{settings.root} was not asked (--offline).")]
    return findings + [finding async for finding in checks.server(settings, token)]


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
    """A text beside its head, wrapped to `width` characters with a hanging indent."""
    shown = visible(redact(text))
    return textwrap.fill(
        shown, width, initial_indent=head, subsequent_indent=" " * len(head), break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
