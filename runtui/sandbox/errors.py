"""Graph's errors: an exception with status, code and message, and the JSON body of the response.

Invariant: every response outside 2xx has this one shape (Microsoft Graph, "Error responses and resource types"); its
`date` has no zone and no fraction.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Final

from runtui.domain.times import format_ticks

_ENTRA: Final = "https://login.microsoftonline.com"


@dataclass(eq=False)
class GraphError(Exception):
    """An error response. `target` and `details` name the properties that caused it, if any."""

    status: int
    code: str
    message: str
    _: KW_ONLY
    target: str | None = None
    details: Sequence[Mapping[str, str]] = ()
    headers: Mapping[str, str] | None = None

    def body(self, request_id: str, client_request_id: str, now: int) -> dict[str, Any]:
        """Return the JSON of the response; `now` is in ticks."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.target is not None:
            error["target"] = self.target
        if self.details:
            error["details"] = list(self.details)
        # A throttled request has its status here, and as a code ("Microsoft Graph throttling guidance").
        throttled = {"code": "429", "status": "429"} if self.status == 429 else {}
        ids = {"request-id": request_id, "client-request-id": client_request_id}
        error["innerError"] = {**throttled, "date": format_ticks(now)[:19], **ids}
        return {"error": error}


def bad_request(message: str, *, target: str | None = None) -> GraphError:
    return GraphError(400, "BadRequest", message, target=target)


def not_found(entity: str, key: str) -> GraphError:
    return GraphError(404, "Resource not found", f"There is no {entity} with the id '{key}'.")


def unknown_segment(segment: str) -> GraphError:
    return bad_request(f"Resource not found for the segment '{segment}'.")


def method_not_allowed(headers: Mapping[str, str] | None = None) -> GraphError:
    message = "Specified HTTP method is not allowed for the request target."
    return GraphError(405, "Request_BadRequest", message, headers=headers)


def unauthenticated(
    message: str = "Access token is empty.", *, authority: str = _ENTRA, claims: str = ""
) -> GraphError:
    """Return a 401 whose challenge says where to sign in, and the `claims` (JSON) that the next token request needs."""
    challenge = (
        f'Bearer realm="", authorization_uri="{authority}/common/oauth2/authorize", '
        'client_id="00000003-0000-0000-c000-000000000000"'
    )
    if claims:
        challenge += f', error="insufficient_claims", claims="{b64encode(claims.encode()).decode()}"'
    return GraphError(401, "InvalidAuthenticationToken", message, headers={"WWW-Authenticate": challenge})


def token_revoked(claims: str, *, authority: str = _ENTRA) -> GraphError:
    """Return the 401 of continuous access evaluation."""
    return unauthenticated(
        "Continuous access evaluation resulted in challenge with result: InteractionRequired and code: "
        "TokenIssuedBeforeRevocationTimestamp",
        authority=authority,
        claims=claims,
    )


def unknown_property(name: str, type_name: str) -> GraphError:
    return bad_request(f"Could not find a property named '{name}' on type '{type_name}'.", target=name)
