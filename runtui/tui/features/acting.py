"""The service's own actions: from `a` on a run, a task or a workflow, over choice and review, to what became of it.

Invariant: nothing is sent but what a review confirmed; what cannot be done is listed with the reason. A run that an
action has made, or stops, is read until it has ended, wherever the person is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeAlias

from textual.content import Content

from runtui.domain.bulk_draft import runs_word
from runtui.domain.report import Outcome
from runtui.domain.triage.run_users import TaskRow, UserRow
from runtui.domain.triage.service_actions import (
    REPROCESSED,
    SCOPES,
    STATUS,
    ServiceAction,
    TaskEnd,
    cancel,
    clear_quarantine,
    consequences,
    reprocess,
    resume,
    run_on_demand,
)
from runtui.errors import RuntuiError
from runtui.graph.root import run_key
from runtui.services.store import EVERY_RUN, Person, StoredRun, workflow_of
from runtui.services.triage.people import find_user
from runtui.services.writing.drive import store_observed
from runtui.services.writing.follow import FollowedRun, followed
from runtui.services.writing.save import Save
from runtui.tui.actions import ActionContext
from runtui.tui.features.bulk.editing import BulkEditing
from runtui.tui.features.bulk.sending import BulkSending
from runtui.tui.features.editing import Editing
from runtui.tui.features.feature import Feature, Features
from runtui.tui.features.opening import Opening
from runtui.tui.features.overviewing import Overviewing
from runtui.tui.screens.picker import Choice, Picker
from runtui.tui.screens.triage.people import PeopleView
from runtui.tui.widgets.chrome import Severity
from runtui.tui.words import action_words

ENDS: Final[tuple[TaskEnd, ...]] = ("completed", "failed")

MOST_FOLLOWED: Final = 20
"""Runs of a bulk change that are followed at a time."""

_ASKING: Final = "act"
"""The group of the worker that asks the server for something that an action needs."""

_FOLLOW: Final = "follow"
"""The group of the workers that follow a run."""

_Step: TypeAlias = Callable[[], Awaitable[None]]
"""What a choice leads to."""


class Acting(Feature):
    """The list of actions, and what is made of the one that is chosen."""

    def __init__(self, features: Features) -> None:
        super().__init__(features)
        self._editing = features[Editing]
        self._bulk_editing = features[BulkEditing]
        self._bulk_sending = features[BulkSending]
        self._opening = features[Opening]
        self._overview = features[Overviewing].view
        self._followers = asyncio.Semaphore(MOST_FOLLOWED)
        self._made: dict[str, str] = {}
        """By the key of a run or a workflow, the newest run that an action of this session has made of it."""
        self._told = ""
        """The last sentence about a run that is followed; once another one stands there, it is left alone."""

    def start(self) -> None:
        """Follow what became of the actions."""
        self._chrome.carry(self._workspace.saves.changed.subscribe, self._save_changed)
        self._chrome.carry(
            self._workspace.reconciler.changed.subscribe, lambda entry: self._note_made(entry.run_id, entry.new_run)
        )

    def extend(self, context: ActionContext) -> ActionContext:
        """Whether an action has made a run of the run or the workflow at hand."""
        view, row = self._chrome.front.view, self._overview.row
        at_hand = row.workflow.id if view is self._overview and row is not None else view.run_id or ""
        return replace(context, has_new_run=run_key(at_hand) in self._made)

    # F: to the run that an action has made

    async def action_new_workflow_run(self) -> None:
        """Go to the run that was started on demand for the workflow under the cursor."""
        if (row := self._overview.row) is not None and (made := await self._known_run_of(row.workflow.id)):
            await self._opening.open_run(made)
        else:
            self._chrome.front.set_status("No run is known to be started on demand by you.", "warning")

    async def action_new_run(self) -> None:
        """Go to the run that reprocesses the one at hand, as this session or the journal knows it, else to the one that
        this session started on demand; where neither is known, the service is asked."""
        stored = self._workspace.store.get(self._chrome.hold_run() or "")
        if stored is None:
            self._chrome.front.set_status("There is no run under the cursor.", "warning")
        else:
            await self._go_on_from(stored.raw["id"], stored.workflow_id)

    async def action_result_run(self) -> None:
        """Go to the run that the action of a line has made, else to the run that it was about."""
        if (row := self._bulk_sending.view.row) is None:
            return
        if row.save.action is not None and row.save.action.name == "activateWithScope":
            await self._go_on_from(row.save.run_id, row.save.operation.workflow_id)
        else:
            await self._opening.open_run(row.save.run_id)

    async def _go_on_from(self, run_id: str, workflow_id: str) -> None:
        if made := await self._known_run_of(run_id) or self._made.get(run_key(workflow_id)):
            await self._opening.open_run(made)
        else:
            look = self._look_for_new_runs(reprocess(workflow_id, run_id, "all"))
            self.aside(look, _ASKING, "Looking for the run that reprocesses it…", exclusive=True)

    async def _known_run_of(self, run_id: str) -> str:
        """The newest run that is known to be made of a run or a workflow, and is listed; empty where there is none."""
        made = self._made.get(run_key(run_id)) or await asyncio.to_thread(self._recorded, run_id)
        return made if made and self._workspace.store.get(made) is not None else ""

    def _recorded(self, run_id: str) -> str:
        """The newest run that the journal knows to be made of a run or a workflow; empty where it knows none. It reads
        files."""
        entries = self._workspace.journal.of_run(self._workspace.root, run_id)
        return next((entry.new_run for entry in entries if entry.new_run), "")

    async def _look_for_new_runs(self, action: ServiceAction) -> None:
        """Ask the service by which runs one was reprocessed, and go there, where the person still waits for it."""
        view, client, store = self._chrome.front.view, self._workspace.client, self._workspace.store
        answer = await client.observe(action)
        if answer.entity is None:
            why = answer.fault.title if answer.fault is not None else "The answer is empty"
            self._chrome.set_status(f"The run could not be read: {why}.", "error")
            return
        await asyncio.to_thread(store_observed, store, [(action, answer.entity)])
        made = sorted(answer.entity[REPROCESSED], key=lambda run: str(run.get("scheduledDateTime")), reverse=True)
        self._chrome.set_status("" if made else "No run reprocesses this one.", "warning")
        if not self._chrome.is_in_front(view) or not made:
            return
        if len(made) == 1:
            await self._opening.open_run(made[0]["id"])
            return
        choices = [
            _choice(partial(self._opening.open_run, run["id"]), FollowedRun(run, is_new=True).words, "") for run in made
        ]
        await self._choose("Runs that reprocess this one", choices)

    # a: the list of actions

    async def action_act(self) -> None:
        """Ask which action is wanted for the marked runs, else for the run at hand or the task under the cursor."""
        if marks := self._bulk_editing.marks:
            if choices := [choice async for choice in self._for_marks()]:
                await self._choose(runs_word(len(marks)), choices)
            return
        if (run_id := self._chrome.hold_run()) is None:
            self._chrome.front.set_status("There is no run under the cursor.", "warning")
            return
        stored = self._workspace.store.get(run_id)
        if stored is None:
            self._chrome.front.set_status("This run is no longer in the list.", "warning")
            return
        made = await asyncio.to_thread(self._recorded, run_id)
        choices = [*self._for_task(run_id, stored), *self._for_run(run_id, stored, made)]
        workflow = workflow_of(self._workspace.store, stored.workflow_id)
        choices += self._for_workflow(workflow or {"id": stored.workflow_id})
        await self._choose(stored.workflow_name, choices)

    async def action_act_on_workflow(self) -> None:
        """Ask which action is wanted for the workflow under the cursor."""
        if (row := self._features[Overviewing].view.row) is not None:
            workflow = workflow_of(self._workspace.store, row.workflow.id) or row.workflow.received
            await self._choose(row.workflow.name, [*self._for_workflow(workflow)])

    async def _choose(self, name: str, choices: Sequence[Choice[_Step]]) -> None:
        async def chosen(step: _Step | None) -> None:
            if step is not None:
                await step()

        first = next((line for line, choice in enumerate(choices) if not choice.refusal), 0)
        title = Content.assemble(("Actions  ", "bold"), name)
        await self._chrome.ask(Picker("act", title, choices, at=first), chosen)

    async def _for_marks(self) -> AsyncIterator[Choice[_Step]]:
        """What can be done for several runs, each with for how many."""
        marks = len(self._bulk_editing.marks)
        makers: list[Callable[[str, str], ServiceAction]] = [
            cancel,
            *(partial(reprocess, scope=name) for name in SCOPES),
        ]
        for make in makers:
            if (bulk := await self._bulk_editing.draw_up(make)) is None:
                return
            action = bulk.action or make("", "")
            lacks = action_words.lacks(self._workspace.sign_in, action.name)
            refusal = action_words.refusal(self._workspace, action) or (
                "" if bulk.drafts else f"none of them: {bulk.left_out_words()}."
            )
            about = " ".join(filter(None, (lacks, *bulk.notes)))
            words = f"{action.words}, for {len(bulk.drafts)} of {marks}" if bulk.drafts else action.words
            yield _choice(partial(self._bulk_sending.ask, bulk, lacks), words, about, refusal)

    def _for_task(self, run_id: str, stored: StoredRun) -> Iterator[Choice[_Step]]:
        rows = self._chrome.front.view.list
        row = rows.table.row_under_cursor(hold=True) if rows is not None else None
        if isinstance(row, TaskRow) and row.result.is_waiting:
            for end in ENDS:
                action = resume(stored.workflow_id, run_id, row.result.id, end)
                yield self._choice(action, row.result.received)

    def _for_run(self, run_id: str, stored: StoredRun, made: str) -> Iterator[Choice[_Step]]:
        if made:
            yield _choice(partial(self._opening.open_run, made), f"open the new run {made}", "It reprocesses this run.")
        yield self._choice(cancel(stored.workflow_id, run_id), stored.raw)
        for scope in SCOPES:
            yield self._choice(reprocess(stored.workflow_id, run_id, scope), stored.raw)

    def _for_workflow(self, workflow: Mapping[str, Any]) -> Iterator[Choice[_Step]]:
        workflow_id = str(workflow["id"])
        yield self._choice(clear_quarantine(workflow_id), workflow)
        users = self._users()
        on_demand = self._choice(run_on_demand(workflow_id, users), workflow)
        if not users:
            ask = partial(self._ask_for_person, workflow_id)
            on_demand = _choice(ask, "run the workflow on demand for a person…", on_demand.about, on_demand.refusal)
        yield on_demand
        about = "The service says which tasks would fail as the workflow stands. Nothing is changed."
        yield _choice(partial(self._preview, workflow_id), "preview task failures of the workflow", about)

    def _users(self) -> list[str]:
        """The ids of the marked users, else of the one under the cursor, where users are in sight."""
        rows = self._opening.users.list
        if self._chrome.front.view is not self._opening.users:
            return []
        marked = [row for row in rows.rows if row.id in rows.table.marks]
        chosen = marked or [row for row in (rows.table.row_under_cursor(hold=True),) if row is not None]
        return [row.id for row in chosen if _is_user(row)]

    def _choice(self, action: ServiceAction, received: Mapping[str, Any]) -> Choice[_Step]:
        refusal = action_words.refusal(self._workspace, action, received)
        lacks = action_words.lacks(self._workspace.sign_in, action.name)
        about = " ".join(filter(None, (lacks, *consequences(action, received))))
        return _choice(partial(self._review, action, received), action.words, about, refusal)

    # The review

    async def _review(self, action: ServiceAction, received: Mapping[str, Any]) -> None:
        lacks = action_words.lacks(self._workspace.sign_in, action.name)
        hint = " ".join(filter(None, (lacks, action_words.in_doubt(self._workspace, action))))
        await self._editing.review(action, hint=hint, notes=[*consequences(action, received)])

    # On demand

    async def _ask_for_person(self, workflow_id: str) -> None:
        """Ask whom to run it for; more results are read meanwhile, so that more people are known."""

        async def chosen(person: Person | None) -> None:
            await self._workspace.results.stop()
            if person is not None and person.id:
                await self._review(run_on_demand(workflow_id, [person.id]), {})
            elif person is not None:
                looking = self._find_person(workflow_id, person.name)
                self.aside(looking, _ASKING, f"Looking for {person.name}…", exclusive=True)

        self._workspace.results.read_in_background(EVERY_RUN)
        await self._chrome.ask(PeopleView(self._workspace), chosen)

    async def _find_person(self, workflow_id: str, name: str) -> None:
        view = self._chrome.front.view
        person = await find_user(self._workspace.client, name)
        if self._chrome.is_in_front(view):
            await self._review(run_on_demand(workflow_id, [person.id]), {})

    # A preview

    async def _preview(self, workflow_id: str) -> None:
        self.aside(self._show_preview(workflow_id), _ASKING, "Asking which tasks would fail…", exclusive=True)

    async def _show_preview(self, workflow_id: str) -> None:
        answer = await self._workspace.client.preview_task_failures(workflow_id)
        words, is_good = action_words.previewed(answer)
        self._chrome.panel.open()
        self._chrome.panel.show_exchange(answer.exchange.number)
        self._chrome.set_status(words, "success" if is_good else "warning")

    # What an action has made, or stops

    def _save_changed(self, save: Save) -> None:
        if save.action is None or save.outcome is not Outcome.DONE:
            return
        self._note_made(save.run_id, save.new_run)
        if save.action.name == "activate":
            self._workspace.refresh.now()  # the service does not say which run it has made
        reading = self._read_tasks(save) if save.action.name == "resume" else self._follow(save)
        self._chrome.app.run_worker(reading, group=_FOLLOW, description="follow a run")

    def _note_made(self, run_id: str, new_run: str) -> None:
        if new_run:
            self._made[run_key(run_id)] = new_run
            self._chrome.refresh()

    async def _read_tasks(self, save: Save) -> None:
        """Read what the tasks of a run did, once one of them goes on."""
        await self.attempt(self._workspace.results.read_run(save.operation.workflow_id, save.run_id))

    async def _readings(self, save: Save) -> AsyncIterator[FollowedRun]:
        """The run each time that it was read; of many, some are followed at a time."""
        async with self._followers if save.batch else nullcontext():
            async for found in followed(self._workspace.client, save):
                yield found

    async def _follow(self, save: Save) -> None:
        """Show a run as it goes on, and tell its end; what comes before that only where nothing else was said."""
        status = ""
        async for found in self._readings(save):
            try:
                await asyncio.to_thread(self._workspace.store.put_run, save.operation.workflow_id, found.run)
            except RuntuiError as error:
                self._chrome.set_status(str(error), "error")
                return
            self._bulk_sending.note_followed(save, found)
            if found.is_new:
                self._note_made(save.run_id, str(found.run.get("id")))
            before, status = status, str(found.run.get(STATUS))
            is_free = found.has_ended or self._chrome.status.text in ("", self._told)
            if not save.batch and status != before and is_free:
                self._told = found.words
                good = status in ("completed", "canceled")
                severity: Severity = "information" if not found.has_ended else "success" if good else "warning"
                self._chrome.set_status(found.words, severity)
                self._chrome.refresh()
            is_last = found.has_ended and sum(worker.group == _FOLLOW for worker in self._chrome.app.workers) == 1
            if is_last and self._workspace.settings.bell:
                self._chrome.app.bell()


def _choice(step: _Step, words: str, about: str, refusal: str = "") -> Choice[_Step]:
    """A line of the list; the reason stands beside what cannot be done."""
    line = f"{words[:1].upper()}{words[1:]}"
    return Choice(step, f"{line} · {refusal}" if refusal else line, refusal or about, refusal)


def _is_user(row: UserRow) -> bool:
    """Whether a row is about a user: a workflow runs on demand for users alone."""
    return all(result.is_about_user for result in (*row.tasks, *([row.result] if row.result is not None else [])))
