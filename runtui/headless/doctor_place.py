"""The place that runtui runs in: Python, terminal, locale, and the folder that it writes to.

Invariant: looking changes nothing but a file in the state folder that is gone at once.
"""

from __future__ import annotations

import locale
import os
import platform
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final
from urllib.parse import quote

from runtui import __version__
from runtui.headless.findings import Finding, ok, problem, warning
from runtui.private_files import NotPrivateError, private_folder
from runtui.services.journal_file import STEPS, damaged_files
from runtui.services.workspace import JOURNAL_FILE

PACKAGES: Final = ("textual", "httpx", "msal", "pydantic", "truststore")
SMALLEST: Final = (80, 24)
"""Columns and lines of a terminal that everything fits on."""
SCARCE_BYTES: Final = 100 * 1024 * 1024
"""Free space in which a journal and a list of many runs may not find room."""


def python() -> Iterator[Finding]:
    """The interpreter and the packages."""
    found, missing = [f"runtui {__version__}", f"Python {platform.python_version()}"], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        yield problem("versions", f"{', '.join(found)}; not installed: {', '.join(missing)}.", "Install runtui anew.")
    else:
        yield ok("versions", f"{', '.join(found)}, on {platform.system()} {platform.release()}.")


def terminal(environ: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """What the terminal can show, and how a copied text reaches the clipboard."""
    streams = [stream for stream in (sys.stderr, sys.stdout, sys.stdin) if stream.isatty()]
    if not streams:
        yield warning("terminal", "There is none here.", "Only commands without a screen work: runtui list.")
        return
    term = environ.get("TERM", "")
    if term in ("", "dumb", "unknown"):
        what = f"TERM is {term or 'not set'}: the terminal cannot place a cursor."
        yield problem("terminal", what, "Set TERM to what the terminal is, such as xterm-256color.")
        return
    columns, lines = os.get_terminal_size(streams[0].fileno())
    words = f"TERM is {term}, {columns}x{lines}, {_colours(term, environ)}."
    if (columns, lines) < SMALLEST or lines < SMALLEST[1]:
        yield warning("terminal", words, f"Make it {SMALLEST[0]}x{SMALLEST[1]} or larger.")
    else:
        yield ok("terminal", words)
    yield _clipboard(term, environ)


def _colours(term: str, environ: Mapping[str, str]) -> str:
    if "NO_COLOR" in environ:
        return "no colours (NO_COLOR)"
    if environ.get("COLORTERM", "").lower() in ("truecolor", "24bit") or term.endswith("-direct"):
        return "16.7 million colours"
    return "256 colours" if "256color" in term else "16 colours"


def _clipboard(term: str, environ: Mapping[str, str]) -> Finding:
    way = "Copied text goes to the terminal's clipboard (OSC 52)"
    if "SSH_CONNECTION" in environ or "SSH_TTY" in environ:
        way += ", across SSH"
    if environ.get("STY") or (term.startswith("screen") and not environ.get("TMUX")):
        return warning("clipboard", f"{way}, which GNU screen does not hand on.", "Use tmux, or select with the mouse.")
    if environ.get("TMUX"):
        if not term.startswith(("tmux", "screen")):
            what = f"This is tmux, and TERM is {term}: what it can do is taken wrongly."
            return warning("clipboard", what, "In ~/.tmux.conf: set -g default-terminal tmux-256color")
        return ok("clipboard", f"{way}, through tmux where it has: set -g set-clipboard on.")
    return ok("clipboard", f"{way}, where the terminal allows it.")


def language(environ: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Whether text can be shown beyond ASCII."""
    encoding = sys.stdout.encoding or locale.getencoding()
    said = next((f"{name}={environ[name]}" for name in ("LC_ALL", "LC_CTYPE", "LANG") if environ.get(name)), "not set")
    if encoding.lower().replace("-", "") != "utf8":
        yield problem("locale", f"The encoding is {encoding} ({said}).", "Set LANG to a UTF-8 locale, such as C.UTF-8.")
    else:
        yield ok("locale", f"The encoding is UTF-8 ({said}).")


def state(folder: Path) -> Iterator[Finding]:
    """Whether the state folder can be written, has room, and holds a sound journal."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        if place == folder:
            private_folder(folder)
        with tempfile.NamedTemporaryFile(dir=place, prefix=".runtui-doctor-"):
            pass
    except NotPrivateError as error:
        yield problem("state folder", error.sentence, error.cure)
        return
    except OSError as error:
        own = "Set RUNTUI_STATE to a folder of your own."
        yield problem("state folder", f"{place} cannot be written: {error.strerror}.", own)
        return
    free = shutil.disk_usage(place).free
    words = f"{folder} {'can be written' if place == folder else 'will be made'}, {free / 2**30:.1f} GiB free."
    if free < SCARCE_BYTES:
        yield warning("state folder", words, "Make room: nothing is sent that cannot be recorded before.")
    else:
        yield ok("state folder", words)
    yield from journal(folder / JOURNAL_FILE)


def journal(path: Path) -> Iterator[Finding]:
    """Whether the journal is sound, and whether a broken one was set aside."""
    if path.exists():
        yield _journal_state(path)
    else:
        yield ok("journal", "There is none yet: nothing was changed.")
    if damaged := damaged_files(path):
        names = ", ".join(damaged_file.name for damaged_file in damaged)
        yield warning("journal", f"Broken files were set aside: {names}.", "Keep them if what they record matters.")


def _journal_state(path: Path) -> Finding:
    try:
        db = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
        try:
            answer = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            newer = db.execute("PRAGMA user_version").fetchone()[0] > len(STEPS)
            count = 0 if newer or answer != "ok" else db.execute("SELECT count(*) FROM entry").fetchone()[0]
        finally:
            db.close()
    except sqlite3.Error as error:
        answer, newer, count = str(error), False, 0
    if newer:
        return problem("journal", f"{path} was written by a newer runtui.", "Use that one, or another RUNTUI_STATE.")
    if answer != "ok":
        return problem("journal", f"{path} is broken: {answer}.", "runtui sets it aside when it starts; keep a copy.")
    return ok("journal", f"{count} entr{'y' if count == 1 else 'ies'}, sound.")
