"""The table of commands: each with its help, its options and the function that runs it.

Invariant: the table names the module of a command, which is imported only when the command runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from runtui.options import OPTION_BY_NAME, OPTIONS, Option, OptionGroup

_MAX_RUNS: Final = 1_000_000
_LONGEST_INTERVAL: Final = 86_400
_MAX_NUMBER: Final = 999_999_999
"""The largest number of a change or of lines to print."""


class Argument:
    """An argument of one command, as parameters of `argparse.ArgumentParser.add_argument`."""

    def __init__(self, *names: str, **how: Any) -> None:
        self.names = names
        self.how = how


class Command(NamedTuple):
    """One command. Its function gets the command's own arguments by name and returns the exit code."""

    name: str
    help: str
    takes: Literal["session", "line", "nothing"]
    """The first argument of the function: a session on the chosen server, the session options as typed, or none."""
    run: str = ""
    """The function as "module:function"; "" for a command that only has subcommands."""
    options: Sequence[Option] = ()
    """The accepted session options."""
    arguments: Sequence[Argument] = ()
    parts: Sequence[Command] = ()
    """The subcommands; the first one runs if none is named."""
    epilog: str = ""
    lists_scenarios: bool = False


def _options(*groups: OptionGroup) -> tuple[Option, ...]:
    return tuple(option for option in OPTIONS if option.group in groups)


# The types of arguments, for argparse.


def _not_empty(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty")
    return text


def _entry_number(text: str) -> int:
    number = text.removeprefix("#")
    if not number.isdecimal() or len(number) > len(str(_MAX_NUMBER)):
        raise argparse.ArgumentTypeError(f"a change is named by its number, such as 12 or #12, not {text!r}")
    return int(number)


def _run_or_change(text: str) -> str | int:
    return _entry_number(text) if text.startswith("#") else _not_empty(text)


def _whole_number(what: str, most: int = _MAX_NUMBER, *, least: int = 0) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or len(text) > len(str(most)) or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{what} must be between {least} and {most}")
        return int(text)

    return read


def _output(*names: str, empty: str = "") -> tuple[Argument, Argument]:
    """Return the option of every command that prints. Its default is the first name, or empty with that meaning."""
    words, default = f"the output format (default: {empty or names[0]})", "" if empty else names[0]
    return (
        Argument("-o", "--format", dest="output", choices=names, default=default, help=words),
        Argument("--json", dest="output", action="store_const", const="json", help="the same as -o json"),
    )


def _filter(words: str) -> Argument:
    return Argument("--filter", dest="filter_text", default="", metavar="TEXT", help=words)


_LOG: Final = _options("log")
_SERVER: Final = _options("server", "sign-in")
_READING: Final = (*_SERVER, OPTION_BY_NAME["read-only"], *_LOG)
"""The options of a command that changes nothing; with read-only it requests fewer permissions."""
_WRITING: Final = (*_SERVER, *_options("writing"), *_LOG)
_EVERY: Final = OPTIONS

_JSON: Final = _output("table", "json")
_RECORDS: Final = (
    Argument("--limit", type=_whole_number("the limit"), metavar="N", help="only the first N (default: all)"),
    *_output("table", "json", "jsonl", "csv"),
)
_WORKFLOW_ID: Final = Argument("--workflow", dest="workflow_id", metavar="ID", type=_not_empty,
                               help="the id of the workflow (default: look it up)")  # fmt: skip
_RUN: Final = (Argument("run_id", metavar="RUN", type=_not_empty, help="the id of the run"), _WORKFLOW_ID)
_WHICH: Final = (
    Argument("run_ids", metavar="RUN", nargs="*", type=_not_empty,
             help="the ids of the runs; - reads them from standard input"),
    Argument("--filter", dest="filter_text", metavar="TEXT",
             help="the runs that match, such as status:failed, instead of ids"),
    _WORKFLOW_ID,
)  # fmt: skip
_SEND: Final = (
    Argument("--dry-run", action="store_true", help="print the request and send no change"),
    Argument("--yes", action="store_true", help="send without asking; required without a terminal"),
    Argument("--why", default="", metavar="TEXT", help="a reason, for the journal"),
)
_CHANGE: Final = (*_SEND, *_JSON)
_BULK: Final = (
    *_SEND, *_output("table", "json", empty="table, but json for many runs in a pipe"),
    Argument("--keep-going", action="store_true",
             help="with many runs: go on after a refusal that may meet the others too"),
)  # fmt: skip
_FOLLOW: Final = Argument("--follow", action="store_true", help="follow the run to its end")
_WORKFLOW: Final = Argument("workflow", metavar="WORKFLOW", type=_not_empty, help="the id or the name of the workflow")
_RUNS: Final = Argument("run_ids", metavar="RUN", nargs="+", type=_not_empty, help="the ids of the runs")
_NOTE: Final = Argument("--note", metavar="TEXT", help="a note on the runs; an empty one removes it")
_SANDBOX: Final = (
    Argument("--runs", type=_whole_number("the number of runs", _MAX_RUNS), default=240, metavar="N",
             help="how many runs the sandbox has (default: 240)"),
    Argument("--seed", type=int, default=7, metavar="S", help="the seed of the random data (default: 7)"),
    Argument("--hostile", action="store_true", help="add names and values that attack the terminal"),
    Argument("--scenario", default="none", metavar="NAME",
             help="the fault to simulate, see below (default: none)"),
)  # fmt: skip
# The underscore keeps it apart from the session option "sign-in".
_SIGN_IN: Final = Argument("--sign-in", dest="sign_in", action="store_true", help="require people to sign in")

TUI: Final = Command(name="", help="the terminal UI", run="runtui.session:open_screen", takes="line", options=_EVERY)
"""Runs if no command is named."""

COMMANDS: Final = (
    Command(
        name="demo", help="open the terminal UI on the embedded sandbox",
        run="runtui.demo:demo", takes="line",
        options=_options("writing", "screen", "log"), arguments=(*_SANDBOX, _SIGN_IN), lists_scenarios=True,
    ),
    Command(
        name="list", help="list runs",
        run="runtui.headless.runs:list_runs", takes="session", options=_READING,
        arguments=(
            _filter("only the runs that match, such as status:failed or is:problem"),
            Argument("--columns", default="", metavar="A,B", help="the columns to print, such as status,workflow,id"),
            Argument("--sort", default="", metavar="COLUMN", help="a column, such as users or users:asc"
                     " (default: the most urgent first, then the newest; jsonl without --limit: as read)"),
            Argument("--full", action="store_true", help="read all runs again, even unchanged ones"),
            *_RECORDS,
        ),
    ),
    Command(
        name="show", help="show one run and what failed in it, or what it did for one user",
        run="runtui.headless.triage.show:show_run", takes="session", options=_READING,
        arguments=(
            *_RUN,
            Argument("--user", metavar="USER", type=_not_empty,
                     help="the tasks of this user: a name, user principal name or id"),
            *_JSON,
        ),
    ),
    Command(
        name="causes", help="list why tasks failed, grouped by task and reason across all runs",
        run="runtui.headless.triage.lists:list_causes", takes="session", options=_READING,
        arguments=(_filter("only the runs that match, such as status:failed or is:problem"), *_RECORDS),
    ),
    Command(
        name="person", help="list what every task did for one person, across all workflows",
        run="runtui.headless.triage.lists:show_person", takes="session", options=_READING,
        arguments=(
            Argument("name", metavar="NAME", type=_not_empty, help="a name, sign-in name (user principal name) or id"),
            *_RECORDS,
        ),
    ),
    Command(
        name="workflows", help="list workflows with their schedule, what holds them back and how their runs went",
        run="runtui.headless.triage.lists:list_workflows", takes="session", options=_READING,
        arguments=_RECORDS,
    ),
    Command(
        name="watch", help="print a JSON line for each run that matches a filter, then for each new match",
        run="runtui.headless.triage.watch:watch", takes="session", options=_READING,
        arguments=(
            _filter("only the runs that match, such as status:failed or is:problem (default: all)"),
            Argument("--interval", type=_whole_number("the interval", _LONGEST_INTERVAL, least=1), metavar="SECONDS",
                     help="seconds between two listings (default: refresh of the profile, else 30)"),
            Argument("--watch-only", action="store_true", help="at the first start, skip the runs that match already"),
            Argument("--from-start", action="store_true", help="print again what an earlier watch printed"),
            Argument("--count", type=_whole_number("the count", least=1), metavar="N",
                     help="stop after this many runs (default: at SIGINT or SIGTERM)"),
            Argument("--exec", dest="program", metavar="COMMAND",
                     help="a program and its arguments, started for each printed run, one at a time"),
            Argument("--exec-timeout", dest="program_seconds", default=60, metavar="SECONDS",
                     type=_whole_number("the time limit", _LONGEST_INTERVAL, least=1),
                     help="how long the program of --exec may take (default: 60)"),
        ),
        epilog="Started again with the same filter, it continues where it stopped. The program of --exec gets the line"
        " on standard input and the run's id in RUNTUI_RUN_ID; it runs without a shell, and its output goes to standard"
        " error. Exit codes: 0 ended by a signal or by --count, 1 the service refused, 2 wrong usage.",
    ),
    Command(
        name="handoff", help="write the hand-over of a run, a change or a cause: what the next person must know",
        run="runtui.headless.triage.handoff:hand_over", takes="session", options=_READING,
        arguments=(
            Argument("subject", metavar="RUN", nargs="?", type=_run_or_change,
                     help="the id of the run, or the number of a change to it, such as '#12'"),
            _WORKFLOW_ID,
            Argument("--cause", dest="cause_number", type=_whole_number("the number of a cause", least=1), default=0,
                     metavar="N", help="the cause in line N of `runtui causes`, instead of a run"),
            _filter("with --cause: the filter that you gave to `runtui causes`"),
            Argument("--reduce-people", action="store_true", help="write initials and ids, no names and addresses"),
            Argument("--file", type=Path, metavar="FILE", help="write to this new, private file (default: print)"),
            *_output("md", "json"),
        ),
    ),
    Command(
        name="update", help="change properties of one run or many",
        run="runtui.headless.bulk:update", takes="session", options=_WRITING,
        arguments=(
            *_WHICH,
            Argument("--set", dest="assignments", action="extend", nargs="+", required=True, metavar="NAME=VALUE",
                     help="values as in the form: completedDateTime=-2h, failedTasksCount=1,000, startedDateTime=null"),
            *_BULK,
        ),
    ),
    Command(
        name="undo", help="undo a change, or the whole bulk change that it belongs to",
        run="runtui.headless.bulk:undo", takes="line", options=_WRITING,
        arguments=(
            Argument("number", type=_entry_number, metavar="CHANGE", help="its number in the journal"),
            Argument("--batch", action="store_true", help="undo every change of the bulk change that it belongs to"),
            *_BULK,
            Argument("--seen-on-read-back", action="store_true",
                     help="with --yes: also undo a change that was only seen on read-back and may be someone else's"),
        ),
    ),
    Command(
        name="cancel", help="cancel one run or many that are queued or in progress",
        run="runtui.headless.actions:cancel_runs", takes="session", options=_WRITING,
        arguments=(*_WHICH, _FOLLOW, *_BULK),
    ),
    Command(
        name="reprocess", help="process one run or many again, each in a new run",
        run="runtui.headless.actions:reprocess_runs", takes="session", options=_WRITING,
        arguments=(
            *_WHICH,
            Argument("--scope", choices=("failed-users", "failed-tasks", "all"), required=True,
                     help="the failed users with all tasks, or only the tasks that failed, or the whole run"),
            _FOLLOW, *_BULK,
        ),
    ),
    Command(
        name="activate", help="run a workflow on demand for the users that you name",
        run="runtui.headless.actions:activate", takes="session", options=_WRITING,
        arguments=(
            _WORKFLOW,
            Argument("--user", dest="users", action="extend", nargs="+", required=True, metavar="USER", type=_not_empty,
                     help="ids or sign-in names (user principal names)"),
            *_CHANGE,
        ),
    ),
    Command(
        name="clear-quarantine", help="end the quarantine of a workflow, so that it runs again",
        run="runtui.headless.actions:free_workflow", takes="session", options=_WRITING,
        arguments=(_WORKFLOW, *_CHANGE),
    ),
    Command(
        name="resume", help="end a task that waits for its custom task extension, as completed or failed",
        run="runtui.headless.actions:resume_task", takes="session", options=_WRITING,
        arguments=(
            *_RUN,
            Argument("--as", dest="end", choices=("completed", "failed"), required=True, help="how the task ends"),
            Argument("--task", default="", metavar="ID", help="the id of the task's result (default: the waiting one)"),
            *_CHANGE,
        ),
    ),
    Command(
        name="preview", help="list the tasks of a workflow that would fail if it ran now; changes nothing",
        run="runtui.headless.actions:preview", takes="session", options=_READING,
        arguments=(_WORKFLOW, *_JSON),
    ),
    Command(
        name="journal", help="list the changes made from this machine and their outcomes; works offline",
        run="runtui.headless.journal:journal", takes="line", options=_READING,
        arguments=(
            Argument("number", type=_entry_number, nargs="?", metavar="CHANGE", help="show this change in full"),
            _filter('only the changes that match, such as "outcome:unknown since:-24h"'),
            Argument("--limit", type=_whole_number("the limit"), metavar="N", help="only the newest N (default: all)"),
            *_output("table", "json", "jsonl", "csv", "md"),
        ),
    ),
    Command(
        name="triage", help="mark runs as handled or snoozed; export or import marks and notes; works offline",
        takes="line",
        parts=(
            Command(
                name="export", help="print the marks and notes of all runs as JSON lines, for the next shift",
                run="runtui.headless.triage.shift:export_triage", takes="line", options=_READING,
            ),
            Command(
                name="import", help="import what another shift exported; for each run the newer one wins",
                run="runtui.headless.triage.shift:import_triage", takes="line", options=_READING,
                arguments=(Argument("file", metavar="FILE", help="the file; - for standard input"),),
            ),
            Command(
                name="handled", help="mark runs as handled",
                run="runtui.headless.triage.shift:mark_handled", takes="line", options=_READING,
                arguments=(_RUNS, _NOTE, Argument("--undo", action="store_true", help="remove the mark")),
            ),
            Command(
                name="snooze", help="put runs off until a time or a change, or until they get worse",
                run="runtui.headless.triage.shift:snooze", takes="line", options=_READING,
                arguments=(
                    _RUNS, _NOTE,
                    Argument("--until", required=True, metavar="TIME",
                             help='such as 2h or "tomorrow 09:00"; "change" means until the run changes'),
                ),
            ),
        ),
    ),
    Command(
        name="login", help="sign in for later commands and the terminal UI",
        run="runtui.headless.sign_in:login", takes="line", options=_READING,
        arguments=(
            Argument("--method", dest="sign-in", default=argparse.SUPPRESS, metavar="METHOD", help="same as --sign-in"),
            Argument("--no-browser", action="store_true", help="print the address and open no browser"),
        ),
    ),
    Command(
        name="logout", help="delete the tokens kept on this machine",
        run="runtui.headless.sign_in:logout", takes="session", options=_READING,
    ),
    Command(
        name="whoami", help="show who is signed in and until when; works offline",
        run="runtui.headless.sign_in:whoami", takes="session", options=_READING, arguments=_JSON,
    ),
    Command(
        name="profiles", help="list the profiles in config.toml; * marks the default",
        run="runtui.headless.config:print_profiles", takes="nothing", options=_LOG, arguments=_JSON,
    ),
    Command(
        name="config", help="show or check the options", takes="nothing",
        parts=(
            Command(
                name="show", help="show every option, its value and where it comes from",
                run="runtui.headless.config:print_options", takes="line", options=_EVERY, arguments=_JSON,
            ),
            Command(
                name="path", help="print the path of config.toml, even if there is none yet",
                run="runtui.headless.config:print_path", takes="nothing", options=_LOG,
            ),
            Command(
                name="check", help="list every problem in config.toml; the exit code is 1 if there is one",
                run="runtui.headless.config:check_config", takes="nothing", options=_LOG,
            ),
        ),
    ),
    Command(
        name="doctor", help="check this machine, the sign-in and the server, and suggest next steps",
        run="runtui.headless.doctor:examine", takes="line", options=_EVERY,
        arguments=(*_JSON, Argument("--offline", action="store_true", help="contact no server")),
    ),
    Command(
        name="completion", help="print a script that lets a shell complete runtui's commands and options",
        run="runtui.cli.program:print_completion", takes="nothing",
        arguments=(Argument("shell", choices=("bash", "zsh", "fish", "tcsh"), help="the shell"),),
        epilog="In bash: runtui completion bash >> ~/.bash_completion. "
        "In fish: runtui completion fish > ~/.config/fish/completions/runtui.fish. "
        'In zsh, after compinit in .zshrc: eval "$(runtui completion zsh)"',
    ),
    Command(
        name="sandbox", help="run the sandbox server alone; it prints one JSON line with its root",
        run="runtui.sandbox.server:main", takes="nothing", lists_scenarios=True,
        arguments=(
            Argument("--port", type=_whole_number("the port", 65_535), default=0, metavar="P",
                     help="the port on 127.0.0.1 (default: any free one)"),
            Argument("--until-stdin-closes", action="store_true", help="stop when standard input is closed"),
            *_SANDBOX,
        ),
        epilog="While it runs, type the name of a scenario on standard input to switch to it.",
    ),
)  # fmt: skip
