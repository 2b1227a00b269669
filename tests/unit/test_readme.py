"""The README speaks of today's program: what is generated in it, named by it or linked from it is compared."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from runtui import options
from runtui.cli import _parser
from runtui.sandbox.app import ROUTES
from runtui.tui.actions import SCOPE_TITLES, in_scopes, key_text
from runtui.tui.themes import THEMES
from runtui.tui.views.help import FILTER_HELP

ROOT: Final = Path(__file__).parents[2]
README: Final = (ROOT / "README.md").read_text("utf-8")
CODE: Final = re.compile(r"`([^`\n]+)`")


def keys_table() -> str:
    """Every action of the registry, as Markdown."""
    lines = ["| Where | Keys | What it does |", "|---|---|---|"]
    for scope, title in SCOPE_TITLES.items():
        for action in in_scopes(scope):
            keys = " ".join(f"`{key_text(key)}`" for key in action.keys)
            lines.append(f"| {title} | {keys} | {action.help} |")
    return "\n".join(lines)


def between_marks(name: str) -> str:
    """What stands between two marks of the README."""
    _, found, rest = README.partition(f"<!-- {name} -->\n")
    inside, ended, _ = rest.partition(f"<!-- end of {name} -->")
    assert found, f"README.md has no mark {name!r}"
    assert ended, f"README.md has no end of {name!r}"
    return inside.strip()


@pytest.mark.parametrize(
    ("name", "wanted"), [("keys", keys_table()), ("filter", f"```\n{FILTER_HELP}\n```")], ids=["keys", "filter"]
)
def test_what_is_generated_is_up_to_date(name: str, wanted: str) -> None:
    assert between_marks(name) == wanted, f"paste this between the marks {name!r} of README.md:\n\n{wanted}\n"


def test_there_is_one_command_for_the_demo_and_one_for_the_tests() -> None:
    commands = re.findall(r"^python3 -m venv .*$", README, re.MULTILINE)
    assert [command.rpartition("&& ")[2] for command in commands] == [
        ".venv/bin/runtui demo",
        ".venv/bin/python -m pytest",
    ]


def test_every_option_and_command_that_is_named_exists() -> None:
    parser = _parser()
    (commands,) = (action.choices for action in parser._actions if isinstance(action.choices, dict))
    helps = " ".join(known.format_help() for known in (parser, *commands.values()))
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README)) - {"--quiet"}  # pip's
    named = {match[1] for code in CODE.findall(README) if (match := re.search(r"\bruntui ([a-z]+)", code))}
    assert {"--root", "--no-mouse"} <= options
    assert {"demo", "sandbox"} <= named
    assert sorted(option for option in options if not re.search(rf"{option}(?![\w-])", helps)) == []
    assert sorted(named - set(commands)) == []


def test_every_theme_that_is_named_exists() -> None:
    named = set(re.findall(r"--theme ([a-z-]+)", README))
    assert named
    assert named <= {*THEMES, "dark", "light"} == set(options.THEMES)


def test_every_path_is_one_that_the_sandbox_answers() -> None:
    answered = {(method, re.sub(r"_id\}", "Id}", route.path)) for route in ROUTES for method in (route.methods or ())}
    lines = [line.split() for line in between_marks("paths").splitlines() if not line.startswith("```")]
    assert len(lines) == 5
    assert {(method, path) for method, path in lines} <= answered


def test_every_picture_and_file_that_is_named_is_there() -> None:
    linked = re.findall(r"\]\(([^)]+)\)", README)
    named = [name for name in CODE.findall(README) if re.fullmatch(r"(?:tests|runtui|styles|\.ci)/[\w/.-]+", name)]
    assert linked
    assert [name for name in (*linked, *named) if not (ROOT / name).exists()] == []
