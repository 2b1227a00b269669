"""`runtui watch`: prints a JSON line for each run that begins to match a filter, and runs a command for it.

Invariant: a run is recorded after its line is written and its command has ended. So a killed watch may report the last
run twice but misses none. Listings, waits and retries are those of `services.refresh`. A command gets foreign text only
on its standard input and in one variable, never as an argument, and it gets no secret of runtui.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import signal
import sqlite3
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from hashlib import sha256
from typing import Any, Final

from runtui.command_line import SessionSpec, tenant_known
from runtui.domain.filters import parse_filter
from runtui.domain.text import visible
from runtui.domain.times import length_words, now_ticks
from runtui.errors import ExitCode, RuntuiError, UsageError
from runtui.graph.pages import GraphError
from runtui.headless.console import ENDED_FROM_OUTSIDE, command, narrate, parse_filter_option
from runtui.headless.runs import run_record
from runtui.headless.session import connected
from runtui.options import default_of
from runtui.private_files import explanation, private_database, sqlite_code
from runtui.redact import without_own_secrets
from runtui.services.refresh import Progress
from runtui.services.store.query import found_ids
from runtui.services.store.store import EVERY_RUN, RunQuery, StoredRun
from runtui.services.workspace import Workspace
from runtui.settings import Settings

RUN_ID_VARIABLE: Final = "RUNTUI_RUN_ID"

_STDERR: Final = 2
"""The descriptor for the output of commands, because standard output is for the JSON lines."""


@command
async def watch(
    session: SessionSpec,
    *,
    filter_text: str,
    interval: int | None,
    watch_only: bool,
    from_start: bool,
    count: int | None,
    program: str | None,
    program_seconds: int,
) -> int:
    """Print the matching runs, then each that begins to match, until a signal or `count` runs.

    `interval` is in seconds; None for the session's interval, or the default if that is off. `watch_only` does not
    print the runs that match at the first start. `from_start` forgets what an earlier watch printed. `program` is split
    like a shell command and runs for each run, for at most `program_seconds`.

    Raises:
        RuntuiError: filter or command cannot be used, the same watch is running, or the service refuses.
    """
    words = _words_of(program) if program is not None else ()
    parse_filter_option(filter_text)
    seconds = interval or session.settings.refresh_seconds or default_of("refresh")
    session = session._replace(settings=session.settings._replace(refresh_seconds=seconds))
    _end_by_signals()
    with suppress(asyncio.CancelledError), closing(ReportedRuns(session.settings, filter_text)) as reported:
        if from_start:
            reported.forget()
        async with connected(session) as workspace:
            await _Watch(workspace, reported, filter_text, words, program_seconds).follow(count, watch_only=watch_only)
    return ExitCode.DONE


def _words_of(text: str) -> Sequence[str]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError("The command cannot be used", f"--exec: {error}.") from None
    if not words or shutil.which(words[0]) is None:
        hint = "Give a program and its arguments; for a shell, `sh -c '…'`."
        raise UsageError("The command cannot be used", f"--exec: there is no program {text!r}.", hint)
    return words


def _end_by_signals() -> None:
    """Let the first signal cancel this task, and the second one end the program at once, even in a blocked write."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    was_asked = False

    def end(_number: int, _frame: object) -> None:
        nonlocal was_asked
        if was_asked or task is None:
            raise KeyboardInterrupt
        was_asked = True
        loop.call_soon_threadsafe(task.cancel)

    for number in (signal.SIGINT, *ENDED_FROM_OUTSIDE):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, end)


class _Watch:
    """One watch, from its first listing to its last run. `program` has the words of the program to run for each run."""

    def __init__(
        self, workspace: Workspace, reported: ReportedRuns, filter_text: str, program: Sequence[str], seconds: float
    ) -> None:
        self._workspace = workspace
        self._reported = reported
        self._filter_text = filter_text
        self._program = program
        self._program_seconds = seconds
        self._listed = asyncio.Event()
        self._trouble = ""
        """The last trouble that was narrated; empty once it is over."""

    async def follow(self, count: int | None, *, watch_only: bool) -> None:
        """Report new runs after each listing, at most `count`.

        Raises:
            RuntuiError: the service refuses, or the first listing failed.
        """
        refresh, was_read = self._workspace.refresh, False
        refresh.changed.subscribe(self._progressed)
        refresh.start()
        while count is None or count > 0:
            await self._listed.wait()
            self._listed.clear()
            progress = refresh.progress
            is_final = not was_read or refresh.is_broken
            if (fault := progress.fault) is not None and (is_final or self._is_refused(fault)):
                raise fault
            unread = await self._read_besides()
            self._tell(str(progress.why_incomplete or unread or ""))
            if fault is None:
                was_read = True
                reported = await self._report_new(count, watch_only=watch_only)
                count = None if count is None else count - reported

    def _progressed(self, progress: Progress) -> None:
        if progress.waiting_until is not None:
            self._tell(progress.waiting)
        elif not progress.listing:
            self._listed.set()

    def _tell(self, words: str) -> None:
        """Report a trouble if it differs from the last one; "" after a trouble reports that it is over."""
        if words != self._trouble:
            narrate(f"runtui: {words or 'All runs can be read again.'}")
        self._trouble = words

    def _is_refused(self, fault: RuntuiError) -> bool:
        """Return True if only a person can fix a fault: by a sign-in, a permission or another address."""
        sign_in = self._workspace.sign_in
        if sign_in is not None and sign_in.state.needs_person is not None:
            return True
        status = fault.exchange.status if isinstance(fault, GraphError) else None
        return status is not None and 400 <= status < 500 and status not in (408, 429)

    def _query(self) -> RunQuery:
        """Return the query for the runs that match now, oldest first. Relative times such as `-2h` count from now."""
        return RunQuery(parse_filter(self._filter_text, now_ticks()), "started", descending=False)

    async def _read_besides(self) -> RuntuiError | None:
        """Read the triage memory, and the results if the filter asks for them. Return why some could not be read, or
        None; the filter then uses the older ones."""
        trouble: RuntuiError | None = None
        try:
            await asyncio.to_thread(self._workspace.triage.follow)
        except RuntuiError as error:
            trouble = error
        found = self._query().filter
        if found is not None and found.reads_results:
            await self._workspace.results.read(EVERY_RUN)
            trouble = self._workspace.results.progress.fault or trouble
        return trouble

    async def _report_new(self, most: int | None, *, watch_only: bool) -> int:
        """Report the runs that begin to match, at most `most`; return how many."""
        query, store, reported = self._query(), self._workspace.store, self._reported
        missing = self._workspace.refresh.progress.missing
        left_out = {workflow.workflow_id for workflow in missing if not workflow.lacks_ids_only}

        def matching() -> dict[str, str]:
            """Return the ids of the matching runs, with their workflow ids, without unread workflows."""
            with store.reading() as db:
                return {run_id: workflow for run_id, workflow in found_ids(db, query) if workflow not in left_out}

        found = await asyncio.to_thread(matching)
        reported.keep(found, {workflow.workflow_id for workflow in missing})
        if watch_only and not reported.has_begun:
            reported.begin(found)
        count = 0
        for run_id in reported.new_among(found):
            if count == most:
                return count
            if (stored := store.get(run_id)) is not None:
                await _to_its_end(self._report(run_id, stored))
                count += 1
        if not reported.has_begun:
            reported.begin({})
        return count

    async def _report(self, run_id: str, stored: StoredRun) -> None:
        line = json.dumps(run_record(stored))
        print(line, flush=True)
        if self._program:
            await self._run(run_id, line)
        self._reported.add(run_id, stored.workflow_id)

    async def _run(self, run_id: str, line: str) -> None:
        """Run the command for a run, and report its failure."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._program,
                stdin=asyncio.subprocess.PIPE,
                stdout=_STDERR,
                env=without_own_secrets() | {RUN_ID_VARIABLE: visible(run_id)},
                start_new_session=True,
            )
        except OSError as error:
            narrate(f"runtui: The command for run {run_id} could not be started: {error.strerror}.")
            return
        try:
            async with asyncio.timeout(self._program_seconds):
                await process.communicate(f"{line}\n".encode())
            end = f"failed with exit code {process.returncode}" if process.returncode else ""
        except TimeoutError:
            end = f"was stopped after {length_words(self._program_seconds)}"
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if end:
            narrate(f"runtui: The command for run {run_id} {end}.")


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Await `work`; if this task is cancelled meanwhile, the work is finished first."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


class ReportedRuns:
    """The runs of a tenant that a watch with a filter has reported. Only one watch at a time can hold the file.

    Raises:
        RuntuiError: the file cannot be used, or another watch holds it.
    """

    def __init__(self, settings: Settings, filter_text: str) -> None:
        of = json.dumps([settings.profile, settings.root, tenant_known(settings), " ".join(filter_text.split())])
        self._path = settings.state_folder / f"watch-{sha256(of.encode()).hexdigest()[:16]}.db"
        with self._faults(), ExitStack() as unusable:
            private_database(self._path)
            self._db = unusable.enter_context(closing(sqlite3.connect(self._path, timeout=0, isolation_level=None)))
            # The first write takes the lock and keeps it. A loss of power may lose the latest runs.
            for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = NORMAL"):
                self._db.execute(f"PRAGMA {pragma}")
            with self._writing():
                self._db.execute(
                    "CREATE TABLE IF NOT EXISTS told (run_id TEXT PRIMARY KEY, workflow_id TEXT) WITHOUT ROWID"
                )
            unusable.pop_all()

    def close(self) -> None:
        self._db.close()

    @property
    def has_begun(self) -> bool:
        """True if the runs that matched at the first start were reported or skipped."""
        return bool(self._db.execute("PRAGMA user_version").fetchone()[0])

    def begin(self, known: Mapping[str, str]) -> None:
        """Record the first start as complete, with `known` as runs not to report."""
        with self._writing():
            self._db.executemany("INSERT OR IGNORE INTO told VALUES (?, ?)", known.items())
            self._db.execute("PRAGMA user_version = 1")

    def forget(self) -> None:
        with self._writing():
            self._db.execute("DELETE FROM told")
            self._db.execute("PRAGMA user_version = 0")

    def new_among(self, found: Mapping[str, str]) -> Sequence[str]:
        """Return the ids of the runs not yet reported, in order."""
        known = {run_id for (run_id,) in self._db.execute("SELECT run_id FROM told")}
        return [run_id for run_id in found if run_id not in known]

    def add(self, run_id: str, workflow_id: str) -> None:
        with self._writing():
            self._db.execute("INSERT OR REPLACE INTO told VALUES (?, ?)", (run_id, workflow_id))

    def keep(self, found: Mapping[str, str], unread: set[str]) -> None:
        """Forget the runs that match no more, except in unread workflows, where that is unknown."""
        known = self._db.execute("SELECT run_id, workflow_id FROM told").fetchall()
        gone = [(run_id,) for run_id, workflow_id in known if run_id not in found and workflow_id not in unread]
        if gone:
            with self._writing():
                self._db.executemany("DELETE FROM told WHERE run_id = ?", gone)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Commit at the end what is written, or roll it back on an error."""
        with self._faults(), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            yield

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Turn errors of the file into RuntuiError."""
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:
            code = sqlite_code(error)
            if code == sqlite3.SQLITE_BUSY:
                why = "Another runtui watches with this filter; it would take runs from this one."
                raise RuntuiError("This filter is already watched", why, "End that one first.") from error
            is_broken = code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
            anew = "Delete it to start over; all matching runs are then printed again." if is_broken else ""
            raise RuntuiError("The watch cannot be remembered", *explanation(self._path, error, anew)) from error
        except OSError as error:
            raise RuntuiError("The watch cannot be remembered", *explanation(self._path, error)) from error
