"""`runtui profiles` and `runtui config`: what they print about the file, and that they print no secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runtui.cli import main
from runtui.errors import ExitCode
from runtui.options import OPTIONS
from tests import canary

FILE = """\
default-profile = "prod"

[profiles.prod]
tenant-id = "contoso.com"
client-id = "11111111"
read-only = true

[profiles.lab]
root = "https://127.0.0.1:8443/beta"
proxy = "http://me:hidden-word@proxy.example:8080"
"""


@pytest.fixture(autouse=True)
def file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for option in OPTIONS:
        monkeypatch.delenv(option.variable, raising=False)
        monkeypatch.delenv(option.azure or "RUNTUI_PROFILE", raising=False)
    path = tmp_path / "config.toml"
    path.write_text(FILE)
    monkeypatch.setenv("RUNTUI_CONFIG", str(path))
    monkeypatch.setenv("RUNTUI_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("RUNTUI_TOKEN", canary.TOKEN)
    monkeypatch.setenv("AZURE_CLIENT_SECRET", canary.SECRET)
    return path


def output(capsys: pytest.CaptureFixture[str], *arguments: str, code: ExitCode = ExitCode.DONE) -> str:
    assert main(arguments) == code
    said = capsys.readouterr().out
    assert not canary.holds_canary(said.encode())
    assert "hidden-word" not in said
    return said


def test_profiles_are_listed_with_the_default_marked(capsys: pytest.CaptureFixture[str]) -> None:
    _, prod, lab = output(capsys, "profiles").splitlines()
    assert prod.split() == [
        "*", "prod", "contoso.com", "https://graph.microsoft.com/beta", "device-code", "read-only"
    ]  # fmt: skip
    assert lab.split() == ["lab", "127.0.0.1:8443", "https://127.0.0.1:8443/beta", "token"]


def test_profiles_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    prod, lab = json.loads(output(capsys, "profiles", "--json"))
    assert prod == {
        "name": "prod",
        "default": True,
        "tenant": "contoso.com",
        "root": "https://graph.microsoft.com/beta",
        "signIn": "device-code",
        "readOnly": True,
        "problem": None,
    }
    assert (lab["default"], lab["readOnly"]) == (False, False)


def test_an_unusable_profile_is_listed_with_the_reason(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text('[profiles.bad]\nroot = "http://example.org"\n[profiles.odd]\ncloud = "x"\n')
    bad, odd = json.loads(output(capsys, "profiles", "--json", code=ExitCode.NOT_DONE))
    assert f"{file}, line 2: A token sent to example.org" in bad["problem"]
    assert "line 4" in odd["problem"]
    assert bad["root"] is None


def test_show_says_where_every_value_comes_from(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = output(capsys, "config", "show", "--write", "--refresh", "5").splitlines()
    shown = {line.split()[0]: line for line in lines if line.startswith("  ")}
    assert set(shown) >= {option.name for option in OPTIONS}
    assert shown["tenant-id"].split(maxsplit=2)[1:] == ["contoso.com", f"{file}, line 4"]
    assert shown["read-only"].split() == ["read-only", "false", "--write"]
    assert shown["refresh"].split() == ["refresh", "5", "--refresh"]
    assert shown["page-size"].split() == ["page-size", "999", "default"]
    assert shown["RUNTUI_TOKEN"].split(maxsplit=1)[1] == "set"
    assert shown["RUNTUI_CLIENT_SECRET"].split(maxsplit=1)[1] == "not set"


def test_show_as_json_masks_a_password(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = json.loads(output(capsys, "config", "show", "--json", "--profile", "lab"))
    assert shown["profile"] == {"value": "lab", "from": "--profile"}
    assert shown["options"]["proxy"] == {"value": "http://***@proxy.example:8080", "from": f"{file}, line 10"}
    assert shown["options"]["refresh"] == {"value": None, "from": "default", "default": "30"}
    assert shown["secrets"]["AZURE_CLIENT_SECRET"] is True


def test_check_lists_every_problem_with_its_line(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert output(capsys, "config", "check") == f"{file}: 2 profiles, no problem.\n"
    file.write_text('[profiles.a]\nclintid = "x"\nclient-secret = "hidden-word"\n[profiles.b]\nclient-id = "x"\n')
    first, second, third = output(capsys, "config", "check", code=ExitCode.NOT_DONE).splitlines()
    assert first == f"{file}:2: There is no key 'clintid'. Did you mean client-id?"
    assert second.startswith(f"{file}:3: A secret does not belong in this file")
    assert third.startswith(f"{file}: profiles.b: Signing in needs a tenant-id.")


def test_a_file_that_is_no_toml_is_a_sentence(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("[profiles.prod\n")
    assert output(capsys, "config", "check", code=ExitCode.NOT_DONE).startswith(f"{file}: Expected ']'")
    assert main(["config", "show"]) == ExitCode.USAGE
    assert "config.toml is not TOML" in capsys.readouterr().err
    assert output(capsys, "config", "path").strip() == str(file), "where it lies is known even so"


def test_a_missing_file_is_fine(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("RUNTUI_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(file.parent))
    assert output(capsys, "config", "path").strip() == str(file.parent / "runtui/config.toml")
    assert "not found, which is fine" in output(capsys, "config", "check")
    assert "has no profile" in output(capsys, "profiles")


def test_a_hostile_profile_name_does_not_act_on_the_terminal(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text('[profiles."\\u001b[2Jx"]\nroot = "https://127.0.0.1:1/b"\n')
    for arguments in (["profiles"], ["config", "show"], ["config", "check"]):
        assert "\x1b" not in output(capsys, *arguments)


def test_keys_that_cannot_be_used_are_listed_and_refused_at_start(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(FILE + '\n[keys]\nedit = "x"\nundoo = "Z"\nreview = "a"\n')
    edit, undo, review = output(capsys, "config", "check", code=ExitCode.NOT_DONE).splitlines()
    assert edit.startswith(f"{file}:13: edit: x is already the key of problems")
    assert undo == f"{file}:14: There is no action 'undoo'. Did you mean undo?"
    assert review.startswith(f"{file}:15: review: a is typed as text in the form")
    for arguments in ([], ["demo"]):
        assert main(arguments) == ExitCode.USAGE
        assert f"A key cannot be used. {file}, line 13: edit: x" in capsys.readouterr().err


def test_other_keys_are_shown_with_their_line(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(FILE + '\n[keys]\nedit = ["ctrl+E", "shift+f6"]\n')
    shown = output(capsys, "config", "show")
    assert output(capsys, "config") == shown
    (line,) = [line for line in shown.splitlines() if line.startswith("  edit ")]
    assert line.split()[1:] == ["ctrl+e", "shift+F6", f"{file},", "line", "13"]
    assert json.loads(output(capsys, "config", "show", "--json"))["keys"] == {"edit": ["ctrl+e", "shift+F6"]}


def test_the_path_of_a_file_that_cannot_be_looked_up_is_printed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RUNTUI_CONFIG", long := str(tmp_path / ("x" * 300)))
    assert main(["config", "path"]) == ExitCode.DONE
    assert capsys.readouterr() == (f"{long}\n", "")
