"""The network settings of a session, from the configuration to the connection."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from runtui.auth.tokens import StaticToken
from runtui.graph.transport import Transport
from runtui.services.workspace import Workspace
from runtui.settings import Settings
from tests import canary
from tests.contract.raw_server import RawServer

REFUSAL = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"


async def listed(folder: Path, wire: httpx.AsyncBaseTransport | None = None, **choices: Any) -> str:
    """List once; return the error."""
    settings = Settings(tenant="Contoso", state_folder=folder, **choices)
    workspace = Workspace(settings, folder / "runs.db", StaticToken(canary.TOKEN), wire=wire)
    try:
        workspace.connect(settings.root)
        await workspace.refresh.list_once()
        return str(workspace.refresh.progress.fault)
    finally:
        await workspace.close()


async def test_a_proxy_of_ones_own_is_used_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    async with RawServer([REFUSAL] * 5) as proxy:
        address = f"http://someone:hidden-word@127.0.0.1:{proxy.port}"
        said = await listed(tmp_path, root="https://graph.example/beta", proxy=address)
    assert f"The proxy 127.0.0.1:{proxy.port} refused to connect to the server: 407" in said
    assert "Put its user and password into proxy (--proxy, RUNTUI_PROXY, or the profile)." in said
    assert "HTTPS_PROXY" not in said
    assert "hidden-word" not in said
    assert proxy.requests[0].startswith(b"CONNECT graph.example:443")
    assert not canary.holds_canary(proxy.requests[0])


async def test_a_proxy_that_speaks_tls_is_trusted_by_the_ca_file(tmp_path: Path) -> None:
    proxy, authority = RawServer([REFUSAL] * 5), trustme.CA()
    proxy.greets_with = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(proxy.greets_with)
    authority.cert_pem.write_to_path(path := tmp_path / "ca.pem")
    async with proxy:
        address = f"https://127.0.0.1:{proxy.port}"
        said = await listed(tmp_path, root="https://graph.example/beta", proxy=address, ca_file=path)
    assert f"The proxy 127.0.0.1:{proxy.port} refused to connect to the server: 407" in said


@pytest.fixture
def dead_port() -> Iterator[int]:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


async def test_a_dead_proxy_is_blamed_and_not_the_root(tmp_path: Path, dead_port: int) -> None:
    said = await listed(tmp_path, root="https://graph.example/beta", proxy=f"http://127.0.0.1:{dead_port}")
    assert said == (
        f"The proxy cannot be reached. No connection to the proxy 127.0.0.1:{dead_port} could be made: the connection "
        "was refused. Check proxy (--proxy, RUNTUI_PROXY, or the profile), and the network."
    )


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
async def test_the_variable_that_names_a_dead_proxy_is_named(
    name: str, tmp_path: Path, dead_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other in [other for other in os.environ if other.lower().endswith("_proxy")]:
        monkeypatch.delenv(other)
    monkeypatch.setenv(name, f"127.0.0.1:{dead_port}")
    said = await listed(tmp_path, root="https://graph.example/beta")
    assert f"No connection to the proxy 127.0.0.1:{dead_port} could be made" in said
    assert f"Check {name}, and the network." in said


async def test_this_machine_is_never_reached_through_a_proxy() -> None:
    async with RawServer([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"]) as server, RawServer([REFUSAL]) as proxy:
        token = StaticToken(canary.TOKEN)
        async with Transport(server.root, token=token, proxy=f"http://127.0.0.1:{proxy.port}") as wire:
            exchange = await wire.send("GET", "/runs", purpose="list runs")
    assert exchange.status == 200
    assert proxy.requests == []


async def test_a_ca_file_reaches_the_client(tmp_path: Path) -> None:
    path = tmp_path / "none.pem"
    said = await listed(tmp_path, root="https://localhost:1/beta", ca_file=path)
    assert "No such file or directory" in said


async def test_the_page_size_is_asked_for(tmp_path: Path) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["prefer"])
        headers = {"content-type": "application/json"}
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(b'{"value": []}'))

    await listed(tmp_path, httpx.MockTransport(answer), root="https://graph.example/beta", page_size=7)
    assert asked == ["include-unknown-enum-members, odata.maxpagesize=7"]
