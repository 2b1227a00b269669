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
from typing import Final, TextIO

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
    with _opened(path) as file:
        handler = _LogHandler(file)
        level = _logger.level
        _logger.addHandler(handler)
        _logger.setLevel(logging.INFO)
        try:
            _logger.info("runtui %s, Python %s: %s", __version__, sys.version.split()[0], command)
            yield
            _logger.info("end")
        finally:
            _logger.removeHandler(handler)
            _logger.setLevel(level)
            if handler.failure is not None:
                print(f"runtui: The log is incomplete: {handler.failure.strerror}.", file=sys.stderr)


def _opened(path: Path) -> TextIO:
    try:
        descriptor = open_private(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    except NotPrivateError as error:
        raise UsageError("The log cannot be written", error.sentence, "Choose another file for --log.") from None
    except OSError as error:
        what = f"{path}: {error.strerror}."
        raise UsageError("The log cannot be written", what, "Choose another file for --log.") from None
    return os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", buffering=1)


class _LogHandler(logging.StreamHandler[TextIO]):
    """Writes a record as one line: time in UTC, the part of runtui, the message."""

    def __init__(self, file: TextIO) -> None:
        super().__init__(file)
        self.failure: OSError | None = None

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        part = record.name.removeprefix("runtui").removeprefix(".") or "runtui"
        return visible(redact(f"{moment}.{record.msecs:03.0f}Z {part}: {record.getMessage()}"))

    def emit(self, record: logging.LogRecord) -> None:
        if self.failure is None:
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Stop at the first error of the disk; logging itself would print a traceback over the screen."""
        error = sys.exception()
        if not isinstance(error, OSError):
            super().handleError(record)
        else:
            self.failure = error
