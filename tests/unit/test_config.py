"""config.toml, variables and flags: which one wins, where a value came from, and the messages for mistakes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from runtui.config import Choices, choose, read_config
from runtui.errors import UsageError
from runtui.options import OPTION_BY_NAME, OPTIONS
from runtui.settings import config_path

FILE = """\
default-profile = "prod"

[profiles.prod]
tenant-id = "contoso.onmicrosoft.com"
client-id = "11111111-2222-3333-4444-555555555555"
read-only = true
refresh = 60

[profiles."test lab"]
root = "https://127.0.0.1:8443/beta"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(FILE)
    return path


def chosen(
    path: Path,
    flags: Mapping[str, Any] | None = None,
    *,
    profile: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Choices:
    return choose(read_config(path), flags or {}, profile=profile, environ=environ or {})


def test_without_a_file_there_are_only_defaults(tmp_path: Path) -> None:
    choices = chosen(tmp_path / "none.toml")
    assert (choices.profile, dict(choices.values)) == ("", {})
    assert choices.get("refresh") == 30.0
    assert choices.where("refresh") == "default"


@pytest.mark.parametrize(
    ("flags", "environ", "value", "where"),
    [
        ({}, {}, "11111111-2222-3333-4444-555555555555", "{path}, line 5"),
        ({}, {"AZURE_CLIENT_ID": "azure"}, "11111111-2222-3333-4444-555555555555", "{path}, line 5"),
        ({}, {"AZURE_CLIENT_ID": "azure", "RUNTUI_CLIENT_ID": "ours"}, "ours", "RUNTUI_CLIENT_ID"),
        ({"client-id": "flag"}, {"RUNTUI_CLIENT_ID": "ours"}, "flag", "--client-id"),
    ],
)
def test_the_overriding_source_wins_and_is_named(
    flags: dict[str, str], environ: dict[str, str], value: str, where: str, file: Path
) -> None:
    choices = chosen(file, flags, environ=environ)
    assert choices.get("client-id") == value
    assert choices.where("client-id") == where.format(path=file)


def test_azure_variables_apply_where_the_file_sets_nothing(file: Path) -> None:
    choices = chosen(file, profile="test lab", environ={"AZURE_CLIENT_ID": "azure"})
    assert (choices.get("client-id"), choices.where("client-id")) == ("azure", "AZURE_CLIENT_ID")


@pytest.mark.parametrize(
    ("profile", "environ", "name", "where"),
    [
        (None, {}, "prod", "{path}, line 1"),
        (None, {"RUNTUI_PROFILE": "test lab"}, "test lab", "RUNTUI_PROFILE"),
        ("test lab", {"RUNTUI_PROFILE": "prod"}, "test lab", "--profile"),
    ],
)
def test_the_profile_is_chosen_in_the_same_order(
    profile: str | None, environ: dict[str, str], name: str, where: str, file: Path
) -> None:
    choices = chosen(file, profile=profile, environ=environ)
    assert (choices.profile, choices.profile_where) == (name, where.format(path=file))


@pytest.mark.parametrize(
    ("in_file", "variable", "flag", "expected", "where"),
    [
        (None, None, None, False, "default"),
        (True, None, None, True, "{path}, line 2"),
        (False, None, None, False, "{path}, line 2"),
        (None, "true", None, True, "RUNTUI_READ_ONLY"),
        (False, "true", None, True, "RUNTUI_READ_ONLY"),
        # A variable makes a profile read-only, but cannot allow changes.
        (True, "false", None, True, "{path}, line 2"),
        (True, "0", None, True, "{path}, line 2"),
        (None, None, True, True, "--read-only"),
        (False, "false", True, True, "--read-only"),
        (True, None, False, False, "--write"),
        (True, "true", False, False, "--write"),
        (None, "true", False, False, "--write"),
    ],
)
def test_only_a_flag_allows_changes_in_a_read_only_profile(
    in_file: bool | None, variable: str | None, flag: bool | None, expected: bool, where: str, tmp_path: Path
) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[profiles.prod]\n" + ("" if in_file is None else f"read-only = {str(in_file).lower()}\n"))
    flags = {} if flag is None else {"read-only": flag}
    choices = chosen(path, flags, environ={} if variable is None else {"RUNTUI_READ_ONLY": variable})
    assert (choices.get("read-only"), choices.where("read-only")) == (expected, where.format(path=path))


def test_an_empty_name_chooses_no_profile(file: Path) -> None:
    choices = chosen(file, profile="", environ={"RUNTUI_PROFILE": "prod"})
    assert (choices.profile, dict(choices.values)) == ("", {})


@pytest.mark.parametrize(
    "proxy",
    [
        "http://me:hidden-word@proxy.example:99999",
        "http://me:hidden-word/with@marks in it@proxy.example",
        "me:hidden-word@proxy.example:99999",
        "me:hidden-word@proxy.example:8080:",
        ["http://me:hidden-word@proxy.example"],
    ],
)
def test_a_password_is_not_repeated(proxy: object, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        chosen(tmp_path / "none", {"proxy": proxy})
    assert "proxy.example" in str(caught.value)
    assert "hidden-word" not in str(caught.value)


def test_the_only_profile_needs_no_default(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[profiles.one]\ncloud = "dod"\n', "utf-8-sig")  # as some editors write it
    assert chosen(path).get("cloud") == "dod"


def test_several_profiles_without_a_default_are_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[profiles.one]\ncloud = "dod"\n[profiles.two]\ncloud = "china"\n')
    assert chosen(path).profile == ""


def test_a_profile_that_does_not_exist_is_named_with_the_nearest(file: Path) -> None:
    with pytest.raises(UsageError) as caught:
        chosen(file, profile="prdo")
    assert caught.value.message.endswith(f"{file} has: prod, test lab. Did you mean prod?")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('clientid = "x"', "There is no key 'clientid'. Did you mean client-id?"),
        ('client_id = "x"', "There is no key 'client_id'. Did you mean client-id?"),
        ('default-profile = "prod"', "default-profile belongs to the top of the file."),
        ('cloud = "globl"', "cloud is 'globl'. It must be one of: global, usgov, dod, china. Did you mean global?"),
        ('read-only = "perhaps"', "read-only is 'perhaps'. It must be true or false."),
        ("refresh = -1", "refresh is -1. It must be between 0 and 86400."),
        ("refresh = true", "refresh is True. It must be a number."),
        ("page-size = 1.5", "page-size is 1.5. It must be a whole number."),
        ('patch-path = "runs/{runId}"', "It must start with a slash and contain {runId}."),
        ('tenant = "\\u001b[2J"', "It contains characters that cannot be printed."),
        ('theme = "drak"', "Did you mean dark?"),
        ('client-secret = "abc"', "A secret does not belong in this file: remove client-secret"),
        ('client_secret = "abc"', "set RUNTUI_CLIENT_SECRET instead"),
    ],
)
def test_a_mistake_in_the_file_names_its_line(line: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f"# a comment\n[profiles.prod]\n\n{line}\n")
    (problem,) = read_config(path).problems
    assert problem.line == 4
    assert what in problem.message
    assert "abc" not in problem.message, "a secret is not repeated"
    with pytest.raises(UsageError, match="line 4") as caught:
        chosen(path)
    assert caught.value.hint == "runtui config check lists every problem of the file."


def test_a_mistake_outside_the_file_is_not_looked_for_in_it(file: Path) -> None:
    for flags, environ in (({"refresh": "x"}, {}), ({}, {"RUNTUI_REFRESH": "x"}), ({}, {"AZURE_TENANT_ID": "?"})):
        with pytest.raises(UsageError) as caught:
            chosen(file, flags, environ=environ, profile="test lab")
        assert caught.value.hint == ""


def test_every_problem_is_listed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('defaut-profile = "x"\n[profiles.prod]\ncloud = 1\nrefresh = "x"\n')
    assert [problem.line for problem in read_config(path).problems] == [1, 3, 4]


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ('theme = "dark"\n[profiles.prod]\n', 1, "theme belongs to a profile, below [profiles.NAME]."),
        ('[keys]\npage-size = "x"\n', 2, "page-size belongs to a profile, below [profiles.NAME]."),
        ('next = "x"\n[profiles.prod]\n', 1, "next belongs to [keys]."),
        ('[profiles.prod]\nnext = "x"\n', 2, "next belongs to [keys]."),
        ('them = "dark"\n[profiles.prod]\n', 1, "There is no key 'them'. Did you mean theme?"),
        ("[profiles.prod]\nprofile = 1\n", 2, "There is no key 'profile'. Did you mean profiles?"),
    ],
)
def test_a_key_in_a_wrong_place_is_reported_where_it_belongs(text: str, line: int, what: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    assert read_config(path).problems == ((line, what),)


def test_a_default_that_is_no_profile_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('default-profile = "prd"\n[profiles.prod]\n')
    (problem,) = read_config(path).problems
    assert problem == (1, "There is no profile 'prd'. Did you mean prod?")


@pytest.mark.parametrize(
    "text",
    ["profiles = 1", "profiles.prod = 1", "default-profile = 3\n[profiles.x]\nrefresh = 1", "default-profile = []"],
)
def test_odd_shapes_are_problems_and_no_crash(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    assert read_config(path).problems


@pytest.mark.parametrize("value", ["[" * 100_000, "9" * 5_000], ids=["deep", "digits"])
def test_a_value_that_python_cannot_hold_is_reported(value: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f"refresh = {value}\n")
    with pytest.raises(UsageError, match="nested too deeply, or has too many digits"):
        read_config(path)


def test_invalid_toml_is_reported_with_its_position(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[profiles.prod\n")
    with pytest.raises(UsageError, match="line 1"):
        read_config(path)


def test_an_unreadable_file_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(b"\xff\xfe")
    os.mkfifo(pipe := tmp_path / "pipe")
    no_file = "It is not a regular file"
    reasons = {tmp_path: "Is a directory", file / "more": "Not a directory", pipe: no_file, Path("/dev/zero"): no_file}
    for path, why in {file: "It is not UTF-8", **reasons}.items():
        with pytest.raises(UsageError) as caught:
            read_config(path)
        assert caught.value.message == f"{path}: {why}."
        assert caught.value.hint == "Correct it or set RUNTUI_CONFIG."


def test_only_a_file_that_somebody_named_has_to_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = tmp_path / "config.toml"
    assert not read_config(missing).exists
    monkeypatch.setenv("RUNTUI_CONFIG", str(missing))
    with pytest.raises(UsageError, match=r"config\.toml: No such file or directory"):
        read_config(missing)


def test_dev_null_is_an_empty_file() -> None:
    assert read_config(Path("/dev/null")).profiles == {}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"RUNTUI_CONFIG": "/etc/runtui.toml", "XDG_CONFIG_HOME": "/x"}, "/etc/runtui.toml"),
        ({"XDG_CONFIG_HOME": "/x"}, "/x/runtui/config.toml"),
        ({"XDG_CONFIG_HOME": "relative"}, "{home}/.config/runtui/config.toml"),
        ({}, "{home}/.config/runtui/config.toml"),
    ],
)
def test_the_file_lies_where_xdg_says(environ: dict[str, str], expected: str) -> None:
    assert str(config_path(environ)) == expected.format(home=Path.home())


def test_every_option_has_its_own_name_and_variable() -> None:
    assert len(OPTION_BY_NAME) == len(OPTIONS) == len({option.variable for option in OPTIONS})
    assert all(option.help and option.default_text for option in OPTIONS)
