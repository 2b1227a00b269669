"""The command line is made from the table of options: every flag exists, and works before and after the command."""

from __future__ import annotations

import argparse
import inspect
import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from runtui.cli import command_parser, main
from runtui.cli.commands import COMMANDS, TUI, Command
from runtui.cli.program import _command_line
from runtui.command_line import CommandLine
from runtui.errors import ExitCode, UsageError
from runtui.options import OPTIONS
from tests.unit.test_readme import all_parsers

ROOT = "https://graph.microsoft.com/beta"


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Set up a config.toml and a state folder for the test, and unset every variable with a meaning."""
    for name in [option.variable for option in OPTIONS] + [option.azure for option in OPTIONS if option.azure]:
        monkeypatch.delenv(name, raising=False)
    for name in ("RUNTUI_PROFILE", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RUNTUI_STATE", str(tmp_path / "state"))
    path = tmp_path / "config.toml"
    path.touch()
    monkeypatch.setenv("RUNTUI_CONFIG", str(path))
    return path


def line(*arguments: str) -> CommandLine:
    given = vars(command_parser().parse_args(arguments))
    return _command_line(given["command"], given)


def test_only_the_named_command_gets_a_parser() -> None:
    (commands,) = (action.choices for action in command_parser("update")._actions if isinstance(action.choices, dict))
    assert list(commands) == ["update"]


def test_every_option_is_a_flag_and_says_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    text = re.sub(r"\s+", " ", command_parser().format_help())
    for option in OPTIONS:
        assert f"{option.flag()} {option.metavar}".rstrip() in text
        assert f"(default: {option.default_text})" in text
        assert not option.negative or option.flag(False) in text
    assert "--profile NAME" in text


@pytest.mark.parametrize(
    ("arguments", "flags"),
    [
        ((), {}),
        (("--root", ROOT, "--tenant", "Contoso"), {"root": ROOT, "tenant": "Contoso"}),
        (("--patch-path", "/x/{runId}", "--body", "changed"), {"patch-path": "/x/{runId}", "body": "changed"}),
        (("--theme", "light", "--refresh", "5"), {"theme": "light", "refresh": "5"}),
        (("--mouse",), {"mouse": True}),
        (("--no-mouse",), {"mouse": False}),
        (("--read-only",), {"read-only": True}),
        (("--write",), {"read-only": False}),
        (("--read-only", "--write"), {"read-only": False}),
        (("list", "--root", ROOT), {"root": ROOT}),
        (("--root", ROOT, "list"), {"root": ROOT}),
        (("--root", "https://first/b", "list", "--root", ROOT), {"root": ROOT}),
        (("--read-only", "update", "r", "--set", "a=b"), {"read-only": True}),
        (("list", "--read-only"), {"read-only": True}),
        (("show", "r", "--read-only"), {"read-only": True}),
        (("journal", "--read-only"), {"read-only": True}),
        (("login", "--read-only"), {"read-only": True}),
        (("--read-only", "list", "--write"), {"read-only": False}),
    ],
)
def test_only_what_was_given_is_handed_on(arguments: tuple[str, ...], flags: dict[str, Any]) -> None:
    assert line(*arguments).flags == flags


def test_every_help_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    helps = [parser.format_help() for parser in all_parsers(command_parser())]
    assert len(helps) > len(COMMANDS)
    assert [line for text in helps for line in text.splitlines() if len(line) > 80] == []


def with_functions(commands: Sequence[Command]) -> Iterator[Command]:
    for command in commands:
        yield from with_functions(command.parts) if command.parts else [command]


@pytest.mark.parametrize("command", [TUI, *with_functions(COMMANDS)], ids=lambda command: command.run)
def test_every_command_has_a_function_that_takes_its_arguments(command: Command) -> None:
    module, _, name = command.run.partition(":")
    parser = argparse.ArgumentParser(add_help=False)
    for argument in command.arguments:
        parser.add_argument(*argument.names, **argument.how)
    own = {action.dest for action in parser._actions} - {option.name for option in OPTIONS}
    first = () if command.takes == "nothing" else (None,)
    inspect.signature(getattr(import_module(module), name)).bind(*first, **dict.fromkeys(own))


def test_a_value_that_makes_no_sense_names_its_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--root", ROOT, "--refresh", "-1"]) == ExitCode.USAGE
    assert "--refresh: refresh is '-1'. It must be between 0 and 86400." in capsys.readouterr().err
    assert main(["demo", "--body", "ful"]) == ExitCode.USAGE
    assert "--body: body is 'ful'. It must be one of: full, changed. Did you mean full?" in capsys.readouterr().err
    for arguments, words in (
        (["undo", "abc"], "CHANGE: a change is named by its number, such as 12 or #12, not 'abc'"),
        (["undo", 19 * "9"], "CHANGE: a change is named by its number"),
        (["handoff", "#x"], "RUN: a change is named by its number"),
        (["list", "--limit", 19 * "9"], "--limit: the limit must be between 0 and 999999999"),
        (["show", ""], "argument RUN: it is empty"),
        (["show", "r", "--workflow", " "], "argument --workflow: it is empty"),
        (["update", "r", "", "--set", "failedTasksCount=1"], "argument RUN: it is empty"),
        (["activate", "w", "--user", ""], "argument --user: it is empty"),
        (["preview", ""], "argument WORKFLOW: it is empty"),
        (["person", " "], "argument NAME: it is empty"),
        (["sandbox", "--port", "x"], "--port: the port must be between 0 and 65535"),
        (["demo", "--runs", "1e3"], "--runs: the number of runs must be between 0 and 1000000"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == ExitCode.USAGE
        assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "usage", "words"),
    [
        (["list", "--fliter", "x"], "usage: runtui list", "--fliter x. Did you mean --filter?"),
        (["list", "--theme", "light"], "usage: runtui list", "--theme light. --theme is an option of other commands."),
        (["list", "--limit", "-1"], "usage: runtui list", "the limit must be between 0 and 999999999"),
        (["config", "show", "--jsn"], "usage: runtui config show", "Did you mean --json?"),
        (["--them", "light", "show", "a", "b"], "usage: runtui show", "unrecognized arguments: b"),
        (["--fliter", "x"], "usage: runtui", "argument COMMAND: there is no 'x'. Possible: demo, list, show,"),
        (["lits"], "usage: runtui", "argument COMMAND: there is no 'lits'. Did you mean list?"),
        (["--them", "light", "--rfresh"], "usage: runtui", "unrecognized arguments: --rfresh. Did you mean --refresh?"),
        (["triage", "exprt"], "usage: runtui triage", "argument PART: there is no 'exprt'. Did you mean export?"),
        (["completion", "csh"], "usage: runtui completion", "there is no 'csh'. Did you mean tcsh?"),
        (["show", "a", "-o", "csv"], "usage: runtui show", "there is no 'csv'. Possible: table, json."),
        (["list", "is:stuck now"], "usage: runtui list", "is:stuck now. Did you mean --filter 'is:stuck now'?"),
        (["list", "-o", "jsn"], "usage: runtui list", "argument -o/--format: there is no 'jsn'. Did you mean json?"),
    ],
)
def test_a_wrong_flag_is_answered_by_the_command_that_does_not_have_it(
    arguments: list[str], usage: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == ExitCode.USAGE
    said = re.sub(r"\s+", " ", capsys.readouterr().err)
    assert said.startswith(f"{usage} [")
    assert words in said


def test_only_a_command_for_many_runs_speaks_of_them() -> None:
    for command in COMMANDS:
        helps = {argument.names[0]: argument.how["help"] for argument in command.arguments}
        assert ("many runs" in helps.get("-o", "")) == ("--keep-going" in helps), command.name


def test_flags_override_a_profile(place: Path) -> None:
    place.write_text(f'[profiles.prod]\nroot = "{ROOT}"\ntenant = "Contoso"\nread-only = true\n')
    settings = line("--tenant", "Fabrikam").settings()
    assert (settings.profile, settings.root, settings.tenant, settings.read_only) == ("prod", ROOT, "Fabrikam", True)
    assert line("--write").settings().read_only is False
    with pytest.raises(UsageError, match="No server is chosen"):
        line("--profile", "").settings()


def test_a_profile_without_a_server_is_named(place: Path) -> None:
    place.write_text("[profiles.prod]\nread-only = true\n")
    with pytest.raises(UsageError) as caught:
        line("list").settings()
    assert str(caught.value) == (
        "No server is chosen. The profile prod has no root, cloud or client-id. "
        "Add one of them to the profile, or --root URL to the command."
    )


def test_several_profiles_without_a_default_are_asked_about(place: Path) -> None:
    place.write_text('[profiles.one]\ncloud = "dod"\n[profiles.two]\ncloud = "china"\n')
    with pytest.raises(UsageError) as caught:
        line("list").settings()
    assert str(caught.value).startswith(f"No profile is chosen. {place} has: one, two. Add --profile NAME")


def test_a_demo_ignores_profiles_and_a_broken_file(place: Path) -> None:
    place.write_text("[profiles.prod\n")
    settings = line("demo", "--theme", "light", "--read-only").demo_settings()
    assert (settings.root, settings.profile, settings.theme, settings.read_only) == ("", "", "light", True)


def test_an_undo_uses_the_profile_of_the_change_if_it_still_exists(place: Path) -> None:
    place.write_text(f'default-profile = "b"\n[profiles.a]\nroot = "{ROOT}"\n[profiles.b]\nroot = "https://b/beta"\n')
    undo = line("undo", "1")
    made = undo.settings_to_undo(ROOT, "Contoso", "a")
    assert (made.profile, made.root, made.tenant) == ("a", ROOT, "Contoso")
    gone = undo.settings_to_undo(ROOT, "Contoso", "gone")
    assert (gone.profile, gone.root) == ("", ROOT), "the default profile has nothing to do with it"


def test_the_journal_is_narrowed_by_the_command_line_alone(place: Path) -> None:
    place.write_text(f'default-profile = "a"\n[profiles.a]\nroot = "{ROOT}"\n')
    assert line("journal").root() is None
    assert line("journal", "--profile", "a").root() == ROOT
    assert line("journal", "--root", f"{ROOT}/").root() == ROOT


def test_without_any_server_the_first_page_says_how_to_begin(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == ExitCode.USAGE
    said = capsys.readouterr().err
    for word in ("runtui demo", "LifecycleWorkflows.Read.All", "http://localhost", "public client flows", str(place)):
        assert word in said
    assert all(len(printed) <= 80 for printed in said.splitlines() if str(place) not in printed)
    assert line().profile is None


def test_the_config_of_the_first_page_works_as_it_stands(place: Path) -> None:
    from runtui.headless.welcome import CONFIG

    place.write_text(CONFIG)
    assert main(["config", "check"]) == ExitCode.DONE
    settings = line().settings()
    assert settings.sign_in is not None
    assert (settings.root, settings.read_only, settings.sign_in.method) == (ROOT, True, "device-code")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (("jou",), {"journal"}),
        (("config", "ch"), {"check"}),
        (("list", "--fi"), {"--filter"}),
        (("list", "--format", ""), {"table", "json", "jsonl", "csv"}),
        (("update", "--dry"), {"--dry-run"}),
        (("--ca-file", "pypro"), {"pyproject.toml"}),
    ],
)
def test_bash_completes_commands_options_values_and_files(
    typed: tuple[str, ...], offered: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", "bash"]) == ExitCode.DONE
    words = shlex.join(("runtui", *typed))
    asking = f"COMP_WORDS=({words}); COMP_CWORD={len(typed)}; _shtab_runtui; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    bash = subprocess.run(
        ["bash", "-c", f"{capsys.readouterr().out}\n{asking}"],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert set(bash.stdout.split()) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "tcsh"])
def test_every_shell_completes_all_commands(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == ExitCode.DONE
    script = capsys.readouterr().out
    assert all(command.name in script for command in COMMANDS)
