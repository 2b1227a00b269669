"""Private files and folders, their locks and their replacement; runtui keeps files on disk only through this module.

Invariant: it never writes through a link, into a folder that others may write to, or into another user's file, and
never changes the mode of such a file or folder. Its functions then raise NotPrivateError, which is an OSError.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import quote

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""The errors of a file that cannot grow."""

TOO_MANY_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE})
CLOSE_FILES: Final = "Close other programs, or allow more open files: ulimit -n 1024."

_OTHERS_MAY_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_COMPANIONS: Final = ("-wal", "-shm", "-journal")
"""The suffixes of the files that SQLite puts beside a database."""


def _next_step(cure: str = "") -> str:
    """Return the next step for a file that cannot be used: `cure`, if there is one, or another state folder."""
    own = "RUNTUI_STATE to a folder of your own."
    return f"{cure}, or set {own}" if cure else f"Set {own}"


class NotPrivateError(PermissionError):
    """A file or folder is not private: `sentence` says which and why, `cure` is the next step."""

    def __init__(self, what: str, cure: str = "") -> None:
        super().__init__(errno.EPERM, what)
        self.sentence = f"{what[0].upper()}{what[1:]}."
        self.cure = _next_step(cure)

    def __str__(self) -> str:
        return str(self.strerror)


def explanation(path: Path, reason: object, cure: str = "") -> tuple[str, str]:
    """Return a sentence why a file cannot be used, and the next step: that of `reason`, else `cure`, else one for the
    state folder."""
    if isinstance(reason, NotPrivateError):
        return reason.sentence, reason.cure
    why = reason.strerror or reason if isinstance(reason, OSError) else reason
    return f"{path}: {why}.", cure or _cure(reason)


def _cure(reason: object) -> str:
    """Return the next step if a file of the state folder cannot be used."""
    number = getattr(reason, "errno", None)
    if number in TOO_MANY_FILES:
        return CLOSE_FILES
    name = getattr(reason, "sqlite_errorname", "")
    if name.startswith("SQLITE_BUSY"):
        return "Wait for the other runtui to end."
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")) or number in NO_ROOM:
        return _next_step("Free disk space")
    return _next_step()


def private_folder(path: Path) -> None:
    """Create a folder (0700), or check that nobody else may write to an existing one.

    Missing parent folders are created in the same way (XDG base directories).
    """
    if not path.parent.exists():
        private_folder(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    if (link := path.lstat()).st_uid != 0:
        # The owner of a link can redirect it; root can do so anyway.
        _check_owner(path, link, "the folder")
    found = path.stat()
    _check_owner(path, found, "the folder")
    if found.st_mode & _OTHERS_MAY_WRITE:
        is_shared_on_purpose = found.st_mode & stat.S_ISVTX  # as /tmp is
        cure = "" if is_shared_on_purpose else f"Run: chmod 700 {path}"
        raise NotPrivateError(f"others may write to the folder {path}", cure)


def private_database(path: Path) -> None:
    """Create an empty file (0600) for SQLite in a private folder, or check an existing one.

    An existing file is not opened: closing a descriptor of it would release the locks of this process's other
    connections (POSIX locks belong to the process). The next runtui to end would then delete the log that this one
    still writes.
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
    """Create a file (0600) and return its descriptor, for reading and writing.

    Raises:
        FileExistsError: The name is taken, perhaps by a dangling link.
    """
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def open_private(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open the user's own file, set its mode to 0600, and return its descriptor. O_CREAT creates a missing file."""
    try:
        # Do not block: the path may be a pipe.
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


def replace_private(path: Path, new: Path, text: str) -> None:
    """Replace a file atomically, even across a loss of power: write `new` (0600) beside it, then rename it."""
    with os.fdopen(create_private(new), "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(path)
    with _open_folder(path.parent) as folder:
        os.fsync(folder)


def set_aside_database(path: Path, aside: Path) -> None:
    """Rename a database and its log; SQLite would apply a log left behind to the next file of that name."""
    path.replace(aside)
    for suffix in _COMPANIONS:
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).replace(aside.with_name(aside.name + suffix))


@contextmanager
def locked_file(path: Path) -> Iterator[None]:
    """Hold the lock of a private lock file, after waiting for any other holder."""
    descriptor = open_private(path, os.O_RDWR | os.O_CREAT)
    try:
        lock(descriptor)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def locked_folder(path: Path) -> Iterator[None]:
    """Hold the lock of a folder, after waiting for any other holder."""
    with _open_folder(path) as descriptor:
        lock(descriptor)
        yield


def lock(descriptor: int) -> None:
    """Lock an open file until it is closed or the process ends, after waiting for any other holder."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)


def is_locked(path: Path) -> bool:
    """Return whether a process holds the lock of a file.

    Raises:
        FileNotFoundError: There is no such file.
    """
    descriptor = open_private(path, os.O_RDWR)
    try:
        # A shared lock, so that two processes that check at once do not take each other for the holder.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def _open_folder(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _make_private(path: Path) -> None:
    """Set the mode of the user's own file to 0600 without opening it; its folder is private, so nobody can swap it."""
    found = path.lstat()
    _check_file(path, found)
    if stat.S_IMODE(found.st_mode) != 0o600:
        path.chmod(0o600)


def _check_file(path: Path, found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise _is_link(path)
    if not stat.S_ISREG(found.st_mode):
        raise NotPrivateError(f"{path} is not a regular file", "Move it away")
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


def sqlite_code(error: Exception) -> int:
    """Return SQLite's primary code for an error of its own; that of a corrupt file for one that Python raises without a
    code, because a schema has text that is not UTF-8."""
    import sqlite3

    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return code & 0xFF


BUSY_SECONDS: Final = 5.0
"""How long a connection waits for another one's write."""

FileIds: TypeAlias = tuple[tuple[int, int] | None, ...]
"""Device and inode of a database, its log (`-wal`) and the log's index (`-shm`); None for a file that is not found."""


def files_at(path: Path) -> FileIds:
    """Return the ids of the files that are now at a database's path."""
    found = (_stat(f"{path}{suffix}") for suffix in ("", "-wal", "-shm"))
    return tuple((file.st_dev, file.st_ino) if file is not None else None for file in found)


def remove_log_of(path: Path, lost: FileIds) -> None:
    """If the database at a path is not the one in `lost`, remove the log and the index of the lost one.

    SQLite would apply them to the database that is there.
    """
    found = files_at(path)
    if found[0] != lost[0]:
        for suffix, there, of_lost in zip(("-wal", "-shm"), found[1:], lost[1:], strict=True):
            if there is not None and there == of_lost:
                path.with_name(path.name + suffix).unlink(missing_ok=True)


MAX_LOG_BYTES: Final = 1_000_000
"""The most bytes of a log to leave beside its database; the next process to open the database reads them."""


@contextmanager
def logs_kept(*databases: Path, most: int = MAX_LOG_BYTES) -> Iterator[None]:
    """Keep the databases' logs, of at most `most` bytes, when the block closes their connections.

    SQLite merges the log into the file when the last connection closes, and creates a new log at the next write: four
    waits for the disk, where a change needs two. A read-only connection that closes last leaves the log alone.
    """
    import sqlite3

    with ExitStack() as last:
        for path in databases:
            if 0 < size_and_time(path.with_name(f"{path.name}-wal"))[0] <= most:
                with suppress(sqlite3.Error):
                    keeper = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
                    last.callback(keeper.close)
                    keeper.execute("PRAGMA schema_version")
        yield


def size_and_time(path: Path) -> tuple[int, int]:
    """Return the size of a file and its modification time (ns); zeros if it is not found."""
    found = _stat(path)
    return (found.st_size, found.st_mtime_ns) if found is not None else (0, 0)


def _stat(path: Path | str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116 - before each read of a database, and a Path takes longer
    except OSError:  # most often none is there; or its folder is closed to us, or leads nowhere
        return None
