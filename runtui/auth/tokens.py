"""Bearer tokens: where one comes from, held so that it cannot be printed by accident.

Invariant: a token leaves this module only as the value of `Authorization`, asked for by the transport. One that could
not be hidden where a server repeats it is refused.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn, Protocol, runtime_checkable

from runtui.errors import UsageError
from runtui.redact import SHORTEST_SECRET, can_be_hidden, register_secret

_TOKEN: Final = re.compile(r"[!-~]+")
_LARGEST_FILE: Final = 65_536
"""Bytes of a token file that are read."""

_DUMP_FILTER: Final = Path("/proc/self/coredump_filter")
"""Which memory a core dump of this process holds, as bits."""

_SCHEME: Final = re.compile(r"\Abearer(?:\s+|$)", re.IGNORECASE)


@runtime_checkable
class TokenSource(Protocol):
    """Where the token of each request comes from."""

    async def __call__(self) -> str:
        """The token, for one request; RuntuiError when there is none."""

    async def renew(self, challenge: str, /) -> bool:
        """Get another token, because the server refused the last one; whether there is one. Never raises.

        `challenge` is what the server said about it in `WWW-Authenticate`: it may name claims that it wants. It is
        foreign text.
        """


def bare_token(value: str, hint: str) -> str:
    """The token in a text as people paste it; from now on it is scrubbed from whatever is shown.

    Args:
        value: A token; the word "Bearer" before it, as copied from a header, is dropped.
        hint: The next step where it is none.

    Raises:
        UsageError: when it is empty, holds a blank or a control character (it would corrupt the header), or is a short
            text, a word or a number (it could not be told from ordinary data).
    """
    token = _SCHEME.sub("", value.strip())
    if not token:
        _refuse("It is empty.", hint)
    if not _TOKEN.fullmatch(token):
        _refuse("A bearer token is one word of visible ASCII characters.", hint)
    if not can_be_hidden(token):
        _refuse(
            f"A text of {len(token)} characters that may stand in a run by chance could not be hidden where a server "
            "repeats it.",
            f"{hint} A server that takes any token takes one of {SHORTEST_SECRET} or more, such as any-token-will-do.",
        )
    register_secret(token)
    return token


def _refuse(what: str, hint: str) -> NoReturn:
    raise UsageError("That token cannot be used", what, hint)


def leave_no_core_dump() -> None:
    """From now on a crash of this process puts no copy of its memory, tokens and all, on the disk.

    Linux ignores the limit where another program takes core dumps (core(5), "Piping core dumps to a program"); such a
    dump is left without memory in it.
    """
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
    with suppress(OSError):  # no Linux, or a /proc that cannot be written: the limit stands
        _DUMP_FILTER.write_text("0")


class StaticToken:
    """One bearer token, given by hand; it is never refreshed."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        """Hold a token; the word "Bearer" before it, as copied from a header, is dropped.

        Raises:
            UsageError: when it cannot be used; see `bare_token`.
        """
        self._value = bare_token(value, "Put the access token alone into RUNTUI_TOKEN.")

    def __repr__(self) -> str:
        return "StaticToken(…)"

    async def __call__(self) -> str:
        """The token, for one request."""
        return self._value

    async def renew(self, _challenge: str, /) -> bool:
        """False: there is no other token."""
        return False


class TokenFile:
    """A bearer token in a file of one's own, which some other program keeps fresh. Its methods read at once.

    Args:
        path: Of the file, which nobody else may read.
    """

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> str:
        """The token that is in the file now.

        Raises:
            UsageError: it cannot be read, others may read it, or it holds no token.
        """
        hint = f"Put the access token alone into it, and: chmod 600 {self._path}"
        try:
            file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            with os.fdopen(file, "rb") as stream:
                mode = os.fstat(stream.fileno()).st_mode
                data = stream.read(_LARGEST_FILE)
        except OSError as error:
            raise UsageError("The token file cannot be read", f"{self._path}: {error.strerror}.", hint) from None
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise UsageError("Others may read the token file", f"{self._path} has the mode {mode & 0o777:o}.", hint)
        return bare_token(data.decode("ascii", "replace"), hint)


class SandboxToken:
    """The token of the embedded sandbox, which takes every word: another one at each renewal."""

    __slots__ = ("_renewals",)

    def __init__(self) -> None:
        self._renewals = 0

    async def __call__(self) -> str:
        """The token, for one request."""
        return f"sandbox-token-{self._renewals}"

    async def renew(self, _challenge: str, /) -> bool:
        """True: the next request carries another token."""
        self._renewals += 1
        return True


def environment_token(environ: Mapping[str, str] = os.environ) -> StaticToken:
    """The token of `RUNTUI_TOKEN`.

    Raises:
        UsageError: when there is none, or it cannot be used.
    """
    value = environ.get("RUNTUI_TOKEN")
    if value is None:
        raise UsageError(
            "No token",
            "This server wants a bearer token, and RUNTUI_TOKEN is not set.",
            "Set it, for example: export RUNTUI_TOKEN=$(your sign-in command). Or try: runtui demo.",
        )
    return StaticToken(value)
