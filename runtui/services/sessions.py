"""Which runtui are alive: each holds a lock that the system takes back when its process ends, however it ends.

Invariant: a session is called gone only when its lock could be had, so a write that is still on its way in another
process is never taken for a forgotten one.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from runtui.private_files import create_private, open_private, private_folder

SUFFIX: Final = ".lock"

_ID: Final = re.compile("[0-9a-f]{32}")

KEPT_SECONDS: Final = 86_400.0
"""How long the lock file of a session that is gone is left alone."""


class Session:
    """This process's place among the sessions on one state folder.

    Raises:
        OSError: when the folder cannot be written, or is not its owner's alone.
    """

    def __init__(self, folder: Path) -> None:
        self.id = uuid4().hex
        self._folder = folder
        self._path = folder / (self.id + SUFFIX)
        self._lock = self._take()
        self._sweep()

    def _take(self) -> int:
        private_folder(self._folder.parent)
        private_folder(self._folder)
        lock = create_private(self._path)
        fcntl.flock(lock, fcntl.LOCK_EX)
        return lock

    def hold(self) -> None:
        """Take the lock anew where its file was deleted or moved: others would take this process for one that is gone.

        Raises:
            OSError: when the folder cannot be written.
        """
        try:
            if os.path.samestat(self._path.stat(), os.fstat(self._lock)):
                return
            self._path.unlink()
        except (FileNotFoundError, NotADirectoryError):
            pass  # it is what `_take` makes
        lost, self._lock = self._lock, self._take()
        os.close(lost)

    def _sweep(self) -> None:
        """Remove what killed sessions left behind. A young file may belong to one that is about to lock it."""
        for path in self._folder.glob(f"*{SUFFIX}"):
            with suppress(FileNotFoundError):  # another runtui sweeps too
                if time.time() - path.stat().st_mtime > KEPT_SECONDS:
                    self._is_free(path)

    def is_gone(self, session_id: str) -> bool:
        """Whether the process of another session has ended; its lock file is swept away then."""
        if not _ID.fullmatch(session_id):
            return True  # no session's: from a damaged journal it could be the name of any file
        return self._is_free(self._folder / (session_id + SUFFIX))

    def _is_free(self, path: Path) -> bool:
        """Whether nobody holds a lock file; it is swept away then."""
        if path == self._path:
            return False
        try:
            other = open_private(path, os.O_RDWR)
        except FileNotFoundError:
            return True
        try:
            # Shared, so that two who look at the same moment do not take each other for the session.
            fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            path.unlink(missing_ok=True)
            return True
        finally:
            os.close(other)

    def close(self) -> None:
        """End the session."""
        self._path.unlink(missing_ok=True)
        os.close(self._lock)
