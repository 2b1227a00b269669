"""Signing in with a browser: on the loopback port, or with a pasted address."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from runtui.auth.accounts import Account
from runtui.auth.errors import SignInError
from runtui.auth.flows import BrowserPage
from runtui.auth.signin import SignIn
from runtui.errors import FieldError
from runtui.redact import redact
from runtui.sandbox.authority.directory import DEMO_ADMIN
from tests.contract.scripted_authority import ScriptedAuthority
from tests.contract.signing_in import cache_files, signing_in


@pytest.fixture
def authority() -> ScriptedAuthority:
    return ScriptedAuthority()


async def shown(sign_in: SignIn) -> tuple[asyncio.Task[Account], BrowserPage]:
    """Return a sign-in that waits for its browser."""
    page: asyncio.Future[BrowserPage] = asyncio.get_running_loop().create_future()
    attempt: asyncio.Task[Account] = asyncio.create_task(sign_in.browser(page.set_result))

    def fail(done: asyncio.Task[Account]) -> None:
        if not page.done():
            page.set_exception(AssertionError(f"no page was shown: {done}"))

    attempt.add_done_callback(fail)
    return attempt, await page


async def visit(page: BrowserPage, request: str) -> str:
    """Visit an address of this machine as a redirected browser; return the status line and the rest."""
    port = urlsplit(page.redirect_uri).port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode())
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_a_pasted_address_signs_in(authority: ScriptedAuthority, tmp_path: Path) -> None:
    async with signing_in(authority, tmp_path, method="browser") as sign_in:
        attempt, page = await shown(sign_in)
        query = parse_qs(urlsplit(page.url).query)
        assert query["code_challenge_method"] == ["S256"]
        assert query["response_mode"] == ["query"]
        assert query["redirect_uri"] == [page.redirect_uri]
        assert page.redirect_uri.startswith("http://localhost:")
        landing = authority.browse(page.url).url
        code = parse_qs(urlsplit(landing).query)["code"][0]
        page.paste(f" <{landing[:60]}\n   {landing[60:]}> \n")
        await attempt
        assert authority.verify(await sign_in()) is None
        assert code not in redact(f"the code is {code}")
        assert len(cache_files(tmp_path)) == 1


async def test_a_browser_that_lands_here_signs_in(authority: ScriptedAuthority, tmp_path: Path) -> None:
    async with signing_in(authority, tmp_path, method="browser") as sign_in:
        attempt, page = await shown(sign_in)
        landing = urlsplit(authority.browse(page.url).url)
        assert (await visit(page, "GET /favicon.ico HTTP/1.1\r\n\r\n")).startswith("HTTP/1.1 404 ")
        assert (await visit(page, "POST / HTTP/1.1\r\n\r\n")).startswith("HTTP/1.1 405 ")
        assert (await visit(page, "GET /?code=x&state=guessed HTTP/1.1\r\n\r\n")).startswith("HTTP/1.1 404 ")
        assert not attempt.done()
        answer = await visit(page, f"GET {landing.path}/?{landing.query} HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer.startswith("HTTP/1.1 200 ")
        assert landing.query not in answer
        await attempt
        assert authority.verify(await sign_in()) is None


async def test_a_pasted_address_must_belong_to_this_sign_in(authority: ScriptedAuthority, tmp_path: Path) -> None:
    async with signing_in(authority, tmp_path, method="browser") as sign_in:
        attempt, page = await shown(sign_in)
        good = authority.browse(page.url).url
        other = authority.browse(page.url.replace("state=", "state=x")).url
        for pasted, says in (
            ("", "not an address"),
            ("hello", "not an address"),
            ("http://[", "not an address"),
            (page.url, "another address"),
            (good.replace("localhost", "localhost.evil.test"), "another address"),
            (good.replace("http://", "https://"), "another address"),
            (good.replace("/?", "/x?") if "/?" in good else good.replace("?", "/x?"), "another address"),
            (page.redirect_uri, "no code"),
            (f"{good}&code=second", "no code"),
            (other, "another sign-in"),
            (f"{page.redirect_uri}/?{urlencode({'code': 'abc'})}", "another sign-in"),
            (f"{page.redirect_uri}/?{'a' * 20_000}", "longer than"),
        ):
            with pytest.raises(FieldError, match=says):
                page.paste(pasted)
        assert not attempt.done(), "it goes on waiting"
        page.paste(good)
        await attempt


async def test_a_refusal_in_the_browser_is_reported(authority: ScriptedAuthority, tmp_path: Path) -> None:
    async with signing_in(authority, tmp_path, method="browser") as sign_in:
        attempt, page = await shown(sign_in)
        page.paste(authority.browse(page.url, None).url)
        with pytest.raises(SignInError, match="was declined"):
            await attempt
        assert cache_files(tmp_path) == []


async def test_a_refusal_with_a_foreign_state_is_not_believed(authority: ScriptedAuthority, tmp_path: Path) -> None:
    async with signing_in(authority, tmp_path, method="browser") as sign_in:
        attempt, page = await shown(sign_in)
        with pytest.raises(FieldError):
            page.paste(f"{page.redirect_uri}/?error=access_denied&state=guessed")
        assert not attempt.done()
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt


async def test_a_code_that_is_refused_is_reported(authority: ScriptedAuthority, tmp_path: Path) -> None:
    async with signing_in(authority, tmp_path, method="browser") as sign_in:
        attempt, page = await shown(sign_in)
        authority.next_error(54005)
        page.paste(authority.browse(page.url).url)
        with pytest.raises(SignInError, match="AADSTS54005"):
            await attempt


async def test_the_page_is_opened_where_the_caller_allows_it(authority: ScriptedAuthority, tmp_path: Path) -> None:
    opened: list[str] = []
    async with signing_in(authority, tmp_path, method="interactive", username=DEMO_ADMIN.username) as sign_in:
        page: asyncio.Future[BrowserPage] = asyncio.get_running_loop().create_future()

        def show(shown: BrowserPage) -> None:
            page.set_result(shown)
            shown.paste(authority.browse(shown.url).url)

        await sign_in.browser(show, open_page=opened.append)
        assert opened == [page.result().url]
        assert f"login_hint={DEMO_ADMIN.username.replace('@', '%40')}" in opened[0]
