"""Signing in over a real connection: TLS, trust, redirects, a slow service, an event loop that never blocks."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from starlette.responses import Response

from runtui.auth.errors import SignInError
from runtui.auth.flows import DeviceCode
from runtui.auth.msal_client import MsalClient, ServiceError
from runtui.auth.signin import SignIn
from runtui.graph.network import Proxy
from runtui.graph.sign_in_http import MAX_TOKEN_BYTES, SignInHttp
from tests import PATIENCE
from tests.contract.authority_server import ServedAuthority, serve_authority
from tests.contract.scripted_authority import unavailable
from tests.contract.signing_in import ROOT, Pauses, by_device_code, settings_for


@pytest.fixture
async def served(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ServedAuthority]:
    # The variables that requests, MSAL's own HTTP client, would use, and runtui must not.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/requests.pem")
    monkeypatch.setenv("CURL_CA_BUNDLE", "/nowhere/curl.pem")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    async with serve_authority() as served:
        yield served


def over_tls(served: ServedAuthority, folder: Path) -> SignIn:
    return SignIn(
        MsalClient(
            settings_for(served.authority),
            root=ROOT,
            state_folder=folder,
            http=lambda: SignInHttp(served.ca_file),
        ),
        pause=Pauses(),
    )


async def test_the_whole_way_over_tls(served: ServedAuthority, tmp_path: Path) -> None:
    sign_in = over_tls(served, tmp_path)
    await by_device_code(sign_in, served.authority)
    first = await sign_in()
    assert await sign_in.renew("Bearer")
    assert await sign_in() != first
    assert served.authority.verify(await sign_in(), write=True) is None
    assert {call.endpoint for call in served.authority.calls} == {"discovery", "devicecode", "token"}
    await sign_in.aclose()


async def test_an_untrusted_service_gets_no_request(served: ServedAuthority, tmp_path: Path) -> None:
    sign_in = SignIn(
        MsalClient(settings_for(served.authority), root=ROOT, state_folder=tmp_path, http=SignInHttp),
        pause=Pauses(),
    )
    with pytest.raises(SignInError, match=r"did not answer as expected.*certificate") as refused:
        await by_device_code(sign_in, served.authority)
    assert refused.value.is_transient
    assert "ca-file" in refused.value.hint
    assert served.authority.calls == []
    await sign_in.aclose()


async def test_a_missing_ca_file_is_reported(served: ServedAuthority, tmp_path: Path) -> None:
    sign_in = SignIn(
        MsalClient(
            settings_for(served.authority),
            root=ROOT,
            state_folder=tmp_path,
            http=lambda: SignInHttp(tmp_path / "absent.pem"),
        )
    )
    with pytest.raises(SignInError, match="did not answer as expected"):
        await by_device_code(sign_in, served.authority)
    await sign_in.aclose()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Response(b"", 307, {"Location": "https://127.0.0.1:1/elsewhere"}), "a redirect, which is not followed"),
        (Response(b"{}", 302, {"Location": "/devicelogin"}), "a redirect, which is not followed"),
        (Response(b" " * (MAX_TOKEN_BYTES + 1), 200, {}), "larger than 1 MiB"),
        (Response(b"x", 200, {"Content-Encoding": "br"}), "compressed as 'br'"),
        (Response(b"not gzip", 200, {"Content-Encoding": "gzip"}), "gzip"),
        (Response(b"\xff\xfe{}", 200, {}), "without JSON"),
        (unavailable(), "503"),
    ],
)
async def test_an_answer_that_is_not_valid(
    served: ServedAuthority, tmp_path: Path, answer: Response, says: str
) -> None:
    sign_in = over_tls(served, tmp_path)
    served.authority.next_answer(answer, endpoint="devicecode")
    with pytest.raises(SignInError, match=says):
        await by_device_code(sign_in, served.authority)
    assert len(served.authority.calls) == 2, "the tenant, and the code; no other address was asked"
    await sign_in.aclose()


async def test_a_tenant_whose_addresses_lead_elsewhere_is_refused(served: ServedAuthority, tmp_path: Path) -> None:
    elsewhere = b"""{"issuer": "https://evil.test", "authorization_endpoint": "https://evil.test/t/authorize",
        "token_endpoint": "https://evil.test/t/token", "device_authorization_endpoint": "https://evil.test/t/device"}"""
    served.authority.next_answer(Response(elsewhere, 200, {}), endpoint="discovery")
    sign_in = over_tls(served, tmp_path)
    with pytest.raises(SignInError, match=r"elsewhere, at evil\.test"):
        await by_device_code(sign_in, served.authority)
    await sign_in.aclose()


def test_plain_http_is_for_this_machine_and_for_azures_link_local_service() -> None:
    http = SignInHttp()
    for address in ("http://login.microsoftonline.com/x", "ftp://127.0.0.1/", "x"):
        with pytest.raises(ServiceError, match="not an https"):
            http.send("GET", address, {})
    with pytest.raises(ServiceError, match="connection"):
        http.send("GET", "http://127.0.0.1:9/metadata", {})
    http.close()


def test_a_dead_proxy_is_blamed_and_not_the_service() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        http = SignInHttp(proxy=f"http://me:hidden-word@{place}")
        with pytest.raises(ServiceError, match=f"No connection to the proxy {place} could be made") as caught:
            http.send("GET", "https://login.microsoftonline.com/x", {})
        http.close()
    assert "hidden-word" not in str(caught.value)


async def test_parameters_that_msal_omits_are_not_sent(served: ServedAuthority) -> None:
    http = SignInHttp(served.ca_file)
    address = f"{served.base}/{served.authority.directory.tenant_id}/oauth2/v2.0/devicecode"
    options = {"data": {"client_id": "x", "claims": None}, "headers": {"X-None": None}, "timeout": PATIENCE}
    await asyncio.to_thread(http.send, "POST", address, options)
    assert served.authority.calls[-1].claims == ""
    http.close()


def test_the_identity_service_of_a_virtual_machine_is_asked_without_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Proxy | None] = []

    def wire(proxy: Proxy | None) -> httpx.MockTransport:
        asked.append(proxy)
        return httpx.MockTransport(lambda _: httpx.Response(200, stream=httpx.ByteStream(b"{}")))

    with closing(SignInHttp(proxy="http://127.0.0.1:9")) as http:
        monkeypatch.setattr(http, "_wire", wire)
        for url in ("http://169.254.169.254/metadata/identity/oauth2/token", "https://login.fake.test/token"):
            assert http.send("GET", url, {}).text == "{}"
    assert [proxy is None for proxy in asked] == [True, False]


async def test_the_loop_turns_while_the_service_is_silent(served: ServedAuthority, tmp_path: Path) -> None:
    """No clock is needed: if the answer blocked the loop, the service in this same loop could never send it."""
    served.authority.auto_approve(polls=2)
    sign_in = over_tls(served, tmp_path)
    shown: list[DeviceCode] = []
    await asyncio.wait_for(sign_in.device_code(shown.append), PATIENCE)
    assert shown
    await sign_in.aclose()


LEAVING = """
import asyncio, sys, time
from pathlib import Path
from tests.contract.signing_in import *
from runtui.auth.signin import SignIn

class Silent:
    def send(self, method, url, options):
        print("asked", flush=True)
        time.sleep(600)
    def close(self): pass

async def main():
    settings = settings_for(ScriptedAuthority())
    sign_in = SignIn(MsalClient(settings, root=ROOT, state_folder=Path(sys.argv[1]), http=Silent))
    attempt = asyncio.create_task(sign_in.device_code(print))
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read, 1)
    attempt.cancel()
    await asyncio.gather(attempt, return_exceptions=True)
    await sign_in.aclose()

asyncio.run(main())
print("left", flush=True)
"""


def test_leaving_does_not_wait_for_a_silent_service(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LEAVING, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "asked\n"
        process.stdin.close()
        # The thread would get its answer in ten minutes; the limit is far below that, but enough for a busy machine.
        assert process.wait(PATIENCE) == 0
        assert process.stdout.read() == "left\n"
