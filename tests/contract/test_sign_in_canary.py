"""The secrets of a sign-in are in the token cache and nowhere else: in no output, no log, no other file."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import stat
import sys
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msal
import pytest
from starlette.responses import Response

from runtui.auth.errors import SignInError
from runtui.auth.token_store import load_msal
from runtui.sandbox.authority.directory import DEMO_ADMIN, DEMO_APPLICATION
from tests import canary
from tests.contract.msal_apps import DAEMON_ID, MACHINE, SCOPES, machine_token, pair, poll
from tests.contract.scripted_authority import MemoryHttp, ScriptedAuthority
from tests.contract.sign_in_place import Place, Ran, sign_in_place
from tests.contract.signing_in import by_device_code, cache_files, signing_in

KINDS: Final = ("device_code", "refresh_token", "access_token", "id_token", "client_secret", "client_assertion")


class Artefacts:
    """The secrets that runtui and the authority exchanged, by kind."""

    def __init__(self, authority: ScriptedAuthority, monkeypatch: pytest.MonkeyPatch) -> None:
        self.found: defaultdict[str, set[str]] = defaultdict(set)
        handle = authority.handle

        def overhear(method: str, path: str, headers: Mapping[str, str], form: Mapping[str, str]) -> Response:
            answer = handle(method, path, headers, form)
            said: Any = json.loads(bytes(answer.body))
            for source in (form, said):
                for kind in KINDS:
                    if kind in source:
                        self.found[kind].add(source[kind])
            return answer

        monkeypatch.setattr(authority, "handle", overhear)

    def in_data(self, data: bytes) -> set[str]:
        """Return the kinds of secrets that data contains, plain or encoded for a URL, JSON or base64."""
        return {kind for kind, values in self.found.items() for value in values if _holds(data, value)}


def _holds(data: bytes, value: str) -> bool:
    forms = (value, quote(value, safe=""), value.replace("/", "\\/"), b64encode(value.encode()).decode())
    # Half of a token is a leak as well.
    return any(form.encode() in data for form in (*forms, value[: len(value) // 2], value[len(value) // 2 :]))


class Loud:
    """Runs commands with everything logged, and searches everything that they leave."""

    def __init__(self, place: Place, artefacts: Artefacts) -> None:
        self.place = place
        self.artefacts = artefacts

    async def __call__(self, *arguments: str, code: int = 0) -> Ran:
        ran = await self._run(*arguments)
        self.look(arguments, ran)
        if arguments != ("crash",):
            assert ran.code == code, ran.err
        return ran

    async def together(self, *commands: Sequence[str]) -> list[Ran]:
        """Run independent commands at the same time, which is faster."""
        every = await asyncio.gather(*(self._run(*arguments) for arguments in commands))
        for arguments, ran in zip(commands, every, strict=True):
            self.look(arguments, ran)
            assert ran.code == 0, ran.err
        return every

    async def in_turn(self, *commands: Sequence[str]) -> list[str]:
        """Run commands one after the other in one process, which is faster still. Return the output of each."""
        words = [word for command in commands for word in (*command, "+")]
        *outputs, rest = (await self(*words)).out.split("\f\n")
        assert (len(outputs), rest) == (len(commands), "")
        return outputs

    async def _run(self, *arguments: str) -> Ran:
        command = (sys.executable, "-m", "tests.contract.loud_runtui", *arguments)
        async with self.place.process(*command, RUNTUI_CLIENT_SECRET=canary.SECRET) as process:
            out, err = await process.communicate()
        return Ran(process.returncode or 0, out.decode(), err.decode())

    def look(self, arguments: Sequence[str], ran: Ran) -> None:
        assert self.artefacts.in_data((ran.out + ran.err).encode()) == set(), arguments
        for path in self.place.state.rglob("*"):
            if path.is_file() and path not in self.place.caches:
                assert self.artefacts.in_data(path.read_bytes()) == set(), (arguments, path.name)


async def test_secrets_of_a_sign_in_are_found_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate = pair()
    pem, assertion = tmp_path / "app.pem", tmp_path / "assertion"
    pem.write_bytes(key + certificate)
    assertion.write_text(machine_token())
    async with sign_in_place(tmp_path, scenario="echo", certificates=(certificate,), federated=(MACHINE,)) as place:
        place.profile("pem", client_id=DAEMON_ID, sign_in="certificate", certificate=str(pem))
        place.profile("ci", client_id=DAEMON_ID, sign_in="federated", federated_token_file=str(assertion))
        artefacts = Artefacts(place.authority, monkeypatch)
        loud = Loud(place, artefacts)
        place.authority.auto_approve(DEMO_ADMIN, polls=2)
        assert "DEBUG asyncio" in (await loud("login")).err, "everything is logged"
        listed = await loud("list", "--format", "jsonl")
        run = json.loads(listed.out.splitlines()[0])["run"]["id"]
        assert "Read with [redacted]." in listed.out, "each run has the token in it, escaped"
        update = await loud("update", run, "--set", "failedTasksCount=3", "--yes", "--json", code=1)
        assert "It said: Authorization: Bearer [redacted]" in json.loads(update.out)["message"], "the echo came"
        place.authority.challenge(DEMO_ADMIN)
        await loud("list")
        assert place.authority.calls[-1].grant == "refresh_token"
        await loud.together(*(("login", "--profile", program) for program in ("nightly", "pem", "ci")))
        crashed = await loud("crash")
        (report,) = place.state.glob("crash-*.txt")
        assert str(report) in crashed.err
        assert "Illegal header value b'Bearer [redacted]'" in report.read_text()
        forms = [("journal", "--format", form) for form in ("table", "json", "jsonl", "csv", "md")]
        for told in await loud.in_turn(*forms, ("journal", "1")):
            assert run in told
        await loud.in_turn(("whoami",), ("whoami", "--json"), ("config", "show"), ("profiles",), ("doctor", "--json"))
        (cache,) = place.caches
        assert stat.S_IMODE(cache.stat().st_mode) == 0o600
        assert artefacts.in_data(cache.read_bytes()) >= {"refresh_token", "access_token", "id_token"}
        assert not artefacts.in_data(cache.read_bytes()) & {"device_code", "client_secret", "client_assertion"}
        assert set(artefacts.found) == set(KINDS), "all of it was there to be found"
        await loud("logout")
        assert place.caches == []


TOKEN: Final = "never-to-be-logged-0123456789"
MALFORMED: Final = {
    "cut": f'{{"token_type": "Bearer", "access_token": "{TOKEN}", "refresh_token": "{TOKEN}',
    "not an object": f'["{TOKEN}"]',
    "no id token": json.dumps({"access_token": TOKEN, "id_token": f"{TOKEN}.{TOKEN}.{TOKEN}", "expires_in": 3600}),
    "no number": json.dumps({"access_token": TOKEN, "refresh_token": TOKEN, "expires_in": TOKEN}),
    "no account": json.dumps({"access_token": TOKEN, "client_info": TOKEN, "expires_in": 3600}),
    "no text": json.dumps({"access_token": {"is": TOKEN}, "refresh_token": [TOKEN]}),
}


def but_the_cache(folder: Path) -> str:
    """Return the content of all files of a state folder except the token cache."""
    return "".join(path.read_text() for path in folder.iterdir() if path not in cache_files(folder))


@pytest.fixture
def heard() -> Iterator[StringIO]:
    """The records of a program that logs everything. pytest's own handler also gets records that do not propagate."""
    stream, root = StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(stream), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    logging.getLogger("msal").propagate = True
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_success_is_logged_nowhere(
    body: str, tmp_path: Path, heard: StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    authority = ScriptedAuthority()
    authority.next_answer(Response(body.encode(), 200, {"Content-Type": "application/json"}))
    async with signing_in(authority, tmp_path) as sign_in:
        said = ""
        try:
            await by_device_code(sign_in, authority)
        except SignInError as error:
            said = f"{error} {error.__cause__!r} {error.reference!r}"
    assert TOKEN not in said + heard.getvalue() + "".join(capfd.readouterr())
    assert TOKEN not in but_the_cache(tmp_path)


def test_log_records_of_msal_itself_are_discarded(heard: StringIO, capfd: pytest.CaptureFixture[str]) -> None:
    authority = ScriptedAuthority()
    load_msal()
    app = msal.PublicClientApplication(
        DEMO_APPLICATION.client_id,
        authority=authority.url(),
        instance_discovery=False,
        http_client=MemoryHttp(authority),
    )
    flow = app.initiate_device_flow(SCOPES)
    authority.next_answer(Response(MALFORMED["cut"].encode(), 200, {}))
    with pytest.raises(ValueError, match="Unterminated"):
        poll(app, flow)
    shown = heard.getvalue() + "".join(capfd.readouterr())
    assert not re.search(rf"{TOKEN}|{re.escape(flow['device_code'])}", shown)
