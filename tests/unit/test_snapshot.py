"""The picture that the next start shows at once, and when it shows none."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from runtui.prelude import snapshot
from runtui.prelude.snapshot import SNAPSHOT, drawn_lines
from runtui.prelude.terminal import TAKEOVER
from runtui.settings import config_path, state_folder
from tests.unit.test_tokens import jwt

ROWS = [" runtui  Contoso", "  \x1b[31m✗ failed\x1b[0m  Onboard pre-hire", ""]
Starts = Callable[..., str]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Starts:
    """Begin a command with these arguments and variables; return what it writes to the terminal."""
    for name in os.environ:
        if name.startswith(("RUNTUI_", "AZURE_", "XDG_")) or name in ("NO_COLOR", "TZ"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(snapshot, "require_terminal", lambda: None)
    monkeypatch.setattr(TAKEOVER, "take", lambda: None)

    def begin(*arguments: str, size: tuple[int, int] = (80, 3), **variables: str) -> str:
        written: list[str] = []
        with monkeypatch.context() as here:
            here.setattr(snapshot, "write", written.append)
            here.setattr(snapshot, "terminal_size", lambda: size)
            here.setattr("sys.argv", ["runtui", *arguments])
            for name, value in variables.items():
                here.setenv(name, value)
            SNAPSHOT.show()
        return "".join(written)

    return begin


def kept(start: Starts, *arguments: str, lines: list[str] = ROWS, **variables: str) -> Path:
    """End a session with these arguments; return the file that it leaves."""
    start(*arguments, **variables)
    SNAPSHOT.keep(state_folder(), 80, lines)
    (path,) = state_folder().glob("rows-*")
    return path


def test_the_same_command_shows_the_last_list(start: Starts) -> None:
    path = kept(start, "--profile", "contoso")
    assert path.stat().st_mode & 0o777 == 0o600
    assert start("--profile", "contoso") == drawn_lines(ROWS)


def test_dropping_a_picture_keeps_that_of_another_command(start: Starts) -> None:
    kept(start, "--profile", "contoso")
    start("--profile", "fabrikam")
    SNAPSHOT.keep(state_folder(), 80, ROWS)
    SNAPSHOT.drop(state_folder())
    assert start("--profile", "fabrikam") == ""
    assert start("--profile", "contoso") == drawn_lines(ROWS)


@pytest.mark.parametrize(
    ("arguments", "size", "variables"),
    [
        (["--profile", "fabrikam"], (80, 3), {}),
        (["--profile", "contoso", "--read-only"], (80, 3), {}),
        ([], (80, 3), {}),
        (["--profile", "contoso"], (120, 3), {}),
        (["--profile", "contoso"], (80, 2), {}),
        (["--profile", "contoso"], (80, 3), {"NO_COLOR": "1"}),
        (["--profile", "contoso"], (80, 3), {"RUNTUI_READ_ONLY": "true"}),
        (["--profile", "contoso"], (80, 3), {"RUNTUI_TENANT": "Fabrikam"}),
        (["--profile", "contoso"], (80, 3), {"AZURE_TENANT_ID": "fabrikam"}),
        (["--profile", "contoso"], (80, 3), {"RUNTUI_CONFIG": "relative.toml"}),
    ],
)
def test_everything_that_a_row_depends_on_changes_the_command(
    start: Starts, arguments: list[str], size: tuple[int, int], variables: dict[str, str]
) -> None:
    kept(start, "--profile", "contoso")
    assert start(*arguments, size=size, **variables) == ""


def test_another_config_changes_the_command_from_when_it_was_read(start: Starts) -> None:
    start()
    config_path().parent.mkdir(parents=True)
    config_path().write_text("default-profile = 'fabrikam'")
    SNAPSHOT.keep(state_folder(), 80, ROWS)
    assert start() == ""
    SNAPSHOT.keep(state_folder(), 80, ROWS)
    assert start() == drawn_lines(ROWS)
    config_path().write_text("default-profile = 'contoso!'")
    assert start() == ""


def test_a_new_token_does_not_change_the_command(start: Starts) -> None:
    kept(start, RUNTUI_TOKEN="one", RUNTUI_CLIENT_SECRET="one")
    assert start(RUNTUI_TOKEN="two") == drawn_lines(ROWS)


def test_a_token_of_another_tenant_changes_the_command(start: Starts) -> None:
    kept(start, RUNTUI_TOKEN=jwt({"tid": "contoso", "exp": 1}))
    assert start(RUNTUI_TOKEN=jwt({"tid": "contoso", "exp": 2})) == drawn_lines(ROWS)
    assert start(RUNTUI_TOKEN=jwt({"tid": "fabrikam", "exp": 2})) == ""


@pytest.mark.parametrize(
    "damage",
    [
        *(b"\xff\xfe", b"\x1b]0;title\x07", b"\x1b[2Jgone", b"\x1b[1;1Hmoved", b"\x9b31m"),
        *(b"\x1bc", b"\x1b", b"\x1b[31", b"\r", b"\n"),
    ],
)
def test_a_stored_picture_that_could_act_on_the_terminal_is_not_shown(start: Starts, damage: bytes) -> None:
    path = kept(start)
    path.write_bytes(path.read_bytes() + damage)
    assert start() == ""


def test_only_a_private_file_of_ones_own_is_read(start: Starts, tmp_path: Path) -> None:
    path = kept(start)
    path.chmod(0o644)
    assert start() == ""
    path.chmod(0o600)
    elsewhere = path.rename(tmp_path / "elsewhere")
    path.symlink_to(elsewhere)
    assert start() == ""
    path.unlink()
    os.mkfifo(path, 0o600)
    assert start() == ""


def test_letters_that_do_not_print_are_blank(start: Starts) -> None:
    kept(start, lines=["入社\u3000手続き\u202e", "", ""])
    assert start() == drawn_lines(["入社 手続き ", "", ""])


def test_a_few_are_kept(start: Starts) -> None:
    for number in range(20):
        start("--tenant", str(number))
        SNAPSHOT.keep(state_folder(), 80, ROWS)
    assert start("--tenant", "19") == drawn_lines(ROWS)
    assert len(list(state_folder().iterdir())) == 8


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"XDG_STATE_HOME": "{home}/state", "XDG_CONFIG_HOME": "{home}/config"},
        {"XDG_STATE_HOME": "relative", "XDG_CONFIG_HOME": "relative"},
        {"RUNTUI_STATE": "{home}/mine", "RUNTUI_CONFIG": "{home}/mine.toml"},
    ],
)
def test_it_is_looked_for_where_the_session_keeps_it(
    start: Starts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(home=tmp_path))
    config_path().parent.mkdir(parents=True, exist_ok=True)
    config_path().write_text("")
    kept(start)
    assert start() == drawn_lines(ROWS)
    config_path().write_text("default-profile = 'fabrikam'")
    assert start() == ""
