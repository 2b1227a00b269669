"""The results of all workflows for one person: first from the store, then from each workflow on the server.

Invariant: a workflow that cannot be read is reported and does not stop the others. When the caller stops iterating, no
further request is sent.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from runtui.domain.results import TaskResult
from runtui.domain.triage.run_users import PersonResult
from runtui.errors import RuntuiError
from runtui.graph.client import GraphClient
from runtui.graph.pages import GraphError
from runtui.graph.retry import Pace
from runtui.services.store.store import Person, Store

_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

_NO_SIGN_IN_NAME: Final = re.compile(r"[\s/\\]")
"""The characters that no userPrincipalName has; a slash would make the URL of the user invalid."""

_NOT_OFFERED: Final = frozenset({400, 405, 501})
"""The HTTP statuses of a server without such a collection, or without a filter on it."""

_AT_ONCE: Final = 4
"""The number of workflows read at the same time."""


class PersonReading(NamedTuple):
    """The results for a person so far."""

    tasks: tuple[PersonResult, ...]
    """The results, in no particular order."""
    read: int
    """The number of workflows that were read."""
    total: int
    fault: RuntuiError | None = None
    """Why the first unreadable workflow could not be read; None if there is none."""
    is_offered: bool = True
    """False if the server cannot return the results of one person; then only the stored results are known."""


async def find_user(client: GraphClient, typed: str) -> Person:
    """Return the person with an id or sign-in name. An id is not looked up, since the directory may not be readable.

    Raises:
        RuntuiError: there is no such user, or the directory cannot be read.
    """
    if _ID.fullmatch(typed):
        return Person(typed.lower(), typed.lower(), "", 0, 0)
    what = f"The directory has no user with the sign-in name {typed!r}."
    nobody = RuntuiError("Nobody by that name", what, "Type the whole sign-in name, or the id.")
    if _NO_SIGN_IN_NAME.search(typed):
        raise nobody
    try:
        user = await client.user(typed, pace=Pace())
    except GraphError as error:
        if error.exchange.status != HTTPStatus.NOT_FOUND:
            raise
        raise nobody from error
    name, upn = user.get("displayName"), user.get("userPrincipalName")
    return Person(str(user.get("id")), str(name or typed), str(upn or ""), 0, 0)


async def read_person(client: GraphClient, store: Store, subject_id: str) -> AsyncGenerator[PersonReading, None]:
    """Yield the results for a person: first those in the store, then all known ones again after each workflow read.

    Raises:
        StoreError: the store cannot be read.
    """
    stored = await asyncio.to_thread(store.results_of_person, subject_id)
    workflows = await asyncio.to_thread(store.workflows)
    found = {task.id: task for task in stored}
    read, fault, total, pace = 0, None, len(workflows), Pace()
    yield PersonReading(tuple(found.values()), read, total)
    user = await _user(client, subject_id, pace)
    found = {key: _about(task, user) for key, task in found.items()}
    turn = asyncio.Semaphore(_AT_ONCE)

    async def ask(workflow: Mapping[str, Any]) -> list[PersonResult]:
        async with turn:
            return [task async for task in _tasks_in(client, workflow, subject_id, pace)]

    asked = [asyncio.create_task(ask(workflow), name="read a person's results") for workflow in workflows]
    try:
        for answer in asyncio.as_completed(asked):
            try:
                found |= {task.id: _about(task, user) for task in await answer}
                read += 1
            except RuntuiError as error:
                fault = fault or error
                if isinstance(error, GraphError) and error.exchange.status in _NOT_OFFERED:
                    yield PersonReading(tuple(found.values()), read, total, fault, is_offered=False)
                    return
            yield PersonReading(tuple(found.values()), read, total, fault)
    finally:
        for task in asked:
            task.cancel()


async def _user(client: GraphClient, subject_id: str, pace: Pace) -> dict[str, Any]:
    """Return the directory's user, or {} if it cannot be read: it only adds names and doubts."""
    try:
        return await client.user(subject_id, pace=pace)
    except GraphError:
        return {}


def _about(task: PersonResult, user: Mapping[str, Any]) -> PersonResult:
    """Return the task with the directory's properties of its user, as `$expand=subject` would return it."""
    received = task.result.received
    subject = received.get("subject")
    if not user or not isinstance(subject, Mapping):
        return task
    known = {name: value for name, value in user.items() if not name.startswith("@")}
    return task._replace(result=TaskResult({**received, "subject": {**subject, **known}}))


async def _tasks_in(
    client: GraphClient, workflow: Mapping[str, Any], subject_id: str, pace: Pace
) -> AsyncIterator[PersonResult]:
    """Yield the results of one workflow's runs for a person."""
    workflow_id = str(workflow["id"])
    name = str(workflow.get("displayName") or workflow_id)
    async for page in client.results.user_runs(workflow_id, subject_id, pace=pace):
        for result in page.items:
            run_id = _run_of(result["id"], workflow_id, subject_id)
            async for tasks in client.results.tasks_of_user(workflow_id, run_id, result["id"], pace=pace):
                for task in tasks.items:
                    yield PersonResult(run_id, workflow_id, name, TaskResult(task))


def _run_of(result_id: str, workflow_id: str, subject_id: str) -> str:
    """Return the run id of a userProcessingResult; empty if it cannot be found. The result has no property for it, but
    Graph builds the result's id from workflow id, version, run id and user id."""
    parts = re.fullmatch(rf"{re.escape(workflow_id)}_\d+_(.+)_{re.escape(subject_id)}", result_id, re.IGNORECASE)
    return parts[1] if parts is not None else ""
