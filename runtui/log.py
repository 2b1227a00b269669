"""The files for bug reports: the log of `--log FILE`, and a report for each crash.

Invariant: both are private files (0600) without secrets, and no traceback reaches a person. A log is written only on
request; its lines are visible text. Code logs with `logging.getLogger("runtui.…")` at INFO: methods, addresses,
statuses, ids and verdicts; never headers or bodies.
"""

from __future__ import annotations

import _thread
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from runtui import __version__
from runtui.errors import UsageError
from runtui.private_files import create_private, explanation, open_private, private_folder
from runtui.redact import redact, register_environment_secrets

_logger: Final = logging.getLogger("runtui")


@contextmanager
def logged_to(path: Path, command: str) -> Iterator[None]:
    """Append to a log file while a command runs, and create it if missing; the first line names the command.

    Raises:
        UsageError: The file cannot be written, belongs to another user, or is a link or no regular file.
    """
    register_environment_secrets()
    try:
        descriptor = open_private(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    except OSError as error:
        reason, _ = explanation(path, error)
        raise UsageError("The log cannot be written", reason, "Choose another file for --log.") from None
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


class _LogHandler(logging.Handler):
    """Writes each record as one line: time (UTC), part of runtui, message. It stops at the first write error."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self.failure: OSError | None = None

    def format(self, record: logging.LogRecord) -> str:
        from runtui.domain.text import visible

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


def write_crash_report(error: BaseException, folder: Path) -> Path:
    """Write a new crash report (0600) with versions and the redacted traceback, without locals; return its path.

    Raises:
        OSError: It cannot be written.
    """
    import platform
    import traceback

    register_environment_secrets()
    now = datetime.now(UTC)
    facts = (
        f"runtui {__version__}, Python {platform.python_version()}, {platform.system()} {platform.release()}\n"
        f"TERM={os.environ.get('TERM', '')} at {now.isoformat(timespec='seconds')}\n\n"
    )
    frames = "".join(traceback.TracebackException.from_exception(error, capture_locals=False).format())
    private_folder(folder)
    path = folder / f"crash-{now:%Y%m%dT%H%M%S%f}-{os.getpid()}.txt"
    with os.fdopen(create_private(path), "w", encoding="utf-8", errors="backslashreplace") as report:
        report.write(redact(facts + frames))
    return path


def crash_sentence(error: BaseException, folder: Path, what: str = "runtui crashed") -> str:
    """Write a crash report; return a sentence that says what happened and where the report is."""
    what = f"{what} ({type(error).__name__})."
    try:
        return f"{what} The report, without private values, is in {write_crash_report(error, folder)}"
    except OSError as reason:
        return f"{what} No report could be written in {folder}: {reason.strerror}."


@contextmanager
def unhandled_errors_reported(folder: Path) -> Iterator[None]:
    """Report uncaught errors in threads, tasks and finalizers; Python would print their tracebacks.

    A ctrl+c that Python drops in a finalizer, such as that of an import lock, is sent again.
    """

    def report(error: BaseException | None) -> None:
        if error is not None and not isinstance(error, SystemExit | KeyboardInterrupt):
            with suppress(OSError, ValueError):  # standard error is gone
                print(crash_sentence(error, folder, "A part of runtui failed"), file=sys.stderr)

    def dropped(failed: sys.UnraisableHookArgs) -> None:
        report(failed.exc_value)
        while isinstance(failed.exc_value, KeyboardInterrupt):
            # From a thread, because in here it would be dropped too. Python looks for signals as this call ends, and
            # not again before the hook has ended: if the thread was that fast, start another.
            try:
                _thread.start_new_thread(os.kill, (os.getpid(), signal.SIGINT))
                return
            except KeyboardInterrupt:
                continue

    class Strays(logging.Handler):
        """Reports the errors that asyncio logs."""

        def emit(self, record: logging.LogRecord) -> None:
            report(record.exc_info[1] if record.exc_info else None)

    handler, of_asyncio = Strays(), logging.getLogger("asyncio")
    hooks = threading.excepthook, sys.unraisablehook
    threading.excepthook = lambda failed: report(failed.exc_value)
    sys.unraisablehook = dropped
    of_asyncio.addHandler(handler)
    try:
        yield
    finally:
        threading.excepthook, sys.unraisablehook = hooks
        of_asyncio.removeHandler(handler)
