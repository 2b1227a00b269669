"""Any defect, anywhere in runtui: one sentence, a private report, exit code 1, no traceback."""

from __future__ import annotations

import _thread
import asyncio
import errno
import gc
import os
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

import runtui.__main__
from runtui.cli import main
from runtui.log import unhandled_errors_reported
from tests import canary
from tests.contract.headless_commands import Out

COMMANDS = {
    "runtui.headless.runs.list_runs": ["list", "--root", "http://127.0.0.1:1/beta"],
    "runtui.headless.triage.show.show_run": ["show", "r1", "--root", "http://127.0.0.1:1/beta"],
    "runtui.headless.bulk.read_assignments": ["update", "r1", "--set", "totalUsersCount=1", "--root", "http://127.0.0.1:1/beta"],
    "runtui.headless.bulk.entry_to_undo": ["undo", "1"],
    "runtui.headless.journal.print_journal": ["journal"],
    "runtui.headless.journal.print_entry": ["journal", "1"],
    "runtui.headless.sign_in.whoami": ["whoami", "--root", "http://127.0.0.1:1/beta"],
    "runtui.demo.demo": ["demo"],
}  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RUNTUI_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("RUNTUI_CONFIG", os.devnull)
    monkeypatch.setenv("RUNTUI_TOKEN", canary.TOKEN)
    return tmp_path / "state"


def reports(folder: Path) -> list[Path]:
    return sorted(folder.glob("crash-*.txt"))


@pytest.mark.parametrize("error", [RuntimeError, MemoryError, RecursionError, AssertionError, UnicodeError, OSError])
@pytest.mark.parametrize("place", COMMANDS)
def test_a_defect_is_reported_in_a_sentence(
    place: str, error: type[Exception], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    def defect(*_: object, **__: object) -> int:
        raise error(f"with {canary.TOKEN} in it")

    monkeypatch.setattr(place, defect)
    assert main(COMMANDS[place]) == 1
    captured = capsys.readouterr()
    (report,) = reports(folder)
    assert captured.out == ""
    assert captured.err.splitlines() == [
        f"runtui crashed ({error.__name__}). The report, without private values, is in {report}"
    ]
    assert "in defect" in report.read_text()
    assert canary.TOKEN not in report.read_text()
    assert stat.S_IMODE(report.stat().st_mode) == 0o600


@pytest.mark.parametrize("place", COMMANDS)
def test_too_many_open_files_are_no_defect(
    place: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    monkeypatch.setattr(place, Mock(side_effect=OSError(errno.EMFILE, "Too many open files")))
    assert main(COMMANDS[place]) == 1
    assert capsys.readouterr() == (
        "",
        "runtui: Too many open files. Close other programs, or allow more open files: ulimit -n 1024.\n",
    )
    assert reports(folder) == []


def test_a_demo_without_a_temporary_folder_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    nowhere = FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")
    monkeypatch.setattr("tempfile.TemporaryFile", Mock(side_effect=nowhere))
    monkeypatch.setattr(sys, "argv", ["runtui", "demo"])
    assert runtui.__main__.main() == 1
    assert capsys.readouterr().err == (
        "runtui: The sandbox cannot be started. No usable temporary directory found in ['/tmp']."
        " Set TMPDIR to a folder of your own.\n"
    )
    assert reports(folder) == []


def test_ctrl_c_while_a_command_loads_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtui.cli.main", Mock(side_effect=KeyboardInterrupt))
    monkeypatch.setattr(sys, "argv", ["runtui", "list"])
    assert runtui.__main__.main() == 1


@pytest.mark.parametrize("is_early", [False, True], ids=["after the hook", "within the hook"])
def test_a_ctrl_c_that_python_drops_comes_again(folder: Path, monkeypatch: pytest.MonkeyPatch, is_early: bool) -> None:
    """Each import ends a lock whose finalizer is Python code. The thread that sends the signal may run at once."""
    start = _thread.start_new_thread

    def start_early(work: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        monkeypatch.setattr(_thread, "start_new_thread", start)
        work(*arguments)

    if is_early:
        monkeypatch.setattr(_thread, "start_new_thread", start_early)

    class Lock:
        def __del__(self) -> None:
            raise KeyboardInterrupt

    def load() -> None:
        Lock()
        for _ in range(500):
            threading.Event().wait(0.01)

    with unhandled_errors_reported(folder), pytest.raises(KeyboardInterrupt):
        load()
    assert reports(folder) == []


@pytest.mark.parametrize("arguments", [["triage", "import", "-"], ["doctor"]])
def test_a_closed_standard_input_is_empty(
    arguments: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    main([*arguments, "--root", "http://127.0.0.1:1/beta"])
    assert "crashed" not in capsys.readouterr().err
    assert reports(folder) == []
    sys.stdin.close()


def in_a_thread() -> None:
    def defect() -> None:
        raise ValueError("nobody waits for it")

    thread = threading.Thread(target=defect)
    thread.start()
    thread.join()


def in_a_task() -> None:
    async def defect() -> None:
        raise ValueError("nobody waits for it")

    async def begin() -> None:
        task = asyncio.create_task(defect())
        await asyncio.wait([task])

    asyncio.run(begin())
    gc.collect()


def in_the_end_of_an_object() -> None:
    class Defect:
        def __del__(self) -> None:
            raise ValueError("nobody waits for it")

    Defect()


@pytest.mark.parametrize("stray", [in_a_thread, in_a_task, in_the_end_of_an_object])
def test_a_defect_that_nobody_waits_for_is_reported_too_and_changes_no_exit_code(
    stray: Callable[[], None], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    def command(*_: object, **__: object) -> int:
        stray()
        return 0

    hooks = threading.excepthook, sys.unraisablehook
    monkeypatch.setattr("runtui.headless.journal.print_journal", command)
    assert main(["journal"]) == 0
    (report,) = reports(folder)
    assert capsys.readouterr().err.splitlines() == [
        f"A part of runtui failed (ValueError). The report, without private values, is in {report}"
    ]
    assert (threading.excepthook, sys.unraisablehook) == hooks


def test_an_argument_is_read_as_utf_8_in_the_locale_of_c(folder: Path, capsys: Out) -> None:
    arguments = ["update", "r1", "--set", "gr\udcc3\udcb6\udcc3\udc9fe=1", "--root", "http://127.0.0.1:1/beta"]
    assert main(arguments) == 2
    assert "größe" in capsys.readouterr().err
    assert reports(folder) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "--filter", "caf\udce9"],
        ["person", "caf\udce9"],
        ["update", "r1", "--set", "totalUsersCount=1", "--why", "caf\udce9"],
        ["triage", "handled", "r1", "--note", "caf\udce9"],
        ["show", "caf\udce9"],
    ],
)
def test_an_argument_in_another_encoding_is_refused(arguments: list[str], folder: Path, capsys: Out) -> None:
    """The argument has é in Latin-1, as Python decodes it from a terminal of another encoding."""
    assert main([*arguments, "--root", "http://127.0.0.1:1/beta"]) == 2
    assert capsys.readouterr().err.startswith("runtui: An argument cannot be used. 'caf\\udce9' is not UTF-8.")
    assert reports(folder) == []
