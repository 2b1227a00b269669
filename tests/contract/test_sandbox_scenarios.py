"""Every scenario over a real socket: what the client gets, and which writes were really applied."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from runtui.domain.properties import EDITABLE, EXECUTION_TYPE, PROCESSING_STATUS
from runtui.errors import UsageError
from runtui.sandbox.app import create_app
from runtui.sandbox.scenarios import (
    BIG_BODY_BYTES,
    READ_SECONDS,
    SCENARIOS,
    SHORT_CODE_SECONDS,
    SLOW_SECONDS,
    summaries,
)
from runtui.sandbox.writes import AppliedWrite
from tests import PATIENCE, there
from tests.canary import TOKEN
from tests.contract.conftest import NEWER_MEMBERS, WORKFLOWS, Clock
from tests.contract.loopback import loopback
from tests.contract.msal_apps import poll, public_app, sign_in, silent
from tests.contract.scripted_authority import ScriptedAuthority

CHANGE = {"failedTasksCount": 41, "totalUsersCount": 42}
proved: set[str] = set()


def proves(*names: str) -> pytest.MarkDecorator:
    """Mark a test as the proof of these scenarios; it runs once for each."""
    proved.update(names)
    return pytest.mark.parametrize("scenario", names)


def test_every_scenario_has_a_proof_and_a_sentence() -> None:
    assert proved == {scenario.name for scenario in SCENARIOS}
    assert len(proved) == len(SCENARIOS), "each name once"
    assert [name for name, summary in summaries().items() if not summary.endswith(".")] == []


class Pauses:
    """Replaces the pauses of the slow scenarios: records each one, and ends it when a test says so."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[float] = asyncio.Queue()
        self.gate = asyncio.Semaphore(0)
        self.given_up = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.asked.put_nowait(seconds)
        try:
            await self.gate.acquire()
        except asyncio.CancelledError:
            self.given_up.set()
            raise


@dataclass
class Wire:
    """A sandbox behind a socket, and a client that has signed in."""

    app: Starlette
    client: httpx.AsyncClient
    pauses: Pauses
    run: dict[str, Any] = field(default_factory=dict)
    workflow_path: str = ""

    @property
    def run_path(self) -> str:
        """The path to read the run."""
        return f"{self.workflow_path}/runs/{self.run['id']}"

    @property
    def write_path(self) -> str:
        """The path to change the run."""
        return f"/workflowBase/runs/{self.run['id']}"

    @property
    def applied(self) -> list[AppliedWrite]:
        """The writes that the sandbox applied."""
        return list(self.app.state.applied)

    async def patch(self, headers: dict[str, str] | None = None) -> httpx.Response:
        """Send the change."""
        return await self.client.patch(self.write_path, json=CHANGE, headers=headers)

    async def read(self) -> dict[str, Any]:
        """Read the run without the socket, so that no scenario applies."""
        stored = there(self.app.state.database.run(self.run["id"]))
        return dict(stored)

    async def assert_applied(self, count: int = 1) -> None:
        """Assert that the log has that many complete writes, and that the run shows them."""
        assert [(write.run_id, write.body) for write in self.applied] == [(self.run["id"], CHANGE)] * count
        now = await self.read()
        assert (CHANGE.items() <= now.items()) is (count > 0)
        if not count:
            assert now == self.run


@asynccontextmanager
async def wired(scenario: str) -> AsyncIterator[Wire]:
    """Yield a sandbox that switches to the scenario after a completed run was found."""
    pauses = Pauses()
    app = create_app(clock=Clock(), pause=pauses)
    headers = {"Authorization": f"Bearer {TOKEN}", **NEWER_MEMBERS}
    async with (
        loopback(app) as root,
        httpx.AsyncClient(base_url=root, headers=headers, timeout=PATIENCE, trust_env=False) as client,
    ):
        wire = Wire(app, client, pauses)
        workflow = (await client.get(WORKFLOWS)).json()["value"][0]
        wire.workflow_path = f"{WORKFLOWS}/{workflow['id']}"
        listed = await client.get(f"{wire.workflow_path}/runs", params={"$filter": "processingStatus eq 'completed'"})
        wire.run = listed.json()["value"][0]
        app.state.scenario.use(scenario)
        yield wire
    app.state.database.close()


@pytest.fixture
async def wire(scenario: str) -> AsyncIterator[Wire]:
    async with wired(scenario) as wire:
        yield wire


def graph_error(answer: httpx.Response) -> dict[str, Any]:
    """Return the error of an answer that comes from Graph itself, with Graph's headers."""
    assert answer.headers["request-id"]
    assert answer.headers["client-request-id"]
    error: dict[str, Any] = answer.json()["error"]
    assert error["innerError"]["request-id"] == answer.headers["request-id"]
    return error


@proves("none")
async def test_without_a_fault_each_change_is_carried_out(wire: Wire) -> None:
    answer = await wire.patch({"client-request-id": "mine", "If-Match": 'W/"of another version"'})
    assert answer.status_code == 200, "If-Match means nothing to a service without entity tags"
    assert CHANGE.items() <= answer.json().items()
    assert "@odata.etag" not in answer.json()
    await wire.assert_applied()
    assert [write.client_request_id for write in wire.applied] == ["mine"]


RETRY_AFTER: dict[str, Callable[[httpx.Response], bool]] = {
    "429-seconds": lambda answer: answer.headers["retry-after"] == "2",
    "429-date": lambda answer: (
        parsedate_to_datetime(answer.headers["retry-after"]) > parsedate_to_datetime(answer.headers["date"])
    ),
    "429-absent": lambda answer: "retry-after" not in answer.headers,
    "429-absurd": lambda answer: int(answer.headers["retry-after"]) > 1_000_000,
    "503": lambda answer: "retry-after" not in answer.headers,
    "503-retry-after": lambda answer: answer.headers["retry-after"] == "2",
}


@proves(*RETRY_AFTER)
async def test_the_scenario_refuses_each_request_twice_then_lets_it_through(wire: Wire, scenario: str) -> None:
    for _ in range(2):
        refused = await wire.patch()
        assert refused.status_code == int(scenario[:3])
        error = graph_error(refused)
        assert error["code"] in {"TooManyRequests", "ServiceUnavailable"}
        assert error["innerError"].get("status") == ("429" if refused.status_code == 429 else None)
        assert RETRY_AFTER[scenario](refused)
        await wire.assert_applied(0)
    assert (await wire.patch()).status_code == 200
    await wire.assert_applied()
    for path in (wire.run_path, wire.workflow_path):
        reads = [await wire.client.get(path) for _ in range(3)]
        assert [answer.status_code for answer in reads] == [int(scenario[:3])] * 2 + [200], "each path has its count"


@proves(*RETRY_AFTER)
async def test_of_a_batch_the_scenario_refuses_the_items_and_never_the_batch(wire: Wire, scenario: str) -> None:
    batch = {"requests": [{"id": "1", "method": "GET", "url": wire.run_path}]}
    answers = [await wire.client.post("/$batch", json=batch) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    statuses = [answer.json()["responses"][0]["status"] for answer in answers]
    assert statuses == [int(scenario[:3])] * 2 + [200]


def is_web_page(answer: httpx.Response) -> bool:
    """Return whether an answer is a web page of a proxy."""
    headers = answer.headers
    return headers["content-type"].startswith("text/html") and "request-id" not in headers and "<title>" in answer.text


PLAIN_ANSWERS: dict[str, tuple[int, bool, Callable[[httpx.Response], object]]] = {
    "504": (504, True, is_web_page),
    "html-200": (200, False, is_web_page),
    "204": (204, True, lambda answer: (answer.content, answer.headers.get("content-type")) == (b"", None)),
    "202": (202, True, lambda answer: answer.content == b"" and answer.headers["request-id"]),
    "403": (403, False, lambda answer: graph_error(answer)["code"] == "Authorization_RequestDenied"),
}
"""The status of an answer, whether the change is applied all the same, and what is true of the answer."""


@proves(*PLAIN_ANSWERS)
async def test_a_change_gets_an_answer_that_need_not_tell_what_became_of_it(wire: Wire, scenario: str) -> None:
    status, is_applied, holds = PLAIN_ANSWERS[scenario]
    answer = await wire.patch()
    assert answer.status_code == status
    assert holds(answer)
    await wire.assert_applied(int(is_applied))
    assert (await wire.client.get(wire.run_path)).status_code == 200


@proves("slow-reads")
async def test_a_read_takes_its_time_and_those_of_a_batch_the_same_time(wire: Wire) -> None:
    reading = asyncio.create_task(wire.client.get(wire.run_path))
    assert await wire.pauses.asked.get() == READ_SECONDS
    wire.pauses.gate.release()
    assert (await reading).status_code == 200
    items = [{"id": str(number), "method": "GET", "url": wire.run_path} for number in range(3)]
    batch = asyncio.create_task(wire.client.post("/$batch", json={"requests": items}))
    async with asyncio.timeout(PATIENCE):
        for _ in items:
            await wire.pauses.asked.get()
    for _ in items:
        wire.pauses.gate.release()
    assert [item["status"] for item in (await batch).json()["responses"]] == [200] * 3
    assert (await wire.patch()).status_code == 200


@proves("slow")
async def test_a_slow_change_is_applied_late_even_when_nobody_waits_any_more(wire: Wire) -> None:
    sending = asyncio.create_task(wire.patch())
    assert await wire.pauses.asked.get() == SLOW_SECONDS
    await wire.assert_applied(0)
    wire.pauses.gate.release()
    assert (await sending).status_code == 200
    await wire.assert_applied()
    impatient = asyncio.create_task(wire.patch())
    await wire.pauses.asked.get()
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    wire.pauses.gate.release()
    async with asyncio.timeout(PATIENCE):
        while len(wire.applied) < 2:  # noqa: ASYNC110 - the log is a plain list
            await asyncio.sleep(0)
    await wire.assert_applied(2)


@proves("slow-drip")
async def test_an_answer_drips_until_the_client_is_gone(wire: Wire) -> None:
    async with wire.client.stream("PATCH", wire.write_path, json=CHANGE) as answer:
        assert answer.status_code == 200
        arriving = answer.aiter_raw(1)
        first = b""
        for _ in range(10):
            first += await anext(arriving)
            wire.pauses.gate.release()
        assert first == b'{"@odata.c'
        per_byte = await wire.pauses.asked.get()
        assert int(answer.headers["content-length"]) * per_byte > 60, "longer than any client waits"
        assert not wire.pauses.given_up.is_set()
    async with asyncio.timeout(PATIENCE):
        await wire.pauses.given_up.wait()
    await wire.assert_applied()
    assert (await wire.client.get(wire.run_path)).status_code == 200


@proves("reset-before", "reset-after")
async def test_a_connection_is_reset_without_a_byte_of_an_answer(wire: Wire, scenario: str) -> None:
    for count in (1, 2):
        with pytest.raises(httpx.ReadError):
            await wire.patch()
        await wire.assert_applied(count if scenario == "reset-after" else 0)
    assert (await wire.client.get(wire.run_path)).status_code == 200


@proves("half-body")
async def test_an_answer_breaks_off_in_the_middle(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with wire.client.stream("PATCH", wire.write_path, json=CHANGE) as answer:
            with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
                await answer.aread()
    assert answer.status_code == 200
    assert answer.num_bytes_downloaded == int(answer.headers["content-length"]) // 2
    await wire.assert_applied()
    assert [record.getMessage() for record in caplog.records if record.name.startswith("uvicorn")] == []


@proves("wrong-id")
async def test_an_answer_is_about_another_run(wire: Wire) -> None:
    answer = await wire.patch()
    assert answer.status_code == 200
    assert answer.json()["id"] != wire.run["id"]
    assert CHANGE.items() <= answer.json().items()
    await wire.assert_applied()


@proves("etag")
async def test_entity_tags_are_everywhere_and_honoured(wire: Wire) -> None:
    read = await wire.client.get(wire.run_path)
    old = read.json()["@odata.etag"]
    assert read.headers["etag"] == old
    listed = (await wire.client.get(f"{wire.workflow_path}/runs")).json()["value"]
    assert {run["id"]: run["@odata.etag"] for run in listed}[wire.run["id"]] == old
    changed = await wire.patch({"If-Match": old})
    assert changed.status_code == 200
    refused = await wire.patch({"If-Match": old})
    assert refused.status_code == 412
    assert graph_error(refused)["code"] == "PreconditionFailed"
    await wire.assert_applied()
    tags = [old, changed.json()["@odata.etag"]]
    for named in (tags[-1], f'"another", {old}, *', None):
        answer = await wire.patch({} if named is None else {"If-Match": named})
        assert answer.status_code == 200
        tags.append(answer.json()["@odata.etag"])
    assert len(set(tags)) == 5, "a write of the same values makes another version as well"
    await wire.assert_applied(4)


@proves("412")
async def test_someone_else_edits_between_the_read_and_the_write_once(wire: Wire) -> None:
    old = (await wire.client.get(wire.run_path)).json()
    refused = await wire.patch({"If-Match": old["@odata.etag"]})
    assert refused.status_code == 412
    assert wire.applied == []
    now = (await wire.client.get(wire.run_path)).json()
    assert (old["processingStatus"], now["processingStatus"]) == ("completed", "canceled")
    assert wire.app.state.edits == [(wire.run["id"], {"processingStatus": "canceled"})]
    assert (await wire.patch({"If-Match": now["@odata.etag"]})).status_code == 200
    await wire.assert_applied()


@proves("colleague")
async def test_a_colleague_edits_after_the_first_read_and_before_the_first_write(wire: Wire) -> None:
    statuses = [(await wire.client.get(wire.run_path)).json()["processingStatus"] for _ in range(3)]
    assert statuses == ["completed", "canceled", "canceled"]
    overwritten = await wire.patch()
    assert overwritten.json()["processingStatus"] == "failed", "edited once more, and nobody could know"
    assert (await wire.patch()).json()["processingStatus"] == "failed"
    await wire.assert_applied(2)
    assert [changes["processingStatus"] for _, changes in wire.app.state.edits] == ["canceled", "failed"]


@proves("401-once", "401-always")
async def test_a_revoked_token_is_challenged(wire: Wire, scenario: str) -> None:
    refused = await wire.patch()
    assert refused.status_code == 401
    assert graph_error(refused)["code"] == "InvalidAuthenticationToken"
    assert 'error="insufficient_claims", claims="' in refused.headers["www-authenticate"]
    await wire.assert_applied(0)
    assert (await wire.client.get(wire.run_path)).status_code == 200
    statuses = [(await wire.patch()).status_code for _ in range(3)]
    assert statuses == [401 if scenario == "401-always" else 200] * 3
    await wire.assert_applied(0 if scenario == "401-always" else 3)


@proves("403-results")
async def test_a_reader_of_runs_may_not_read_their_results(wire: Wire) -> None:
    for path in (f"{wire.run_path}/taskProcessingResults", f"{wire.workflow_path}/userProcessingResults"):
        refused = await wire.client.get(path)
        assert refused.status_code == 403
        assert graph_error(refused)["code"] == "Authorization_RequestDenied"
    batch = {"requests": [{"id": "1", "method": "GET", "url": f"{wire.run_path}/taskProcessingResults"}]}
    (item,) = (await wire.client.post("/$batch", json=batch)).json()["responses"]
    assert item["status"] == 403
    assert (await wire.client.get(wire.run_path)).status_code == 200


@proves("segment")
async def test_the_published_service_has_no_such_path(wire: Wire) -> None:
    refused = await wire.patch()
    assert refused.status_code == 400
    error = graph_error(refused)
    assert (error["code"], error["message"]) == ("BadRequest", "Resource not found for the segment 'workflowBase'.")
    below_workflow = await wire.client.patch(wire.run_path, json=CHANGE)
    assert below_workflow.status_code == 405
    await wire.assert_applied(0)


@proves("unknown-enum")
async def test_some_runs_carry_members_that_runtui_does_not_know(wire: Wire) -> None:
    listed = (await wire.client.get(f"{wire.workflow_path}/runs")).json()["value"]
    strange = [run for run in listed if not PROCESSING_STATUS.is_known(run["processingStatus"])]
    assert 1 < len(strange) < len(listed)
    assert not any(EXECUTION_TYPE.is_known(run["workflowExecutionType"]) for run in strange)
    wire.run = strange[0]
    names = ("processingStatus", "workflowExecutionType")
    sent = {**CHANGE, **{name: wire.run[name] for name in names}}
    answer = await wire.client.patch(wire.write_path, json=sent)
    assert answer.status_code == 200, "it goes back as it came"
    assert [write.body for write in wire.applied] == [sent]
    later = (await wire.client.get(WORKFLOWS, params={"$filter": "displayName eq 'Mover: new manager'"})).json()
    runs = (await wire.client.get(f"{WORKFLOWS}/{later['value'][0]['id']}/runs")).json()["value"]
    (new,) = (run for run in runs if "changeTicket" in run)
    assert new["pauseDetails"]["policyName"] == "Change freeze, quarter end"
    assert 120 <= len(new["id"]) <= 140
    unaware = (await wire.client.get(wire.run_path, headers={"Prefer": ""})).json()
    assert [unaware[name] for name in names] == ["unknownFutureValue"] * 2


@proves("big-body")
async def test_an_answer_is_big_and_still_the_run(wire: Wire) -> None:
    answer = await wire.patch()
    assert BIG_BODY_BYTES < len(answer.content) < 2 * BIG_BODY_BYTES
    assert {**CHANGE, "id": wire.run["id"]}.items() <= answer.json().items()
    await wire.assert_applied()


@proves("ignored")
async def test_one_property_is_left_unchanged(wire: Wire) -> None:
    body = {"processingStatus": wire.run["processingStatus"], **CHANGE}
    answer = await wire.client.patch(wire.write_path, json=body)
    assert answer.status_code == 200
    after = answer.json()
    assert after["failedTasksCount"] == wire.run["failedTasksCount"] != CHANGE["failedTasksCount"]
    assert after["totalUsersCount"] == CHANGE["totalUsersCount"]
    honoured = {name: value for name, value in body.items() if name != "failedTasksCount"}
    assert [write.body for write in wire.applied] == [honoured], "the log tells what was applied, not what was sent"
    refused = await wire.client.patch(wire.write_path, json={"failedTasksCount": -1})
    assert refused.status_code == 400
    assert len(wire.applied) == 1


@proves("required")
async def test_a_change_without_every_required_property_is_refused(wire: Wire) -> None:
    error = graph_error(await wire.patch())
    assert error["target"] == "processingStatus"
    await wire.assert_applied(0)
    whole = {item.name: wire.run[item.name] for item in EDITABLE if item.required} | CHANGE
    assert (await wire.client.patch(wire.write_path, json=whole)).status_code == 200
    assert [write.body for write in wire.applied] == [whole]


@proves("echo")
async def test_the_token_comes_back(wire: Wire) -> None:
    refused = await wire.patch()
    assert refused.status_code == 400
    assert TOKEN in graph_error(refused)["message"]
    assert TOKEN in refused.headers["x-ms-request-authorization"]
    await wire.assert_applied(0)
    read = await wire.client.get(wire.run_path)
    assert read.json()["note"] == f"Read with {TOKEN}."
    assert TOKEN not in read.text, "it is escaped"


def code_ends(authority: ScriptedAuthority, polls: int) -> str:
    """Poll at most `polls` times for a code that nobody enters; return the last error, or "token"."""
    app, pauses = public_app(authority), 0
    flow = app.initiate_device_flow(["https://graph.fake.test/.default"])
    answer: dict[str, Any] = {"error": "authorization_pending"}
    while pauses < polls and answer.get("error") == "authorization_pending":
        answer, pauses = poll(app, flow), pauses + 1
    return "token" if "access_token" in answer else str(answer["error"])


@proves("sign-in-refused")
def test_a_code_is_refused_and_after_the_switch_approved(scenario: str) -> None:
    authority = ScriptedAuthority()
    app = create_app(runs=1, authority=authority, scenario=scenario)
    assert code_ends(authority, 9) == "authorization_declined"
    app.state.scenario.use("none")
    assert code_ends(authority, 9) == "token"
    app.state.database.close()


@proves("sign-in-expired")
def test_a_code_runs_out(scenario: str) -> None:
    clock = Clock()
    authority = ScriptedAuthority(clock)
    app = create_app(runs=1, authority=authority, scenario=scenario)
    assert code_ends(authority, 9) == "authorization_pending"
    msal_app = public_app(authority)
    flow = msal_app.initiate_device_flow(["https://graph.fake.test/.default"])
    assert flow["expires_in"] == SHORT_CODE_SECONDS
    clock.advance(SHORT_CODE_SECONDS)
    assert poll(msal_app, flow)["error"] == "expired_token"
    app.state.database.close()


@proves("sign-in-revoked")
async def test_the_first_change_finds_the_sign_in_revoked(scenario: str) -> None:
    authority = ScriptedAuthority()
    app = create_app(authority=authority, scenario=scenario)
    client = public_app(authority)
    token = sign_in(authority, client)["access_token"]
    async with (
        loopback(app) as root,
        httpx.AsyncClient(base_url=root, headers={"Authorization": f"Bearer {token}"}, trust_env=False) as line,
    ):
        workflow = (await line.get(WORKFLOWS)).json()["value"][0]
        run = (await line.get(f"{WORKFLOWS}/{workflow['id']}/runs")).json()["value"][0]
        refused = await line.patch(f"/workflowBase/runs/{run['id']}", json=CHANGE)
        assert refused.status_code == 401
        assert 'error="insufficient_claims"' in refused.headers["WWW-Authenticate"]
        assert silent(client, force_refresh=True)["error"] == "invalid_grant"
        again = sign_in(authority, public_app(authority))["access_token"]
        headers = {"Authorization": f"Bearer {again}"}
        assert (await line.patch(f"/workflowBase/runs/{run['id']}", json=CHANGE, headers=headers)).status_code == 200
    assert len(app.state.applied) == 1
    app.state.database.close()


@pytest.mark.parametrize("scenario", ["sign-in-refused", "sign-in-expired", "sign-in-revoked"])
async def test_without_a_sign_in_its_scenarios_are_refused(scenario: str) -> None:
    async with wired("slow") as wire:
        with pytest.raises(UsageError, match="runtui demo --sign-in"):
            wire.app.state.scenario.use(scenario)
        assert wire.app.state.scenario.current.name == "slow"


async def test_a_switch_of_scenario_takes_effect_at_once_and_resets_the_counts() -> None:
    async with wired("401-once") as wire:
        scenario = wire.app.state.scenario
        assert [(await wire.patch()).status_code for _ in range(2)] == [401, 200]
        scenario.use("401-once")
        assert [(await wire.patch()).status_code for _ in range(2)] == [401, 200]
        with pytest.raises(UsageError):
            scenario.use("402")
        assert scenario.current.name == "401-once", "it stays as it was"
        scenario.use("none")
        assert (await wire.patch()).status_code == 200
        await wire.assert_applied(3)


async def test_a_batch_meets_the_same_scenario_item_by_item() -> None:
    async with wired("504") as wire:
        item = {"method": "PATCH", "url": wire.write_path, "headers": {"Content-Type": "application/json"}}
        batch = {"requests": [{**item, "id": "1", "body": CHANGE}]}
        answers = (await wire.client.post("/$batch", json=batch)).json()["responses"]
        assert [(answer["id"], answer["status"]) for answer in answers] == [("1", 504)]
        await wire.assert_applied(1)
        wire.app.state.scenario.use("reset-after")
        with pytest.raises(httpx.ReadError):
            await wire.client.post("/$batch", json=batch)
        await wire.assert_applied(2)


@pytest.mark.parametrize(
    ("scenario", "broken"), [("reset-after", ConnectionResetError), ("half-body", ConnectionAbortedError)]
)
async def test_without_a_socket_a_broken_connection_is_raised(scenario: str, broken: type[Exception]) -> None:
    async with wired(scenario) as wire:
        line = httpx.ASGITransport(wire.app)
        async with httpx.AsyncClient(transport=line, base_url="http://127.0.0.1/beta") as client:
            with pytest.raises(broken):
                await client.patch(wire.write_path, json=CHANGE, headers={"Authorization": "Bearer any"})
        await wire.assert_applied()
