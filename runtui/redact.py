"""The redactor: everything that may be shown, kept or copied passes it.

Invariant: its output contains no registered secret, however it is escaped, and nothing shaped like a token; ordinary
text is unchanged. Requests are never redacted. Servers, proxies and libraries echo what they were sent, so every text
from outside passes here once.
"""

from __future__ import annotations

import json
import os
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

MARK = "[redacted]"
"""Replaces a secret."""

SHORTEST_SECRET = 12
"""The fewest characters of a secret that can be hidden."""

_SHORTEST_TOKEN: Final = 10
"""The fewest characters of a text that has a secret, or the shape of a token, in it: "password=x"."""

_SHORTEST_BEGINNING: Final = 6
"""The fewest characters of a secret that are hidden where a text breaks off in it."""

_LONGEST_WORD: Final = 31
"""Letters of a word, or digits of a number, that may be ordinary data."""

_MOST_ESCAPED: Final = 3
"""How many times a text may be escaped: JSON in a JSON string in an address."""

_LONGEST_PLAIN: Final = 1024 * 1024
"""Characters of a text that is always unescaped. A longer one is unescaped only where it has a piece of a secret:
escaping leaves letters and digits as they are, and 16 MB of escapes take seconds."""

_SECRET_ENDINGS: Final = ("TOKEN", "SECRET", "PASSWORD")
"""How the names of variables end that hold a secret."""

_NAMED = "client_secret|client_assertion|refresh_token|access_token|id_token|device_code|password"

_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    # Authorization: Bearer ..., in any sentence. Eight characters or more: "Bearer token" is a phrase, not a token.
    (re.compile(r"(?i)\b(bearer\s+)(?!token\b|realm\b)[\w.~+/-]{8,}=*"), rf"\g<1>{MARK}"),
    # Authorization: Basic ..., which is a user and a password in base64 (RFC 7617).
    (re.compile(r"(?i)(authorization[\"']?\s*[:=]\s*[\"']?basic\s+)[\w+/-]{4,}=*"), rf"\g<1>{MARK}"),
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

# How a visible ASCII character may be written. One pattern each: `re` looks for a first character much faster than for
# one of three.
_ESCAPES: Final = (
    re.compile(r"\\(?:(?:u00|x)[2-7][0-9a-fA-F]|[/\"\\])"),  # \u002B and \/ in JSON (RFC 8259), \x2B in JavaScript
    re.compile(r"%[2-7][0-9a-fA-F]"),  # %2B in addresses and forms (RFC 3986)
    re.compile(r"&#?\w{1,8};"),  # &#43; &#x2B; &plus; in HTML
)

_BEGIN_ESCAPES: Final = "\\%&"

_PIECES: Final = re.compile(r"[^\W_]*")
"""The stretches of letters and digits in a secret, and empty ones between them."""

_secrets: dict[str, tuple[str, ...]] = {}
"""Each secret with the forms in which it is looked for."""


def can_be_hidden(value: str) -> bool:
    """Whether a secret can be told from ordinary data: a short text, a word or a number may occur by chance, and hiding
    it everywhere would damage data."""
    is_plain = (value.isalpha() or value.isdigit()) and len(value) <= _LONGEST_WORD
    return len(value) >= SHORTEST_SECRET and not is_plain


def register_secret(value: str) -> None:
    """Redact `value` from now on wherever it occurs, also escaped or in base64, if it can be hidden at all."""
    if value not in _secrets and can_be_hidden(value):
        _secrets[value] = tuple({value, quote(value, safe=""), json.dumps(value)[1:-1], *_in_base64(value)})


def register_environment_secrets(environ: Mapping[str, str] = os.environ) -> None:
    """Register the secrets of RUNTUI_* and AZURE_* variables, such as RUNTUI_TOKEN, before anything reads them."""
    for name, value in environ.items():
        if name.startswith(("RUNTUI_", "AZURE_")) and name.endswith(_SECRET_ENDINGS):
            register_secret(value)


def without_own_secrets(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment for a program that a person names: without what was given to runtui alone."""
    own = [name for name in environ if name.startswith("RUNTUI_") and name.endswith(_SECRET_ENDINGS)]
    return {name: value for name, value in environ.items() if name not in own}


def redact(text: str) -> str:
    """`text` without registered secrets and without anything that has the shape of a token."""
    if len(text) < _SHORTEST_TOKEN:
        return text
    text = hide_secrets(text)
    for shape, replacement in _SHAPES:
        text = shape.sub(replacement, text)
    return text


def hide_secrets(text: str) -> str:
    """`text` without registered secrets, for what is data: the shapes that `redact` looks for may be part of it, such
    as the token of a next page. JSON stays JSON."""
    if not any(form in reading for reading in _readings(text) for forms in _secrets.values() for form in forms):
        return text
    parts, end = [], 0
    for start, stop in _merged(_places_of_secrets(text)):
        parts += [text[end:start], MARK]
        end = stop
    return "".join([*parts, text[end:]])


def redact_body(body: bytes, *, is_whole: bool = True) -> bytes:
    """`body` without registered secrets; see `hide_secrets`. A body that holds none is returned as it is.

    Where it broke off (not `is_whole`), what it ends with may be the beginning of a secret, and goes too.
    """
    text = body.decode("utf-8", "surrogateescape")
    hidden = hide_secrets(text)
    if not is_whole and (begun := max(map(len, _begun_at_end(hidden)), default=0)):
        hidden = hidden[:-begun] + MARK
    return body if hidden is text else hidden.encode("utf-8", "surrogateescape")


def redact_values(value: Any) -> Any:
    """A JSON value with every text in it redacted, names of properties too; its shape stays."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redact(name): redact_values(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact_values(item) for item in value]
    return value


def _begun_at_end(text: str) -> Iterator[str]:
    """The beginnings of secrets that a text ends with."""
    for secret in _secrets:
        for length in range(_SHORTEST_BEGINNING, len(secret)):
            if text.endswith(secret[:length]):
                yield secret[:length]


def _in_base64(value: str) -> Iterator[str]:
    """What base64 makes of a value after 0, 1 or 2 bytes of a group, without what its neighbours have a part in."""
    data = value.encode("utf-8", "surrogatepass")
    for before in range(3):
        text = b64encode(b"-" * before + data).decode()[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
        yield text
        yield text.replace("+", "-").replace("/", "_")


def _readings(text: str) -> Iterator[str]:
    """The text as it is, and unescaped once, twice and so on."""
    yield text
    if not any(begin in text for begin in _BEGIN_ESCAPES):
        return
    if len(text) > _LONGEST_PLAIN and not any(max(_PIECES.findall(secret), key=len) in text for secret in _secrets):
        return
    for escape in _ESCAPES * _MOST_ESCAPED:
        if (plain := escape.sub(_character, text)) != text:
            yield plain
            text = plain


def _places_of_secrets(text: str) -> Iterator[tuple[int, int]]:
    """From where to where in `text` a secret reaches, escapes and all."""
    reading, places = text, list(range(len(text) + 1))
    for escape in (None, *_ESCAPES * _MOST_ESCAPED):
        if escape is not None:
            reading, places = _unescaped(reading, places, escape)
        for forms in _secrets.values():
            for form in forms:
                start = reading.find(form)
                while start >= 0:
                    yield places[start], places[start + len(form)]
                    start = reading.find(form, start + 1)


def _unescaped(text: str, places: Sequence[int], escape: re.Pattern[str]) -> tuple[str, list[int]]:
    """A text with one kind of escapes taken back, and where each of its characters begins in the original."""
    parts: list[str] = []
    kept: list[int] = []
    end = 0
    for found in escape.finditer(text):
        plain = _character(found)
        parts += [text[end : found.start()], plain]
        kept += places[end : found.start()]
        kept += places[found.start() : found.end()] if plain == found[0] else [places[found.start()]]
        end = found.end()
    return "".join([*parts, text[end:]]), [*kept, *places[end:]]


def _character(found: re.Match[str]) -> str:
    """The character of an escape, or the text itself where it is none."""
    escape = found[0]
    if escape.startswith("&"):
        from html import unescape

        plain = unescape(escape)
        return plain if len(plain) == 1 else escape
    return escape[-1] if len(escape) == 2 else chr(int(escape[-2:], 16))


def _merged(places: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The same places in order, those that overlap as one."""
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
