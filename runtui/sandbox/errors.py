"""Graph's errors: an exception with status, code and message, and the body that Graph makes of it.

Invariant: every response outside 2xx has this one shape (Microsoft Graph, "Error responses and resource types"); its
`date` has no zone and no fraction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any


class GraphError(Exception):
    """An error response. `target` and `details` name the properties it is about, where there are any."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        target: str | None = None,
        details: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.target = target
        self.details = details
        self.headers = dict(headers or {})

    def body(self, request_id: str, client_request_id: str) -> dict[str, Any]:
        """The JSON of the response."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.target is not None:
            error["target"] = self.target
        if self.details:
            error["details"] = list(self.details)
        error["innerError"] = {
            "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
            "request-id": request_id,
            "client-request-id": client_request_id,
        }
        return {"error": error}


def bad_request(message: str, *, target: str | None = None) -> GraphError:
    """400 for a query or a body that is malformed."""
    return GraphError(400, "BadRequest", message, target=target)


def unknown_segment(segment: str) -> GraphError:
    """400 for a path that the service does not have."""
    return bad_request(f"Resource not found for the segment '{segment}'.")


def not_found(type_name: str, key: str) -> GraphError:
    """404 for a known path with an unknown id."""
    return GraphError(404, "Resource not found", f"There is no {type_name} with the id '{key}'.")


def method_not_allowed(headers: Mapping[str, str] | None = None) -> GraphError:
    """405 for a known path with the wrong method."""
    message = "Specified HTTP method is not allowed for the request target."
    return GraphError(405, "Request_BadRequest", message, headers=headers)


def unauthenticated() -> GraphError:
    """401 for a request without a bearer token."""
    challenge = (
        'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", '
        'client_id="00000003-0000-0000-c000-000000000000"'
    )
    return GraphError(
        401, "InvalidAuthenticationToken", "Access token is empty.", headers={"WWW-Authenticate": challenge}
    )


def changed_since_read() -> GraphError:
    """412 for a write of an older version than the stored one."""
    message = "The resource has changed since it was read: If-Match names another version of it."
    return GraphError(412, "PreconditionFailed", message)


def unknown_property(name: str, type_name: str) -> GraphError:
    """400 for a property that the entity type does not declare."""
    return bad_request(f"Could not find a property named '{name}' on type '{type_name}'.", target=name)


def internal_error() -> GraphError:
    """500 for a defect of the sandbox itself."""
    return GraphError(500, "InternalServerError", "The sandbox has a defect; see its standard error.")
