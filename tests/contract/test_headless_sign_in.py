"""`runtui login`, `logout` and `whoami` in processes of their own, against the authority over TLS."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import httpx
import pytest
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from runtui.sandbox.authority.directory import DEMO_ADMIN, DEMO_READER
from runtui.services.store.store import EVERY_RUN, Store
from runtui.settings import store_path
from tests import canary
from tests.contract.msal_apps import DAEMON_ID
from tests.contract.raw_server import RawServer, answer
from tests.contract.sign_in_place import Place, leave_a_run, sign_in_place

CODE = re.compile(r"and enter  (\S+)")


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with sign_in_place(tmp_path) as place:
        yield place


def fact(out: str, name: str) -> str:
    (value,) = re.findall(rf"^{name} +(.*)$", out, re.MULTILINE)
    return str(value)


class TestAPerson:
    async def test_signs_in_works_and_signs_out(self, place: Place) -> None:
        login = await place.signs_in()
        assert login.code == 0, login.err
        assert fact(login.out, "account") == DEMO_ADMIN.username
        assert fact(login.out, "tenant") == place.authority.directory.tenant_id
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC, in (1h 00m|59m \d\ds); renewed automatically",
                            fact(login.out, "expires"))  # fmt: skip
        assert fact(login.out, "changes").startswith("allowed by the token")
        assert f"Open       {place.authority.base}/devicelogin\n" in login.err
        assert CODE.search(login.err)
        assert "Never enter a code that someone sent you." in login.err
        assert re.search(r"Waiting for you until \d\d:\d\d:\d\d\. ctrl\+c cancels\.", login.err)
        (cache,) = place.caches
        assert stat.S_IMODE(cache.stat().st_mode) == 0o600

        calls = len(place.authority.calls)
        whoami = await place.runtui("whoami")
        assert (whoami.code, whoami.err) == (0, "")
        assert fact(whoami.out, "account") == DEMO_ADMIN.username
        as_json = json.loads((await place.runtui("whoami", "--json")).out)
        assert as_json["scopes"] == [
            f"{place.root.removesuffix('/beta')}/LifecycleWorkflows.{name}.All" for name in ("Read", "ReadWrite")
        ]
        assert (as_json["profile"], as_json["method"], as_json["canWrite"]) == ("demo", "device-code", True)
        assert (as_json["root"], as_json["tenantId"]) == (place.root, place.authority.directory.tenant_id)
        listed = await place.runtui("list", "--format", "jsonl")
        assert (listed.code, listed.err, listed.out.count("\n")) == (0, "", 30)
        assert len(place.authority.calls) == calls, "what is kept is enough"

        logout = await place.runtui("logout")
        assert logout.code == 0
        assert logout.out == f"Deleted the tokens of {DEMO_ADMIN.username}, tenant {as_json['tenantId']}.\n"
        assert "browser is still signed in" in logout.err
        assert place.caches == []
        again = await place.runtui("logout")
        assert (again.code, again.out) == (0, "Nobody was signed in.\n")

    @pytest.mark.parametrize(
        "command",
        [("whoami",), ("list",), ("show", "r"), ("update", "r", "--set", "failedTasksCount=1", "--yes")],
        ids=lambda command: command[0],
    )
    async def test_whoami_without_a_sign_in_says_to_sign_in(self, place: Place, command: tuple[str, ...]) -> None:
        refused = await place.runtui(*command)
        assert (refused.code, refused.out) == (1, "")
        assert refused.err == ("runtui: Sign in first. No account is signed in. Sign in: runtui login --profile demo\n")
        assert place.authority.calls == []

    async def test_a_no_in_the_browser(self, place: Place) -> None:
        async with place.started("login") as login:
            place.authority.refuse(CODE.findall(await login.says("and enter"))[0])
            ended = await login.ends()
        assert (ended.code, ended.out, place.caches) == (1, "", [])
        assert "The sign-in was declined." in ended.err
        assert "Correlation ID: " in ended.err

    @pytest.mark.parametrize("method", ["device-code", "browser"])
    async def test_ctrl_c_gives_up_at_once_and_keeps_nothing(self, place: Place, method: str) -> None:
        async with place.started("login", "--method", method) as login:
            await login.says("ctrl+c cancels")
            login.process.send_signal(signal.SIGINT)
            ended = await login.ends()
        assert (ended.code, ended.out, place.caches) == (1, "", [])
        assert ended.err.endswith("Cancelled. Nothing was kept.\n")

    async def test_the_second_of_two_accounts_says_that_a_choice_is_needed(self, place: Place) -> None:
        assert (await place.signs_in()).code == 0
        async with place.started("login", RUNTUI_READ_ONLY="1") as login:
            place.authority.approve(CODE.findall(await login.says("and enter"))[0], DEMO_READER)
            ended = await login.ends()
        assert ended.code == 0
        assert fact(ended.out, "account") == DEMO_READER.username
        assert fact(ended.out, "changes") == "refused: this session is read-only"
        assert f"Which account? Several are signed in here: {DEMO_ADMIN.username}, {DEMO_READER.username}." in ended.err
        whoami = await place.runtui("whoami")
        assert whoami.code == 1
        assert "Set username" in whoami.err
        said = await place.runtui("whoami", "--username", DEMO_ADMIN.username)
        assert fact(said.out, "account") == DEMO_ADMIN.username

    @pytest.mark.parametrize("left", [0, 1])
    async def test_an_account_that_may_be_of_another_tenant_sees_no_stored_rows(self, place: Place, left: int) -> None:
        tenant = ("organizations", place.authority.directory.tenant_id)[left]
        leave_a_run(path := store_path(place.state, place.root, tenant))
        place.authority.auto_approve(DEMO_ADMIN, polls=1)
        login = await place.runtui("login", "--tenant-id", tenant)
        assert login.code == 0, login.err
        with closing(Store(path)) as store:
            assert store.count(EVERY_RUN) == left

    async def test_a_cache_in_memory_alone_is_refused(self, place: Place) -> None:
        login = await place.runtui("login", "--token-cache", "memory")
        assert login.code == 2
        assert 'token-cache is "memory"' in login.err


class TestInABrowser:
    async def test_the_landing_address_is_pasted(self, place: Place) -> None:
        async with place.started("login", "--method", "browser") as login:
            url = (await login.says("/authorize?")).strip()
            await login.says("Never send that address to anybody.")
            landing = place.authority.browse(url).url
            login.types("https://example.com/?code=1&state=2")
            assert "This is another address" in await login.says("Try again.")
            login.types("")
            login.types(landing)
            ended = await login.ends()
        assert ended.code == 0, ended.err
        assert fact(ended.out, "account") == DEMO_ADMIN.username
        assert fact((await place.runtui("whoami")).out, "account") == DEMO_ADMIN.username

    @pytest.mark.parametrize("stdin", [asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL])
    async def test_the_browser_comes_back_by_itself(self, place: Place, stdin: int) -> None:
        async with place.started("login", "--method", "browser", stdin=stdin) as login:
            url = (await login.says("/authorize?")).strip()
            if login.process.stdin is not None:
                login.process.stdin.close()
            async with httpx.AsyncClient(trust_env=False) as browser:
                page = await browser.get(place.authority.browse(url).url)
            assert page.status_code == 200
            assert (await login.ends()).code == 0

    @pytest.mark.parametrize(
        ("arguments", "environ", "opens"),
        [
            ((), {"DISPLAY": ":0"}, True),
            ((), {"DISPLAY": ":0", "SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}, False),
            ((), {}, False),
            (("--no-browser",), {"DISPLAY": ":0"}, False),
        ],
        ids=["local", "over ssh", "no display", "not wanted"],
    )
    async def test_a_browser_is_opened_only_in_a_local_session(
        self, place: Place, tmp_path: Path, arguments: tuple[str, ...], environ: dict[str, str], opens: bool
    ) -> None:
        opened, script = tmp_path / "opened", tmp_path / "browser.sh"
        script.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}.tmp && mv {opened}.tmp {opened}\n')
        script.chmod(0o700)
        place.variables = {"BROWSER": f"{script} %s", **environ}
        async with place.started("login", "--method", "interactive", *arguments) as login:
            url = (await login.says("/authorize?")).strip()
            await login.says("Never send that address to anybody.")
            login.types(place.authority.browse(url).url)
            assert (await login.ends()).code == 0
        assert opened.exists() is opens
        assert not opens or opened.read_text() == url


class TestAProgram:
    async def test_a_secret_is_tried_and_nothing_is_kept(self, place: Place) -> None:
        login = await place.runtui("login", "--profile", "nightly", RUNTUI_CLIENT_SECRET=canary.SECRET)
        assert login.code == 0, login.err
        assert fact(login.out, "tenant") == place.authority.directory.tenant_id
        assert "renewed automatically" in fact(login.out, "expires")
        assert "Nothing was kept" in login.err
        assert place.caches == []
        listed = await place.runtui("list", "--profile", "nightly", RUNTUI_CLIENT_SECRET=canary.SECRET)
        assert (listed.code, listed.err) == (0, "")
        whoami = await place.runtui("whoami", "--profile", "nightly")
        assert (whoami.code, fact(whoami.out, "account")) == (0, DAEMON_ID)
        assert fact(whoami.out, "expires") == "no token yet: requested when needed"
        assert (await place.runtui("logout", "--profile", "nightly")).out == "Nothing is kept on this machine.\n"

    @pytest.mark.parametrize(
        ("environ", "says"),
        [
            ({}, "RUNTUI_CLIENT_SECRET is not set."),
            ({"RUNTUI_CLIENT_SECRET": "another one"}, "The client secret is wrong."),
        ],
        ids=["none", "wrong"],
    )
    async def test_a_secret_that_does_not_work(self, place: Place, environ: dict[str, str], says: str) -> None:
        login = await place.runtui("login", "--profile", "nightly", **environ)
        assert (login.code, login.out) == (1, "")
        assert says in login.err

    async def test_a_managed_identity(self, place: Place) -> None:
        given = {"access_token": "opaque-token-of-azure", "expires_on": "4102444800", "resource": "r"}
        place.profile("azure", sign_in="managed-identity")
        async with RawServer([answer(json.dumps(given).encode())]) as azure:
            place.variables = {"IDENTITY_ENDPOINT": azure.root, "IDENTITY_HEADER": "header-of-azure"}
            login = await place.runtui("login", "--profile", "azure")
        assert login.code == 0, login.err
        assert fact(login.out, "account") == "managed identity"
        assert fact(login.out, "expires").startswith("2100-01-01 00:00 UTC")
        assert not re.search("of-azure", login.out + login.err)


class TestUsage:
    async def test_without_a_profile_it_says_what_is_missing(self, place: Place) -> None:
        login = await place.runtui("login", RUNTUI_CONFIG=os.devnull)
        assert (login.code, login.out) == (2, "")
        for words in ("--client-id", "tenant-id", "Allow public client flows", "http://localhost", "`runtui` shows"):
            assert words in login.err

    async def test_a_client_id_without_a_tenant_is_not_enough(self, place: Place) -> None:
        login = await place.runtui("login", "--client-id", "app", RUNTUI_CONFIG=os.devnull)
        assert login.code == 2
        assert "Signing in needs a tenant-id" in login.err

    async def test_a_token_by_hand_is_no_sign_in(self, place: Place, tmp_path: Path) -> None:
        place.profile("hand", sign_in="token")
        place.profile("file", sign_in="token", token_file=str(tmp_path / "token"))
        for profile, words in (("hand", "The token comes from RUNTUI_TOKEN"), ("file", "another program keeps fresh")):
            login = await place.runtui("login", "--profile", profile)
            assert login.code == 2
            assert words in login.err
        whoami = await place.runtui("whoami", "--profile", "hand", RUNTUI_TOKEN="opaque-token")
        assert (whoami.code, fact(whoami.out, "account")) == (0, "the token does not say")
        assert "opaque" not in whoami.out + whoami.err
        assert (await place.runtui("whoami", "--profile", "hand")).code == 1


class AtTheChange:
    """ASGI middleware that calls a function once, before the first change arrives."""

    def __init__(self, app: ASGIApp, what: Callable[[], object]) -> None:
        self._app, self._what = app, what

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "PATCH":
            what, self._what = self._what, lambda: None
            what()
        await self._app(scope, receive, send)


class TestACommand:
    @pytest.mark.parametrize(("event", "code"), [("challenge", 0), ("revoke", 1)])
    async def test_a_token_refused_at_the_change(self, place: Place, event: str, code: int) -> None:
        happens = partial(getattr(place.authority, event), DEMO_ADMIN)
        place.app.user_middleware.insert(0, Middleware(AtTheChange, what=happens))
        await place.signs_in()
        run = json.loads((await place.runtui("list", "--format", "jsonl")).out.splitlines()[0])["run"]["id"]
        update = await place.runtui("update", run, "--set", "failedTasksCount=3", "--yes", "--json")
        assert (update.code, len(place.app.state.applied)) == (code, 1 - code)
        assert json.loads(update.out)["outcome"] == ("not done" if code else "done")
        assert ("Sign in: runtui login --profile demo\n" in update.err) is bool(code)

    async def test_a_refused_token_is_renewed_without_a_word(self, place: Place) -> None:
        await place.signs_in()
        place.authority.challenge(DEMO_ADMIN)
        listed = await place.runtui("list", "--format", "jsonl")
        assert (listed.code, listed.err, listed.out.count("\n")) == (0, "", 30)
        assert place.authority.calls[-1].grant == "refresh_token"

    async def test_an_expired_sign_in_in_a_command_is_reported_without_waiting(self, place: Place) -> None:
        await place.signs_in()
        listed = await place.runtui("list", "--format", "jsonl")
        run = json.loads(listed.out.splitlines()[0])["run"]["id"]
        place.authority.revoke(DEMO_ADMIN)
        update = await place.runtui("update", run, "--set", "failedTasksCount=3", "--yes")
        assert (update.code, place.app.state.applied) == (1, [])
        assert "The run cannot be read. Your sign-in has expired. " in update.err
        assert "runtui login --profile demo" in update.err
        ended = await place.runtui("list")
        assert (ended.code, ended.out) == (1, "")
        assert "runtui login --profile demo" in ended.err
