"""The snapshot: shows the last list of the same command before anything else is loaded.

Invariant: a snapshot is shown only if the same version drew it for the same command line, environment, config.toml and
terminal size, its file belongs to the user alone, and it holds only letters, colours and columns. In doubt none is
shown. It is visible for a moment, until the first paint draws the store's rows over it.
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

_MAX_BYTES: Final = 256 * 1024
_MAX_FILES: Final = 8
_SEEN: Final = ("NO_COLOR", "TZ")
"""Variables, besides those of options, that change how a row looks."""
_SECRET: Final = ("TOKEN", "SECRET", "PASSWORD", "PROXY")
"""Name endings of variables that hold a secret; no row depends on these."""


class Snapshot:
    """The snapshot of one command: shows, keeps and removes it."""

    def __init__(self) -> None:
        self._command = ""
        """The digest of all that the rows depend on, except the terminal's size; empty if that is uncertain."""

    def show(self) -> None:
        """Take the terminal and draw the snapshot for this process's command line, if there is one."""
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
            write(drawn_lines(lines))

    def keep(self, folder: Path, columns: int, lines: Sequence[str]) -> None:
        """Write the lines of a screen for the next start of the same command; keep only the newest few files.

        Raises:
            OSError: The file cannot be written.
        """
        from runtui.private_files import private_folder, replace_private

        if not self._command:
            return
        text = "\n".join(lines)
        text = "".join(letter if letter.isprintable() or letter in "\n\x1b" else " " for letter in text)
        path = folder / self._name(columns, len(lines))
        private_folder(folder)
        replace_private(path, folder / f"{path.name}.{os.getpid()}.new", text)
        for old in sorted(folder.glob("rows-*"), key=lambda file: file.lstat().st_mtime_ns)[:-_MAX_FILES]:
            old.unlink(missing_ok=True)

    def drop(self, folder: Path) -> None:
        """Remove the snapshots of this command, of every size.

        Raises:
            OSError: A file cannot be removed.
        """
        for kept in folder.glob(f"rows-{self._command}-*") if self._command else ():
            kept.unlink(missing_ok=True)

    def _name(self, columns: int, height: int) -> str:
        return f"rows-{self._command}-{columns}x{height}"


SNAPSHOT: Final = Snapshot()
"""The snapshot for this process's command."""


def drawn_lines(lines: Sequence[str], shown: Sequence[str] = ()) -> str:
    """Return the output that draws `lines` from the top of the screen, without those equal in `shown`."""
    numbered = (number for number, line in enumerate(lines) if [line] != list(shown[number : number + 1]))
    return "".join(f"\x1b[{number + 1};1H\x1b[2K{lines[number]}" for number in numbered)


def _digest(arguments: Sequence[str]) -> str:
    """Return a digest of all that the rows depend on, except the terminal's size.

    Raises:
        OSError: config.toml cannot be read.
        ValueError: The place of config.toml is uncertain.
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
    """Return the tenant id in RUNTUI_TOKEN; empty without a token, or if it is not readable."""
    token = os.environ.get("RUNTUI_TOKEN", "")
    if "." not in token:
        return ""
    from runtui.auth.claims import read_claims

    return read_claims(token).tenant_id


def _config(path: str) -> bytes:
    """Return the bytes of config.toml; empty if there is no such file."""
    try:
        return _read(path)[0]
    except FileNotFoundError:
        return b""


def _folder(own: str | None, base: str, below_home: str) -> str:
    """Return one of runtui's folders (or `own`), as `settings` finds it.

    Raises:
        ValueError: Only `settings` can find it.
    """
    home, above = os.environ.get("HOME", ""), os.environ.get(base, "")
    folder = own or (f"{above}/runtui" if above.startswith("/") else f"{home}/{below_home}/runtui")
    if not folder.startswith("/") or not home.startswith("/"):
        raise ValueError(folder)
    return folder


def _lines(path: str) -> list[str]:
    """Return the lines of a private file. Raises as `_read`, and ValueError if others may own or read it."""
    text, found = _read(path, os.O_NOFOLLOW)
    if found.st_uid != os.geteuid() or found.st_mode & 0o177:
        raise ValueError(path)
    return text.decode().split("\n")


def _read(path: str, flags: int = 0) -> tuple[bytes, os.stat_result]:
    """Return the bytes and the status of a regular file.

    Raises:
        OSError: It cannot be read.
        ValueError: It is too large, or no regular file; reading a pipe would take its data from others.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | flags)
    with os.fdopen(descriptor, "rb") as stream:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _MAX_BYTES:
            raise ValueError(path)
        return stream.read(), found


def _is_harmless(line: str) -> bool:
    """Return whether a line holds only printable letters, colours (SGR) and column moves (CHA)."""
    plain, *marked = line.split("\x1b[")
    rests = [part.lstrip("0123456789;") for part in marked]
    return all(rest[:1] in ("m", "G") for rest in rests) and "".join((plain, *rests)).isprintable()
