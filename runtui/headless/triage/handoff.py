"""`runtui handoff`: prints what the next person needs to know about a run, a change or a cause, for a ticket.

Invariant: standard output, or the file, has only the hand-over. What could not be read is named on standard error and
in the hand-over, and the exit code is then NOT_DONE. No file is overwritten.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from runtui.command_line import SessionSpec
from runtui.errors import ExitCode, RuntuiError, UsageError
from runtui.graph.root import same_server
from runtui.headless.console import command, narrate, parse_filter_option
from runtui.headless.journal import no_such_entry
from runtui.headless.session import connected, find_run, list_all, read_into_store
from runtui.headless.triage.lists import named_causes, read_results
from runtui.private_files import explanation
from runtui.services.records.journal_query import write_private
from runtui.services.results import runs_of_cause
from runtui.services.sharing.handoff import Handoff, handoff_markdown, handoff_of_cause, handoff_of_run, origin_of
from runtui.services.store.store import RunQuery
from runtui.services.workspace import Workspace


@command
async def hand_over(
    session: SessionSpec,
    subject: str | int | None,
    *,
    workflow_id: str | None,
    cause_number: int,
    filter_text: str,
    reduce_people: bool,
    file: Path | None,
    output: Literal["md", "json"],
) -> int:
    """Print a hand-over, or write it to a new file. The exit code is NOT_DONE if something could not be read.

    `subject` is the id of a run, or the number of a change to it. It is None with `cause_number`: the number of a line
    of `runtui causes`, from 1 (0: none), for the runs that match `filter_text`.

    Raises:
        RuntuiError: there is no such run, change or cause, or the file cannot be written. Nothing is printed.
    """
    if (subject is None) is (cause_number == 0):
        raise UsageError("Hand over what?", "", "Name one of these: a run, a change such as '#12', --cause N.")
    query = RunQuery(parse_filter_option(filter_text))
    async with connected(session) as workspace:
        if subject is not None:
            handoff, trouble = await _handoff_of_run(workspace, subject, workflow_id, reduce_people)
        else:
            handoff, trouble = await _handoff_of_cause(workspace, cause_number, query, reduce_people)
    text = json.dumps(handoff, indent=2) if output == "json" else handoff_markdown(handoff).rstrip("\n")
    if file is None:
        print(text)
    else:
        _write(text, file)
    for line in trouble:
        narrate(f"runtui: {line}")
    return ExitCode.NOT_DONE if trouble else ExitCode.DONE


async def _handoff_of_run(
    workspace: Workspace, subject: str | int, workflow_id: str | None, reduce_people: bool
) -> tuple[Handoff, list[str]]:
    """Read a run and its results. Return its hand-over, and sentences about what could not be read."""
    if isinstance(subject, int):
        run_id, workflow_id = _run_of_change(workspace, subject)
    else:
        run_id = subject
    workflow_id, run_id = await find_run(workspace, run_id, workflow_id)
    try:
        # An action on a workflow is about no run.
        fault = await read_into_store(workspace, workflow_id, run_id) if run_id != workflow_id else None
    except RuntuiError as error:
        if not isinstance(subject, int):
            raise
        fault = error  # the journal still has its changes
    trouble = [str(fault)] if fault is not None else []
    return handoff_of_run(workspace, await origin_of(workspace), run_id, reduce_people=reduce_people), trouble


def _run_of_change(workspace: Workspace, number: int) -> tuple[str, str]:
    """Return the run id and the workflow id of a change by its number in the journal."""
    entry = workspace.journal.entry(number)
    if entry is None or entry.damage:
        raise no_such_entry(number, "no" if entry is None else "a damaged")
    if not same_server(entry.root, workspace.root):
        raise UsageError("This change is on another server", f"#{number} was sent to {entry.root}.", "Add --root.")
    return entry.run_id, entry.workflow_id


async def _handoff_of_cause(
    workspace: Workspace, number: int, query: RunQuery, reduce_people: bool
) -> tuple[Handoff, list[str]]:
    """Read the failures in the runs of a query. Return the hand-over of one cause, and what could not be read."""
    trouble = [workflow.words for workflow in await list_all(workspace)]
    progress = await read_results(workspace, query)
    if progress.fault is not None:
        trouble.append(f"The results of {progress.total - progress.read} runs could not be read. {progress.fault}")
    causes = await named_causes(workspace, query)
    if number > len(causes):
        raise UsageError("There is no such cause", f"There are {len(causes)} causes.", "runtui causes lists them.")
    cause, origin = causes[number - 1], await origin_of(workspace)
    query = runs_of_cause(query, cause)
    return handoff_of_cause(workspace, origin, cause, query, reduce_people=reduce_people), trouble


def _write(text: str, file: Path) -> None:
    try:
        write_private(file, [text])
    except OSError as error:
        what, cure = explanation(file, error, "Name another file; none is overwritten.")
        raise RuntuiError("The hand-over cannot be written", what, cure) from error
