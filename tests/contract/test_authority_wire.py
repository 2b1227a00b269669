"""The authority's tokens at the sandbox's Graph."""

from __future__ import annotations

import base64
import json

import httpx
import pytest
from starlette.applications import Starlette

from runtui.sandbox.authority.directory import DEMO_ADMIN, DEMO_READER, User
from runtui.sandbox.authority.tokens import to_base64url
from runtui.sandbox.writes import ACTIONS as BOUND_ACTIONS
from tests.contract.conftest import WORKFLOWS, Clock, Sandbox, action_path
from tests.contract.msal_apps import challenge_in, claims_of, public_app, refusal, sign_in
from tests.contract.scripted_authority import ScriptedAuthority

ACTIONS = {action.name: action_path(action).replace("{key}", "none") for action in BOUND_ACTIONS}


@pytest.fixture
def authority(clock: Clock) -> ScriptedAuthority:
    return ScriptedAuthority(clock)


class TestGraph:
    """The sandbox's Graph answers a request according to its token."""

    @pytest.fixture
    def graph(self, sandbox_app: Starlette, sandbox: Sandbox, authority: ScriptedAuthority) -> httpx.AsyncClient:
        sandbox_app.state.authority = authority
        return sandbox.client

    def signed_in(self, authority: ScriptedAuthority, account: User) -> dict[str, str]:
        return {"Authorization": f"Bearer {sign_in(authority, public_app(authority), account)['access_token']}"}

    async def test_a_reader_reads_and_an_administrator_writes(
        self, graph: httpx.AsyncClient, authority: ScriptedAuthority
    ) -> None:
        for account, allowed in ((DEMO_READER, False), (DEMO_ADMIN, True)):
            headers = self.signed_in(authority, account)
            assert (await graph.get(WORKFLOWS, headers=headers)).status_code == 200
            # There is no such run; only a caller with write permission is told so.
            path, body = "/workflowBase/runs/none", {"processingStatus": "canceled"}
            refused = await graph.patch(path, json=body, headers=headers)
            assert (refused.status_code == 403) is not allowed
            action = await graph.post(f"{WORKFLOWS}/none/clearQuarantine", headers=headers)
            assert (action.status_code == 403) is not allowed
            if not allowed:
                assert refused.json()["error"]["code"] == "Authorization_RequestDenied"
            items = [
                {"id": "read", "method": "GET", "url": WORKFLOWS},
                {
                    "id": "write",
                    "method": "PATCH",
                    "url": path,
                    "body": body,
                    "headers": {"Content-Type": "application/json"},
                },
            ]
            batch = await graph.post("/$batch", json={"requests": items}, headers=headers)
            statuses = {answer["id"]: answer["status"] for answer in batch.json()["responses"]}
            assert (statuses["read"], statuses["write"] == 403) == (200, not allowed)

    async def test_an_unknown_path_is_refused_before_a_missing_permission_and_after_a_missing_token(
        self, graph: httpx.AsyncClient, authority: ScriptedAuthority
    ) -> None:
        headers = self.signed_in(authority, DEMO_READER)
        statuses = [
            (await graph.post("/nowhere", headers=sent)).status_code for sent in (headers, {"Authorization": ""})
        ]
        assert statuses == [400, 401]

    async def test_an_action_needs_no_more_than_its_own_permission(
        self, graph: httpx.AsyncClient, authority: ScriptedAuthority
    ) -> None:
        refused = {
            "LifecycleWorkflows-Workflow.Activate": {*ACTIONS} - {"activate", "activateWithScope"},
            "LifecycleWorkflows-Workflow.ReadWrite.All": {"resume"},
            "LifecycleWorkflows.ReadWrite.All": set(),
        }
        for permission, expected in refused.items():
            account = User("ann.operator@contoso.example", "Ann Operator", frozenset({permission}))
            headers = self.signed_in(authority, account)
            found = set()
            for name, path in ACTIONS.items():
                answer = await graph.post(path, headers=headers)
                found |= {name} if answer.status_code == 403 else set()
                assert answer.status_code in {403, 404}
            assert found == expected

    async def test_a_challenge_reaches_the_client(self, graph: httpx.AsyncClient, authority: ScriptedAuthority) -> None:
        headers = self.signed_in(authority, DEMO_ADMIN)
        wanted = authority.challenge(DEMO_ADMIN)
        answer = await graph.get(WORKFLOWS, headers=headers)
        assert answer.status_code == 401
        assert base64.b64encode(wanted.encode()).decode() in answer.headers["www-authenticate"]
        assert answer.json()["error"]["code"] == "InvalidAuthenticationToken"
        assert answer.json()["error"]["innerError"]["request-id"] == answer.headers["request-id"]

    def test_tokens_of_nobody(self, authority: ScriptedAuthority) -> None:
        result = sign_in(authority, public_app(authority))
        head, body, signature = result["access_token"].split(".")
        forged = to_base64url(json.dumps(claims_of(result["access_token"]) | {"upn": "evil@contoso.example"}).encode())
        for token in (
            "any",
            "",
            f"{head}.{forged}.{signature}",
            f"{head}.{body}.",
            f"{head}.{body}.é",
            result["id_token"],
            _foreign(),
        ):
            fault = refusal(authority.verify(token))
            assert (fault.status, challenge_in(fault)) == (401, "")


def _foreign() -> str:
    """Return a token of another authority."""
    other = ScriptedAuthority()
    token: str = sign_in(other, public_app(other))["access_token"]
    return token
