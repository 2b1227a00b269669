"""The command line: what was asked for, and which part of runtui does it.

Invariant: each command imports what it needs when it runs; parsing loads argparse alone. The options that commands
share are in `cli_options`, the commands without a screen in `cli_headless`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from runtui import __version__
from runtui.cli_headless import add_commands
from runtui.cli_options import (
    add_screen_options,
    add_server_options,
    add_writing_options,
    choices_of,
    flags_of,
    settings_of_choices,
    settings_of_demo,
)
from runtui.cli_setup import add_setup_commands
from runtui.errors import ExitCode, RuntuiError, UsageError
from runtui.options import nearest_words

_MOST_RUNS: Final = 500_000
_WELL_BEHAVED: Final = "none"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the process's exit code."""
    from runtui.crash import crash_sentence, strays_reported

    parsed = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = parsed.run
    reports = _report_folder()
    try:
        with strays_reported(reports):
            return command(parsed)
    except RuntuiError as error:
        from runtui.domain.text import visible

        print(f"runtui: {visible(error, newlines=True)}", file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        return int(ExitCode.NOT_DONE)
    except Exception as error:  # noqa: BLE001 - the last resort: a defect is told in a sentence, not in a traceback
        print(crash_sentence(error, reports), file=sys.stderr)
        return int(ExitCode.NOT_DONE)


def _report_folder() -> Path:
    """Where a report of a defect goes: the state folder; where there is none, a folder among the temporary files."""
    from runtui.settings import state_folder

    try:
        return state_folder()
    except RuntuiError:
        return Path(tempfile.gettempdir(), f"runtui-{os.getuid()}")


class _Parser(argparse.ArgumentParser):
    """A command's parser; what only its help needs is made when help is asked for."""

    lists_scenarios = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Refuse here what this command does not know: argparse would leave it to the program, and print its usage."""
        parsed, unknown = super().parse_known_args(args, namespace)
        if unknown:
            known = [flag for flag in self._option_string_actions if flag.startswith("--")]
            meant = nearest_words(unknown[0], known) if unknown[0].startswith("-") else ""
            self.error(f"unrecognized arguments: {' '.join(unknown)}{'.' if meant else ''}{meant}")
        return parsed, unknown

    def format_help(self) -> str:
        """The help, with the sandbox's scenarios where they may be named."""
        return super().format_help() + (_scenario_list() if self.lists_scenarios else "")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="runtui",
        description="Triage Microsoft Entra lifecycle-workflow runs from the keyboard.",
        epilog="Try it: runtui demo",
    )
    parser.add_argument("--version", action="version", version=f"runtui {__version__}")
    parser.set_defaults(run=_tui)
    add_server_options(parser)
    add_writing_options(parser)
    add_screen_options(parser)
    commands = parser.add_subparsers(metavar="COMMAND", parser_class=_Parser)

    demo = commands.add_parser("demo", help="the terminal UI on the embedded sandbox")
    demo.set_defaults(run=_demo)
    add_writing_options(demo)
    add_screen_options(demo)
    _add_sandbox_options(demo)

    add_commands(commands)
    add_setup_commands(commands)

    sandbox = commands.add_parser(
        "sandbox",
        help="only the sandbox server; prints one JSON line with its root",
        epilog="While it runs, a scenario's name on standard input changes how it behaves.",
    )
    sandbox.set_defaults(run=_sandbox)
    sandbox.add_argument("--port", type=_port, default=0, metavar="P", help="the port on 127.0.0.1 (default: any)")
    sandbox.add_argument("--until-stdin-closes", action="store_true", help="end when standard input does")
    _add_sandbox_options(sandbox)
    return parser


def _add_sandbox_options(parser: _Parser) -> None:
    parser.lists_scenarios = True
    parser.add_argument("--runs", type=_count, default=240, metavar="N", help="how many runs it has (default: 240)")
    parser.add_argument("--seed", type=int, default=7, metavar="S", help="another seed, other data (default: 7)")
    parser.add_argument("--hostile", action="store_true", help="names and values that try to harm a terminal")
    parser.add_argument(
        "--scenario", type=_scenario, default=_WELL_BEHAVED, metavar="NAME",
        help="how the sandbox misbehaves, see below (default: not at all)",
    )  # fmt: skip
    parser.add_argument(
        "--sign-in", dest="sandbox_sign_in", action="store_true", help="the sandbox wants people to sign in"
    )


def _scenario_list() -> str:
    import shutil
    import textwrap

    from runtui.sandbox.scenarios import summaries

    width = max(40, shutil.get_terminal_size().columns - 2)
    lines = (
        textwrap.fill(summary, width, initial_indent=f"  {name:<18}", subsequent_indent=" " * 20)
        for name, summary in summaries().items()
    )
    return "\n".join(("", "scenarios:", *lines, ""))


def _scenario(name: str) -> str:
    if name != _WELL_BEHAVED:
        from runtui.sandbox.scenarios import scenario_named

        try:
            scenario_named(name)
        except UsageError as error:
            raise argparse.ArgumentTypeError(f"{error.message} {error.hint}") from error
    return name


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError("a port lies between 0 and 65535")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) > _MOST_RUNS:
        raise argparse.ArgumentTypeError(f"a number of runs lies between 0 and {_MOST_RUNS}")
    return int(text)


def _sandbox(parsed: argparse.Namespace) -> int:
    from runtui.sandbox.server import main as serve

    return serve(
        port=parsed.port,
        runs=parsed.runs,
        seed=parsed.seed,
        hostile=parsed.hostile,
        scenario=parsed.scenario,
        sign_in=parsed.sandbox_sign_in,
        until_stdin_closes=parsed.until_stdin_closes,
    )


def _demo(parsed: argparse.Namespace) -> int:
    from runtui.demo import run_demo

    if parsed.scenario != _WELL_BEHAVED:
        from runtui.sandbox.scenarios import check_sign_in, scenario_named

        check_sign_in(scenario_named(parsed.scenario), has_sign_in=parsed.sandbox_sign_in)
    return run_demo(
        settings_of_demo(parsed),
        runs=parsed.runs,
        seed=parsed.seed,
        hostile=parsed.hostile,
        scenario=parsed.scenario,
        sign_in=parsed.sandbox_sign_in,
    )


def _tui(parsed: argparse.Namespace) -> int:
    from runtui.session_settings import names_server

    config, choices = choices_of(parsed)
    if not names_server(choices) and not config.profiles:
        from runtui.headless.welcome import welcome

        print(welcome(config.path), file=sys.stderr)
        return int(ExitCode.USAGE)
    settings = settings_of_choices(config, choices)

    from runtui.profiles import Profiles
    from runtui.session import open_server

    return open_server(settings, Profiles(config, flags_of(parsed)))
