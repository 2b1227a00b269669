"""Which files are at the path of an SQLite database: SQLite itself goes on with one that was deleted or replaced.

Invariant: nothing is opened. To close a descriptor of a database would give up the locks that this process has on it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

BUSY_SECONDS: Final = 5.0
"""How long one connection waits for another one's write."""


class FileId(NamedTuple):
    """A file as the system knows it, whatever its name."""

    device: int
    inode: int


FileIds: TypeAlias = tuple[FileId | None, FileId | None, FileId | None]
"""The database, its log (`-wal`) and the log's index (`-shm`); None where there is none."""


def files_at(path: Path) -> FileIds:
    """The files that are at the path of a database now."""
    log, index = (path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))
    return _file_at(path), _file_at(log), _file_at(index)


def remove_log_of(path: Path, lost: FileIds) -> None:
    """Where the database at a path is no longer the one of `lost`, remove the log and index of that one.

    SQLite would take them for those of the database that is there.
    """
    found = files_at(path)
    if found[0] != lost[0]:
        for suffix, there, of_lost in zip(("-wal", "-shm"), found[1:], lost[1:], strict=True):
            if there is not None and there == of_lost:
                path.with_name(path.name + suffix).unlink(missing_ok=True)


def size_and_time(path: Path) -> tuple[int, int]:
    """The size of a file, and when it was written last (ns); nothing of either where there is none."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return 0, 0
    return found.st_size, found.st_mtime_ns


def _file_at(path: Path) -> FileId | None:
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return FileId(found.st_dev, found.st_ino)
