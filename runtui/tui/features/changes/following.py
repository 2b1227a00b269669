"""Follows the runs that actions make or stop until they have ended; a key goes to them.

Invariant: a run is followed wherever the person is, and of a bulk action `MAX_FOLLOWED` runs at a time. Which run came
from which is known from this session, else from the journal, else from the service.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext
from functools import partial
from typing import Final

from runtui.domain.report import Outcome
from runtui.domain.text import visible
from runtui.domain.triage.service_actions import REPROCESSED, STATUS, ServiceAction, reprocess
from runtui.graph.root import run_key
from runtui.services.workspace import Workspace
from runtui.services.writing.drive import store_observed
from runtui.services.writing.follow import FollowedRun, followed
from runtui.services.writing.write import Save
from runtui.tui.actions import NO_RUN, ActionContext
from runtui.tui.features.changes.bulk_sending import BulkSending
from runtui.tui.features.feature import Feature, Features
from runtui.tui.features.opening import Opening
from runtui.tui.features.triage.overviewing import Overviewing
from runtui.tui.screens.questions import Choice, Picker
from runtui.tui.widgets.chrome import Severity

MAX_FOLLOWED: Final = 20
"""The most runs of a bulk action that are followed at a time."""

_FOLLOW: Final = "follow"
"""The group of the workers that follow a run."""


def recorded_run(workspace: Workspace, run_id: str) -> str:
    """Return the newest run that the journal knows to be made from a run or a workflow; empty if it knows none. It
    reads files."""
    entries = workspace.journal.of_run(workspace.root, run_id)
    return next((entry.new_run for entry in entries if entry.new_run), "")


class Following(Feature):
    """The runs that this session's actions have made from runs and workflows."""

    def __init__(self, features: Features) -> None:
        super().__init__(features)
        self._bulk_sending = features[BulkSending]
        self._opening = features[Opening]
        self._overview = features[Overviewing].view
        self._followers = asyncio.Semaphore(MAX_FOLLOWED)
        self._made: dict[str, str] = {}
        """The newest run that an action of this session has made, by the key of a run or a workflow."""
        self._sentence = ""
        """The last message about a followed run; if another one replaces it, that one stays."""

    def start(self) -> None:
        self.listen(
            self._workspace.saves.changed,
            self._save_changed,
            wanted=lambda save: save.action is not None and save.outcome is Outcome.DONE,
        )
        self.listen(self._workspace.reconciler.changed, lambda entry: self._note_made(entry.run_id, entry.new_run))

    def extend(self, context: ActionContext) -> ActionContext:
        view, row = self._chrome.front.view, self._overview.list.row
        at_hand = row.workflow.id if view is self._overview and row is not None else view.run_id or ""
        return context._replace(has_new_run=run_key(at_hand) in self._made)

    # F: to the run that an action has made

    async def action_new_workflow_run(self) -> None:
        """Go to the run that was started on demand for the workflow under the cursor."""
        if (row := self._overview.list.row) is not None and (made := await self._known_run_of(row.workflow.id)):
            await self._opening.open_run(made)
        else:
            self._chrome.front.remark("No on-demand run that you started is known.", "warning")

    async def action_new_run(self) -> None:
        """Go to the run that reprocesses the current one, if this session or the journal knows it, else to the run that
        this session started on demand. If neither is known, ask the service."""
        stored = self._workspace.store.get(self._chrome.pin_run() or "")
        if stored is None:
            self._chrome.front.remark(NO_RUN, "warning")
        else:
            await self._open_run_made_from(stored.raw["id"], stored.workflow_id)

    async def action_result_run(self) -> None:
        """Go to the run that the action of a line has made, else to the run that it acted on."""
        if (row := self._bulk_sending.view.list.row) is None:
            return
        if row.save.action is not None and row.save.action.name == "activateWithScope":
            await self._open_run_made_from(row.save.run_id, row.save.operation.workflow_id)
        else:
            await self._opening.open_run(row.save.run_id)

    async def _open_run_made_from(self, run_id: str, workflow_id: str) -> None:
        if made := await self._known_run_of(run_id) or self._made.get(run_key(workflow_id)):
            await self._opening.open_run(made)
        else:
            look = self._look_for_new_runs(reprocess(workflow_id, run_id, "all"))
            self.in_worker(look, "look for new runs", "Looking for the run that reprocesses it…", exclusive=True)

    async def _known_run_of(self, run_id: str) -> str:
        """Return the newest listed run that is known to be made from a run or a workflow; empty if there is none."""
        made = self._made.get(run_key(run_id)) or await self.in_thread(partial(recorded_run, self._workspace, run_id))
        return made if made and self._workspace.store.get(made) is not None else ""

    async def _look_for_new_runs(self, action: ServiceAction) -> None:
        """Ask the service which runs reprocess this one, and go there if the person still waits for it."""
        view, client, store = self._chrome.front.view, self._workspace.client, self._workspace.store
        answer = await client.observe(action)
        if answer.entity is None:
            why = answer.fault.title if answer.fault is not None else "The answer is empty"
            self._chrome.set_status(f"The run could not be read: {why}.", "error")
            return
        await asyncio.to_thread(store_observed, store, [(action, answer.entity)])
        made = sorted(answer.entity[REPROCESSED], key=lambda run: str(run.get("scheduledDateTime")), reverse=True)
        self._chrome.front.remark("" if made else "No run reprocesses this one.", "warning")
        if not self._chrome.is_in_front(view) or not made:
            return
        if len(made) == 1:
            await self._opening.open_run(made[0]["id"])
            return
        choices = [Choice(str(run["id"]), FollowedRun(run, is_new=True).words()) for run in made]
        await self._chrome.ask(Picker("Runs that reprocess this one", choices), self._opening.open_run)

    # The runs that an action has made or stops

    def _save_changed(self, save: Save) -> None:
        self._note_made(save.run_id, save.new_run)
        name = save.action.name if save.action is not None else ""
        if name == "activate":
            self._workspace.refresh.now()  # the service does not say which run it has made
        if name == "resume":  # the results of the run's tasks, once one of them progresses
            self.in_worker(self._workspace.results.read_run(save.operation.workflow_id, save.run_id), _FOLLOW)
        else:
            self.in_worker(self._follow(save), _FOLLOW)

    def _note_made(self, run_id: str, new_run: str) -> None:
        if new_run:
            self._made[run_key(run_id)] = new_run
            self._chrome.refresh()

    async def _readings(self, save: Save) -> AsyncIterator[FollowedRun]:
        """Yield the run at each reading; several are followed at a time."""
        async with self._followers if save.batch else nullcontext():
            async for found in followed(self._workspace.client, save):
                yield found

    async def _follow(self, save: Save) -> None:
        """Show the progress of a run, and report its end; before that, speak only if the status line is free."""
        status = ""
        async for found in self._readings(save):
            await asyncio.to_thread(self._workspace.store.put_run, save.operation.workflow_id, found.run)
            self._bulk_sending.note_followed(save, found)
            if found.is_new:
                self._note_made(save.run_id, str(found.run.get("id")))
            before, status = status, str(found.run.get(STATUS))
            is_free = found.has_ended or self._chrome.status.text in ("", self._sentence)
            if not save.batch and status != before and is_free:
                name = visible(save.intent.workflow_name) if save.intent is not None else ""
                self._sentence = found.words(name)
                good = status in ("completed", "canceled")
                severity: Severity = "information" if not found.has_ended else "success" if good else "warning"
                self._chrome.set_status(self._sentence, severity)
                self._chrome.refresh()
            is_last = found.has_ended and sum(worker.group == _FOLLOW for worker in self._chrome.app.workers) == 1
            if is_last and self._workspace.settings.bell:
                self._chrome.app.bell()
