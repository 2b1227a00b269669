"""The last list of the same command, on the terminal before anything else is loaded.

Invariant: what is drawn was drawn by the same version, for the same command line, environment, config.toml and size of
the terminal; the file is the user's own, and what is in it can but put letters and colours on the screen. Wherever that
is not certain there is no snapshot. It is in sight for a moment: the first paint draws over it what the store has.
"""

from __future__ import annotations

import os
import stat
import sys
from hashlib import sha256

from runtui import __version__
from runtui.errors import RuntuiError
from runtui.prelude.terminal import TAKEOVER, TYPE_CHECKING, require_terminal, terminal_size, write

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Final

_MOST_BYTES: Final = 256 * 1024
_MOST_FILES: Final = 8
_SEEN: Final = ("NO_COLOR", "TZ")
"""Variables, beside those of options, on which the look of a row depends."""
_SECRET: Final = ("TOKEN", "SECRET", "PASSWORD", "PROXY")
"""Endings of variables that hold a secret; no row depends on one."""


class Snapshot:
    """The last list of a command."""

    def __init__(self) -> None:
        self._command = ""
        """Of all that the rows depend on, but for the size of the terminal; empty where that is not certain."""

    def show(self) -> None:
        """Take the terminal and draw the list, if there is one, for the command line of this process."""
        try:
            require_terminal()
            self._command = _digest(sys.argv[1:])
            columns, height = terminal_size()
            folder = _folder(os.environ.get("RUNTUI_STATE"), "XDG_STATE_HOME", ".local/state")
            lines = _lines(f"{folder}/{self._name(columns, height)}")
        except (RuntuiError, OSError, ValueError):
            return
        if len(lines) == height and all(map(_is_harmless, lines)):
            TAKEOVER.take()
            write(placed(lines))

    def keep(self, folder: Path, columns: int, lines: Sequence[str]) -> None:
        """Keep what fills a terminal for the next start of the command that `show` was called for.

        Of all commands and sizes a few are kept.

        Raises:
            OSError: it cannot be written.
        """
        from runtui.private_files import private_folder, replace_private

        if not self._command:
            return
        text = "\n".join(lines)
        text = "".join(letter if letter.isprintable() or letter in "\n\x1b" else " " for letter in text)
        path = folder / self._name(columns, len(lines))
        private_folder(folder)
        replace_private(path, folder / f"{path.name}.{os.getpid()}.new", text)
        for old in sorted(folder.glob("rows-*"), key=lambda file: file.lstat().st_mtime_ns)[:-_MOST_FILES]:
            old.unlink(missing_ok=True)

    def drop(self, folder: Path) -> None:
        """Keep no list of that command, in no size.

        Raises:
            OSError: one cannot be removed.
        """
        for kept in folder.glob(f"rows-{self._command}-*") if self._command else ():
            kept.unlink(missing_ok=True)

    def _name(self, columns: int, height: int) -> str:
        return f"rows-{self._command}-{columns}x{height}"


SNAPSHOT: Final = Snapshot()
"""Of the command of this process."""


def placed(lines: Sequence[str], shown: Sequence[str] = ()) -> str:
    """What draws lines from the top of the screen, each over all that its line held; none that is shown already."""
    numbered = (number for number, line in enumerate(lines) if [line] != list(shown[number : number + 1]))
    return "".join(f"\x1b[{number + 1};1H\x1b[2K{lines[number]}" for number in numbered)


def _digest(arguments: Sequence[str]) -> str:
    """The digest of what the rows depend on.

    Raises:
        OSError: config.toml cannot be read.
        ValueError: it is not certain where it is.
    """
    chosen = {
        name: value
        for name, value in os.environ.items()
        if name in _SEEN or (name.startswith(("RUNTUI_", "AZURE_")) and not name.endswith(_SECRET))
    }
    file = os.environ.get("RUNTUI_CONFIG")
    path = _folder(file, "XDG_CONFIG_HOME", ".config") + ("" if file else "/config.toml")
    depends_on = (__version__, list(arguments), sorted(chosen.items()), path, _config(path), _tenant_of_token())
    return sha256(ascii(depends_on).encode()).hexdigest()[:16]


def _tenant_of_token() -> str:
    """The tenant that RUNTUI_TOKEN is for; empty for a token that does not tell, and without one."""
    token = os.environ.get("RUNTUI_TOKEN", "")
    if "." not in token:
        return ""
    from runtui.auth.claims import read_claims

    return read_claims(token).tenant_id


def _config(path: str) -> bytes:
    """What is in config.toml; nothing where there is none."""
    try:
        return _read(path)[0]
    except FileNotFoundError:
        return b""


def _folder(own: str | None, base: str, below_home: str) -> str:
    """A place of runtui, as `settings` finds it.

    Raises:
        ValueError: only `settings` can say where it is.
    """
    home, above = os.environ.get("HOME", ""), os.environ.get(base, "")
    folder = own or (f"{above}/runtui" if above.startswith("/") else f"{home}/{below_home}/runtui")
    if not folder.startswith("/") or not home.startswith("/"):
        raise ValueError(folder)
    return folder


def _lines(path: str) -> list[str]:
    """The lines of a private file of the user's own, as `_read`."""
    text, found = _read(path, os.O_NOFOLLOW)
    if found.st_uid != os.geteuid() or found.st_mode & 0o177:
        raise ValueError(path)
    return text.decode().split("\n")


def _read(path: str, flags: int = 0) -> tuple[bytes, os.stat_result]:
    """What is in a file, and whose it is.

    Raises:
        OSError: there is none.
        ValueError: it is too long, or no file: what is in a pipe can be read only once.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | flags)
    with os.fdopen(descriptor, "rb") as stream:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST_BYTES:
            raise ValueError(path)
        return stream.read(), found


def _is_harmless(line: str) -> bool:
    """Whether a line has but letters, colours and columns to go on in."""
    plain, *marked = line.split("\x1b[")
    rests = [part.lstrip("0123456789;") for part in marked]
    return all(rest[:1] in ("m", "G") for rest in rests) and "".join((plain, *rests)).isprintable()
