"""A defect of runtui: a sentence for the person, and a report for a developer.

Invariant: no raw traceback reaches a person; neither the sentence nor the report holds a local variable or a secret.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from runtui import __version__


def write_crash_report(error: BaseException, folder: Path) -> Path:
    """Write a report without private values: versions and the redacted traceback, no locals.

    Returns:
        The new file, 0600.

    Raises:
        OSError: it cannot be written.
    """
    import platform
    import traceback

    from runtui.private_files import create_private, private_folder
    from runtui.redact import redact, register_environment_secrets

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
    """Write the report; return a sentence that says what happened and where the report is."""
    what = f"{what} ({type(error).__name__})."
    try:
        return f"{what} The report, without private values, is in {write_crash_report(error, folder)}"
    except OSError as reason:
        return f"{what} No report could be written in {folder}: {reason.strerror}."


@contextmanager
def strays_reported(folder: Path) -> Iterator[None]:
    """Report errors that nobody waits for, in a thread, a task or a finalizer; Python would print their tracebacks."""

    def report(error: BaseException | None) -> None:
        if error is not None and not isinstance(error, SystemExit | KeyboardInterrupt):
            with suppress(OSError, ValueError):  # standard error is gone
                print(crash_sentence(error, folder, "A part of runtui failed"), file=sys.stderr)

    class Strays(logging.Handler):
        """Takes the errors that asyncio logs."""

        def emit(self, record: logging.LogRecord) -> None:
            report(record.exc_info[1] if record.exc_info else None)

    handler, of_asyncio = Strays(), logging.getLogger("asyncio")
    hooks = threading.excepthook, sys.unraisablehook
    threading.excepthook = lambda failed: report(failed.exc_value)
    sys.unraisablehook = lambda failed: report(failed.exc_value)
    of_asyncio.addHandler(handler)
    try:
        yield
    finally:
        threading.excepthook, sys.unraisablehook = hooks
        of_asyncio.removeHandler(handler)
