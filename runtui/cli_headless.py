"""The commands without a screen: their options, and which part of `headless` does each.

Invariant: standard output is data, standard error is narration; a reader of the data that goes away ends a command
quietly. Parsing loads argparse alone.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeAlias

from runtui.cli_options import (
    add_reading_options,
    add_server_options,
    add_writing_options,
    choices_of,
    root_of,
    settings_of_choices,
    settings_of_entry,
    settings_of_server,
)
from runtui.errors import ExitCode

if TYPE_CHECKING:
    from runtui.headless.changing import Manner
    from runtui.headless.opening import Server
    from runtui.settings import Settings

Command: TypeAlias = Callable[[argparse.Namespace], int]


def add_commands(commands: argparse._SubParsersAction[Any]) -> None:
    """Add list, show, update, undo and journal; login, logout and whoami."""
    listing = commands.add_parser("list", help="the runs; this and the commands below work without a screen")
    listing.set_defaults(run=_list)
    add_reading_options(listing)
    listing.add_argument("--filter", default="", metavar="TEXT", help="such as status:failed or is:problem")
    _add_format(listing, "table", "json", "jsonl", "csv")

    show = commands.add_parser("show", help="one run, and what failed in it")
    show.set_defaults(run=_show)
    add_reading_options(show)
    _add_run(show)
    show.add_argument("--json", action="store_true", help="one JSON object")

    update = commands.add_parser("update", help="change properties of one run")
    update.set_defaults(run=_update)
    add_server_options(update)
    add_writing_options(update)
    _add_run(update)
    update.add_argument(
        "--set", dest="assignments", action="extend", nargs="+", required=True, metavar="NAME=VALUE",
        help="values as in the form: completedDateTime=-2h, failedTasksCount=1,000, startedDateTime=null",
    )  # fmt: skip
    _add_manner(update)

    undo = commands.add_parser("undo", help="take a change back")
    undo.set_defaults(run=_undo)
    add_server_options(undo)
    add_writing_options(undo)
    undo.add_argument("entry", type=_entry, metavar="ENTRY", help="its number in the journal")
    _add_manner(undo)
    undo.add_argument(
        "--seen-on-read-back", action="store_true",
        help="with --yes: also a change that is done as seen on read-back, which somebody else may have made",
    )  # fmt: skip

    journal = commands.add_parser("journal", help="what was changed, and what became of it; asks no server")
    journal.set_defaults(run=_journal)
    add_reading_options(journal)
    journal.add_argument("entry", type=_entry, nargs="?", metavar="ENTRY", help="show this entry wholly")
    journal.add_argument("--filter", default="", metavar="TEXT", help='such as "outcome:unknown since:-24h"')
    journal.add_argument("--limit", type=_limit, metavar="N", help="the newest N (default: all)")
    _add_format(journal, "table", "json", "jsonl", "csv", "md")
    _add_sign_in(commands)


def _add_sign_in(commands: argparse._SubParsersAction[Any]) -> None:
    login = commands.add_parser("login", help="sign in; the commands and the terminal UI find it afterwards")
    login.set_defaults(run=_login)
    login.add_argument(
        "--method", dest="sign-in", default=argparse.SUPPRESS, metavar="METHOD", help="the same as --sign-in"
    )
    login.add_argument("--no-browser", action="store_true", help="print the address only, also in a local session")
    add_reading_options(login)

    logout = commands.add_parser("logout", help="forget the tokens that are kept on this machine")
    logout.set_defaults(run=_logout)
    add_reading_options(logout)

    whoami = commands.add_parser("whoami", help="who is signed in, and until when; asks no server")
    whoami.set_defaults(run=_whoami)
    whoami.add_argument("--json", action="store_true", help="one JSON object")
    add_reading_options(whoami)


def _add_format(parser: argparse.ArgumentParser, *names: str) -> None:
    parser.add_argument("--format", choices=names, default=names[0], help=f"(default: {names[0]})")


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_id", metavar="RUN", help="the id of the run")
    parser.add_argument("--workflow", metavar="ID", help="the id of its workflow (default: it is looked for)")


def _add_manner(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="print the request, send no change")
    parser.add_argument("--yes", action="store_true", help="send without asking; needed without a terminal")
    parser.add_argument("--json", action="store_true", help="the result as one JSON object")


def _entry(text: str) -> int:
    number = text.removeprefix("#")
    if not number.isdecimal():
        raise argparse.ArgumentTypeError(f"an entry of the journal is a number, such as 12 or #12, not {text!r}")
    return int(number)


def _limit(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError("a limit is a whole number, and not negative")
    return int(text)


def _printing(command: Command) -> Command:
    """A command whose reader may go away, as with `| head`: what was done by then tells the exit code."""

    @wraps(command)
    def run(parsed: argparse.Namespace) -> int:
        code = int(ExitCode.DONE)
        try:
            code = command(parsed)
            sys.stdout.flush()
        except BrokenPipeError:
            # The interpreter flushes once more when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return code

    return run


@_printing
def _list(parsed: argparse.Namespace) -> int:
    from runtui.headless.listing import list_runs

    return list_runs(_server(settings_of_server(parsed)), filter_text=parsed.filter, output=parsed.format)


@_printing
def _show(parsed: argparse.Namespace) -> int:
    from runtui.headless.showing import show_run

    server = _server(settings_of_server(parsed))
    return show_run(server, parsed.run_id, as_json=parsed.json, workflow_id=parsed.workflow)


@_printing
def _update(parsed: argparse.Namespace) -> int:
    from runtui.headless.update import update_run

    server = _server(settings_of_server(parsed))
    return update_run(server, parsed.run_id, parsed.assignments, _manner(parsed), workflow_id=parsed.workflow)


@_printing
def _undo(parsed: argparse.Namespace) -> int:
    from runtui.headless.undoing import entry_to_undo, undo_entry
    from runtui.settings import state_folder

    entry = entry_to_undo(state_folder(), parsed.entry, root_of(parsed))
    settings = settings_of_entry(parsed, entry.root, entry.tenant, entry.profile)
    return undo_entry(_server(settings), entry.number, _manner(parsed), seen_on_read_back=parsed.seen_on_read_back)


@_printing
def _journal(parsed: argparse.Namespace) -> int:
    from runtui.headless.journal import print_entry, print_journal
    from runtui.settings import state_folder

    if parsed.entry is not None:
        return print_entry(state_folder(), parsed.entry, output=parsed.format)
    return print_journal(
        state_folder(), root=root_of(parsed), filter_text=parsed.filter, limit=parsed.limit, output=parsed.format
    )


@_printing
def _login(parsed: argparse.Namespace) -> int:
    from runtui.headless.sign_in import login, nothing_to_sign_in_with
    from runtui.session_settings import names_server

    config, choices = choices_of(parsed)
    if not names_server(choices) and not config.profiles:
        raise nothing_to_sign_in_with(f"There is no profile in {config.path}, and no --client-id.")
    return login(settings_of_choices(config, choices), no_browser=parsed.no_browser)


@_printing
def _logout(parsed: argparse.Namespace) -> int:
    from runtui.headless.sign_in import logout

    return logout(settings_of_server(parsed))


@_printing
def _whoami(parsed: argparse.Namespace) -> int:
    from runtui.headless.sign_in import whoami

    return whoami(settings_of_server(parsed), as_json=parsed.json)


def _server(settings: Settings) -> Server:
    from runtui.headless.opening import Server

    return Server(settings=settings)


def _manner(parsed: argparse.Namespace) -> Manner:
    from runtui.headless.changing import Manner

    return Manner(dry_run=parsed.dry_run, yes=parsed.yes, as_json=parsed.json)
