"""One scrubber for everything that may be shown, kept or copied: no secret passes through it.

Invariant: the output holds no registered secret and nothing shaped like a token, and ordinary text comes out unchanged.
Servers, proxies and libraries echo what they were sent, so every text from outside goes through here once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

MARK = "[redacted]"
"""What stands in the place of a secret."""

SHORTEST_SECRET = 8
"""Characters. A shorter value is not registered: replacing it everywhere would damage data that happens to hold it."""

_NAMED = "client_secret|client_assertion|refresh_token|access_token|id_token|device_code|password"

_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    # Authorization: Bearer ..., in any sentence. Eight characters or more: "Bearer token" is a phrase, not a token.
    (re.compile(r"(?i)\b(bearer\s+)(?!token\b|realm\b)[\w.~+/-]{8,}=*"), rf"\g<1>{MARK}"),
    # A JSON Web Token: header, claims and, when signed, a signature. The header is bounded, or a server could send text
    # that is searched to its end from every "-eyJ" in it.
    (re.compile(r"\beyJ[\w-]{8,1000}\.[\w-]{8,}(?:\.[\w-]*)*"), MARK),
    # Microsoft's opaque refresh tokens and authorization codes: 0.A..., 1.A..., M.C123_...
    (re.compile(r"\b(?:[01]\.A|M\.[CR]\d+_)[\w.!*$-]{20,}"), MARK),
    # name=value in forms and addresses, "name": "value" in JSON.
    (re.compile(rf"(?i)\b((?:{_NAMED})=)[^\s&\"'<>]+"), rf"\g<1>{MARK}"),
    (re.compile(rf"(?i)([\"'](?:{_NAMED})[\"']\s*:\s*[\"'])[^\"']+"), rf"\g<1>{MARK}"),
    # An authorization code in a landing address; short ones are error codes, and those are wanted.
    (re.compile(r"(?i)\b(code=)[^\s&\"'<>]{20,}"), rf"\g<1>{MARK}"),
)

_secrets: dict[str, bytes] = {}


def register_secret(value: str) -> None:
    """From now on `value` is scrubbed wherever it occurs, also as written in an address or in JSON."""
    if len(value) < SHORTEST_SECRET:
        return
    for form in (value, quote(value, safe=""), value.replace("/", "\\/")):
        _secrets[form] = form.encode("utf-8", "surrogatepass")


def redact(text: str) -> str:
    """`text` without registered secrets and without anything that has the shape of a token."""
    for secret in _longest_first():
        text = text.replace(secret, MARK)
    for shape, replacement in _SHAPES:
        text = shape.sub(replacement, text)
    return text


def redact_body(body: bytes) -> bytes:
    """`body` without registered secrets.

    Only exact values are replaced: the shapes that `redact` looks for may be data here, such as a next page's token.
    """
    for secret in _longest_first():
        body = body.replace(_secrets[secret], MARK.encode())
    return body


def redact_values(value: Any) -> Any:
    """A JSON value with every text in it redacted, names of properties too; its shape stays."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redact(name): redact_values(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact_values(item) for item in value]
    return value


def _longest_first() -> list[str]:
    return sorted(_secrets, key=len, reverse=True)
