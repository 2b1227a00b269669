"""The paths of files, and the settings of a session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runtui.command_line import SessionSpec
from runtui.errors import ExitCode, UsageError
from runtui.options import PATCH_PATH, read_path
from runtui.settings import Settings, SignInSettings, config_path, state_folder, store_path
from tests.unit.test_tokens import jwt


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({}, "{home}/.local/state/runtui"),
        ({"XDG_STATE_HOME": "/var/state"}, "/var/state/runtui"),
        ({"XDG_STATE_HOME": ""}, "{home}/.local/state/runtui"),
        ({"XDG_STATE_HOME": "relative/is/ignored"}, "{home}/.local/state/runtui"),
        ({"RUNTUI_STATE": "/srv/own", "XDG_STATE_HOME": "/var/state"}, "/srv/own"),
        ({"RUNTUI_STATE": "~/own"}, "{home}/own"),
        ({"RUNTUI_STATE": ""}, "{home}/.local/state/runtui"),
    ],
)
def test_where_the_state_lives(environ: dict[str, str], folder: str, home: Path) -> None:
    assert state_folder(environ) == Path(folder.format(home=home))


def test_a_relative_folder_stays_where_it_was_when_the_working_folder_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert state_folder({"RUNTUI_STATE": "here"}) == tmp_path / "here"


def test_without_a_home_folder_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(UsageError) as refused:
        state_folder({})
    assert "RUNTUI_STATE" in refused.value.hint
    assert refused.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize("relative", ["", ".", "home/ada"])
def test_a_relative_home_folder_is_refused(relative: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", relative)
    monkeypatch.chdir(tmp_path)
    for environ in ({}, {"RUNTUI_STATE": "~/state", "RUNTUI_CONFIG": "~/config.toml"}, {"XDG_STATE_HOME": "relative"}):
        for find, variable in ((state_folder, "RUNTUI_STATE"), (config_path, "RUNTUI_CONFIG")):
            with pytest.raises(UsageError) as refused:
                find(environ)
            assert refused.value.message == f"HOME is {relative!r}, which is not an absolute path."
            assert variable in refused.value.hint
    assert state_folder({"XDG_STATE_HOME": "/var/state"}) == Path("/var/state/runtui"), "it is not asked for"


def test_the_home_folder_of_an_unknown_user_is_refused() -> None:
    with pytest.raises(ValueError, match="no user with the home folder ~no-such-user"):
        read_path("~no-such-user/ca.pem")
    with pytest.raises(UsageError, match="no user with the home folder ~no-such-user"):
        state_folder({"RUNTUI_STATE": "~no-such-user/state"})


def test_a_relative_path_needs_a_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(ValueError, match="working directory no longer exists"):
        read_path("ca.pem")
    assert read_path("/ca.pem") == Path("/ca.pem")


def test_two_roots_never_share_a_store() -> None:
    roots = ["https://graph.microsoft.com/beta", "https://graph.microsoft.com/v1.0", "http://127.0.0.1:8123/beta"]
    paths = {store_path(Path("/s"), root) for root in roots}
    assert len(paths) == len(roots)
    assert store_path(Path("/s"), roots[0]) == store_path(Path("/s"), roots[0])
    assert all(path.parent == Path("/s") for path in paths), "a root is no part of a path"


def test_two_tenants_of_one_root_never_share_a_store(monkeypatch: pytest.MonkeyPatch) -> None:
    def store_of(sign_in: SignInSettings | None = None, **changes: Any) -> Path:
        root = "https://graph.microsoft.com/beta"
        settings = Settings(root=root, tenant="", sign_in=sign_in, state_folder=Path("/s"), **changes)
        return SessionSpec(settings=settings).store_file

    def signed_in(tenant_id: str, username: str = "") -> SignInSettings:
        place = "https://login.microsoftonline.com"
        return SignInSettings(
            method="device-code", tenant_id=tenant_id, client_id="c", authority=place, username=username
        )

    contoso = store_of(signed_in("contoso.example"))
    assert store_of(signed_in("Contoso.example"), profile="another", read_only=True) == contoso
    paths = [contoso, store_of(signed_in("fabrikam.example"))]
    paths += [store_of(signed_in("organizations", name)) for name in ("ada@contoso.example", "ada@fabrikam.example")]
    for tenant in ("", "c1", "f1"):
        monkeypatch.setenv("RUNTUI_TOKEN", jwt({"tid": tenant, "exp": len(paths)}))
        paths.append(store_of())
    assert len(set(paths)) == len(paths)
    monkeypatch.setenv("RUNTUI_TOKEN", jwt({"tid": "f1", "exp": 99}))
    assert store_of() == paths[-1], "the next token for the same tenant"


def test_the_settings_have_the_path_of_the_api_page_and_cannot_change() -> None:
    settings = Settings(root="https://graph.microsoft.com/beta", tenant="contoso", state_folder=Path())
    assert settings.patch_path == PATCH_PATH == "/workflowBase/runs/{runId}"
    assert settings.body_mode == "full"
    assert not settings.read_only
    with pytest.raises(AttributeError):
        settings.read_only = True  # type: ignore[misc]
