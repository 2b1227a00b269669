"""The command line: one table of commands, each with its help, its options and the function that runs it.

Invariant: parsing loads argparse alone; a command's module is imported when the command runs. Standard output is data,
standard error is for people; a reader of the data that goes away, as with `| head`, ends a command quietly.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from runtui import __version__
from runtui.errors import ExitCode, RuntuiError, UsageError
from runtui.options import GROUP_TITLES, LOG, OPTION_BY_NAME, OPTIONS, Option, OptionGroup, nearest_words

if TYPE_CHECKING:
    from runtui.command_line import CommandLine

_MOST_RUNS: Final = 500_000
_LONGEST_INTERVAL: Final = 86_400


class Argument:
    """One argument of a command's own, in the words of `argparse.ArgumentParser.add_argument`."""

    def __init__(self, *names: str, **how: Any) -> None:
        self.names = names
        self.how = how


class Command(NamedTuple):
    """One command. Its function returns the exit code; it gets the command's own arguments by name."""

    name: str
    help: str
    takes: Literal["session", "line", "nothing"]
    """The function's first argument: a session on the chosen server, the command line's session options, or none."""
    run: str = ""
    """The function, as "module:function"; "" for a command that only has parts."""
    options: Sequence[Option] = ()
    """The session options that it accepts."""
    arguments: Sequence[Argument] = ()
    parts: Sequence[Command] = ()
    """Subcommands; the first one runs where none is named."""
    epilog: str = ""
    lists_scenarios: bool = False


def _options(*groups: OptionGroup) -> tuple[Option, ...]:
    return tuple(option for option in OPTIONS if option.group in groups)


def _entry_number(text: str) -> int:
    number = text.removeprefix("#")
    if not number.isdecimal():
        raise argparse.ArgumentTypeError(f"a change is named by its number, such as 12 or #12, not {text!r}")
    return int(number)


def _whole_number(what: str, most: int | None = None, *, least: int = 0) -> Callable[[str], int]:
    """An argparse type: a number from `least` to `most`."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least or (most is not None and int(text) > most):
            from_least = f" from {least} on" if least else ""
            between = f"must be a whole number{from_least}" if most is None else f"must be between {least} and {most}"
            raise argparse.ArgumentTypeError(f"{what} {between}")
        return int(text)

    return read


def _scenario(name: str) -> str:
    if name != _NO_SCENARIO:
        from runtui.sandbox.scenarios import scenario_named

        try:
            scenario_named(name)
        except UsageError as error:
            raise argparse.ArgumentTypeError(f"{error.message} {error.hint}") from error
    return name


def _format(*names: str) -> Argument:
    words = f"(default: {names[0]})"
    return Argument("-o", "--format", dest="output", choices=names, default=names[0], help=words)


_NO_SCENARIO: Final = "none"
_A_FILE: Final = "FILE"
"""What stands for the name of a file in the help; a shell completes it."""

_LOG: Final = _options("log")
_SERVER: Final = _options("server", "sign-in")
_READING: Final = (*_SERVER, OPTION_BY_NAME["read-only"], *_LOG)
"""A command that changes nothing accepts read-only, which requests fewer permissions."""
_WRITING: Final = (*_SERVER, *_options("writing"), *_LOG)
_EVERY: Final = OPTIONS

_JSON: Final = Argument("--json", dest="as_json", action="store_true", help="print JSON")
_RUN: Final = (
    Argument("run_id", metavar="RUN", help="the id of the run"),
    Argument("--workflow", dest="workflow_id", metavar="ID", help="the id of its workflow (default: find it)"),
)
_WHICH: Final = (
    Argument("run_ids", metavar="RUN", nargs="*", help="the ids of the runs; - reads them from standard input"),
    Argument("--filter", dest="filter_text", metavar="TEXT",
             help="the runs that match, such as status:failed, in place of ids"),
    Argument("--workflow", dest="workflow_id", metavar="ID", help="the id of their workflow (default: found)"),
)  # fmt: skip
_CHANGE: Final = (
    Argument("--dry-run", action="store_true", help="print the request and send no change"),
    Argument("--yes", action="store_true", help="send without asking; required without a terminal"),
    Argument("--why", default="", metavar="TEXT", help="a reason, for the journal"),
    _JSON,
)
_FOLLOW: Final = Argument("--follow", action="store_true", help="follow the run to its end")
_WORKFLOW: Final = Argument("workflow", metavar="WORKFLOW", help="the id or the name of the workflow")
_KEEP_GOING: Final = Argument(
    "--keep-going",
    action="store_true",
    help="of many changes: go on after a refusal that others may meet as well",
)
_RUNS: Final = Argument("run_ids", metavar="RUN", nargs="+", help="the ids of the runs")
_NOTE: Final = Argument("--note", metavar="TEXT", help="a note to them; empty takes it away")
_SANDBOX: Final = (
    Argument("--runs", type=_whole_number("the number of runs", _MOST_RUNS), default=240, metavar="N",
             help="how many runs the sandbox has (default: 240)"),
    Argument("--seed", type=int, default=7, metavar="S", help="another seed gives other data (default: 7)"),
    Argument("--hostile", action="store_true", help="names and values that attack a terminal"),
    Argument("--scenario", type=_scenario, default=_NO_SCENARIO, metavar="NAME",
             help="the fault to simulate, see below (default: none)"),
    # Kept apart from the session option "sign-in" by its underscore.
    Argument("--sign-in", dest="sign_in", action="store_true", help="the sandbox requires people to sign in"),
)  # fmt: skip

TUI: Final = Command(name="", help="the terminal UI", run="runtui.session:open_screen", takes="line", options=_EVERY)
"""What runs without a command."""

COMMANDS: Final = (
    Command(
        name="demo", help="open the terminal UI on the embedded sandbox",
        run="runtui.demo:demo", takes="line",
        options=_options("writing", "screen", "log"), arguments=_SANDBOX, lists_scenarios=True,
    ),
    Command(
        name="list", help="list runs",
        run="runtui.headless.runs:list_runs", takes="session", options=_READING,
        arguments=(
            Argument("--filter", dest="filter_text", default="", metavar="TEXT",
                     help="such as status:failed or is:problem"),
            Argument("--columns", default="", metavar="A,B", help="which columns, such as status,workflow,id"),
            Argument("--sort", default="", metavar="COLUMN", help="a column, such as users or users:asc"
                     " (default: the most urgent first, then the newest)"),
            Argument("--limit", type=_whole_number("the limit"), metavar="N", help="only the first N (default: all)"),
            Argument("--full", action="store_true", help="read all runs again, also those that have not changed"),
            _format("table", "json", "jsonl", "csv"),
        ),
    ),
    Command(
        name="show", help="show one run and what failed in it, or what it did for one user",
        run="runtui.headless.runs:show_run", takes="session", options=_READING,
        arguments=(
            *_RUN,
            Argument("--user", metavar="USER", help="the tasks of this user: a name, user principal name or id"),
            _JSON,
        ),
    ),
    Command(
        name="causes", help="list why tasks failed, grouped by task and reason over all runs",
        run="runtui.headless.triage.lists:list_causes", takes="session", options=_READING,
        arguments=(
            Argument("--filter", dest="filter_text", default="", metavar="TEXT",
                     help="only runs such as status:failed or is:problem"),
            _format("table", "json", "jsonl", "csv"),
        ),
    ),
    Command(
        name="person", help="list what every task did for one person, across all workflows",
        run="runtui.headless.triage.lists:show_person", takes="session", options=_READING,
        arguments=(
            Argument("name", metavar="NAME", help="a name, sign-in name (user principal name) or id"),
            _format("table", "json", "jsonl", "csv"),
        ),
    ),
    Command(
        name="workflows", help="list workflows with their schedule, what holds them back and how their runs went",
        run="runtui.headless.triage.lists:list_workflows", takes="session", options=_READING,
        arguments=(_format("table", "json", "jsonl", "csv"),),
    ),
    Command(
        name="watch", help="print one JSON line for each run that matches, then for each that begins to",
        run="runtui.headless.triage.watch:watch", takes="session", options=_READING,
        arguments=(
            Argument("--filter", dest="filter_text", default="", metavar="TEXT",
                     help="such as status:failed or is:problem (default: all runs)"),
            Argument("--interval", type=_whole_number("the interval", _LONGEST_INTERVAL, least=1), metavar="SECONDS",
                     help="seconds between two listings (default: refresh of the profile, else 30)"),
            Argument("--watch-only", action="store_true", help="print no run that matches at the first start"),
            Argument("--from-start", action="store_true", help="forget what an earlier watch has printed"),
            Argument("--count", type=_whole_number("the count", least=1), metavar="N",
                     help="end after so many runs (default: until SIGINT or SIGTERM)"),
            Argument("--exec", dest="program", metavar="COMMAND",
                     help="a program and its arguments, run for each run, one at a time"),
            Argument("--exec-timeout", dest="program_seconds", default=60, metavar="SECONDS",
                     type=_whole_number("the time of a command", _LONGEST_INTERVAL, least=1),
                     help="how long a command may take (default: 60)"),
        ),
        epilog="Like kubectl get -w: what matches is printed first. Started again with the same filter, it goes on"
        " where it ended. A command gets the line on standard input and the id in RUNTUI_RUN_ID; no shell reads it, and"
        " its output goes to standard error. Exit codes: 0 ended by a signal or after --count, 1 refused, 2 usage.",
    ),
    Command(
        name="handoff", help="write what the next person has to know of a run, a change or a cause, for a ticket",
        run="runtui.headless.triage.handoff:hand_over", takes="session", options=_READING,
        arguments=(
            Argument("subject", metavar="RUN", nargs="?", default="",
                     help="the id of the run, or the number of a change to it, such as '#12'"),
            Argument("--workflow", dest="workflow_id", metavar="ID", help="the id of its workflow (default: find it)"),
            Argument("--cause", dest="cause_number", type=_whole_number("the number of a cause"), metavar="N",
                     help="the cause in line N of `runtui causes`, in place of a run"),
            Argument("--filter", dest="filter_text", default="", metavar="TEXT",
                     help="with --cause: only runs such as status:failed, as for `runtui causes`"),
            Argument("--reduce-people", action="store_true", help="initials and ids in place of names and addresses"),
            Argument("--file", type=Path, metavar="FILE", help="write a new file, for you alone (default: print)"),
            _format("md", "json"),
        ),
    ),
    Command(
        name="update", help="change properties of one run, or of many",
        run="runtui.headless.bulk.commands:update", takes="session", options=_WRITING,
        arguments=(
            *_WHICH,
            Argument("--set", dest="assignments", action="extend", nargs="+", required=True, metavar="NAME=VALUE",
                     help="values as in the form: completedDateTime=-2h, failedTasksCount=1,000, startedDateTime=null"),
            *_CHANGE, _KEEP_GOING,
        ),
    ),
    Command(
        name="undo", help="undo a change, or all that were sent with it",
        run="runtui.headless.bulk.commands:undo", takes="line", options=_WRITING,
        arguments=(
            Argument("number", type=_entry_number, metavar="CHANGE", help="its number in the journal"),
            Argument("--batch", action="store_true", help="undo every change of the bulk change that it belongs to"),
            *_CHANGE, _KEEP_GOING,
            Argument("--seen-on-read-back", action="store_true",
                     help="with --yes: also undo a change that was only seen on read-back and may be someone else's"),
        ),
    ),
    Command(
        name="cancel", help="cancel a queued or running run, or many",
        run="runtui.headless.actions:cancel_runs", takes="session", options=_WRITING,
        arguments=(*_WHICH, _FOLLOW, *_CHANGE, _KEEP_GOING),
    ),
    Command(
        name="reprocess", help="process a run again by a new run, or many",
        run="runtui.headless.actions:reprocess_runs", takes="session", options=_WRITING,
        arguments=(
            *_WHICH,
            Argument("--scope", choices=("failed-users", "failed-tasks", "all"), required=True,
                     help="the failed users with all tasks, or only the tasks that failed, or the whole run"),
            _FOLLOW,
            *_CHANGE, _KEEP_GOING,
        ),
    ),
    Command(
        name="activate", help="run a workflow on demand for some users",
        run="runtui.headless.actions:activate", takes="session", options=_WRITING,
        arguments=(
            _WORKFLOW,
            Argument("--user", dest="users", action="extend", nargs="+", required=True, metavar="USER",
                     help="ids or sign-in names (user principal names)"),
            *_CHANGE,
        ),
    ),
    Command(
        name="clear-quarantine", help="let a workflow run again that the service holds back",
        run="runtui.headless.actions:free_workflow", takes="session", options=_WRITING,
        arguments=(_WORKFLOW, *_CHANGE),
    ),
    Command(
        name="resume", help="answer for the custom task extension that a task of a run waits for",
        run="runtui.headless.actions:resume_task", takes="session", options=_WRITING,
        arguments=(
            *_RUN,
            Argument("--as", dest="end", choices=("completed", "failed"), required=True, help="how the task ends"),
            Argument("--task", default="", metavar="ID", help="the id of the task's result (default: the only one)"),
            *_CHANGE,
        ),
    ),
    Command(
        name="preview", help="list which tasks of a workflow would fail as it stands; changes nothing",
        run="runtui.headless.actions:preview", takes="session", options=_READING,
        arguments=(_WORKFLOW, _JSON),
    ),
    Command(
        name="journal", help="list the changes made from this machine and their outcomes; asks no server",
        run="runtui.headless.journal:journal", takes="line", options=_READING,
        arguments=(
            Argument("number", type=_entry_number, nargs="?", metavar="CHANGE", help="show this change in full"),
            Argument("--filter", dest="filter_text", default="", metavar="TEXT",
                     help='such as "outcome:unknown since:-24h"'),
            Argument("--limit", type=_whole_number("the limit"), metavar="N", help="only the newest N (default: all)"),
            _format("table", "json", "jsonl", "csv", "md"),
        ),
    ),
    Command(
        name="triage", help="export, import or say what was handled, snoozed and noted; asks no server",
        takes="line",
        parts=(
            Command(
                name="export", help="print all of it as JSON lines, for the next shift",
                run="runtui.headless.triage.shift:export_triage", takes="line", options=_READING,
            ),
            Command(
                name="import", help="take over what another shift exported; of each run the newest wins",
                run="runtui.headless.triage.shift:import_triage", takes="line", options=_READING,
                arguments=(Argument("file", metavar="FILE", help="the file; - for standard input"),),
            ),
            Command(
                name="handled", help="mark runs as handled",
                run="runtui.headless.triage.shift:mark_handled", takes="line", options=_READING,
                arguments=(
                    _RUNS, _NOTE, Argument("--undo", action="store_true", help="they are not handled any more"),
                ),
            ),
            Command(
                name="snooze", help="put runs off; they are back at that time, or when they get worse",
                run="runtui.headless.triage.shift:snooze", takes="line", options=_READING,
                arguments=(
                    _RUNS, _NOTE,
                    Argument("--until", required=True, metavar="TIME",
                             help='such as 2h, "tomorrow 09:00" or change (until it changes)'),
                ),
            ),
        ),
    ),
    Command(
        name="login", help="sign in; later commands and the terminal UI use it",
        run="runtui.headless.sign_in:login", takes="line", options=_READING,
        arguments=(
            Argument("--method", dest="sign-in", default=argparse.SUPPRESS, metavar="METHOD",
                     help="the same as --sign-in"),
            Argument("--no-browser", action="store_true", help="print the address and open no browser"),
        ),
    ),
    Command(
        name="logout", help="delete the tokens kept on this machine",
        run="runtui.headless.sign_in:logout", takes="session", options=_READING,
    ),
    Command(
        name="whoami", help="show who is signed in and until when; asks no server",
        run="runtui.headless.sign_in:whoami", takes="session", options=_READING, arguments=(_JSON,),
    ),
    Command(
        name="profiles", help="list the profiles in config.toml; * marks the default",
        run="runtui.headless.config:print_profiles", takes="nothing", options=_LOG, arguments=(_JSON,),
    ),
    Command(
        name="config", help="show or check the options", takes="nothing",
        parts=(
            Command(
                name="show", help="show every option, its value and where it comes from",
                run="runtui.headless.config:print_options", takes="line", options=_EVERY, arguments=(_JSON,),
            ),
            Command(
                name="path", help="print where config.toml is or belongs",
                run="runtui.headless.config:print_path", takes="nothing", options=_LOG,
            ),
            Command(
                name="check", help="list every problem in config.toml; exit code 1 when there is one",
                run="runtui.headless.config:check_config", takes="nothing", options=_LOG,
            ),
        ),
    ),
    Command(
        name="doctor", help="check this machine, the sign-in and the server, and suggest next steps",
        run="runtui.headless.doctor:examine", takes="line", options=_EVERY,
        arguments=(_JSON, Argument("--offline", action="store_true", help="ask no server")),
    ),
    Command(
        name="completion", help="print what makes a shell complete runtui's commands and options",
        run="runtui.cli:print_completion", takes="nothing",
        arguments=(Argument("shell", choices=("bash", "zsh", "tcsh"), help="the shell"),),
        epilog="In bash: runtui completion bash >> ~/.bash_completion",
    ),
    Command(
        name="sandbox", help="run only the sandbox server; prints one JSON line with its root",
        run="runtui.sandbox.server:main", takes="nothing", lists_scenarios=True,
        arguments=(
            Argument("--port", type=_whole_number("the port", 65_535), default=0, metavar="P",
                     help="the port on 127.0.0.1 (default: any)"),
            Argument("--until-stdin-closes", action="store_true", help="end when standard input does"),
            *_SANDBOX,
        ),
        epilog="While it runs, the name of a scenario on standard input switches to it.",
    ),
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the process's exit code."""
    given = vars(command_parser().parse_args(arguments))
    from runtui.log import crash_sentence, strays_reported

    command: Command = given.pop("command")
    reports = _report_folder()
    try:
        with strays_reported(reports):
            return _run(command, given)
    except RuntuiError as error:
        from runtui.domain.text import visible

        print(f"runtui: {visible(error, newlines=True)}", file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        return int(ExitCode.NOT_DONE)
    except Exception as error:  # noqa: BLE001 - the last resort: a defect is told in a sentence, not in a traceback
        print(crash_sentence(error, reports), file=sys.stderr)
        return int(ExitCode.NOT_DONE)


def _run(command: Command, given: dict[str, Any]) -> int:
    """Import a command's function and call it; `given` is everything that the command line says."""
    with _log(command, given):
        return _call(command, given)


def _log(command: Command, given: dict[str, Any]) -> AbstractContextManager[None]:
    path = _command_line(command, given).log_file() if LOG in command.options else None
    if path is None:
        return nullcontext()
    from runtui.log import logged_to

    return logged_to(path, command.name or "the terminal UI")


def _call(command: Command, given: dict[str, Any]) -> int:
    from importlib import import_module

    own = {name: value for name, value in given.items() if name not in OPTION_BY_NAME and name != "profile"}
    module, _, function = command.run.partition(":")
    run = getattr(import_module(module), function)
    code = int(ExitCode.DONE)
    try:
        code = run(*_first_argument(command, given), **own)
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _first_argument(command: Command, given: dict[str, Any]) -> tuple[Any, ...]:
    if command.takes == "nothing":
        return ()
    line = _command_line(command, given)
    return (line,) if command.takes == "line" else (line.session(),)


def _command_line(command: Command, given: dict[str, Any]) -> CommandLine:
    from runtui.command_line import CommandLine

    flags = {option.name: given[option.name] for option in OPTIONS if option.name in given}
    return CommandLine(flags, given.get("profile") if _has_profile(command) else "")


def _has_profile(command: Command) -> bool:
    return OPTION_BY_NAME["root"] in command.options


def _report_folder() -> Path:
    """Where a report of a defect goes: the state folder, or a temporary folder where there is none."""
    from runtui.settings import state_folder

    try:
        return state_folder()
    except RuntuiError:
        import tempfile

        return Path(tempfile.gettempdir(), f"runtui-{os.getuid()}")


class _Parser(argparse.ArgumentParser):
    """The parser of one command. It gets its arguments when it is used: of all the commands one runs."""

    def __init__(self, *, command: Command, **how: Any) -> None:
        super().__init__(epilog=command.epilog or None, **how)
        self._command = command
        self._is_filled = False

    def fill(self) -> None:
        """Add the arguments of the command, once."""
        if not self._is_filled:
            self._is_filled = True
            _fill(self, self._command)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Refuse unknown arguments here: argparse would report them for the program, with the program's usage."""
        self.fill()
        parsed, unknown = super().parse_known_args(args, namespace)
        if unknown:
            known = [flag for flag in self._option_string_actions if flag.startswith("--")]
            meant = nearest_words(unknown[0], known) if unknown[0].startswith("-") else ""
            self.error(f"unrecognized arguments: {' '.join(unknown)}{'.' if meant else ''}{meant}")
        return parsed, unknown

    def format_help(self) -> str:
        """The help; the scenarios are listed when it is printed."""
        self.fill()
        return super().format_help() + (_scenario_list() if self._command.lists_scenarios else "")


def command_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; what it parses has the `Command` under "command"."""
    parser = argparse.ArgumentParser(
        prog="runtui",
        description="Triage Microsoft Entra lifecycle-workflow runs from the keyboard.",
        epilog="Try it: runtui demo",
    )
    parser.add_argument("--version", action="version", version=f"runtui {__version__}")
    _fill(parser, TUI)
    _add_commands(parser, COMMANDS, "COMMAND")
    return parser


def _add_commands(parser: argparse.ArgumentParser, commands: Sequence[Command], metavar: str) -> None:
    parsers = parser.add_subparsers(metavar=metavar, parser_class=_Parser)
    for command in commands:
        parsers.add_parser(command.name, help=command.help, command=command)


def _fill(parser: argparse.ArgumentParser, command: Command) -> None:
    runs = command.parts[0] if command.parts else command
    parser.set_defaults(command=runs)
    if command.parts:
        _add_commands(parser, command.parts, "PART")
    for argument in command.arguments:
        parser.add_argument(*argument.names, **argument.how)
    if _has_profile(command):
        words = 'a profile in config.toml; "" for none (default: default-profile, or the only one)'
        parser.add_argument("--profile", default=argparse.SUPPRESS, metavar="NAME", help=words)
    for name, title in GROUP_TITLES.items():
        options = [option for option in command.options if option.group == name]
        group = parser.add_argument_group(title) if options else parser
        for option in options:
            _add_option(group, option)


def _add_option(group: argparse._ActionsContainer, option: Option) -> None:
    """Add an option without a default: one not given after a command must not undo the one given before it."""
    words: dict[str, Any] = {"dest": option.name, "default": argparse.SUPPRESS}
    words["help"] = f"{option.help} (default: {option.default_text})"
    if option.metavar:
        group.add_argument(option.flag(), metavar=option.metavar, **words)
        return
    group.add_argument(option.flag(), action="store_true", **words)
    if option.negative:
        negated = {**words, "help": f"the opposite of {option.flag()}"}
        group.add_argument(option.flag(False), action="store_false", **negated)


def print_completion(shell: str) -> int:
    """Print the completion of every command as a script: no key waits for a process that starts."""
    import shtab

    def fill(parser: argparse.ArgumentParser) -> None:
        if isinstance(parser, _Parser):
            parser.fill()
        for action in parser._actions:
            if action.metavar == _A_FILE:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
            if isinstance(action, argparse._SubParsersAction):
                for part in action.choices.values():
                    fill(part)

    parser = command_parser()
    fill(parser)
    print(shtab.complete(parser, shell))
    return int(ExitCode.DONE)


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
