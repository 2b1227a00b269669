"""MSAL unmodified, on the sandbox's sign-in authority in memory, and what its tokens say."""

from __future__ import annotations

import base64
import json
from functools import cache
from typing import Any, Final

import msal
import trustme

from runtui.sandbox.authority.directory import DEMO_ADMIN, DEMO_APPLICATION, READ_ALL, WRITE_ALL
from runtui.sandbox.authority.tokens import to_base64url
from runtui.sandbox.errors import GraphError
from tests.contract.entra_programs import ConfidentialApplication, FederatedCredential
from tests.contract.scripted_authority import MemoryHttp, ScriptedAuthority

SCOPES: Final = ["https://graph.fake.test/.default"]
DAEMON_ID: Final = "6f0c2d9e-1b7a-4c55-9d21-0a51c0ffee00"
DAEMON: Final = ConfidentialApplication(
    client_id=DAEMON_ID, name="nightly", permissions=frozenset({READ_ALL, WRITE_ALL})
)
MACHINE: Final = FederatedCredential("https://ci.fake.test", "repo:contoso/runs")


def public_app(authority: ScriptedAuthority, *, capable: bool = True) -> Any:
    """Return an unmodified MSAL app, except for its HTTP client. MSAL caches refusals for a minute, so a retry needs
    another app."""
    return msal.PublicClientApplication(
        DEMO_APPLICATION.client_id,
        authority=authority.url(),
        instance_discovery=False,
        http_client=MemoryHttp(authority),
        client_capabilities=["CP1"] if capable else None,
    )


def poll(app: Any, flow: Any) -> Any:
    """Poll once, with a copy of the flow: MSAL stores the time in it, and warns if the next poll comes too soon."""
    return app.acquire_token_by_device_flow(dict(flow), exit_condition=lambda _flow: True)


def sign_in(authority: ScriptedAuthority, app: Any, account: Any = DEMO_ADMIN) -> Any:
    flow = app.initiate_device_flow(SCOPES)
    authority.approve(flow["user_code"], account)
    return poll(app, flow)


def silent(app: Any, **options: Any) -> Any:
    (account,) = app.get_accounts()
    return app.acquire_token_silent_with_error(SCOPES, account, **options)


def claims_of(token: str) -> Any:
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def refusal(verdict: GraphError | None) -> GraphError:
    assert isinstance(verdict, GraphError)
    return verdict


def challenge_in(fault: GraphError) -> str:
    """Return the claims that a 401 asks for, as JSON; empty without a challenge."""
    assert fault.headers is not None
    _, found, rest = fault.headers["WWW-Authenticate"].partition('error="insufficient_claims", claims="')
    return base64.b64decode(rest.partition('"')[0]).decode() if found else ""


@cache
def pair(kind: trustme.KeyType = trustme.KeyType.RSA) -> tuple[bytes, bytes]:
    """Return a key of a kind and its certificate, both PEM."""
    issued = trustme.CA(key_type=trustme.KeyType.RSA).issue_cert("ci.fake.test", key_type=kind)
    return issued.private_key_pem.bytes(), issued.cert_chain_pems[0].bytes()


def machine_token(**change: Any) -> str:
    """Return a token that a build machine gets from its own issuer; nobody verifies its signature."""
    claims = {"iss": MACHINE.issuer, "sub": MACHINE.subject, "aud": MACHINE.audience, "exp": 2**40, **change}
    return ".".join(to_base64url(json.dumps(part).encode()) for part in ({"alg": "RS256"}, claims, "signed"))
