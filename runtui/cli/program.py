"""The command line: parses the arguments, runs the command, and reports errors.

Invariant: parsing imports no package but argparse. Standard output is data, standard error is for people. If the reader
of the data goes away, as with `| head`, the command ends quietly.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from runtui import __version__
from runtui.cli.commands import COMMANDS, TUI, Command
from runtui.errors import ExitCode, RuntuiError, UsageError, nearest_words
from runtui.options import GROUP_TITLES, LOG, OPTION_BY_NAME, OPTIONS, Option

if TYPE_CHECKING:
    from runtui.command_line import CommandLine

_A_FILE: Final = "FILE"
"""The placeholder for a file name in the help; a shell completes it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code of the process, also if nobody reads its messages."""
    _open_streams()
    try:
        return _main(arguments)
    finally:
        _tell("")  # a message that is left is flushed here rather than by the interpreter


def _main(arguments: Sequence[str] | None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    from runtui.log import crash_sentence, unhandled_errors_reported

    reports = _report_folder()
    try:
        with unhandled_errors_reported(reports):
            given = vars(_without_command(arguments) or command_parser(*arguments[:1]).parse_args(arguments))
            return _run(given.pop("command"), given)
    except RuntuiError as error:
        from runtui.domain.text import visible

        _tell(f"runtui: {visible(error, newlines=True)}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return ExitCode.NOT_DONE
    except Exception as error:  # noqa: BLE001 - the last resort: a defect is told in a sentence, not in a traceback
        from runtui.private_files import CLOSE_FILES, TOO_MANY_FILES

        if isinstance(error, OSError) and error.errno in TOO_MANY_FILES:
            _tell(f"runtui: {error.strerror}. {CLOSE_FILES}\n")
        else:
            _tell(f"{crash_sentence(error, reports)}\n")
        return ExitCode.NOT_DONE


def _run(command: Command, given: dict[str, Any]) -> int:
    """Import the function of a command and call it; `given` are all parsed arguments."""
    from runtui.prelude.terminal import TAKEOVER

    try:
        with _log(command, given):
            return _call(command, given)
    finally:
        TAKEOVER.give_back()  # before any message


def _log(command: Command, given: dict[str, Any]) -> AbstractContextManager[None]:
    path = _command_line(command, given).log_file() if LOG in command.options else None
    if path is None:
        return nullcontext()
    from runtui.log import logged_to

    return logged_to(path, command.name or "the terminal UI")


def _call(command: Command, given: dict[str, Any]) -> int:
    from importlib import import_module

    own = {name: _text(value) for name, value in given.items() if name not in OPTION_BY_NAME and name != "profile"}
    module, _, function = command.run.partition(":")
    gc.disable()
    run = getattr(import_module(module), function)
    gc.freeze()
    gc.enable()
    code: int = ExitCode.DONE
    with _output_written():
        if command.takes == "nothing":
            code = run(**own)
        else:
            line = _command_line(command, given)
            code = run(line if command.takes == "line" else line.session(), **own)
    return code


@contextmanager
def _output_written() -> Iterator[None]:
    """Write the rest of standard output at the end of the block; end the block quietly if its reader is gone.

    Raises:
        RuntuiError: it cannot be written.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        _discard(sys.stdout)
    except OSError as error:
        from runtui.private_files import NO_ROOM

        # Without a name it is standard output: every other file is opened by its name.
        if error.filename is not None or error.errno not in NO_ROOM:
            raise
        _discard(sys.stdout)
        raise RuntuiError("The output is incomplete", f"Standard output cannot be written: {error.strerror}.") from None


def _open_streams() -> None:
    """Write UTF-8 in any locale: no other encoding has all signs of the service and of the screen.

    Open the null device for a stream that the shell closed. Else Python has no object for it, and the next opened file
    would get its descriptor.
    """
    if sys.stdin is None:
        sys.stdin = os.fdopen(os.open(os.devnull, os.O_RDONLY))
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        elif stream.encoding.lower() != "utf-8":
            stream.reconfigure(encoding="utf-8")


def _tell(message: str) -> None:
    """Write to standard error, which its reader may have closed, as with 2>&1 | head."""
    try:
        sys.stderr.write(message)
        sys.stderr.flush()
    except OSError:
        _discard(sys.stderr)


def _discard(stream: TextIO) -> None:
    """Redirect a stream to the null device, because the interpreter flushes it once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _text(value: Any) -> Any:
    """Return an argument with its texts read as UTF-8 where the locale has no character for a byte, as in that of C.
    Python passes such a byte as a lone surrogate, which no file can hold. A file name is a `Path` and stays as it is.

    Raises:
        UsageError: a text is not UTF-8.
    """
    if isinstance(value, list):
        return [_text(each) for each in value]
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        try:
            return os.fsencode(value).decode()
        except UnicodeError:
            raise UsageError("An argument cannot be used", f"{value!r} is not UTF-8.") from None
    return value


def _command_line(command: Command, given: dict[str, Any]) -> CommandLine:
    from runtui.command_line import CommandLine

    flags = {option.name: given[option.name] for option in OPTIONS if option.name in given}
    return CommandLine(flags, given.get("profile") if _has_profile(command) else "")


def _has_profile(command: Command) -> bool:
    return OPTION_BY_NAME["root"] in command.options


def _report_folder() -> Path:
    """Return the folder for a report of a defect: the state folder, or a temporary folder if there is none."""
    from runtui.settings import state_folder

    try:
        return state_folder()
    except RuntuiError:
        import tempfile

        return Path(tempfile.gettempdir(), f"runtui-{os.getuid()}")


class _Parser(argparse.ArgumentParser):
    """The parser of one command, whose errors suggest the nearest valid word. It is filled with arguments at its first
    use, since only one command runs."""

    def __init__(self, *, command: Command, **how: Any) -> None:
        words = {"description": f"{command.help[:1].upper()}{command.help[1:]}.", "epilog": command.epilog or None}
        super().__init__(**words | how)
        self._command = command
        self._is_filled = False

    def fill(self) -> None:
        if not self._is_filled:
            self._is_filled = True
            _fill(self, self._command)

    def format_help(self) -> str:
        """Return the help, with the list of scenarios for a command that has them."""
        self.fill()
        return super().format_help() + (_scenario_list() if self._command.lists_scenarios else "")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Refuse unknown arguments with the usage of this command: argparse would show the usage of the program."""
        self.fill()
        parsed, unknown = super().parse_known_args(args, namespace)
        if unknown:
            known = [flag for flag in self._option_string_actions if flag.startswith("--")]
            name = unknown[0].partition("=")[0]
            if name.startswith("-"):
                meant = nearest_words(name, known)
            else:
                meant = f" Did you mean --filter {unknown[0]!r}?" if "--filter" in known else ""
            if name.removeprefix("--") in OPTION_BY_NAME:
                meant = f" {name} is an option of other commands."
            self.error(f"unrecognized arguments: {' '.join(unknown)}{'.' if meant else ''}{meant}")
        return parsed, unknown

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print the help like any other output; argparse would hide that it cannot be written."""
        if file is not sys.stdout:
            super()._print_message(message, file)
            return
        with _output_written():
            file.write(message)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse an invalid choice. Show either the nearest ones or all: among all commands a suggestion is lost."""
        if action.choices is not None and value not in action.choices:
            names = [str(name) for name in action.choices]
            offered = nearest_words(str(value), names) or f" Possible: {', '.join(names)}."
            raise argparse.ArgumentError(action, f"there is no {value!r}.{offered}")


def command_parser(first: str = "") -> argparse.ArgumentParser:
    """Return the parser of the command `first`, or of all commands. Its result has the `Command` in "command"."""
    parser = _Parser(
        command=TUI,
        prog="runtui",
        usage="runtui [-h] [--version] [options] [COMMAND ...]",
        description="Triage Microsoft Entra lifecycle-workflow runs from the keyboard.",
        epilog="Try it: runtui demo",
    )
    parser.add_argument("--version", action="version", version=f"runtui {__version__}")
    _add_commands(parser, [command for command in COMMANDS if command.name == first] or COMMANDS, "COMMAND")
    return parser


def _without_command(arguments: Sequence[str]) -> argparse.Namespace | None:
    """Parse a command line that has only options, like `command_parser`; None for any other or an invalid one.

    So the terminal UI starts without the parsers of the commands, and of the options that are not given.
    """
    if arguments and not arguments[0].startswith("-"):
        return None
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    named = {argument.partition("=")[0] for argument in arguments}
    _fill(parser, TUI, [option for option in OPTIONS if named & {option.flag(), option.flag(False)}])
    with suppress(argparse.ArgumentError):
        given, others = parser.parse_known_args(arguments)
        return given if not others else None
    return None


def _add_commands(parser: argparse.ArgumentParser, commands: Sequence[Command], metavar: str) -> None:
    parsers = parser.add_subparsers(metavar=metavar, prog=parser.prog)
    for command in commands:
        parsers.add_parser(command.name, help=command.help, command=command)


def _fill(parser: argparse.ArgumentParser, command: Command, needed: Sequence[Option] | None = None) -> None:
    runs = command.parts[0] if command.parts else command
    parser.set_defaults(command=runs)
    if command.parts:
        _add_commands(parser, command.parts, "PART")
    for argument in command.arguments:
        parser.add_argument(*argument.names, **argument.how)
    if command.options and command is not TUI:
        # The session options are listed below the usage; in it they would hide the command's own arguments.
        usage = parser._get_formatter()
        usage.add_usage(None, [*parser._actions, argparse.Action([], "", nargs="?", metavar="options")], ())
        parser.usage = usage.format_help().removeprefix("usage: ").rstrip()
    if _has_profile(command):
        words = 'a profile in config.toml; "" for none (default: default-profile, or the only one)'
        parser.add_argument("--profile", default=argparse.SUPPRESS, metavar="NAME", help=words)
    for name, title in GROUP_TITLES.items():
        options = [option for option in (command.options if needed is None else needed) if option.group == name]
        group = parser.add_argument_group(title) if options else parser
        for option in options:
            _add_option(group, option)


def _add_option(group: argparse._ActionsContainer, option: Option) -> None:
    """Add an option without a default: if absent after the command, it must not reset the one before the command."""
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
    """Print a completion script with every command, so that no key has to start a process."""
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
    return ExitCode.DONE


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
