"""`--log FILE`: requests and decisions as lines of text, for a bug report.

Invariant: off unless `--log` is given. The file is private (0600), and every line passes the redactor and is visible
text. Code logs with `logging.getLogger("runtui.…")` at INFO: methods, addresses, statuses, ids and verdicts; never
headers or bodies.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from runtui import __version__
from runtui.domain.text import visible
from runtui.errors import UsageError
from runtui.private_files import NotPrivateError, open_private
from runtui.redact import redact, register_environment_secrets

_logger: Final = logging.getLogger("runtui")


@contextmanager
def logged_to(path: Path, command: str) -> Iterator[None]:
    """Append to a log file while a command runs.

    Args:
        path: The file; it is made where there is none.
        command: The name of the command, for the first line.

    Raises:
        UsageError: the file cannot be written, is not the user's own, or is a link or no regular file.
    """
    register_environment_secrets()
    descriptor = _opened(path)
    handler = _LogHandler(descriptor)
    level = _logger.level
    _logger.addHandler(handler)
    _logger.setLevel(logging.INFO)
    try:
        _logger.info("runtui %s, Python %s: %s", __version__, sys.version.split()[0], command)
        yield
        _logger.info("end")
    except BaseException as error:
        _logger.info("end: %s: %s", type(error).__name__, error)
        raise
    finally:
        _logger.removeHandler(handler)
        _logger.setLevel(level)
        os.close(descriptor)
        if handler.failure is not None:
            print(f"runtui: The log is incomplete: {handler.failure.strerror}.", file=sys.stderr)


def _opened(path: Path) -> int:
    hint = "Choose another file for --log."
    try:
        return open_private(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    except NotPrivateError as error:
        raise UsageError("The log cannot be written", error.sentence, hint) from None
    except OSError as error:
        raise UsageError("The log cannot be written", f"{path}: {error.strerror}.", hint) from None


class _LogHandler(logging.Handler):
    """Writes a record as one line: time (UTC), part of runtui, message. Stops at the first error of the disk."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self.failure: OSError | None = None

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        part = record.name.removeprefix("runtui").removeprefix(".") or "runtui"
        return visible(redact(f"{moment}.{record.msecs:03.0f}Z {part}: {record.getMessage()}"))

    def emit(self, record: logging.LogRecord) -> None:
        line = f"{self.format(record)}\n".encode(errors="backslashreplace")
        try:
            while line and self.failure is None:
                line = line[os.write(self._descriptor, line) :]
        except OSError as error:
            self.failure = error
