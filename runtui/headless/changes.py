"""`runtui update` and `runtui undo`: one change, from a draft to an exit code, by the same write path as the form.

Invariant: nothing is sent without a yes, typed or by `--yes`. A dry run sends no write and leaves no journal entry.
Every value is checked before the first request. A change is undone on the server where it was made.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from runtui.command_line import SessionSpec
from runtui.domain.draft import NOT_RECEIVED, Change, Draft, value_word
from runtui.domain.properties import EDITABLE_BY_NAME
from runtui.domain.report import Outcome, Report, sentences
from runtui.domain.text import visible
from runtui.domain.times import length_words, now_ticks
from runtui.domain.triage.service_actions import Operation, ServiceAction
from runtui.errors import ExitCode, FieldError, UsageError, nearest_words
from runtui.graph.client import Answer
from runtui.graph.root import run_key, same_server
from runtui.headless.console import (
    ProgressLine,
    can_ask,
    command,
    confirmed,
    count_seconds,
    keep_exit_code,
    narrate,
    print_result,
)
from runtui.headless.session import connected, find_run, narrate_wait, pace, run_and_answer
from runtui.services.journal import Entry
from runtui.services.store import workflow_name_of
from runtui.services.workspace import Workspace
from runtui.services.writing.follow import followed
from runtui.services.writing.save import Save, Step
from runtui.services.writing.undo import UndoError, doubt_of, draft_to_undo
from runtui.settings import Settings

EXIT_CODES: Final[Mapping[Outcome, ExitCode]] = {
    Outcome.DONE: ExitCode.DONE,
    Outcome.NOT_DONE: ExitCode.NOT_DONE,
    Outcome.UNKNOWN: ExitCode.UNKNOWN,
}
"""The exit code of each outcome, from the best to the worst."""

NOT_CONFIRMED: Final = "Not confirmed. Nothing was sent."

NULL: Final = "null"
"""The value that clears a property, like `NAME=`."""


class ChangeOptions(NamedTuple):
    """The options that all commands with a change share."""

    dry_run: bool = False
    """Print the request instead of sending it."""
    yes: bool = False
    """The command line confirms the change."""
    output: str = ""
    """How to print results: "table" or "json"; empty for a table, but JSON lines for many changes in a pipe."""
    keep_going: bool = False
    """In a bulk change, continue after a refusal that other changes may meet as well."""
    why: str = ""
    """The reason as typed."""

    @property
    def reason(self) -> str:
        """The reason on one line, for the journal."""
        return " ".join(self.why.split())


@command
async def update_run(
    session: SessionSpec, run_id: str, assignments: Sequence[str], *, workflow_id: str | None = None, **how: Any
) -> int:
    """Change properties of one run and return the exit code. The arguments are those of `bulk.update`.

    Raises:
        RuntuiError: an assignment cannot be used, nobody can confirm, or the run cannot be read. Nothing was sent.
    """
    now = now_ticks()
    texts = read_assignments(assignments, now)
    options = ChangeOptions(**how)
    check_consent(session.settings, options)
    async with connected(session) as workspace:
        with nothing_sent_if_cancelled():
            await settle_earlier(workspace, options, run_id)
            workflow_id, run_id = await find_run(workspace, run_id, workflow_id)
            if options.yes:
                narrate(f"{Step.READING.value}…")
            received, answer = await run_and_answer(workspace, workflow_id, run_id)
        # Use the service's spelling of the id, so that the journal has only one.
        draft = Draft(received["id"], workflow_id, received, workspace.settings.body_mode)
        for name, text in texts.items():
            draft = draft.typed(name, text, now)
        # With --yes the run was read just before the request, so it need not be read again.
        return await carry_out(workspace, draft, options, fresh=answer if options.yes else None)


def read_assignments(assignments: Sequence[str], now: int) -> dict[str, str]:
    """Parse NAME=VALUE arguments into texts by property. Relative times are checked against `now` (ticks).

    Raises:
        UsageError: the message lists every problem, one per line.
    """
    texts: dict[str, str] = {}
    problems: list[str] = []
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        name, text = name.strip(), "" if text.strip() == NULL else text
        if not equals:
            problems.append(f"{assignment!r} has no value: write NAME=VALUE, or NAME= to clear it.")
        elif name not in EDITABLE_BY_NAME:
            problems.append(_unknown(name))
        elif name in texts:
            problems.append(f"{name} is set twice.")
        else:
            texts[name] = text
            problems += _problems(name, text, now)
    if problems:
        raise UsageError("Nothing was sent", "\n".join(("These values cannot be used:", *problems)))
    return texts


def _problems(name: str, text: str, now: int) -> Iterator[str]:
    try:
        EDITABLE_BY_NAME[name].parse(text, now)
    except FieldError as error:
        sentence = str(error)
        yield sentence if sentence.startswith(name) else f"{name}: {sentence}"


def _unknown(name: str) -> str:
    meant = nearest_words(name, EDITABLE_BY_NAME)
    return f"{name!r} is not a property that can be changed.{meant} Possible: {', '.join(EDITABLE_BY_NAME)}."


def entry_to_undo(state_folder: Path, number: int, root: str | None) -> Entry:
    """Return a journal entry, which must be of the server of `root` if that is given.

    Raises:
        RuntuiError: there is no such entry, it is damaged or of another server, or the journal cannot be used.
    """
    from runtui.headless.journal import journal_in, no_such_entry
    from runtui.services.journal_query import damage_sentence

    with journal_in(state_folder) as journal:
        entry = journal.entry(number)
    if entry is None:
        raise no_such_entry(number)
    if entry.damage:
        raise UndoError(entry, f"{damage_sentence(entry)} Nothing was sent.")
    if root is not None and not same_server(root, entry.root):
        raise UsageError(
            f"#{number} cannot be undone there",
            f"It changed a run of {entry.root}, and --root says {root}. Nothing was sent.",
            "Omit --root to undo it on its own server.",
        )
    return entry


@command
async def undo_entry(
    session: SessionSpec, number: int, options: ChangeOptions, *, seen_on_read_back: bool = False
) -> int:
    """Undo the change of a journal entry and return the exit code.

    With `seen_on_read_back`, a change that may be someone else's (`doubt_of`) is undone without a question.

    Raises:
        RuntuiError: it cannot or must not be undone, nobody can confirm, or the run cannot be read. Nothing was sent.
    """
    from runtui.headless.journal import no_such_entry

    check_consent(session.settings, options)
    async with connected(session) as workspace:
        with nothing_sent_if_cancelled():
            entry = await asyncio.to_thread(workspace.journal.entry, number)
            if entry is not None and not options.dry_run:
                await settle_earlier(workspace, options, entry.run_id)
                entry = await asyncio.to_thread(workspace.journal.entry, number)
            if entry is None:
                raise no_such_entry(number)
            draft = await draft_to_undo(entry, workspace.client, workspace.settings.body_mode, pace=pace())
            if not options.dry_run and not seen_on_read_back:
                await _ask_again(entry, options)
        return await carry_out(workspace, draft, options, undoes=number)


async def _ask_again(entry: Entry, options: ChangeOptions) -> None:
    """Ask before undoing a change that may be someone else's.

    Raises:
        UndoError: the answer is no, or `options.yes` rules out a question.
    """
    doubt = doubt_of(entry)
    if not doubt:
        return
    if options.yes:
        raise UndoError(entry, f"{doubt} Nothing was sent.", "Add --yes --seen-on-read-back to undo it anyway.")
    narrate(doubt)
    if not await confirmed("Undo it anyway?"):
        raise UndoError(entry, NOT_CONFIRMED)


def check_consent(settings: Settings, options: ChangeOptions) -> None:
    """Refuse a change that could not be sent, before the first request.

    Raises:
        UsageError: the session is read-only, a reason is missing, or nobody can confirm.
    """
    if options.dry_run:
        return
    if settings.read_only:
        hint = "Add --write to allow changes."
        raise UsageError("This session is read-only", "Nothing was sent.", hint)
    if settings.require_why and not options.reason:
        raise UsageError("This profile requires a reason", "Nothing was sent.", 'Add --why "TEXT".')
    if not options.yes and not can_ask():
        hint = "Add --dry-run to see the request without sending it."
        raise UsageError("Not a terminal: add --yes to confirm", "Nothing was sent.", hint)


@contextmanager
def nothing_sent_if_cancelled() -> Iterator[None]:
    """Report that nothing was sent if ctrl+c ends the block."""
    try:
        yield
    except asyncio.CancelledError:
        narrate("Nothing was sent.")
        raise


async def settle_earlier(workspace: Workspace, options: ChangeOptions, *run_ids: str) -> None:
    """Read back earlier unknown changes (not in a dry run); report what is settled, and what is not of these runs."""
    if options.dry_run:
        return
    first = run_ids[0] if len(run_ids) == 1 else None
    keys = {run_key(run_id) for run_id in run_ids}
    for entry in await workspace.reconciler.check_all(before_change_of=first):
        if entry.is_settled:
            narrate(f"An earlier change of run {entry.run_id}: {entry.report.heading}.")
        elif run_key(entry.run_id) in keys:
            of_run = "this run" if first is not None else f"run {entry.run_id}"
            narrate(f"An earlier change of {of_run}: {entry.report.heading}; the service may still carry it out.")
    if workspace.reconciler.fault is not None:
        narrate(str(workspace.reconciler.fault))


async def carry_out(
    workspace: Workspace,
    operation: Operation,
    options: ChangeOptions,
    *,
    undoes: int | None = None,
    fresh: Answer | None = None,
    notes: Sequence[str] = (),
    follow: bool = False,
) -> int:
    """Review, confirm and send a draft or an action, print the outcome, and return the exit code.

    `undoes` and `fresh` are as in `SaveQueue.submit`; `notes` are sentences for the review of an action. `follow`
    reports the run that the action started or canceled until its end.

    Raises:
        UsageError: the draft has errors, or the session is read-only.
    """
    if isinstance(operation, Draft) and not operation.changes():
        message = "The run has these values already. Nothing was sent."
        return await _print_outcome(operation, Outcome.DONE, message, options)
    with nothing_sent_if_cancelled():
        method, url = workspace.client.target(operation)
        facts = [
            ("workflow", workflow_name_of(workspace.store, operation.run_id, operation.workflow_id)),
            *([("run", operation.run_id)] if operation.run_id != operation.workflow_id else []),
            ("tenant", workspace.settings.tenant),
            ("request", f"{method} {url}"),
        ]
        if undoes is not None:
            facts.append(("undoes", f"#{undoes}"))
        narrate(*_review(operation, facts, notes))
        if options.dry_run:
            print_request(operation, method, url, as_json=options.output == "json")
            return ExitCode.DONE
        question = "Send this change?" if isinstance(operation, Draft) else "Send this action?"
        if not options.yes and not await confirmed(question):
            return await _print_outcome(operation, Outcome.NOT_DONE, NOT_CONFIRMED, options)
    save = await _followed(workspace, operation, undoes, options.reason, fresh)
    code = await _print_outcome(operation, save.outcome or Outcome.UNKNOWN, message_of(save), options, save)
    if follow and save.outcome is Outcome.DONE:
        await _report_run(workspace, save, options)
    return code


async def _report_run(workspace: Workspace, save: Save, options: ChangeOptions) -> None:
    printed = ""
    async for found in followed(workspace.client, save):
        if found.words != printed:
            narrate(found.words)
        printed = found.words
        if found.has_ended and options.output == "json":
            print(json.dumps(dict(found.run)))


def print_request(operation: Operation, method: str, url: str, *, as_json: bool, **ids: str) -> None:
    """Print the request that would be sent; as JSON it also has `ids`."""
    body = operation.body_text()
    if as_json:
        print(json.dumps({**ids, "method": method, "url": url, "body": json.loads(body) if body else None}))
    else:
        print("\n".join(filter(None, (f"{method} {visible(url)}", body))))


async def _print_outcome(
    draft: Operation, outcome: Outcome, message: str, options: ChangeOptions, save: Save | None = None
) -> int:
    line = sentences((save.report if save is not None else Report(outcome=outcome)).heading, message)
    line = json.dumps(result_object(draft, outcome, line, save)) if options.output == "json" else visible(line)
    # From here on, neither a closed pipe nor ctrl+c may change the exit code.
    print_result(line)
    await keep_exit_code()
    return int(EXIT_CODES[outcome])


def _review(draft: Operation, facts: Sequence[tuple[str, str]], notes: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the review; `facts` are pairs of a name and a value, such as the run and the request."""
    for name, value in facts:
        yield f"{name:9} {value}"
    if isinstance(draft, ServiceAction):
        yield f"  {draft.words}"
        yield from notes
        return
    width = max((len(change.field.name) for change in draft.changes()), default=0)
    for change in draft.changes():
        yield f"  {change.field.name:{width}}  {value_word(change.before)} → {value_word(change.after)}"
    if several := draft.unchanged_words():
        yield f"Also sends {several}."
    yield from (f"! {sentence}" for sentence in draft.warnings())


def changed(changes: Sequence[Change]) -> dict[str, dict[str, Any]]:
    """Return the values before and after by property; one that was not received has no `before`."""
    return {
        change.field.name: ({} if change.before is NOT_RECEIVED else {"before": change.before})
        | {"after": change.after}
        for change in changes
    }


def result_object(draft: Operation, outcome: Outcome, message: str, save: Save | None = None) -> dict[str, Any]:
    """Return the outcome of a change as a JSON object; `save` is None if nothing was submitted."""
    sent = save.sent if save is not None else None
    return {
        "outcome": outcome.value,
        "entry": save.entry if save is not None else None,
        "runId": draft.run_id if draft.run_id != draft.workflow_id else None,
        "workflowId": draft.workflow_id or None,
        **({"action": draft.name} if isinstance(draft, ServiceAction) else {"changed": changed(draft.changes())}),
        **({"newRun": save.new_run} if save is not None and save.new_run else {}),
        "status": sent.status if sent is not None else None,
        "requestId": (sent.request_id or None) if sent is not None else None,
        "clientRequestId": sent.client_request_id if sent is not None else _intended_id(save),
        "message": message,
    }


def message_of(save: Save) -> str:
    """Return the reasons for the outcome of a save, and the next step."""
    report, fault = save.report, save.fault
    hint = fault.hint if fault is not None and not save.stopped else ""
    if save.outcome is Outcome.UNKNOWN:
        hint = f"{hint} runtui journal {save.entry} shows what is known: read the run before you repeat the change."
    made = f"New run {save.new_run}." if save.new_run else ""
    return sentences(*report.reasons(), made, report.message, *report.detail_sentences(), hint.strip())


def _intended_id(save: Save | None) -> str | None:
    """Return the client-request-id of a request without a response; None if nothing was sent."""
    if save is None or save.entry is None or save.intent is None:
        return None
    return save.intent.client_request_id


async def _followed(workspace: Workspace, draft: Operation, undoes: int | None, why: str, fresh: Answer | None) -> Save:
    """Submit a draft and return its save when it has ended. Report each step, with a countdown during a wait. Ctrl+c
    ends it early, with what is known by then."""
    news: asyncio.Queue[Save] = asyncio.Queue()
    line = ProgressLine()
    stopping: list[asyncio.Task[None]] = []

    def stop() -> None:
        if not stopping:
            narrate("Stopping.")
            stopping.append(asyncio.create_task(workspace.saves.abandon()))

    # asyncio's own handler would end the loop at the second ctrl+c, before the outcome is reported.
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop)
    unsubscribe = workspace.saves.changed.subscribe(news.put_nowait)
    try:
        save = workspace.saves.submit(draft, undoes=undoes, why=why, fresh=fresh)
        step = save.step
        while save.active:
            try:
                async with asyncio.timeout(count_seconds() if save.step is Step.PAUSED else None):
                    save = await news.get()
            except TimeoutError:
                left = (save.resumes_at - datetime.now(UTC)).total_seconds() if save.resumes_at is not None else 0.0
                line.show(f"Trying again in {length_words(max(0.0, left))}.")
            except asyncio.CancelledError:  # from a ctrl+c before the handler was set
                stop()
                if (task := asyncio.current_task()) is not None:
                    task.uncancel()
            if save.step is not step:
                step = save.step
                line.clear()
                _report_step(save)
    finally:
        unsubscribe()
        line.clear()
    return save


def _report_step(save: Save) -> None:
    if save.step is Step.PAUSED and save.exchange is not None and save.resumes_at is not None:
        narrate_wait(save.resumes_at, save.exchange, save.retry_after)
    elif save.step not in (Step.WAITING, Step.ENDED):
        narrate(f"{save.step.value}…")
