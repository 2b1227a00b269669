"""Files and folders for their owner alone: what runtui keeps on disk is in places that nobody else can change.

Invariant: nothing is written through a link, into a folder that others may write to, or into a file of somebody else;
and what is found in such a place keeps its mode. Each function raises NotPrivateError, which is an OSError.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

_OTHERS_MAY_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_COMPANIONS: Final = ("-wal", "-shm", "-journal")
"""What SQLite puts beside a database, by the end of its name."""


class NotPrivateError(PermissionError):
    """A place that is not its owner's alone: `sentence` says which and why, `cure` is the next step."""

    def __init__(self, what: str, cure: str) -> None:
        super().__init__(errno.EPERM, what)
        self.sentence = f"{what[0].upper()}{what[1:]}."
        self.cure = f"{cure}, or set RUNTUI_STATE to a folder of your own."

    def __str__(self) -> str:
        return str(self.strerror)


def private_folder(path: Path) -> None:
    """Make a folder for its owner alone, or make sure that nobody else may write to the one that is there.

    Folders above it that are missing are made for their owner alone too (XDG base directories).
    """
    if not path.parent.exists():
        private_folder(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    if (link := path.lstat()).st_uid != 0:
        # Whoever owns a link may let it lead elsewhere; the administrator may anyway.
        _check_owner(path, link, "the folder")
    found = path.stat()
    _check_owner(path, found, "the folder")
    if found.st_mode & _OTHERS_MAY_WRITE:
        raise NotPrivateError(f"others may write to the folder {path}", f"Run: chmod 700 {path}")


def private_database(path: Path) -> None:
    """Make an empty file for SQLite, 0600 in a private folder, or make sure of the one that is there.

    A file that is there is not opened: to close any descriptor of it would give up the locks of this process's other
    connections to it (POSIX locks belong to the process), and the next runtui that leaves would delete the log in which
    this one goes on writing.
    """
    private_folder(path.parent)
    try:
        os.close(create_private(path))
    except FileExistsError:
        _make_private(path)
    for suffix in _COMPANIONS:
        with suppress(FileNotFoundError):
            _make_private(path.with_name(path.name + suffix))


def create_private(path: Path) -> int:
    """The descriptor of a new file, 0600, for reading and writing.

    Raises:
        FileExistsError: there is something under that name, if only a link that leads nowhere.
    """
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def open_private(path: Path, flags: int = os.O_RDONLY) -> int:
    """The descriptor of a file of one's own, which is 0600 from then on.

    Args:
        path: The file.
        flags: How to open it, of the `O_` constants; with O_CREAT it is made where there is none.
    """
    try:
        # Without blocking: in the place of a file there may be a pipe.
        descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _is_link(path) from None
        raise
    try:
        found = os.fstat(descriptor)
        _check_file(path, found)
        if stat.S_IMODE(found.st_mode) != 0o600:
            os.fchmod(descriptor, 0o600)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _make_private(path: Path) -> None:
    """Give a file of one's own the mode 0600, without opening it; its folder is private, so it stays what it is."""
    found = path.lstat()
    _check_file(path, found)
    if stat.S_IMODE(found.st_mode) != 0o600:
        path.chmod(0o600)


def _check_file(path: Path, found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise _is_link(path)
    if not stat.S_ISREG(found.st_mode):
        raise NotPrivateError(f"{path} is no regular file", "Move it away")
    _check_owner(path, found, "the file")


def _check_owner(path: Path, found: os.stat_result, what: str) -> None:
    if found.st_uid != os.geteuid():
        raise NotPrivateError(f"{what} {path} belongs to {_name_of(found.st_uid)}", "Use runtui as that user")


def _is_link(path: Path) -> NotPrivateError:
    return NotPrivateError(f"{path} is a symbolic link, and nothing is written through one", "Remove the link")


def _name_of(user: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"
