"""`runtui doctor`: each check in its states, against a manipulated server; it prints no secret and changes nothing."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from runtui.cli import main
from runtui.errors import ExitCode
from runtui.headless import doctor
from runtui.headless.doctor import Finding
from runtui.options import OPTIONS
from runtui.sandbox.app import create_app
from runtui.services.records.journal import Journal
from runtui.settings import JOURNAL_FILE, Settings
from tests import canary

ROOT = "https://graph.example/beta"
SEGMENT = {"error": {"code": "BadRequest", "message": "Resource not found for the segment 'workflowBase'."}}
Answer = Callable[[httpx.Request], httpx.Response]


def settings(**choices: Any) -> Settings:
    return Settings(**{"root": ROOT, "tenant": "Contoso", "state_folder": Path("/state"), **choices})


def bent(*, options: httpx.Response | None = None, read: httpx.Response | None = None) -> httpx.MockTransport:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.method in ("GET", "OPTIONS"), "a doctor changes nothing"
        response = options if request.method == "OPTIONS" else read
        response = response or httpx.Response(200, json={"value": []})
        body = response.content
        return httpx.Response(response.status_code, headers=response.headers, stream=httpx.ByteStream(body))

    return httpx.MockTransport(answer)


async def asked(wire: httpx.AsyncBaseTransport, token: str = canary.TOKEN, **choices: Any) -> dict[str, Finding]:
    return {found.about: found async for found in doctor.server(settings(**choices), token, wire)}


def a_token(**claims: Any) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJub25lIn0.{body}.signature"


async def test_a_sandbox_is_healthy_and_offers_the_change() -> None:
    found = await asked(httpx.ASGITransport(create_app(runs=5)))
    assert {about: finding.state for about, finding in found.items()} == dict.fromkeys(
        ("root", "clock", "read", "change"), "ok"
    )
    assert "offers PATCH /workflowBase/runs/{runId}" in found["change"].what


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx.Response(405, headers={"allow": "GET, HEAD"}), "does not offer PATCH"),
        (httpx.Response(400, json=SEGMENT), "does not offer PATCH"),
        (httpx.Response(404), "Unknown until the first change: the server answered OPTIONS with 404"),
        (httpx.Response(200), "Unknown until the first change"),
    ],
)
async def test_whether_changes_are_offered_is_asked_without_one(answer: httpx.Response, words: str) -> None:
    change = (await asked(bent(options=answer)))["change"]
    assert change.state == "warning"
    assert words in change.what
    assert change.next_step


async def test_a_read_only_profile_is_not_asked_about_changes() -> None:
    found = await asked(bent(options=httpx.Response(500)), read_only=True)
    assert found["change"].what == "Skipped: this profile is read-only."


async def test_a_refused_read_is_a_problem_on_a_server_that_is_there() -> None:
    body = {"error": {"code": "Forbidden", "message": "Missing permission."}}
    found = await asked(bent(read=httpx.Response(403, json=body)))
    assert (found["root"].state, found["read"].state) == ("ok", "problem")
    assert "Missing permission." in found["read"].what


async def test_without_a_token_the_server_is_still_found() -> None:
    found = await asked(bent(read=httpx.Response(401, json={"error": {"code": "x", "message": "y"}})), token="")
    assert (found["root"].state, found["read"].what) == ("ok", "Skipped: there is no token.")


async def test_a_server_that_is_not_there_ends_the_questions() -> None:
    def gone(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route")

    found = await asked(httpx.MockTransport(gone))
    assert list(found) == ["root"]
    assert (found["root"].state, bool(found["root"].next_step)) == ("problem", True)


@pytest.mark.parametrize(
    ("seconds", "state", "words"),
    [
        (0, "ok", "In step"),
        (110, "ok", "In step"),
        (-110, "ok", "In step"),
        (600, "warning", "10 minutes behind"),
        (-600, "warning", "10 minutes ahead of"),
    ],
)
async def test_a_wrong_clock_is_noticed(seconds: int, state: str, words: str) -> None:
    there = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
    read = httpx.Response(200, headers={"date": there}, json={"value": []})
    clock = (await asked(bent(read=read)))["clock"]
    assert (clock.state, words in clock.what) == (state, True)


@pytest.mark.parametrize("date", [None, "yesterday", "Mon, 99 Nov 2026 00:00:00 GMT"])
async def test_a_server_without_a_clock_is_no_crash(date: str | None) -> None:
    read = httpx.Response(200, headers={"date": date} if date else {}, json={"value": []})
    assert (await asked(bent(read=read)))["clock"].state == "warning"


@pytest.mark.parametrize(
    ("token", "about", "state", "words"),
    [
        (None, "sign-in", "problem", "RUNTUI_TOKEN is not set"),
        ("opaque-token-1", "sign-in", "ok", "without an account name"),
        (a_token(upn="ada@contoso.com", exp=1), "sign-in", "problem", "ada@contoso.com expired 1970-01-01 00:00 UTC"),
        (a_token(upn="ada@contoso.com", exp=32503680000), "sign-in", "ok", "ada@contoso.com, "),
        (a_token(scp="LifecycleWorkflows.Read.All"), "permissions", "warning", "no run can be changed"),
        (a_token(scp="LifecycleWorkflows.ReadWrite.All"), "permissions", "ok", "LifecycleWorkflows.ReadWrite.All"),
    ],
)
async def test_the_check_of_a_supplied_token(
    token: str | None, about: str, state: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if token is not None:
        monkeypatch.setenv("RUNTUI_TOKEN", token)
    found, held = await doctor.sign_in(settings(), offline=False)
    named = {finding.about: finding for finding in found}
    assert (named[about].state, words in named[about].what) == (state, True)
    assert held in ("", token)
    assert token is None or token not in repr(found)


@pytest.mark.parametrize(
    ("term", "environ", "states"),
    [
        ("xterm-256color", {}, ["ok", "ok"]),
        ("dumb", {}, ["problem"]),
        ("tmux-256color", {"TMUX": "x"}, ["ok", "ok"]),
        ("xterm-256color", {"TMUX": "x"}, ["ok", "warning"]),
        ("screen", {"STY": "x"}, ["ok", "warning"]),
    ],
)
def test_the_check_of_the_terminal(
    term: str, environ: dict[str, str], states: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

        def fileno(self) -> int:
            return 2

    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setattr("os.get_terminal_size", lambda _: (80, 24))
    monkeypatch.setattr("os.environ", {"TERM": term, **environ})
    assert [found.state for found in doctor.terminal()] == states
    monkeypatch.setattr("os.environ", {"TERM": "xterm"})
    monkeypatch.setattr("os.get_terminal_size", lambda _: (79, 24))
    assert next(doctor.terminal()).state == "warning"


@pytest.mark.usefixtures("place")
def test_lines_fit_the_terminal_even_if_a_shell_exported_its_size(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("sys.stdout.fileno", lambda: 1)
    monkeypatch.setattr("os.get_terminal_size", lambda *_: os.terminal_size((80, 24)))
    monkeypatch.setenv("COLUMNS", "200")
    main(["doctor", "--offline"])
    versions = capsys.readouterr().out.splitlines()[0]
    assert "versions" in versions
    assert 50 < len(versions) <= 80


def test_a_journal_is_sound_broken_newer_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / JOURNAL_FILE

    def states() -> list[str]:
        return [found.state for found in doctor.journal(path)]

    assert states() == ["ok"]
    assert not path.exists(), "looking makes none"
    Journal(path).close()
    assert states() == ["ok"]
    (tmp_path / f"{JOURNAL_FILE}.damaged-20260101T000000Z").touch()
    assert states() == ["ok", "warning"]
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    assert states()[0] == "problem"
    path.write_bytes(b"no database" * 1000)
    assert states()[0] == "problem"


def test_a_state_folder_that_cannot_be_written_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert next(doctor.state(tmp_path / "file")).state == "problem"
    assert next(doctor.state(tmp_path / "to" / "be" / "made")).state == "ok"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"], "looking leaves nothing"
    tmp_path.chmod(0o777)
    found = next(doctor.state(tmp_path))
    assert (found.state, f"chmod 700 {tmp_path}" in found.next_step) == ("problem", True)
    assert "Others may write" in found.what
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for option in OPTIONS:
        monkeypatch.delenv(option.variable, raising=False)
        monkeypatch.delenv(option.azure or "RUNTUI_PROFILE", raising=False)
    (tmp_path / "config.toml").touch()
    monkeypatch.setenv("RUNTUI_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("RUNTUI_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("RUNTUI_TOKEN", canary.TOKEN)
    return tmp_path / "config.toml"


def test_a_path_that_cannot_even_be_looked_up_ends_no_other_check(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RUNTUI_STATE", str(place.with_name("x" * 300)))
    assert main(["doctor", "--offline", "--root", ROOT]) == ExitCode.NOT_DONE
    said = capsys.readouterr().out
    assert "✗ problem state folder" in said
    assert "was not contacted (--offline)" in said


def test_offline_it_says_so_and_goes_on(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place.write_text(f'[profiles.prod]\nroot = "{ROOT}"\nproxy = "http://me:hidden-word@p:1"\n[profiles.bad]\nx = 1\n')
    assert main(["doctor", "--offline", "--json", "--profile", "prod"]) == ExitCode.DONE
    said = capsys.readouterr().out
    report = json.loads(said)
    found = {finding["about"]: finding for finding in report["findings"]}
    assert report["ok"] is True
    assert found["root"]["what"] == f"{ROOT} was not contacted (--offline)."
    assert found["proxy"]["what"] == "http://***@p:1, from proxy (--proxy, RUNTUI_PROXY, or the profile)."
    assert (found["config"]["state"], "line 5" in found["config"]["what"]) == ("warning", True)
    assert "root from line 2" in found["options"]["what"]
    assert not canary.holds_canary(said.encode())
    assert "hidden-word" not in said


def test_a_locale_without_utf8_is_told_in_utf8(place: Path) -> None:
    environ = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "runtui", "doctor", "--offline", "--root", ROOT]
    found = subprocess.run(command, cwd=place.parent, env=environ, capture_output=True, check=False)
    said = found.stdout.decode()
    assert "✗ problem locale" in said
    assert "Set LANG to a UTF-8 locale" in said
    assert not found.stderr


def test_a_host_that_needs_no_proxy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://p:1")
    monkeypatch.setenv("NO_PROXY", "graph.example")
    assert doctor.proxy(settings()).what == "None: NO_PROXY excludes graph.example."


def test_a_person_who_is_not_signed_in_is_reported_how(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["doctor", "--offline", "--json", "--tenant-id", "contoso.com", "--client-id", "11111111"]
    for extra, asked_for in ((["--read-only"], "Read.All."), ([], "ReadWrite.All.")):
        assert main([*arguments, *extra]) == ExitCode.NOT_DONE
        found = {finding["about"]: finding for finding in json.loads(capsys.readouterr().out)["findings"]}
        assert found["sign-in"]["what"].startswith("Nobody is signed in")
        assert found["sign-in"]["what"].endswith(asked_for)
        assert "runtui login" in found["sign-in"]["next_step"]


def test_a_token_file_that_others_may_read_is_a_problem(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = place.with_name("token")
    path.write_text("a-token-in-a-file")
    for mode, code in ((0o600, ExitCode.DONE), (0o644, ExitCode.NOT_DONE)):
        path.chmod(mode)
        assert main(["doctor", "--offline", "--root", ROOT, "--token-file", str(path)]) == code
    said = capsys.readouterr().out
    assert "Others may read the token file" in said
    assert "a-token-in-a-file" not in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "No server is set up yet."),
        ("[profiles.a]\n[profiles.b]\n", "No profile is chosen."),
        ('[profiles.a]\nroot = "http://example.org"\n', "A token sent to example.org"),
        ("[profiles.a\n", "config.toml is not TOML."),
        ('[profiles.a]\nrefresh = "x"\n', "It must be a number."),
    ],
)
def test_unusable_choices_are_a_problem_with_a_next_step(
    text: str, words: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write_text(text)
    assert main(["doctor", "--offline"]) == ExitCode.NOT_DONE
    lines = capsys.readouterr().out.splitlines()
    last = max(number for number, line in enumerate(lines) if line.startswith("✗ problem"))
    assert words in lines[last]
    assert "→" in lines[last + 1]
