"""The command line: what was asked for, and which part of runtui does it.

Invariant: each command imports what it needs when it runs; parsing loads argparse alone. The options of a session bear
the names of `Settings`, which holds their defaults; they may stand before or after the command.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from runtui import __version__
from runtui.errors import ExitCode, RuntuiError, UsageError

if TYPE_CHECKING:
    from runtui.settings import Settings

_WELCOME: Final = """\
runtui does not know a server yet.

  runtui demo
      try it on the embedded sandbox: nothing to set up, nothing leaves this machine
  RUNTUI_TOKEN=... runtui --root https://graph.microsoft.com/beta
      open a tenant with a bearer token

runtui --help lists the rest."""

_MOST_RUNS: Final = 500_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the process's exit code."""
    parsed = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = parsed.run
    try:
        return command(parsed)
    except RuntuiError as error:
        print(f"runtui: {error}", file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        return int(ExitCode.NOT_DONE)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="runtui",
        description="Triage Microsoft Entra lifecycle-workflow runs from the keyboard.",
        epilog="Try it: runtui demo",
    )
    parser.add_argument("--version", action="version", version=f"runtui {__version__}")
    parser.set_defaults(run=_tui)
    _add_server_options(parser)
    _add_screen_options(parser)
    commands = parser.add_subparsers(metavar="COMMAND")

    demo = commands.add_parser("demo", help="the terminal UI on the embedded sandbox")
    demo.set_defaults(run=_demo)
    _add_screen_options(demo)
    _add_sandbox_options(demo)

    listing = commands.add_parser("list", help="the runs without a screen; needs --root and RUNTUI_TOKEN")
    listing.set_defaults(run=_list)
    _add_server_options(listing)
    listing.add_argument("--filter", default="", metavar="TEXT", help="such as status:failed or is:problem")
    listing.add_argument("--format", choices=("table", "jsonl"), default="table", help="(default: table)")

    sandbox = commands.add_parser("sandbox", help="only the sandbox server; prints one JSON line with its root")
    sandbox.set_defaults(run=_sandbox)
    sandbox.add_argument("--port", type=_port, default=0, metavar="P", help="the port on 127.0.0.1 (default: any)")
    sandbox.add_argument("--until-stdin-closes", action="store_true", help="end when standard input does")
    _add_sandbox_options(sandbox)
    return parser


def _option(parser: argparse.ArgumentParser, name: str, **words: Any) -> None:
    """Add an option without a default: one not given after a command must not undo the one given before it."""
    parser.add_argument(name, default=argparse.SUPPRESS, **words)


def _add_server_options(parser: argparse.ArgumentParser) -> None:
    _option(
        parser,
        "--root",
        metavar="URL",
        help="a Graph root, such as https://graph.microsoft.com/beta (needs RUNTUI_TOKEN)",
    )
    _option(parser, "--tenant", metavar="NAME", help="the name shown for it (default: the root's host)")
    _option(parser, "--patch-path", metavar="PATH", help="where a change goes; {runId} and {workflowId} stand in it")


def _add_screen_options(parser: argparse.ArgumentParser) -> None:
    _option(parser, "--read-only", action="store_true", help="refuse every change")
    _option(
        parser, "--body", dest="body_mode", choices=("full", "changed"),
        help="what a change carries: all required properties, or only what changed (default: full)",
    )  # fmt: skip
    _option(parser, "--theme", metavar="NAME", help="dark, light, runtui-dark, runtui-light, ansi-dark or ansi-light")
    _option(
        parser, "--refresh", dest="refresh_seconds", type=_seconds, metavar="SECONDS",
        help="between two readings of the list; 0: by hand (default: 30)",
    )  # fmt: skip
    _option(parser, "--mouse", action=argparse.BooleanOptionalAction, help="take the mouse (default: not over SSH)")


def _add_sandbox_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=_count, default=240, metavar="N", help="how many runs it has (default: 240)")
    parser.add_argument("--seed", type=int, default=7, metavar="S", help="another seed, other data (default: 7)")
    parser.add_argument("--hostile", action="store_true", help="names and values that try to harm a terminal")


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65_535:
        raise argparse.ArgumentTypeError("a port lies between 0 and 65535")
    return port


def _count(text: str) -> int:
    count = int(text)
    if not 0 <= count <= _MOST_RUNS:
        raise argparse.ArgumentTypeError(f"a number of runs lies between 0 and {_MOST_RUNS}")
    return count


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError("a time lies between 0 and 86400 seconds")
    return seconds


def _sandbox(parsed: argparse.Namespace) -> int:
    from runtui.sandbox.server import main as serve

    return serve(
        port=parsed.port,
        runs=parsed.runs,
        seed=parsed.seed,
        hostile=parsed.hostile,
        until_stdin_closes=parsed.until_stdin_closes,
    )


def _demo(parsed: argparse.Namespace) -> int:
    from runtui.demo import run_demo

    settings = _settings(parsed, {"root": "", "tenant": "Contoso demo", "is_sandbox": True})
    return run_demo(settings, runs=parsed.runs, seed=parsed.seed, hostile=parsed.hostile)


def _list(parsed: argparse.Namespace) -> int:
    from runtui.auth.tokens import environment_token
    from runtui.headless.listing import list_runs
    from runtui.settings import store_path

    settings = _settings_of_server(parsed)
    store_file = store_path(settings.state_folder, settings.root)
    return list_runs(settings, store_file, environment_token(), filter_text=parsed.filter, output=parsed.format)


def _tui(parsed: argparse.Namespace) -> int:
    if not hasattr(parsed, "root"):
        print(_WELCOME, file=sys.stderr)
        return int(ExitCode.USAGE)
    from runtui.auth.tokens import environment_token
    from runtui.session import open_session
    from runtui.settings import store_path

    settings = _settings_of_server(parsed)

    async def ready() -> str:
        return settings.root

    return open_session(settings, store_path(settings.state_folder, settings.root), environment_token(), ready)


def _settings_of_server(parsed: argparse.Namespace) -> Settings:
    from runtui.graph.root import parse_root

    if not hasattr(parsed, "root"):
        raise UsageError("No server", "This command needs --root, the Graph root to read from.", "Or try: runtui demo.")
    root = parse_root(parsed.root)
    return _settings(parsed, {"root": root, "tenant": root.split("://", 1)[1].split("/", 1)[0]})


def _settings(parsed: argparse.Namespace, facts: Mapping[str, Any]) -> Settings:
    """The settings of a session: what was given on the command line over the facts of the command over the defaults."""
    from runtui.settings import Settings, state_folder

    places = {"mouse": "SSH_CONNECTION" not in os.environ, "state_folder": state_folder()}
    given = {name: value for name, value in vars(parsed).items() if name in Settings.__dataclass_fields__}
    return Settings(**{**places, **facts, **given, "root": facts["root"]})
