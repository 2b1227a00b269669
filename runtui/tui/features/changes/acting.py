"""The service's own actions: from `a` on a run, a task or a workflow, by a list of actions, to the review.

Invariant: only what a review confirmed is sent; an action that cannot run is listed with the reason.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from runtui.domain.bulk_draft import actions_of
from runtui.domain.text import count_words
from runtui.domain.triage.run_users import TaskRow, UserRow
from runtui.domain.triage.service_actions import (
    SCOPES,
    ServiceAction,
    TaskEnd,
    cancel,
    clear_quarantine,
    consequences,
    reprocess,
    resume,
    run_on_demand,
)
from runtui.services.store.store import Person, StoredRun, workflow_of
from runtui.services.triage.people import find_user
from runtui.tui.actions import NO_RUN
from runtui.tui.features.changes.bulk_editing import BulkEditing
from runtui.tui.features.changes.bulk_sending import BulkSending
from runtui.tui.features.changes.editing import Editing
from runtui.tui.features.changes.following import recorded_run
from runtui.tui.features.feature import Feature, Features
from runtui.tui.features.opening import Opening
from runtui.tui.features.triage.overviewing import Overviewing
from runtui.tui.features.triage.tracing import Tracing
from runtui.tui.screens.questions import Choice, NextStep, Picker
from runtui.tui.words import triage_words, write_words

ENDS: Final[tuple[TaskEnd, ...]] = ("completed", "failed")

_ASKING: Final = "act"
"""The group of the worker that asks the server for something that an action needs."""


class Acting(Feature):
    """The list of actions, and the step after the choice."""

    def __init__(self, features: Features) -> None:
        super().__init__(features)
        self._editing = features[Editing]
        self._bulk_editing = features[BulkEditing]
        self._bulk_sending = features[BulkSending]
        self._opening = features[Opening]
        self._overview = features[Overviewing].view

    # a: the list of actions

    async def action_act(self) -> None:
        """Ask for an action on the marked runs, else on the current run or the task under the cursor."""
        if marks := self._bulk_editing.marks:
            if choices := [choice async for choice in self._for_marks()]:
                await self._choose(count_words(len(marks), "run"), choices)
            return
        if (run_id := self._chrome.pin_run()) is None:
            self._chrome.front.remark(NO_RUN, "warning")
            return
        if (stored := self._chrome.stored_run(run_id)) is None:
            return
        made = await self.in_thread(partial(recorded_run, self._workspace, run_id)) or ""
        choices = [*self._for_task(run_id, stored), *self._for_run(run_id, stored, made)]
        workflow = workflow_of(self._workspace.store, stored.workflow_id)
        choices += self._for_workflow(workflow or {"id": stored.workflow_id})
        await self._choose(stored.workflow_name, choices)

    async def action_act_on_workflow(self) -> None:
        if (row := self._overview.list.row) is not None:
            workflow = workflow_of(self._workspace.store, row.workflow.id) or row.workflow.received
            await self._choose(row.workflow.name, [*self._for_workflow(workflow)])

    async def _choose(self, name: str, choices: Sequence[Choice[NextStep]]) -> None:
        first = next((line for line, choice in enumerate(choices) if not choice.refusal), 0)
        await self._chrome.ask(Picker("Actions", choices, of=name, at=first), lambda step: step())

    async def _for_marks(self) -> AsyncIterator[Choice[NextStep]]:
        """Yield the actions for several runs, each with the number of runs that it can help."""
        marks = self._bulk_editing.marks
        makers: list[Callable[[str, str], ServiceAction]] = [
            cancel,
            *(partial(reprocess, scope=name) for name in SCOPES),
        ]
        for make in makers:
            if (bulk := await self._bulk_sending.make_bulk(marks, partial(actions_of, make))) is None:
                return
            action = bulk.action or make("", "")
            lacks = write_words.lacks_permission(self._workspace.sign_in, action.name)
            refusal = write_words.action_refusal(self._workspace, action) or (
                "" if bulk.drafts else f"none of them: {bulk.left_out_words()}."
            )
            about = " ".join(filter(None, (lacks, *bulk.notes)))
            words = f"{action.words}, for {len(bulk.drafts)} of {len(marks)}" if bulk.drafts else action.words
            yield _line(partial(self._bulk_sending.ask, bulk, lacks), words, about, refusal)

    def _for_task(self, run_id: str, stored: StoredRun) -> Iterator[Choice[NextStep]]:
        rows = self._chrome.front.view.list
        row = rows.table.row_under_cursor(pin=True) if rows is not None else None
        if isinstance(row, TaskRow) and row.result.is_waiting:
            for end in ENDS:
                action = resume(stored.workflow_id, run_id, row.result.id, end)
                yield self._choice(action, row.result.received)

    def _for_run(self, run_id: str, stored: StoredRun, made: str) -> Iterator[Choice[NextStep]]:
        if made:
            yield _line(partial(self._opening.open_run, made), f"open the new run {made}", "It reprocesses this run.")
        yield self._choice(cancel(stored.workflow_id, run_id), stored.raw)
        for scope in SCOPES:
            yield self._choice(reprocess(stored.workflow_id, run_id, scope), stored.raw)

    def _for_workflow(self, workflow: Mapping[str, Any]) -> Iterator[Choice[NextStep]]:
        workflow_id = str(workflow["id"])
        yield self._choice(clear_quarantine(workflow_id), workflow)
        users = self._users()
        on_demand = self._choice(run_on_demand(workflow_id, [user.id for user in users]), workflow, users)
        if not users:
            ask = partial(self._features[Tracing].ask, partial(self._run_for, workflow_id))
            on_demand = _line(ask, "run the workflow on demand for a person…", on_demand.about, on_demand.refusal)
        yield on_demand
        about = "The service says which tasks would fail if the workflow ran now. Nothing is changed."
        yield _line(partial(self._preview, workflow_id), "preview task failures of the workflow", about)

    def _users(self) -> list[UserRow]:
        """Return the marked users, else the one under the cursor, if users are in front."""
        users = self._opening.users.list
        if self._chrome.front.view is not self._opening.users:
            return []
        chosen = [row for row in users.rows if row.id in users.table.marks]
        if not chosen and (row := users.table.row_under_cursor(pin=True)) is not None:
            chosen = [row]
        return [row for row in chosen if _is_user(row)]

    def _choice(
        self, action: ServiceAction, received: Mapping[str, Any], users: Sequence[UserRow] = ()
    ) -> Choice[NextStep]:
        refusal = write_words.action_refusal(self._workspace, action, received)
        lacks = write_words.lacks_permission(self._workspace.sign_in, action.name)
        about = " ".join(filter(None, (lacks, *consequences(action, received))))
        return _line(partial(self._review, action, received, users), action.words, about, refusal)

    # The review

    async def _review(
        self, action: ServiceAction, received: Mapping[str, Any], users: Sequence[Person | UserRow] = ()
    ) -> None:
        lacks = write_words.lacks_permission(self._workspace.sign_in, action.name)
        hint = " ".join(filter(None, (lacks, write_words.action_in_doubt(self._workspace, action))))
        people = [("user", triage_words.person_in_full(user)) for user in users]
        await self._editing.review(action, hint=hint, notes=[*consequences(action, received)], people=people)

    # On demand

    async def _run_for(self, workflow_id: str, person: Person) -> None:
        if person.id:
            await self._review(run_on_demand(workflow_id, [person.id]), {}, [person])
        else:
            looking = self._find_person(workflow_id, person.name)
            self.in_worker(looking, _ASKING, f"Looking for {person.name}…", exclusive=True)

    async def _find_person(self, workflow_id: str, name: str) -> None:
        view = self._chrome.front.view
        person = await find_user(self._workspace.client, name)
        if self._chrome.is_in_front(view):
            await self._review(run_on_demand(workflow_id, [person.id]), {}, [person])

    # A preview

    async def _preview(self, workflow_id: str) -> None:
        self.in_worker(self._show_preview(workflow_id), _ASKING, "Asking which tasks would fail…", exclusive=True)

    async def _show_preview(self, workflow_id: str) -> None:
        answer = await self._workspace.client.preview_task_failures(workflow_id)
        words, is_good = write_words.preview_result(answer)
        self._chrome.show_panel()
        self._chrome.panel.show_exchange(answer.exchange)
        self._chrome.set_status(words, "success" if is_good else "warning")


def _line(step: NextStep, words: str, about: str, refusal: str = "") -> Choice[NextStep]:
    """Return a line of the list; an action that cannot run has the reason beside it."""
    line = f"{words[:1].upper()}{words[1:]}"
    return Choice(step, f"{line} · {refusal}" if refusal else line, refusal or about, refusal)


def _is_user(row: UserRow) -> bool:
    """Return whether a row is about a user, because a workflow runs on demand only for users."""
    return all(result.is_about_user for result in (*row.tasks, *([row.result] if row.result is not None else [])))
