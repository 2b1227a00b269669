"""The redactor: removes secrets from every text before it is shown, kept or copied.

Invariant: its output contains no registered secret, escaped or not, and nothing that looks like a token; other text is
unchanged. Requests are never redacted. Servers, proxies and libraries may echo a secret, so every text from outside
passes through here once.
"""

from __future__ import annotations

import json
import os
import re
from array import array
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

REDACTED = "[redacted]"
"""The replacement for a secret."""

SHORTEST_SECRET = 12
"""The least length of a secret that can be hidden."""

_SHORTEST_TOKEN: Final = 10
"""The least length of a text that can contain a secret or a token, such as "password=x"."""

_SHORTEST_BEGINNING: Final = 6
"""The least length of a secret's beginning to hide at the end of a truncated text."""

_LONGEST_WORD: Final = 31
"""A word or a number of at most this many characters counts as ordinary data."""

_MAX_ESCAPED: Final = 3
"""How many times a text may be escaped: JSON in a JSON string in an address."""

_LONGEST_PLAIN: Final = 1024 * 1024
"""The most characters of a text to always unescape. A longer one is unescaped only if it contains a piece of a secret:
escapes leave letters and digits alone, and 16 MB of escapes take seconds."""

_SECRET_ENDINGS: Final = ("TOKEN", "SECRET", "PASSWORD")
"""Name endings of variables that hold a secret."""

_NAMED = "client_secret|client_assertion|refresh_token|access_token|id_token|device_code|password"

_SHAPES: tuple[tuple[str, str], ...] = (
    # Authorization: Bearer ..., in any sentence. Eight characters or more: "Bearer token" is a phrase, not a token.
    (r"(?i)\b(bearer\s+)(?!token\b|realm\b)[\w.~+/-]{8,}=*", rf"\g<1>{REDACTED}"),
    # Authorization: Basic ..., which is a user and a password in base64 (RFC 7617).
    (r"(?i)(authorization[\"']?\s*[:=]\s*[\"']?basic\s+)[\w+/-]{4,}=*", rf"\g<1>{REDACTED}"),
    # A JSON Web Token: header, claims and, when signed, a signature. The header is bounded, or a server could send text
    # that is searched to its end from every "-eyJ" in it.
    (r"\beyJ[\w-]{8,1000}\.[\w-]{8,}(?:\.[\w-]*)*", REDACTED),
    # Microsoft's opaque refresh tokens and authorization codes: 0.A..., 1.A..., M.C123_...
    (r"\b(?:[01]\.A|M\.[CR]\d+_)[\w.!*$-]{20,}", REDACTED),
    # name=value in forms and addresses, "name": "value" in JSON.
    (rf"(?i)\b((?:{_NAMED})=)[^\s&\"'<>]+", rf"\g<1>{REDACTED}"),
    (rf"(?i)([\"'](?:{_NAMED})[\"']\s*:\s*[\"'])[^\"']+", rf"\g<1>{REDACTED}"),
    # An authorization code in a redirect address; a short one is an error code, which stays.
    (r"(?i)\b(code=)[^\s&\"'<>]{20,}", rf"\g<1>{REDACTED}"),
)

# Escapes of a visible ASCII character. One pattern each: `re` finds one first character much faster than one of three.
_ESCAPES: Final = (
    r"\\(?:(?:u00|x)[2-7][0-9a-fA-F]|[/\"\\])",  # \u002B and \/ in JSON (RFC 8259), \x2B in JavaScript
    r"%[2-7][0-9a-fA-F]",  # %2B in addresses and forms (RFC 3986)
    r"&#?\w{1,8};",  # &#43; &#x2B; &plus; in HTML
)

_PIECES: Final = r"[^\W_]*"
"""Matches each run of letters and digits of a secret, and the empty texts between them."""

_secrets: dict[str, tuple[str, ...]] = {}
"""Secret -> the forms to search for."""


def can_be_hidden(value: str) -> bool:
    """Return True unless a secret is a short text, a word or a number, which may also occur in ordinary data."""
    is_plain = (value.isalpha() or value.isdigit()) and len(value) <= _LONGEST_WORD
    return len(value) >= SHORTEST_SECRET and not is_plain


def register_secret(value: str) -> None:
    """Redact `value` from now on, also escaped or in base64, if `can_be_hidden`."""
    if value not in _secrets and can_be_hidden(value):
        _secrets[value] = tuple({value, quote(value, safe=""), json.dumps(value)[1:-1], *_in_base64(value)})


def register_environment_secrets() -> None:
    """Register the secrets in RUNTUI_* and AZURE_* variables, such as RUNTUI_TOKEN; call it before they are read."""
    for name, value in os.environ.items():
        if name.startswith(("RUNTUI_", "AZURE_")) and name.endswith(_SECRET_ENDINGS):
            register_secret(value)


def without_own_secrets() -> dict[str, str]:
    """Return the environment for a program that a person names, without the secrets in RUNTUI_* variables."""
    own = [name for name in os.environ if name.startswith("RUNTUI_") and name.endswith(_SECRET_ENDINGS)]
    return {name: value for name, value in os.environ.items() if name not in own}


def redact(text: str) -> str:
    """Return `text` without registered secrets and without anything that looks like a token."""
    if len(text) < _SHORTEST_TOKEN:
        return text
    text = hide_secrets(text)
    for shape, replacement in _SHAPES:
        text = re.sub(shape, replacement, text)
    return text


def hide_secrets(text: str) -> str:
    """Return `text` without registered secrets. Use it for data: the token of a next page, for example, must stay
    although it looks like a secret. JSON stays JSON."""
    if not any(form in reading for reading in _readings(text) for forms in _secrets.values() for form in forms):
        return text
    parts, end = [], 0
    for start, stop in _merged(_places_of_secrets(text)):
        parts += [text[end:start], REDACTED]
        end = stop
    return "".join([*parts, text[end:]])


def redact_body(body: bytes, *, is_whole: bool = True) -> bytes:
    """Return `body` without registered secrets, see `hide_secrets`; the same object if it contains none.

    If it is truncated (not `is_whole`), a beginning of a secret at its end is hidden too.
    """
    text = body.decode("utf-8", "surrogateescape")
    hidden = hide_secrets(text)
    if not is_whole and (begun := max(map(len, _begun_at_end(hidden)), default=0)):
        hidden = hidden[:-begun] + REDACTED
    return body if hidden is text else hidden.encode("utf-8", "surrogateescape")


def redact_values(value: Any) -> Any:
    """Return a JSON value with all strings redacted, including property names; its structure stays. What is nested too
    deeply to be searched is masked."""
    try:
        if isinstance(value, str):
            return redact(value)
        if isinstance(value, Mapping):
            return {redact(name): redact_values(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [redact_values(item) for item in value]
    except RecursionError:
        return REDACTED
    return value


def _begun_at_end(text: str) -> Iterator[str]:
    """Yield the beginnings of secrets at the end of a text."""
    for secret in _secrets:
        for length in range(_SHORTEST_BEGINNING, len(secret)):
            if text.endswith(secret[:length]):
                yield secret[:length]


def _in_base64(value: str) -> Iterator[str]:
    """Yield the base64 of a value at each of the three offsets in a group, without digits that depend on neighbours."""
    data = value.encode("utf-8", "surrogatepass")
    for before in range(3):
        text = b64encode(b"-" * before + data).decode()[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
        yield text
        yield text.replace("+", "-").replace("/", "_")


def _readings(text: str) -> Iterator[str]:
    """Yield the text itself, then unescaped once, twice and so on."""
    yield text
    if not any(begin in text for begin in "\\%&"):
        return
    if len(text) > _LONGEST_PLAIN and not any(max(re.findall(_PIECES, secret), key=len) in text for secret in _secrets):
        return
    for escape in _ESCAPES * _MAX_ESCAPED:
        if (plain := re.sub(escape, _character, text)) != text:
            yield plain
            text = plain


def _places_of_secrets(text: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of each secret in `text`, including its escapes."""
    reading, places = text, array("L", range(len(text) + 1))  # an array, because 16 MB of text have as many places
    for escape in (None, *_ESCAPES * _MAX_ESCAPED):
        if escape is not None:
            plain, places = _unescaped(reading, places, escape)
            if plain == reading:
                continue
            reading = plain
        for forms in _secrets.values():
            for form in forms:
                start = reading.find(form)
                while start >= 0:
                    yield places[start], places[start + len(form)]
                    start = reading.find(form, start + 1)


def _unescaped(text: str, places: array[int], escape: str) -> tuple[str, array[int]]:
    """Undo one kind of escapes; return the new text, and the place of each of its characters in the original."""
    parts: list[str] = []
    kept = array("L")
    end = 0
    for found in re.finditer(escape, text):
        plain = _character(found)
        parts += [text[end : found.start()], plain]
        kept += places[end : found.start() + 1] if plain != found[0] else places[end : found.end()]
        end = found.end()
    return ("".join([*parts, text[end:]]), kept + places[end:]) if parts else (text, places)


def _character(found: re.Match[str]) -> str:
    """Return the character of an escape; the matched text itself if it is no escape."""
    escape = found[0]
    if escape.startswith("&"):
        from html import unescape

        plain = unescape(escape)
        return plain if len(plain) == 1 else escape
    return escape[-1] if len(escape) == 2 else chr(int(escape[-2:], 16))


def _merged(places: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the places in order, with overlapping ones merged."""
    first, last = 0, 0
    for start, stop in sorted(places):
        if start < last:
            last = max(last, stop)
            continue
        if last:
            yield first, last
        first, last = start, stop
    if last:
        yield first, last
