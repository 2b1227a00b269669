"""The token of a signed-in person goes only to the Graph root, wherever servers point to."""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtui.auth.msal_client import ServiceError
from runtui.auth.signin import SignIn
from runtui.domain.report import Outcome
from runtui.graph.client import GraphClient, RunUpdate
from runtui.graph.pages import GraphError
from runtui.graph.sign_in_http import SignInHttp
from runtui.graph.transport import Transport
from tests import there
from tests.contract.raw_server import RawServer, answer
from tests.contract.scripted_authority import ScriptedAuthority
from tests.contract.signing_in import by_device_code, signing_in
from tests.contract.test_graph_client import reply
from tests.unit.test_graph_root import HOSTILE, PIECES, ROOT

EMPTY: Final = answer(b'{"value": []}')
REDIRECTS: Final = ("301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect")


@pytest.fixture
async def signed_in(tmp_path: Path) -> AsyncIterator[SignIn]:
    authority = ScriptedAuthority()
    async with signing_in(authority, tmp_path) as sign_in:
        await by_device_code(sign_in, authority)
        yield sign_in


@pytest.fixture
async def elsewhere() -> AsyncIterator[RawServer]:
    """Another server, which must never get a request."""
    async with RawServer([EMPTY]) as server:
        yield server
        assert server.requests == []


def page(link: str) -> bytes:
    return answer(f'{{"value": [{{"id": "w1"}}], "@odata.nextLink": "{link}"}}'.encode())


async def read_all(graph: GraphClient) -> None:
    async for _ in graph.workflows():
        pass


@pytest.mark.parametrize(
    "link",
    [
        "http://127.0.0.1:{here}@127.0.0.1:{there}/beta/x",
        "http://127.0.0.1:{there}\\\\@127.0.0.1:{here}/beta/x",
        "http://127.0.0.1:{here}/beta/../v1.0/x",
        "http://127.0.0.1:{here}/beta/%252e%252e/v1.0/x",
    ],
)
async def test_a_next_link_out_of_the_root_is_not_followed(signed_in: SignIn, elsewhere: RawServer, link: str) -> None:
    async with RawServer([EMPTY]) as home, Transport(home.root, token=signed_in) as transport:
        home.replies = [page(link.format(here=home.port, there=elsewhere.port)), EMPTY]
        with pytest.raises(GraphError, match="The address is refused"):
            await read_all(GraphClient(transport))
        assert len(home.requests) == 1


@pytest.mark.parametrize("status", REDIRECTS)
async def test_a_redirect_is_not_followed_and_carries_no_change_away(
    signed_in: SignIn, elsewhere: RawServer, status: str
) -> None:
    location = f"Location: {elsewhere.root}/workflowBase/runs/r1\r\n"
    async with RawServer([answer(status=status, headers=location)]) as home:
        async with Transport(home.root, token=signed_in) as transport:
            graph = GraphClient(transport)
            write, read = await graph.update_run(RunUpdate("w1", "r1", "{}")), await graph.run("w1", "r1")
            with pytest.raises(GraphError):
                await read_all(graph)
        assert [request.split()[0] for request in home.requests] == [b"PATCH", b"GET", b"GET"]
    for fault in (write.fault, read.fault):
        assert there(fault).title == "The server redirects the request"
    assert there(write.fault).outcome is not Outcome.DONE


async def test_a_challenge_never_redirects_the_token(signed_in: SignIn, elsewhere: RawServer) -> None:
    """Whatever a 401 names, the next token comes from the same sign-in service and goes to the same root."""
    bearer = f'WWW-Authenticate: Bearer authorization_uri="{elsewhere.root}", realm="{elsewhere.root}"\r\n'
    away = answer(status="308 Permanent Redirect", headers=f"Location: {elsewhere.root}/x\r\n")
    async with RawServer([answer(status="401 Unauthorized", headers=bearer), away]) as home:
        async with Transport(home.root, token=signed_in) as transport:
            with pytest.raises(GraphError):
                await read_all(GraphClient(transport))
        tokens = {line for request in home.requests for line in request.split(b"\r\n") if b"Authorization" in line}
        assert (len(home.requests), len(tokens)) == (2, 2), "a second token was tried, at home"


@pytest.mark.parametrize("status", REDIRECTS)
async def test_a_sign_in_is_not_sent_on(elsewhere: RawServer, status: str) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "r", "client_secret": "s"}
    away = answer(status=status, headers=f"Location: {elsewhere.root}/token\r\n")
    async with RawServer([away]) as home:
        http = await asyncio.to_thread(SignInHttp)
        try:
            for method, path, options in (("POST", "token", {"data": form}), ("GET", "keys", {})):
                with pytest.raises(ServiceError, match="not followed"):
                    await asyncio.to_thread(http.send, method, f"{home.root}/{path}", options)
        finally:
            http.close()
        assert len(home.requests) == 2


class Tried:
    """A client of a signed-in person, which is misled by one link after another."""

    def __init__(self, folder: Path) -> None:
        self.requests: list[httpx.Request] = []
        self.link = ""
        self._folder = folder
        self._runner = asyncio.Runner()
        self._runner.run(self._open())

    async def _open(self) -> None:
        authority = ScriptedAuthority()
        self._signing = signing_in(authority, self._folder)
        self._sign_in = await self._signing.__aenter__()
        await by_device_code(self._sign_in, authority)
        self._transport = Transport(ROOT, token=self._sign_in, wire=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        link = self.link if len(self.requests) == 1 else None
        return reply(200, {"value": [{"id": "w1"}], "@odata.nextLink": link})

    def follow(self, link: str) -> list[httpx.Request]:
        """Return the requests after a first page with that nextLink."""
        self.requests, self.link = [], link

        async def go() -> None:
            with suppress(GraphError):
                await read_all(GraphClient(self._transport))

        self._runner.run(go())
        return self.requests

    async def _close(self) -> None:
        await self._transport.aclose()
        await self._signing.__aexit__(None, None, None)

    def close(self) -> None:
        self._runner.run(self._close())
        self._runner.close()


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tried]:
    tried = Tried(tmp_path_factory.mktemp("tried"))
    yield tried
    tried.close()


RELATIVE = {
    "//graph.example/beta/x": f"{ROOT}/x",
    "graph.example/beta/x": f"{ROOT}/identityGovernance/lifecycleWorkflows/graph.example/beta/x",
}
"""The links of `HOSTILE` that are relative to the page and lead below the root -> the addresses that they lead to."""


@pytest.mark.parametrize("link", [link for link in HOSTILE if link and link not in RELATIVE])
def test_no_hostile_link_is_asked_for_anything(tried: Tried, link: str) -> None:
    assert len(tried.follow(link)) == 1


@pytest.mark.parametrize(("link", "address"), RELATIVE.items())
def test_a_relative_link_never_leaves_the_root(tried: Tried, link: str, address: str) -> None:
    assert [str(request.url) for request in tried.follow(link)][1:] == [address]


@settings(max_examples=100)
@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join), st.booleans())
def test_whatever_a_server_names_every_request_is_below_the_root(tried: Tried, link: str, prefixed: bool) -> None:
    for request in tried.follow(f"{ROOT}/{link}" if prefixed else link):
        assert request.headers["authorization"].startswith("Bearer eyJ")
        assert (request.url.scheme, request.url.host, request.url.port) == ("https", "graph.example", None)
        path = request.url.raw_path.decode().partition("?")[0]
        for _ in range(4):
            assert posixpath.normpath(path.replace("\\", "/")).startswith("/beta/")
            path = unquote(path)
