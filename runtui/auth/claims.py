"""The claims in an access token, and the claims that a server requests.

Invariant: claims are not verified, so they serve only for labels and hints, never for a permission. No token and no
header makes a function raise.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

READ_PERMISSION: Final = "LifecycleWorkflows.Read.All"
WRITE_PERMISSION: Final = "LifecycleWorkflows.ReadWrite.All"

_ACCOUNT_CLAIMS: Final = ("upn", "preferred_username", "unique_name", "app_displayname", "appid")
"""The claims that name the account in Microsoft's access tokens: people first, then programs."""

_LONGEST_LABEL: Final = 256
"""The most characters of a name that are kept."""

_LONGEST_CHALLENGE: Final = 16_384
"""The most characters of a challenge that are read."""


class Claims(NamedTuple):
    """The claims of a token. Texts are printable. Empty and None stand for a missing claim."""

    account: str = ""
    """A label for the journal, never a proof."""
    tenant_id: str = ""
    expires_at: datetime | None = None
    permissions: frozenset[str] | None = None
    """The delegated scopes and app roles, as short names."""


def read_claims(token: str) -> Claims:
    """Return the claims of a JWT; none of them if it is opaque or malformed."""
    claims = _payload(token)
    names = (claims.get(claim) for claim in _ACCOUNT_CLAIMS)
    return Claims(
        account=next((label for name in names if (label := _label(name))), ""),
        tenant_id=_label(claims.get("tid")),
        expires_at=_date_time(claims.get("exp")),
        permissions=_permissions(claims),
    )


def wanted_claims(challenge: str) -> str:
    """Return the claims (JSON) that a `WWW-Authenticate` requests for the next token; empty if there are none.

    `challenge` may hold several schemes and challenges, as servers send them.
    """
    challenge = challenge[:_LONGEST_CHALLENGE]
    found = re.search(r'(?i)\bclaims\s*=\s*"([A-Za-z0-9+/_=-]*)"', challenge)
    if found is None or not re.search(r'(?i)\berror\s*=\s*"?insufficient_claims\b', challenge):
        return ""
    encoded = found[1].rstrip("=").replace("-", "+").replace("_", "/")
    try:
        text = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True).decode()
        value = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    return text if isinstance(value, dict) and value else ""


def _payload(token: str) -> Mapping[str, Any]:
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _label(value: object) -> str:
    if not isinstance(value, str):
        return ""
    return "".join(character for character in value if character.isprintable()).strip()[:_LONGEST_LABEL]


def _date_time(value: object) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _permissions(claims: Mapping[str, Any]) -> frozenset[str] | None:
    scopes, roles = claims.get("scp"), claims.get("roles")
    found = set(scopes.split()) if isinstance(scopes, str) else set()
    if isinstance(roles, list):
        found.update(role for role in roles if isinstance(role, str))
    return frozenset(found) if isinstance(scopes, str) or isinstance(roles, list) else None
