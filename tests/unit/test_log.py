"""`--log FILE`: private, redacted, one line per record, and a clear message if it cannot be written."""

from __future__ import annotations

import errno
import logging
import os
import stat
from pathlib import Path

import pytest

from runtui.cli import main
from runtui.errors import ExitCode
from runtui.log import logged_to
from runtui.redact import REDACTED, register_secret

SECRET = "a-secret-of-this-test+1"

logger = logging.getLogger("runtui.graph")


def test_a_record_is_one_line_without_secrets_and_without_control_characters(tmp_path: Path) -> None:
    path = tmp_path / "log"
    register_secret(SECRET)
    with logged_to(path, "list"):
        logger.info("GET %s: %d", f"https://graph.example/?t={SECRET}", 200)
        logger.info("two\nlines \x1b[2J")
    logger.info("after the end")
    first, request, hostile, last = path.read_text().splitlines()
    assert first.endswith(": list")
    assert request.endswith(f"Z graph: GET https://graph.example/?t={REDACTED}: 200")
    assert "two" in hostile
    assert "\x1b" not in hostile
    assert last.endswith("runtui: end")


def test_it_is_private_and_goes_on_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("before\n")
    path.chmod(0o644)
    with logged_to(path, "list"):
        pass
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().startswith("before\n20")


def a_link(folder: Path) -> Path:
    (folder / "link").symlink_to(folder / "elsewhere")
    return folder / "link"


def a_folder(folder: Path) -> Path:
    return folder


def in_no_folder(folder: Path) -> Path:
    return folder / "none" / "log"


@pytest.mark.parametrize(
    ("place", "why"),
    [(a_link, "is a symbolic link"), (a_folder, "Is a directory"), (in_no_folder, "No such file or directory")],
)
def test_a_file_that_is_redirected_or_cannot_be_written_is_refused(
    place: object, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(place)
    assert main(["journal", "--log", str(place(tmp_path))]) == ExitCode.USAGE
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("runtui: The log cannot be written. ")
    assert why in said.err
    assert said.err.endswith(" Choose another file for --log.\n")


def test_a_full_disk_ends_the_log_and_not_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_descriptor: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with logged_to(tmp_path / "log", "list"), monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        logger.info("too much")
        logger.info("no more")
    assert capsys.readouterr().err == "runtui: The log is incomplete: No space left on device.\n"
    assert (tmp_path / "log").read_text().count("\n") == 1


@pytest.mark.parametrize("way", ["flag", "variable", "profile"])
def test_the_log_is_off_unless_a_flag_a_variable_or_the_profile_turns_it_on(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, config = tmp_path / "log", tmp_path / "config.toml"
    monkeypatch.setenv("RUNTUI_STATE", str(tmp_path / "state"))
    config.touch()
    monkeypatch.setenv("RUNTUI_CONFIG", str(config))
    monkeypatch.delenv("RUNTUI_LOG", raising=False)
    assert main(["journal"]) == ExitCode.DONE
    assert not path.exists()
    if way == "variable":
        monkeypatch.setenv("RUNTUI_LOG", str(path))
    if way == "profile":
        config.write_text(f'[profiles.one]\nroot = "https://graph.microsoft.com/beta"\nlog = "{path}"\n')
    assert main(["journal", *(["--log", str(path)] if way == "flag" else [])]) == ExitCode.DONE
    assert path.read_text().count("\n") == 2
