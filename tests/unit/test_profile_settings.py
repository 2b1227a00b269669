"""From the given values to the settings: the server, the sign-in, and errors that name the source of a wrong value."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from runtui.auth.clouds import CLOUD_BY_NAME
from runtui.config import choose, no_config, read_config
from runtui.errors import UsageError
from runtui.options import CLOUDS as CLOUD_NAMES
from runtui.profiles import names_server, settings_of
from runtui.settings import Settings, SignInSettings
from tests import canary, there

PERSON = {"tenant-id": "contoso.com", "client-id": "11111111-2222"}
TOKEN = {"root": "https://graph.microsoft.com/beta"}


def settings(flags: Mapping[str, Any], **environ: str) -> Settings:
    return settings_of(choose(no_config(), flags, environ=environ), {"RUNTUI_STATE": "/state", **environ})


def refused(flags: Mapping[str, Any], **environ: str) -> str:
    with pytest.raises(UsageError) as caught:
        settings(flags, **environ)
    return str(caught.value)


def sign_in(flags: Mapping[str, Any], **environ: str) -> SignInSettings:
    return there(settings(flags, **environ).sign_in)


def test_values_that_are_not_given_are_the_defaults() -> None:
    expected = Settings(root=TOKEN["root"], tenant="graph.microsoft.com", state_folder=Path("/state"))
    assert settings(TOKEN) == expected
    assert settings(TOKEN, SSH_CONNECTION="x").mouse is False


def test_every_option_that_is_a_setting_becomes_one() -> None:
    flags = {**TOKEN, "patch-path": "/x/{runId}", "proxy": "http://p:1", "page-size": "50", "read-only": True}
    flags |= {"body": "changed", "theme": "light", "refresh": "5", "mouse": False, "tenant": "Contoso"}
    made = settings(flags)
    assert (made.patch_path, made.proxy, made.page_size, made.read_only) == ("/x/{runId}", "http://p:1", 50, True)
    assert (made.body_mode, made.theme, made.refresh_seconds, made.mouse) == ("changed", "light", 5.0, False)
    assert made.tenant == "Contoso"
    assert "http://p:1" not in repr(made), "it may hold a password"


@pytest.mark.parametrize("name", CLOUD_NAMES)
def test_a_cloud_gives_root_and_sign_in_service(name: str) -> None:
    made = settings({**PERSON, "cloud": name})
    assert made.root == f"{CLOUD_BY_NAME[name].graph}/beta"
    assert there(made.sign_in).authority == CLOUD_BY_NAME[name].authority


def test_a_client_id_alone_means_a_person_on_the_global_cloud() -> None:
    made = settings({**PERSON, "read-only": True})
    assert made.root == "https://graph.microsoft.com/beta"
    assert made.tenant == "contoso.com"
    assert made.sign_in == SignInSettings(
        method="device-code",
        tenant_id="contoso.com",
        client_id="11111111-2222",
        authority="https://login.microsoftonline.com",
        write=False,
    )


def test_variables_of_azures_tools_alone_choose_no_server() -> None:
    azure = {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_AUTHORITY_HOST": "login.microsoftonline.us"}
    assert not names_server(choose(no_config(), {}, environ=azure))
    assert settings(TOKEN, **azure).sign_in is None, "a root by hand means a token by hand"
    asked = settings({"sign-in": "device-code"}, **azure)
    assert asked.root == "https://graph.microsoft.us/beta"
    assert sign_in({"sign-in": "device-code"}, **azure).client_id == "c"
    assert (
        sign_in({"sign-in": "device-code", "cloud": "global"}, **azure).authority == CLOUD_BY_NAME["global"].authority
    )


@pytest.mark.parametrize(
    ("method", "needs"),
    [
        ("device-code", {}),
        ("secret", {}),
        ("certificate", {"certificate": "/c.pem"}),
        ("federated", {"federated-token-file": "/t"}),
    ],
)
def test_a_sign_in_without_what_it_needs_is_refused_at_once(method: str, needs: dict[str, str]) -> None:
    complete = {**PERSON, "sign-in": method, **needs}
    assert sign_in(complete).method == method
    for name in (*PERSON, *needs):
        said = refused({key: value for key, value in complete.items() if key != name})
        assert said.startswith(f"Signing in needs a {name}. --sign-in asks for {method}")


def test_a_managed_identity_needs_nothing_and_a_token_file_no_service() -> None:
    assert sign_in({"sign-in": "managed-identity"}).client_id == ""
    by_file = sign_in({**TOKEN, "sign-in": "token", "token-file": "/t"})
    assert (by_file.method, by_file.token_file, by_file.authority) == ("token", Path("/t"), "")


@pytest.mark.parametrize(
    ("flags", "environ", "words"),
    [
        ({"root": "http://example.org/beta"}, {}, "--root: A token sent to example.org without encryption"),
        ({}, {"RUNTUI_ROOT": "https://x:99999/beta"}, "RUNTUI_ROOT: There is no port 99999."),
        ({**TOKEN, "cloud": "usgov"}, {}, "does not belong to the cloud usgov (--cloud)"),
        (
            {"root": "https://own.example/beta", **PERSON},
            {},
            "--root: https://own.example/beta belongs to no Microsoft cloud",
        ),
        (
            {"root": "https://own.example/beta", "authority": "login.microsoftonline.com", **PERSON},
            {},
            "--authority: A token of https://login.microsoftonline.com would go to https://own.example/beta",
        ),
        ({**PERSON, "authority": "http://login.example"}, {}, "--authority: 'http://login.example' is not the https"),
        ({**PERSON, "authority": "login.microsoftonline.us", "cloud": "global"}, {}, "--authority:"),
        ({**TOKEN, "ca-file": "/no/such/file"}, {}, "--ca-file: /no/such/file: No such file or directory."),
        ({**TOKEN, "proxy": "socks5://p:1"}, {}, "pip install socksio, or install runtui[socks]."),
        (
            TOKEN,
            {"ALL_PROXY": "socks5://p:1"},
            "ALL_PROXY: A SOCKS proxy needs one more package: pip install socksio, or install runtui[socks].",
        ),
        (TOKEN, {"HTTPS_PROXY": "http://u:hidden@p:99999"}, "HTTPS_PROXY: There is no port 99999."),
        (TOKEN, {"https_proxy": "//"}, "https_proxy: It must be an address"),
        ({}, {}, "There is no profile, no --root and no --client-id."),
    ],
)
def test_a_refusal_names_where_the_value_came_from(
    flags: dict[str, str], environ: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    said = refused(flags, **environ)
    assert words in said
    assert "hidden" not in said


def test_a_custom_pair_of_servers_needs_the_option() -> None:
    own = {"root": "https://own.example/beta", "authority": "login.example", **PERSON}
    assert sign_in({**own, "unsafe-endpoint": True}).authority == "https://login.example"


def test_this_machine_needs_no_proxy_and_the_option_overrides_the_environment() -> None:
    broken = {"HTTPS_PROXY": "http://p:99999"}
    assert settings({"root": "http://127.0.0.1:1/beta"}, **broken).proxy == ""
    assert settings({**TOKEN, "proxy": "http://p:1"}, **broken).proxy == "http://p:1"
    assert settings(TOKEN, HTTPS_PROXY="proxy.example:8080").proxy == ""


@pytest.mark.parametrize(
    ("said", "proxy"),
    [
        ("proxy.example:8080", "http://proxy.example:8080"),
        ("me:word@proxy.example:8080", "http://me:word@proxy.example:8080"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("https://proxy.example:8443", "https://proxy.example:8443"),
    ],
)
def test_a_proxy_without_a_scheme_is_an_http_proxy_as_everywhere_else(said: str, proxy: str) -> None:
    """curl and other programs that read HTTPS_PROXY treat host:port in the same way."""
    assert settings({**TOKEN, "proxy": said}).proxy == proxy


def test_a_file_without_certificates_is_refused_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("nothing of the kind")
    assert f"{path} contains no PEM certificates." in refused({**TOKEN, "ca-file": str(path)})


@pytest.mark.parametrize("option", ["ca-file", "certificate", "federated-token-file"])
def test_a_pipe_is_refused_where_a_file_is_read_again(tmp_path: Path, option: str) -> None:
    os.mkfifo(pipe := tmp_path / "pipe")
    assert f"{pipe}: It is not a regular file." in refused({**TOKEN, option: str(pipe)})


def test_a_wrong_value_of_a_profile_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[profiles.prod]\nroot = "http://example.org/beta"\n')
    with pytest.raises(UsageError) as caught:
        settings_of(choose(read_config(path), {}, environ={}), {"RUNTUI_STATE": "/state"})
    assert f"{path}, line 2: A token sent to example.org" in str(caught.value)


CRASH: Final = """
import os, resource, sys
from pathlib import Path
from runtui.command_line import token_source
from runtui.profiles import settings_of
from runtui.config import choose, no_config
settings = settings_of(choose(no_config(), {"root": "https://graph.example/beta"}, environ={}))
token = token_source(settings)
print(resource.getrlimit(resource.RLIMIT_CORE)[0], flush=True)
if len(sys.argv) > 1:
    # As for a program that takes core dumps, for which the limit does not hold.
    resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
os.abort()
"""

HAS_FILTER: Final = Path("/proc/self/coredump_filter").exists()


@pytest.mark.parametrize(
    "beyond_the_limit",
    [False, pytest.param(True, marks=pytest.mark.skipif(not HAS_FILTER, reason="there is no filter here"))],
)
def test_a_crash_leaves_no_copy_of_the_memory_with_the_token(tmp_path: Path, beyond_the_limit: bool) -> None:
    def allow_core_dumps() -> None:
        most = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (most, most))

    command = [sys.executable, "-c", CRASH, *(["beyond"] if beyond_the_limit else [])]
    environ = {"RUNTUI_TOKEN": canary.TOKEN, "HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    died = subprocess.run(
        command, env=environ, cwd=tmp_path, capture_output=True, check=False, preexec_fn=allow_core_dumps
    )
    assert died.returncode == -signal.SIGABRT, died.stderr
    assert died.stdout == b"0\n"
    assert canary.leaks(tmp_path) == []
    assert beyond_the_limit or list(tmp_path.iterdir()) == []
