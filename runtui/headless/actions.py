"""The service's own actions as commands: cancel, reprocess, run on demand, clear a quarantine, resume, preview.

Invariant: as for a change, nothing is sent without a yes, a dry run sends no action, and the exit code is that of the
outcome. An action is never sent twice. A preview changes nothing and is not in the journal.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from runtui.command_line import SessionSpec
from runtui.domain.bulk_draft import BulkDraft, actions_of
from runtui.domain.results import TaskResult
from runtui.domain.text import visible
from runtui.domain.triage.service_actions import (
    ServiceAction,
    TaskEnd,
    cancel,
    clear_quarantine,
    consequences,
    reprocess,
    resume,
    run_on_demand,
    why_not,
)
from runtui.domain.triage.workflows import Workflow
from runtui.errors import ExitCode, UsageError, nearest_words
from runtui.graph.pages import all_items
from runtui.headless.bulk import Which, send_to, send_to_one
from runtui.headless.changes import ChangeOptions, check_consent, nothing_sent_if_cancelled, send, settle_earlier
from runtui.headless.console import command, narrate
from runtui.headless.output import print_lines
from runtui.headless.session import connected, failed_read, find_run, pace
from runtui.services.triage.people import find_user
from runtui.services.workspace import Workspace

_ActionOnRun: TypeAlias = Callable[[str, str], ServiceAction]
"""Returns the action for a workflow id and a run id."""


def cancel_runs(session: SessionSpec, run_ids: Sequence[str], **how: Any) -> int:
    """Cancel queued or running runs. `how` are the arguments of `_act_on`.

    Raises:
        RuntuiError: nobody can confirm, or the run cannot be read. Nothing was sent.
    """
    return _act_on(session, run_ids, cancel, **how)


def reprocess_runs(session: SessionSpec, run_ids: Sequence[str], *, scope: str, **how: Any) -> int:
    """Process runs again in new runs. `scope` is a key of `SCOPES`. See `cancel_runs`."""
    return _act_on(session, run_ids, partial(reprocess, scope=scope), **how)


def _act_on(
    session: SessionSpec,
    run_ids: Sequence[str],
    make: _ActionOnRun,
    *,
    filter_text: str | None = None,
    workflow_id: str | None = None,
    follow: bool = False,
    **how: Any,
) -> int:
    """Send an action for one or several runs; for the runs see `Which`.

    `follow` reports the started or canceled run until its end. `how` are the fields of `ChangeOptions`.
    """
    which, options = Which(run_ids, filter_text, workflow_id), ChangeOptions(**how)
    if which.is_one:

        def make_one(workflow_id: str, received: Mapping[str, Any]) -> BulkDraft:
            return _bulk(make(workflow_id, received["id"]), received)

        return send_to_one(session, which, make_one, options, follow=follow)
    if follow:
        raise UsageError("Nothing was sent", "--follow follows one run.", "Omit it, or name one run by its id.")
    return send_to(session, which, partial(actions_of, make, busy=()), options)


def _bulk(action: ServiceAction, received: Mapping[str, Any]) -> BulkDraft:
    """Return the action for the review, with its consequences, and a doubt if it cannot help."""
    why = why_not(action, received)
    return BulkDraft((action,), {}, (why,) if why else (), notes=tuple(consequences(action, received)), is_one=True)


def activate(session: SessionSpec, workflow: str, *, users: Sequence[str], **how: Any) -> int:
    """Run a workflow on demand. `users` are ids or sign-in names. See `cancel_runs`."""
    return _act_on_workflow(session, workflow, users, run_on_demand, **how)


def free_workflow(session: SessionSpec, workflow: str, **how: Any) -> int:
    """Clear the quarantine of a workflow. See `cancel_runs`."""
    return _act_on_workflow(session, workflow, (), lambda found, _people: clear_quarantine(found), **how)


@command
async def _act_on_workflow(
    session: SessionSpec, wanted: str, users: Sequence[str], make: Callable[[str, list[str]], ServiceAction], **how: Any
) -> int:
    """Send the action that `make` returns for a workflow id and user ids."""
    options = ChangeOptions(**how)
    check_consent(session.settings, options)
    async with connected(session) as workspace:
        with nothing_sent_if_cancelled():
            found = await _workflow(workspace, wanted)
            people = [(await find_user(workspace.client, user)).id for user in users]
            await settle_earlier(workspace, options, found["id"])
        return await send(workspace, _bulk(make(found["id"], people), found), options)


@command
async def resume_task(
    session: SessionSpec, run_id: str, *, end: TaskEnd, task: str = "", workflow_id: str | None = None, **how: Any
) -> int:
    """Resume a task of a run in place of its custom task extension. See `cancel_runs`.

    `task` is the id of the task's result; empty for the only waiting one.
    """
    options = ChangeOptions(**how)
    check_consent(session.settings, options)
    async with connected(session) as workspace:
        with nothing_sent_if_cancelled():
            await settle_earlier(workspace, options, run_id)
            of_workflow, of_run = await find_run(workspace, run_id, workflow_id)
            found = await _waiting_task(workspace, of_workflow, of_run, task)
        action = resume(of_workflow, of_run, found.id, end)
        return await send(workspace, _bulk(action, found.received), options)


async def _waiting_task(workspace: Workspace, workflow_id: str, run_id: str, wanted: str) -> TaskResult:
    """Return the task with the id `wanted`, or if that is empty the only waiting one.

    Raises:
        UsageError: there is no such task, or several wait and none was named.
    """
    tasks = await all_items(workspace.client.results.task_results(workflow_id, run_id, pace=pace()))
    found = [task for task in map(TaskResult, tasks) if (task.id == wanted if wanted else task.is_waiting)]
    if len(found) == 1:
        return found[0]
    lines = [f"{task.id}  {task.task_name}, {task.subject_name}" for task in found]
    what = "\n".join(("Several tasks wait:", *lines)) if lines else "No task of this run waits."
    raise UsageError("Nothing was sent", what, "Name one with --task ID." if lines else "See runtui show.")


@command
async def preview(session: SessionSpec, workflow: str, *, output: str) -> int:
    """Print the tasks of a workflow that the service expects to fail."""
    async with connected(session) as workspace:
        answer = await workspace.client.preview_task_failures((await _workflow(workspace, workflow))["id"])
        if answer.entity is None:
            raise failed_read("The failures cannot be previewed", answer)
        tasks = answer.entity["value"]
        lines = (visible(f"{task.get('name')}: {task.get('failureReason')}") for task in tasks)
        print_lines([json.dumps(tasks)] if output == "json" else lines)
        if not tasks:
            narrate("The service expects no task to fail.")
        return ExitCode.DONE


async def _workflow(workspace: Workspace, wanted: str) -> dict[str, Any]:
    """Read the workflow with an id or a name from the server.

    Raises:
        RuntuiError: there is none, several have the name, or the workflows cannot be read.
    """
    workflows = await all_items(workspace.client.workflows(pace=pace()))
    found = [item for item in workflows if wanted == Workflow(item).name or wanted.lower() == item["id"].lower()]
    if len(found) == 1:
        return found[0]
    none = (
        f"The server lists no workflow {wanted!r}.{nearest_words(wanted, [Workflow(item).name for item in workflows])}"
    )
    what = "Several workflows have this name." if found else none
    raise UsageError("There is no such workflow", what, "runtui workflows lists them with their ids.")
