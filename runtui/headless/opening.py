"""What every command that asks the server begins with: a connected workspace, and the run it is about.

Invariant: whatever happens in between, the workspace is closed; and no command waits for a person to sign in.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtui.auth.signin import SignIn, SignInError
from runtui.errors import RuntuiError
from runtui.graph.faults import Fault
from runtui.graph.retry import LONGEST_WAIT, THROTTLING, Backoff, Pace, Wait, length_words, wait_words
from runtui.graph.root import run_key
from runtui.headless.console import keep_exit_code, narrate
from runtui.headless.identity import in_shell
from runtui.services.refresh import Progress, UnreadWorkflow
from runtui.services.workspace import Workspace
from runtui.session_settings import token_source
from runtui.settings import Settings, store_path

if TYPE_CHECKING:
    from runtui.graph.transport import Wire
    from runtui.services.store import StoredRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where a command works."""

    settings: Settings
    token: Callable[[], Awaitable[str]] | None = None
    """Gives the bearer token of a request; None: as the settings say."""
    wire: Wire | None = None
    """What carries the requests in place of the network."""

    @property
    def store_file(self) -> Path:
        """The local store of its root."""
        return store_path(self.settings.state_folder, self.settings.root)


@asynccontextmanager
async def connected(server: Server) -> AsyncIterator[Workspace]:
    """The services on a server, closed at the end. Once the command is through, ctrl+c is ignored.

    Raises:
        RuntuiError: there is no token, and what a person has to do about it.
    """
    token = server.token or token_source(server.settings)
    async with _signed_in(token, server.settings):
        workspace = Workspace(server.settings, server.store_file, token, wire=server.wire)
        try:
            workspace.connect(server.settings.root)
            if (trouble := workspace.reconciler.broken) is not None:
                narrate(str(trouble))
            yield workspace
            await keep_exit_code()
        finally:
            await workspace.close()


@asynccontextmanager
async def _signed_in(token: object, settings: Settings) -> AsyncIterator[None]:
    """Make sure of a token before anything is opened, and say it where the sign-in ended on the way."""
    if not isinstance(token, SignIn):
        yield
        return
    try:
        try:
            await token()
        except SignInError as error:
            raise in_shell(error, settings) from None
        try:
            yield
        except RuntuiError as error:
            if (trouble := token.state.needs_person) is None:
                raise
            # The server's words are about its refusal, these about the cure.
            cure = in_shell(trouble, settings)
            raise RuntuiError(error.title, f"{cure.title}. {cure.message}", cure.hint) from error
        if (trouble := token.state.needs_person) is not None:
            narrate(*str(in_shell(trouble, settings)).splitlines())
    finally:
        await token.aclose()


async def list_all(workspace: Workspace) -> tuple[UnreadWorkflow, ...]:
    """Read all runs of all workflows into the local store; a wait is told. The workflows that could not be read.

    Raises:
        RuntuiError: nothing could be read.
    """
    told: datetime | None = None

    def tell_wait(progress: Progress) -> None:
        nonlocal told
        if (until := progress.waiting_until) is not None and until != told:
            told = until
            seconds = ceil(max(0.0, (until - datetime.now(UTC)).total_seconds()))
            narrate(f"Waiting for the service. Going on in {length_words(seconds)}.")

    unsubscribe = workspace.refresh.changed.subscribe(tell_wait)
    try:
        await workspace.refresh.list_once()
    finally:
        unsubscribe()
    progress = workspace.refresh.progress
    if progress.fault is not None:
        raise RuntuiError("The runs could not be read", str(progress.fault))
    return progress.missing


def pace() -> Pace:
    """When to send the GETs of a command, and which again; each wait is told."""
    return Pace(Backoff(_tell_wait, longest=LONGEST_WAIT))


def _tell_wait(wait: Wait | None) -> None:
    if wait is not None:
        status = wait.exchange.status
        reason = "The service is busy." if status in THROTTLING else f"The server failed ({status})."
        narrate(f"{reason} {wait_words(wait.exchange, wait.seconds, datetime.now(UTC))}")


async def find_run(workspace: Workspace, run_id: str) -> tuple[str, str]:
    """The workflow of a run, and the run's id as the service spells it: from the local store, else from a listing.

    Raises:
        RuntuiError: there is no such run, or the list could not be read whole.
    """
    if (stored := _stored(workspace, run_id)) is not None:
        return stored.workflow_id, stored.raw["id"]
    narrate("The run is not in the local store: listing all runs. --workflow ID skips that.")
    missing = await list_all(workspace)
    if (stored := _stored(workspace, run_id)) is not None:
        return stored.workflow_id, stored.raw["id"]
    what = " ".join((f"The server lists no run {run_id!r}.", *map(str, missing)))
    raise RuntuiError("There is no such run", what, "runtui list shows all.")


def _stored(workspace: Workspace, run_id: str) -> StoredRun | None:
    """A run of the local store; a person may type its id in upper case."""
    return workspace.store.get(run_id) or workspace.store.get(run_key(run_id))


async def read_run(workspace: Workspace, workflow_id: str, run_id: str) -> dict[str, Any]:
    """One run as it is now; a service that asks to wait is waited for.

    Raises:
        RuntuiError: it cannot be read.
    """
    answer = await workspace.client.run(workflow_id, run_id, pace=pace())
    if answer.entity is not None:
        return answer.entity
    raise _error_of("The run cannot be read", answer.fault)


def _error_of(title: str, fault: Fault | None) -> RuntuiError:
    """What a request met, as the reason why a command cannot go on."""
    if fault is None:
        return RuntuiError(title, "The answer is empty.")
    return RuntuiError(title, f"{fault.title}. {fault.message}", fault.hint)
