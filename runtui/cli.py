"""The command line: what was asked for, and which part of runtui does it.

Invariant: each command imports what it needs when it runs; parsing loads argparse alone.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from runtui import __version__
from runtui.errors import ExitCode, RuntuiError

if TYPE_CHECKING:
    from runtui.settings import Settings

_WELCOME: Final = """\
runtui does not know a server yet.

  runtui demo
      try it on the embedded sandbox: nothing to set up, nothing leaves this machine
  RUNTUI_TOKEN=... runtui --root https://graph.microsoft.com/beta
      open a tenant with a bearer token

runtui --help lists the rest."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the process's exit code."""
    parsed = _parser().parse_args(arguments)
    try:
        if parsed.command == "sandbox":
            return _sandbox(parsed)
        if parsed.command == "demo":
            return _demo(parsed)
        return _tui(parsed)
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
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"runtui {__version__}")
    _session_options(parser)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    demo = commands.add_parser("demo", help="the terminal UI on the embedded sandbox")
    _screen_options(demo)
    _sandbox_options(demo)
    sandbox = commands.add_parser("sandbox", help="only the sandbox server; prints one JSON line with its root")
    sandbox.add_argument("--port", type=_port, default=0, metavar="P", help="the port on 127.0.0.1 (default: any)")
    sandbox.add_argument("--until-stdin-closes", action="store_true", help="end when standard input does")
    _sandbox_options(sandbox)
    return parser


def _session_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--root", metavar="URL", help="a Graph root, such as https://graph.microsoft.com/beta (token: RUNTUI_TOKEN)"
    )
    parser.add_argument("--tenant", metavar="NAME", help="the name shown in the header (default: the root's host)")
    _screen_options(parser)


def _screen_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--read-only", action="store_true", help="refuse every change")
    parser.add_argument(
        "--body", choices=("full", "changed"), default="full", help="what a change carries (default: full)"
    )
    parser.add_argument(
        "--patch-path", metavar="PATH", help="where a change goes; {runId} and {workflowId} stand in it"
    )
    parser.add_argument(
        "--mouse", action=argparse.BooleanOptionalAction, help="take mouse clicks (default: not over SSH)"
    )
    parser.add_argument("--theme", metavar="NAME", help="runtui-dark, runtui-light, ansi-dark or ansi-light")
    parser.add_argument(
        "--refresh",
        type=_seconds,
        default=30.0,
        metavar="SECONDS",
        help="between two readings; 0: by hand (default: 30)",
    )


def _sandbox_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=_count, default=240, metavar="N", help="how many runs it has (default: 240)")
    parser.add_argument("--seed", type=int, default=7, metavar="S", help="another seed, other data (default: 7)")
    parser.add_argument("--hostile", action="store_true", help="names and values that try to harm a terminal")


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError("a port lies between 0 and 65535")
    return port


def _count(text: str) -> int:
    count = int(text)
    if not 0 <= count <= 2_000_000:
        raise argparse.ArgumentTypeError("a number of runs lies between 0 and 2000000")
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

    settings = _settings(parsed, root="", tenant="Contoso demo", is_sandbox=True)
    return run_demo(settings, runs=parsed.runs, seed=parsed.seed, hostile=parsed.hostile)


def _tui(parsed: argparse.Namespace) -> int:
    if parsed.root is None:
        print(_WELCOME, file=sys.stderr)
        return int(ExitCode.USAGE)
    from runtui.auth.tokens import environment_token
    from runtui.graph.root import parse_root
    from runtui.session import open_session
    from runtui.settings import store_path

    root = parse_root(parsed.root)
    settings = _settings(parsed, root=root, tenant=parsed.tenant or root.split("://", 1)[1].split("/", 1)[0])

    async def ready() -> str:
        return root

    return open_session(settings, store_path(settings.state_folder, root), environment_token(), ready)


def _settings(parsed: argparse.Namespace, *, root: str, tenant: str, is_sandbox: bool = False) -> Settings:
    from runtui.settings import PATCH_PATH, Settings, state_folder

    return Settings(
        root=root,
        tenant=tenant,
        is_sandbox=is_sandbox,
        read_only=parsed.read_only,
        patch_path=parsed.patch_path or PATCH_PATH,
        body_mode=parsed.body,
        theme=parsed.theme,
        refresh_seconds=parsed.refresh,
        mouse=parsed.mouse if parsed.mouse is not None else "SSH_CONNECTION" not in os.environ,
        state_folder=state_folder(),
    )
