"""Copying: what can be copied of the thing under the cursor, and the ways to the clipboard.

Invariant: a text leaves only by `services.sharing`, which redacts it, and the status line says which way it took. Files
are read in threads; for a hand-over a run is read once where the store does not have what its tasks did.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Literal
from urllib.parse import quote

from textual.content import Content

from runtui.domain.report import sentences
from runtui.domain.results import TaskResult
from runtui.domain.rows import RunRow
from runtui.domain.triage.causes import CauseRow, cause_record
from runtui.domain.triage.run_users import UserRow
from runtui.domain.triage.workflows import WorkflowHistory
from runtui.errors import RuntuiError
from runtui.graph.exchange import Exchange
from runtui.services.journal import Entry
from runtui.services.journal_query import entry_object
from runtui.services.results import runs_of_cause
from runtui.services.sharing.clipboard import HandedOver, hand_over, into_file
from runtui.services.sharing.commands import request_of, shared_request
from runtui.services.sharing.handoff import handoff_markdown, handoff_of_cause, handoff_of_run, origin_of
from runtui.services.store import RunQuery
from runtui.tui.actions import ActionContext
from runtui.tui.keys import awaited
from runtui.tui.resources import CAUSES, PERSON, RUNS, TASKS, USERS, WORKFLOWS
from runtui.tui.screens.frame import Chrome
from runtui.tui.screens.journal import JournalView
from runtui.tui.screens.overview import OverviewView
from runtui.tui.screens.picker import Picker
from runtui.tui.screens.run import TasksView, UsersView
from runtui.tui.screens.runs import RunsView
from runtui.tui.screens.selection import SelectionPage, fits_on_page
from runtui.tui.screens.sign_in import SignInView
from runtui.tui.screens.triage.causes import CausesView
from runtui.tui.screens.triage.people import PersonView
from runtui.tui.words import copies
from runtui.tui.words.copies import CauseOfRuns, Copy, CopyChoice

_Way = Literal["clipboard", "page", "file"]

_Made = Callable[[], Sequence[CopyChoice]]
"""Makes what can be chosen; it may read files."""

_QUESTION: Final = "copy"


class Copying:
    """The question what to copy, and what becomes of the answer.

    Args:
        chrome: The frame.
    """

    def __init__(self, chrome: Chrome) -> None:
        self._chrome = chrome
        self._workspace = chrome.workspace
        self._offered: Sequence[CopyChoice] = ()
        self._way: _Way = "clipboard"
        """How the answer is to be copied."""

    def extend(self, context: ActionContext) -> ActionContext:
        """Nothing but what the lists tell by themselves."""
        return context

    # The question

    def action_copy(self) -> None:
        """Ask what to copy of the row under the cursor."""
        if (listed := self._chrome.front.view.list) is not None:
            listed.table.row_under_cursor(hold=True)
        self._ask(self._in_view())

    def action_copy_entry(self) -> None:
        """Ask what to copy of the change under the cursor."""
        self._ask(self._in_view())

    def action_copy_tab(self) -> None:
        """Ask what to copy of what the tab in front shows."""
        panel = self._chrome.panel
        match panel.in_front:
            case Exchange() as exchange:
                self._ask(partial(self._of_exchange, exchange), panel.text)
            case Entry() as entry:
                self._ask(partial(self._of_entry, entry), panel.text)
            case None:
                self._ask(self._in_view() if panel.tab == "run" else None, panel.text)

    def _ask(self, made: _Made | None, text: str = "") -> None:
        self._chrome.app.run_worker(self._choose(made, text), group=awaited("copy"), description="find what to copy")

    async def _choose(self, made: _Made | None, text: str) -> None:
        try:
            offered = list(await asyncio.to_thread(made)) if made is not None else []
        except RuntuiError as error:
            self._chrome.set_status(str(error), "error")
            return
        if text:
            offered.insert(0, copies.code_choice("text of the tab", "Text", text))
        if not offered:
            self._chrome.set_status("There is nothing to copy here.", "warning")
            return
        self._offered, self._way = offered, "clipboard"
        title = Content.styled("Copy", "bold")
        await self._chrome.ask(Picker(_QUESTION, title, offered, shared=("copies",)), self._chosen)

    async def action_copy_chosen(self) -> None:
        """Copy what is under the cursor."""
        await self._choose_for("clipboard")

    async def action_show_chosen(self) -> None:
        """Show what is under the cursor, to be selected."""
        await self._choose_for("page")

    async def action_save_chosen(self) -> None:
        """Write what is under the cursor to a file."""
        await self._choose_for("file")

    async def _choose_for(self, way: _Way) -> None:
        view = self._chrome.front.view
        if isinstance(view, Picker) and view.under_cursor is not None:
            self._way = way if not view.under_cursor.refusal else "clipboard"
            await self._chrome.front.perform("choose")

    def action_copy_handoff(self) -> None:
        """Copy the hand-over, wherever the cursor is."""
        for choice in self._offered:
            if choice.value.handoff_of is not None:
                self._chrome.front.view.answer(choice.value)
                return
        self._chrome.front.set_status("Only runs, changes and causes are handed over.", "warning")

    # The answer

    def _chosen(self, copy: Copy | None) -> None:
        if copy is None:
            return
        way = self._way
        group = awaited("copied") if copy.handoff_of is None else "hand over"
        self._chrome.app.run_worker(self._copy(copy, way), group=group, exclusive=True, description="copy")

    async def _copy(self, copy: Copy, way: _Way) -> None:
        try:
            text = copy.text if copy.handoff_of is None else await self._handoff(copy)
        except RuntuiError as error:
            self._chrome.set_status(str(error), "error")
            return
        await self._send(copy.what, text, way)

    async def action_copy_code(self) -> None:
        """Copy the code of a sign-in, or the address to open."""
        view = self._chrome.front.view
        if isinstance(view, SignInView) and view.copied[0]:
            text, what = view.copied
            await self._send(what, text, "clipboard")
        else:
            self._chrome.front.set_status("There is no code and no address yet.", "warning")

    async def _send(self, what: str, text: str, way: _Way) -> None:
        """Hand a text over, and say what was done."""
        app, folder = self._chrome.app, self._workspace.settings.state_folder
        fits = partial(fits_on_page, size=app.size)
        if way == "page":
            words = "shown to be selected" if fits(text) else "longer than the screen; a file takes it"
            done = HandedOver(words, page=text if fits(text) else "", is_done=fits(text))
        elif way == "file":
            done = await asyncio.to_thread(into_file, text, folder)
        else:
            done = await hand_over(text, app.copy_to_clipboard, folder=folder, fits_on_page=fits)
        if done.page:
            async with self._chrome.mounting:
                await app.push_screen(SelectionPage(done.page))
            return  # the page says it itself
        self._chrome.set_status(sentences(f"{what}: {done.words}"), "information" if done.is_done else "error")

    async def _handoff(self, copy: Copy) -> str:
        """Make a hand-over from what is on this machine; of a run whose results are not there, they are read first."""
        origin, of = await origin_of(self._workspace), copy.handoff_of
        if isinstance(of, CauseOfRuns):
            return handoff_markdown(
                await asyncio.to_thread(handoff_of_cause, self._workspace, of.cause, of.query, origin)
            )
        run_id = str(of)
        await self._read_results(run_id)
        return handoff_markdown(await asyncio.to_thread(handoff_of_run, self._workspace, run_id, origin))

    async def _read_results(self, run_id: str) -> None:
        """Read what the tasks of a run did, where the store does not have it; the hand-over names what is missing."""
        store = self._workspace.store
        stored, results = store.get(run_id), await asyncio.to_thread(store.results_of, run_id)
        if stored is None or (results is not None and not results.is_outdated):
            return
        self._chrome.set_status("Reading what the tasks of the run did…")
        try:
            await self._workspace.results.read_run(stored.workflow_id, run_id)
        except RuntuiError as error:
            self._chrome.set_status(f"The hand-over lacks what the tasks did. {error}", "warning")

    # What there is to choose from

    def _in_view(self) -> _Made | None:
        """What can be copied of the thing under the cursor of the place in front."""
        view, made = self._chrome.front.view, None
        match view:
            case RunsView() if view.row is not None:
                made = partial(self._of_run, view.row, sorted(view.table.marks))
            case UsersView() if (user := view.list.table.row_under_cursor()) is not None:
                made = partial(self._of_user, view.run_id or "", user)
            case TasksView() if (task := view.list.table.row_under_cursor()) is not None:
                row = copies.row_choice(TASKS.columns, task)
                made = partial(self._of_task, view.run_id or "", task.result, row, view.user)
            case CausesView() if (cause := view.table.row_under_cursor()) is not None:
                made = partial(self._of_cause, cause, view.shown)
            case PersonView() if view.row is not None:
                row = copies.row_choice(PERSON.columns, view.row)
                made = partial(self._of_task, view.row.run_id, view.row.result, row)
            case JournalView() if view.entry is not None:
                made = partial(self._of_entry, view.entry)
            case OverviewView() if view.row is not None:
                made = partial(self._of_workflow, view.row)
        return made

    def _of_run(self, row: RunRow, marks: Sequence[str]) -> list[CopyChoice]:
        stored = self._workspace.store.get(row.id)
        choices = [
            copies.id_choice("run", row.id),
            copies.handoff_choice(row.id),
            self._request_ids(row.id),
            copies.link_choice(self._workspace.root, row.workflow_id),
            *self._commands(row.workflow_id, row.id),
            copies.row_choice(RUNS.columns, row),
            copies.json_choice(stored.raw if stored is not None else None),
        ]
        if marks:
            choices.insert(1, copies.text_choice(f"ids of the {len(marks)} marked runs", "Ids", "\n".join(marks)))
        return choices

    def _of_user(self, run_id: str, user: UserRow) -> list[CopyChoice]:
        result = user.result
        return [
            copies.id_choice("user", user.id),
            copies.handoff_choice(run_id),
            copies.id_choice("run", run_id),
            *([copies.code_choice("reason", "Reason", user.trouble.reason)] if user.trouble is not None else ()),
            self._request_ids(run_id),
            *self._commands(self._workflow_of(run_id), run_id, result.id if result is not None else ""),
            copies.row_choice(USERS.columns, user),
            copies.json_choice(result.received if result is not None else None),
        ]

    def _of_task(self, run_id: str, task: TaskResult, row: CopyChoice, user: UserRow | None = None) -> list[CopyChoice]:
        result_id = user.result.id if user is not None and user.result is not None else ""
        return [
            *([copies.code_choice("reason", "Reason", task.reason)] if task.is_failed else ()),
            copies.id_choice("task result", task.id),
            copies.handoff_choice(run_id),
            copies.id_choice("run", run_id),
            self._request_ids(run_id),
            *self._commands(self._workflow_of(run_id), run_id, result_id),
            row,
            copies.json_choice(task.received),
        ]

    def _of_cause(self, row: CauseRow, query: RunQuery) -> list[CopyChoice]:
        cause = row.cause
        return [
            copies.code_choice("reason", "Reason", cause.reason),
            copies.handoff_choice(CauseOfRuns(cause, runs_of_cause(query, cause))),
            copies.text_choice("filter that finds its runs", "Filter", f"cause:{cause.key}"),
            copies.row_choice(CAUSES.columns, row),
            copies.json_choice(cause_record(cause)),
        ]

    def _of_workflow(self, row: WorkflowHistory) -> list[CopyChoice]:
        workflow = row.workflow
        return [
            copies.id_choice("workflow", workflow.id),
            copies.link_choice(self._workspace.root, workflow.id),
            *self._commands(workflow.id),
            copies.row_choice(WORKFLOWS.columns, row),
            copies.json_choice(workflow.received),
        ]

    def _of_entry(self, entry: Entry) -> list[CopyChoice]:
        if entry.damage:
            return [copies.json_choice(entry_object(entry))]
        is_here = self._workspace.store.get(entry.run_id) is not None
        headers = (("If-Match", entry.if_match),) if entry.if_match else ()
        return [
            copies.request_ids_choice([entry], ()),
            copies.handoff_choice(entry.run_id if is_here else None),
            copies.id_choice("run", entry.run_id),
            *copies.command_choices(shared_request(entry.method, entry.url, headers, entry.body), entry.root),
            copies.json_choice({**entry_object(entry), "response": entry.response}),
        ]

    def _of_exchange(self, exchange: Exchange) -> list[CopyChoice]:
        return [
            copies.request_ids_choice((), [exchange]),
            *copies.command_choices(request_of(exchange), self._workspace.root),
            copies.text_choice("response", "Response", exchange.body_text, refusal="There is no response."),
        ]

    def _request_ids(self, run_id: str) -> CopyChoice:
        workspace = self._workspace
        segment = quote(run_id, safe="")
        about = [exchange for exchange in list(workspace.exchanges) if segment in exchange.url]
        return copies.request_ids_choice(workspace.journal.of_run(workspace.root, run_id), about)

    def _commands(self, workflow_id: str, run_id: str = "", result_id: str = "") -> list[CopyChoice]:
        address = self._workspace.client.read_target(workflow_id, run_id, result_id)
        return list(copies.command_choices(shared_request("GET", address), self._workspace.root))

    def _workflow_of(self, run_id: str) -> str:
        stored = self._workspace.store.get(run_id)
        return stored.workflow_id if stored is not None else ""
