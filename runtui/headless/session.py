"""The session of a command: a connected workspace, and functions that read runs from the server.

Invariant: the workspace is always closed, and no command waits for a person to sign in.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from runtui.command_line import SessionSpec, token_source
from runtui.domain.times import length_words
from runtui.errors import ExitCode, RuntuiError
from runtui.graph.batch import MAX_BATCH
from runtui.graph.client import Answer
from runtui.graph.retry import Backoff, Pace, Wait
from runtui.graph.root import run_key
from runtui.headless.console import ProgressLine, keep_exit_code, narrate
from runtui.services.records.journal_file import broken_journal
from runtui.services.store.query import EVERY_RUN
from runtui.services.workspace import Workspace
from runtui.settings import Settings

if TYPE_CHECKING:
    from runtui.services.refresh import UnreadWorkflow
    from runtui.services.store.store import StoredRun

_READS_AT_ONCE: Final = 4
"""Concurrent requests of `read_runs`, each for many runs."""


@asynccontextmanager
async def connected(session: SessionSpec) -> AsyncIterator[Workspace]:
    """Open the services, and close them at the end. After the block, ctrl+c is ignored.

    Raises:
        RuntuiError: there is no token; the hint says how to get one.
    """
    settings = session.settings
    token = session.token or token_source(settings)
    async with _signed_in(token, settings):
        workspace = Workspace(settings, session.store_file, token, wire=session.wire)
        try:
            workspace.connect(settings.root)
            if (aside := workspace.journal.set_aside) is not None:
                narrate(str(broken_journal(aside)))
            yield workspace
            await keep_exit_code()
        finally:
            await workspace.close()


@asynccontextmanager
async def _signed_in(token: object, settings: Settings) -> AsyncIterator[None]:
    """Get a token before the services are opened, and report a sign-in that expires during the command."""
    if settings.sign_in is None:
        yield
        return
    # Imported only for a sign-in: a supplied token needs none.
    from runtui.auth.errors import SignInError
    from runtui.auth.signin import SignIn
    from runtui.headless.sign_in import with_next_step

    if not isinstance(token, SignIn):
        yield
        return
    async with aclosing(token):
        try:
            await token()
        except SignInError as error:
            raise with_next_step(error, settings) from None
        try:
            yield
        except RuntuiError as error:
            if (trouble := token.state.needs_person) is None:
                raise
            # Keep the server's title, and replace its message by what the person must do.
            cure = with_next_step(trouble, settings)
            raise RuntuiError(error.title, cure.summary, cure.hint) from error
        if (trouble := token.state.needs_person) is not None:
            narrate(*str(with_next_step(trouble, settings)).splitlines())


async def list_all(
    workspace: Workspace, *, full: bool = False, sort: str = EVERY_RUN.sort
) -> tuple[UnreadWorkflow, ...]:
    """Bring the local store up to date and return the workflows that could not be read. `full` reads all runs even if
    the changes would do. `sort` is the column that the runs will be sorted by.

    Raises:
        RuntuiError: nothing could be read.
    """
    line = ProgressLine()
    try:
        await asyncio.to_thread(workspace.triage.follow)
    except RuntuiError as error:
        narrate(str(error))  # filters then use the older triage
    unsubscribe = workspace.refresh.changed.subscribe(lambda progress: line.show(progress.waiting))
    try:
        # The next screen opens with the order that was chosen last.
        kept = workspace.preferences.kept.runs.sort
        await workspace.refresh.list_once(full=full, sorts={EVERY_RUN.sort, kept, sort})
    finally:
        unsubscribe()
        line.clear()
    progress = workspace.refresh.progress
    if progress.fault is not None:
        raise RuntuiError("The runs could not be read", str(progress.fault))
    return progress.missing


def tell_unread(missing: Iterable[UnreadWorkflow], what: str = "", fault: RuntuiError | None = None) -> int:
    """Report unread workflows, and `what` with its fault if there is one. Return the exit code: DONE if nothing is."""
    lines = [workflow.words for workflow in missing]
    lines += [f"{what} {fault}"] if fault is not None else []
    narrate(*(f"runtui: {line}" for line in lines))
    return ExitCode.NOT_DONE if lines else ExitCode.DONE


def pace() -> Pace:
    """Return the retry rules for the GETs of a command; each wait is reported."""
    return Pace(Backoff(narrate_wait))


def narrate_wait(wait: Wait | None) -> None:
    """Report why the next request waits, and for how long; nothing at the end of a wait (None)."""
    if wait is not None:
        left = (wait.until - datetime.now(UTC)).total_seconds()
        narrate(f"{wait.why}; trying again {f'in {length_words(left)}' if left > 0 else 'now'}.")


async def find_run(workspace: Workspace, run_id: str, workflow_id: str | None) -> tuple[str, str]:
    """Return the id of a run's workflow and the run's id in the service's spelling, from the local store or a listing.
    If `workflow_id` is given, return both ids as typed.

    Raises:
        RuntuiError: there is no such run, or the list is incomplete.
    """
    if workflow_id is not None:
        return workflow_id, run_id
    if (stored := stored_run(workspace, run_id)) is not None:
        return stored.workflow_id, stored.raw["id"]
    narrate("The run is not in the local store; listing all runs. Add --workflow ID to skip this.")
    missing = await list_all(workspace)
    if (stored := stored_run(workspace, run_id)) is not None:
        return stored.workflow_id, stored.raw["id"]
    if missing:
        what = " ".join((f"No workflow that could be read has a run {run_id!r}.", *map(str, missing)))
        raise RuntuiError("The run was not found", what, "Add --workflow ID to read it alone.")
    raise RuntuiError("There is no such run", f"The server lists no run {run_id!r}.", "runtui list shows every run.")


def stored_run(workspace: Workspace, run_id: str) -> StoredRun | None:
    """Return a run from the local store, in any case of its id; None if it is not there."""
    return workspace.store.get(run_id) or workspace.store.get(run_key(run_id))


async def read_into_store(workspace: Workspace, workflow_id: str, run_id: str) -> RuntuiError | None:
    """Read a run into the store, and its results if they are missing or the run has changed since. Each wait is
    reported. Return why the results cannot be read, or None.

    Raises:
        RuntuiError: the run cannot be read or stored.
    """
    run, _ = await run_and_answer(workspace, workflow_id, run_id)
    workspace.store.put_run(workflow_id, run)
    try:
        if (results := workspace.store.results_of(run_id)) is None or results.is_outdated:
            await workspace.results.read_run(workflow_id, run_id, pace=pace())
    except RuntuiError as error:
        return RuntuiError("The results of its tasks could not be read", str(error))
    return None


async def run_and_answer(workspace: Workspace, workflow_id: str, run_id: str) -> tuple[dict[str, Any], Answer]:
    """Read one run, waiting as the service asks, and return it with the answer.

    Raises:
        RuntuiError: the run cannot be read.
    """
    answer = await workspace.client.run(workflow_id, run_id, pace=pace())
    if answer.entity is not None:
        return answer.entity, answer
    raise failed_read("The run cannot be read", answer)


async def read_runs(workspace: Workspace, runs: Sequence[tuple[str, str]]) -> list[Answer]:
    """Read runs, given as (workflow id, run id), in batches, waiting as the service asks. Return an answer for each."""
    shared = Backoff(narrate_wait)
    gate = asyncio.Semaphore(_READS_AT_ONCE)

    async def read(part: Sequence[tuple[str, str]]) -> list[Answer]:
        pace, found, tries, has_new_token = Pace(shared), dict[tuple[str, str], Answer](), 0, False
        waiting = list(dict.fromkeys(part))
        async with gate:
            while waiting:
                await pace.ready()
                found |= zip(waiting, await workspace.client.read_runs(waiting), strict=True)
                exchanges = {run: found[run].exchange for run in waiting}
                refused = next((exchange for exchange in exchanges.values() if exchange.lacks_token), None)
                if refused is not None and not has_new_token and await workspace.client.renew_token(refused):
                    has_new_token = True
                    continue
                tries += 1
                waiting = [run for run, exchange in exchanges.items() if pace.retry(exchange, tries)]
        return [found[run] for run in part]

    parts = [runs[start : start + MAX_BATCH] for start in range(0, len(runs), MAX_BATCH)]
    return [answer for part in await asyncio.gather(*map(read, parts)) for answer in part]


def failed_read(title: str, answer: Answer) -> RuntuiError:
    """Return the error for an answer without the requested object."""
    if answer.fault is None:
        return RuntuiError(title, "The response is empty.")
    return RuntuiError(title, answer.fault.summary, answer.fault.hint)
