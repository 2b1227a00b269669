"""A command's session: a connected workspace, and the runs and the run that it reads from the server.

Invariant: the workspace is closed on every way out, and no command waits for a person to sign in.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from runtui.command_line import SessionSpec, token_source
from runtui.domain.report import wait_sentence
from runtui.errors import ExitCode, RuntuiError
from runtui.graph.batch import MOST_BATCHED
from runtui.graph.client import Answer
from runtui.graph.exchange import Exchange
from runtui.graph.retry import LONGEST_WAIT, Backoff, Pace, Wait
from runtui.graph.root import run_key
from runtui.headless.console import keep_exit_code, narrate
from runtui.services.journal_file import broken_journal
from runtui.services.store_query import EVERY_RUN
from runtui.services.workspace import Workspace
from runtui.settings import Settings

if TYPE_CHECKING:
    from runtui.services.refresh import Progress, UnreadWorkflow
    from runtui.services.store import StoredRun

_READS_AT_ONCE: Final = 4
"""Requests of `read_runs`, each for many runs."""


@asynccontextmanager
async def connected(session: SessionSpec) -> AsyncIterator[Workspace]:
    """Open the services and close them at the end. Once the command is through, ctrl+c is ignored.

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
    """Get a token before anything is opened, and report a sign-in that expires during the command."""
    if settings.sign_in is None:
        yield
        return
    # A token that is given is used without a sign-in.
    from runtui.auth.signin import SignIn, SignInError
    from runtui.headless.sign_in import with_next_step

    if not isinstance(token, SignIn):
        yield
        return
    try:
        try:
            await token()
        except SignInError as error:
            raise with_next_step(error, settings) from None
        try:
            yield
        except RuntuiError as error:
            if (trouble := token.state.needs_person) is None:
                raise
            # The server's message explains its refusal; this one says what to do.
            cure = with_next_step(trouble, settings)
            raise RuntuiError(error.title, cure.summary, cure.hint) from error
        if (trouble := token.state.needs_person) is not None:
            narrate(*str(with_next_step(trouble, settings)).splitlines())
    finally:
        await token.aclose()


async def list_all(
    workspace: Workspace, *, full: bool = False, sort: str = EVERY_RUN.sort
) -> tuple[UnreadWorkflow, ...]:
    """Bring the local store up to date; return the workflows that could not be read. `full` reads all runs, also where
    the changes would do; `sort` is the column that the runs are sorted by.

    Raises:
        RuntuiError: nothing could be read.
    """
    announced = ""

    def tell_wait(progress: Progress) -> None:
        nonlocal announced
        if progress.waiting != announced and (announced := progress.waiting):
            narrate(announced)

    try:
        await asyncio.to_thread(workspace.triage.follow)
    except RuntuiError as error:
        narrate(str(error))  # filters then tell what was remembered before
    unsubscribe = workspace.refresh.changed.subscribe(tell_wait)
    try:
        # The next screen opens in the order that a person chose there last.
        kept = workspace.preferences.kept.runs.sort
        await workspace.refresh.list_once(full=full, sorts={EVERY_RUN.sort, kept, sort})
    finally:
        unsubscribe()
    progress = workspace.refresh.progress
    if progress.fault is not None:
        raise RuntuiError("The runs could not be read", str(progress.fault))
    return progress.missing


def tell_unread(missing: Iterable[UnreadWorkflow], what: str = "", fault: RuntuiError | None = None) -> int:
    """Say which workflows could not be read, and what else for which fault; the exit code."""
    lines = [workflow.words for workflow in missing]
    lines += [f"{what} {fault}"] if fault is not None else []
    narrate(*(f"runtui: {line}" for line in lines))
    return ExitCode.NOT_DONE if lines else ExitCode.DONE


def pace() -> Pace:
    """When to send and repeat the GETs of a command; each wait is narrated."""
    return Pace(Backoff(_tell, longest=LONGEST_WAIT))


def _tell(wait: Wait | None) -> None:
    if wait is not None:
        narrate_wait(wait.until, wait.exchange, wait.asked_seconds)


def narrate_wait(until: datetime, exchange: Exchange, asked_seconds: float | None) -> None:
    """Say why nothing is sent until then."""
    narrate(wait_sentence((until - datetime.now(UTC)).total_seconds(), exchange.status, asked_seconds))


async def find_run(workspace: Workspace, run_id: str, workflow_id: str | None) -> tuple[str, str]:
    """The id of a run's workflow, and the run's id as the service spells it: from the local store, else a listing.
    Where the workflow is named, both as they were typed.

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
    what = " ".join((f"The server lists no run {run_id!r}.", *map(str, missing)))
    raise RuntuiError("There is no such run", what, "runtui list shows every run.")


def stored_run(workspace: Workspace, run_id: str) -> StoredRun | None:
    """A run of the local store; a person may type its id in upper case."""
    return workspace.store.get(run_id) or workspace.store.get(run_key(run_id))


async def read_run(workspace: Workspace, workflow_id: str, run_id: str) -> dict[str, Any]:
    """Read one run; see `run_and_answer`."""
    run, _ = await run_and_answer(workspace, workflow_id, run_id)
    return run


async def run_and_answer(workspace: Workspace, workflow_id: str, run_id: str) -> tuple[dict[str, Any], Answer]:
    """Read one run; waits as long as the service asks for. The run, and the answer that it came with.

    Raises:
        RuntuiError: it cannot be read.
    """
    answer = await workspace.client.run(workflow_id, run_id, pace=pace())
    if answer.entity is not None:
        return answer.entity, answer
    raise failed_read("The run cannot be read", answer)


async def read_runs(workspace: Workspace, runs: Sequence[tuple[str, str]]) -> list[Answer]:
    """Read some runs (workflow id, run id), many with one request; waits as long as the service asks for."""
    shared = Backoff(_tell, longest=LONGEST_WAIT)
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

    parts = [runs[start : start + MOST_BATCHED] for start in range(0, len(runs), MOST_BATCHED)]
    return [answer for part in await asyncio.gather(*map(read, parts)) for answer in part]


def failed_read(title: str, answer: Answer) -> RuntuiError:
    """An answer without what was asked for, as the error that ends a command."""
    if answer.fault is None:
        return RuntuiError(title, "The response is empty.")
    return RuntuiError(title, answer.fault.summary, answer.fault.hint)
