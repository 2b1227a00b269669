"""Copying: the things to copy about the subject under the cursor, and the ways to the clipboard.

Invariant: a text leaves only by `services.sharing`, which redacts it, and the status line says which way it went. Files
are read in threads. For a hand-over a run is read once if the store lacks the results of its tasks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.content import Content
from textual.geometry import Size
from textual.widgets import Static

from runtui.domain.report import sentences
from runtui.domain.results import TaskResult
from runtui.domain.rows import RunRow
from runtui.domain.text import visible
from runtui.domain.triage.causes import CauseRow, cause_record
from runtui.domain.triage.run_users import TaskRow, UserRow
from runtui.domain.triage.workflows import WorkflowHistory
from runtui.errors import RuntuiError
from runtui.graph.exchange import Exchange
from runtui.graph.root import same_server
from runtui.keys.actions import key_of
from runtui.services.known_run import known_run
from runtui.services.records.journal import Entry
from runtui.services.records.journal_query import entry_object
from runtui.services.results import runs_of_cause
from runtui.services.sharing.clipboard import CopyResult, copy_text, into_file
from runtui.services.sharing.commands import request_of, shared_request
from runtui.services.sharing.handoff import (
    handoff_markdown,
    handoff_of_cause,
    handoff_of_run,
    origin_of,
    requests_about,
)
from runtui.tui.actions import bindings
from runtui.tui.features.changes.bulk_sending import ResultsView
from runtui.tui.features.changes.journaling import JournalView
from runtui.tui.features.changes.lists import ResultRow
from runtui.tui.features.feature import Feature, Features
from runtui.tui.features.opening import TasksView, UsersView
from runtui.tui.features.signing_in import SignInView
from runtui.tui.features.triage.explaining import CausesView
from runtui.tui.features.triage.overviewing import OverviewView
from runtui.tui.features.triage.tracing import PersonView
from runtui.tui.keys import blocks_keys
from runtui.tui.output import DrawnOnce
from runtui.tui.screens.questions import Picker
from runtui.tui.screens.runs import RunsView
from runtui.tui.screens.view import ActionView
from runtui.tui.text import content
from runtui.tui.widgets.chrome import Severity
from runtui.tui.widgets.row_list import ReadList
from runtui.tui.words import copies
from runtui.tui.words.copies import Copy, CopyChoice, Destination, MakesHandoff

_Made = Callable[[], Sequence[CopyChoice]]
"""Makes the choices; it may read files."""

NOTHING: Final = "There is nothing to copy here."


class Copying(Feature):
    """The question what to copy, and the steps after the answer."""

    def __init__(self, features: Features) -> None:
        super().__init__(features)
        self._offered: Sequence[CopyChoice] = ()
        """The choices of the question."""

    # The question

    def action_copy(self) -> None:
        if (listed := self._chrome.front.view.list) is not None:
            listed.table.row_under_cursor(pin=True)
        self._ask(self._in_view())

    action_copy_entry = action_copy

    def action_copy_tab(self) -> None:
        panel = self._chrome.panel
        match panel.in_front:
            case Exchange() as exchange:
                self._ask(partial(self._of_exchange, exchange), of_tab=True)
            case Entry() as entry:
                self._ask(partial(self._of_entry, entry), of_tab=True)
            case None:
                self._ask(self._in_view() if panel.tab == "run" else None, of_tab=True)

    def _ask(self, made: _Made | None, *, of_tab: bool = False) -> None:
        self.in_worker(self._choose(made, of_tab), blocks_keys("copy"))

    async def _choose(self, made: _Made | None, of_tab: bool) -> None:
        offered = list(await asyncio.to_thread(made)) if made is not None else []
        text = await asyncio.to_thread(self._chrome.panel.text) if of_tab else ""
        if text:
            offered.insert(0, copies.code_choice("text of the tab", "Text", text))
        if not offered:
            self._chrome.front.remark(NOTHING, "warning")
            return
        self._offered = offered
        await self._chrome.ask(Picker("Copy", offered, more_scopes=("copies",)), self._chosen)

    def action_copy_chosen(self) -> None:
        self._answer(self._under_cursor, "clipboard")

    def action_show_chosen(self) -> None:
        self._answer(self._under_cursor, "page")

    def action_save_chosen(self) -> None:
        self._answer(self._under_cursor, "file")

    def action_copy_handoff(self) -> None:
        handoff = next((choice for choice in self._offered if choice.value.what == copies.HANDOFF), None)
        self._answer(handoff, "clipboard", "There is no hand-over of this.")

    @property
    def _under_cursor(self) -> CopyChoice | None:
        view = self._chrome.front.view
        return view.under_cursor if isinstance(view, Picker) else None

    def _answer(self, choice: CopyChoice | None, destination: Destination, nothing: str = NOTHING) -> None:
        """Answer the question with one of its lines, or say why that cannot be copied."""
        if choice is None or choice.refusal:
            self._chrome.front.remark(choice.refusal if choice is not None else nothing, "warning")
        else:
            self._chrome.front.dismiss(choice.value._replace(destination=destination))

    # The answer

    def _chosen(self, copy: Copy) -> None:
        self.in_worker(self._copy(copy), blocks_keys("copied"), exclusive=True)

    async def _copy(self, copy: Copy) -> None:
        """Copy at once what this machine knows; no key waits for what must be read first."""
        # A text that the question already has waits for no thread: the frame that closes the question shows the result.
        run = await asyncio.to_thread(self._unread, copy.of_run) if copy.of_run else None
        if run is None:
            await self._make(copy)
            return
        words = "Reading what the tasks of the run did…"
        self.in_worker(self._read_first(copy, run), "hand over", words, exclusive=True)

    def _unread(self, run_id: str) -> tuple[str, str] | None:
        """Return the ids of workflow and run, if its task results have to be read. It reads files."""
        known = known_run(self._workspace, run_id)
        return (known.stored.workflow_id, run_id) if known.stored is not None and known.lacks_results else None

    async def _read_first(self, copy: Copy, run: tuple[str, str]) -> None:
        lacks = ""
        try:
            await self._workspace.results.read_run(*run)
        except RuntuiError as error:
            lacks = f"It lacks what the tasks did. {error}"
        await self._make(copy, lacks)

    async def _make(self, copy: Copy, lacks: str = "") -> None:
        if copy.handoff is not None:
            origin = await origin_of(self._workspace)
            handoff = await asyncio.to_thread(copy.handoff, self._workspace, origin)
            copy = copy._replace(text=handoff_markdown(handoff))
        await self._send(copy, lacks)

    async def action_copy_code(self) -> None:
        view = self._chrome.front.view
        if isinstance(view, SignInView):
            text, what = view.copied
            await self._send(Copy(what, visible(text, newlines=what == "Message")))

    async def _send(self, copy: Copy, lacks: str = "") -> None:
        """Hand a text over, and say what was done; `lacks` is what the text is missing."""
        app, folder = self._chrome.app, self._workspace.settings.state_folder
        fits = partial(fits_on_page, size=app.size)
        if copy.destination == "page" and fits(copy.text):
            done = CopyResult("shown to be selected", page=copy.text)
        elif copy.destination == "page":
            how = f"{key_of('copy')} then {key_of('save_chosen')} writes it to a file"
            done = CopyResult(f"too long or too wide for this screen; {how}", is_done=False)
        elif copy.destination == "file":
            done = await asyncio.to_thread(into_file, copy.text, folder, copy.ending)
        else:
            to_terminal = app.copy_to_clipboard
            done = await copy_text(copy.text, to_terminal, folder=folder, fits_on_page=fits, ending=copy.ending)
        if done.page:
            async with self._chrome.mounting:
                await app.push_screen(SelectionPage(done.page))
            return  # the page says it itself
        severity: Severity = "error" if not done.is_done else "warning" if lacks else "information"
        self._chrome.front.set_status(sentences(f"{copy.what}: {done.words}", lacks), severity)

    # The choices

    def _in_view(self) -> _Made | None:
        """Return the choices for the subject under the cursor of the screen in front."""
        view = self._chrome.front.view
        if isinstance(view, JournalView):
            return partial(self._of_entry, view.entry) if view.entry is not None else None
        row = view.list.row if view.list is not None else None
        if view.list is None or row is None:  # no user or task is under the cursor of an opened run
            if not (run_id := view.run_id):
                return None
            return partial(self._of, CopySubject((copies.id_choice("run", run_id),), run_id, is_run=True))
        subject = _SUBJECTS[type(view)](view, row) if type(view) in _SUBJECTS else CopySubject()
        listed = view.list.shown.rows if isinstance(view.list, ReadList) else ()
        marked = [one for one in listed if view.list.resource.id_of(one) in view.list.table.marks]
        return partial(self._of, subject, *copies.row_choices(view.list.resource.columns, row, marked))

    def _of(self, subject: CopySubject, *row: CopyChoice) -> list[CopyChoice]:
        workspace = self._workspace
        stored = workspace.store.get(subject.run_id) if subject.run_id else None
        workflow_id = subject.workflow_id or (stored.workflow_id if stored is not None else "")
        received = stored.raw if subject.is_run and stored is not None else subject.received
        handoff = partial(handoff_of_run, run_id=subject.run_id) if subject.run_id else subject.handoff
        choices = [*subject.lead, copies.handoff_choice(handoff, subject.run_id)]
        if subject.run_id:
            choices.append(self._request_ids(subject.run_id))
        if workflow_id:
            address = workspace.client.read_target(workflow_id, subject.run_id, subject.result_id)
            choices.append(copies.link_choice(workspace.root, workflow_id))
            choices += copies.command_choices(shared_request("GET", address), workspace.root)
        return [*choices, *row, copies.json_choice(received)]

    def _of_entry(self, entry: Entry) -> list[CopyChoice]:
        if entry.damage:
            return [copies.json_choice(entry_object(entry))]
        headers = (("If-Match", entry.if_match),) if entry.if_match else ()
        is_here = same_server(entry.root, self._workspace.root)
        handoff = partial(handoff_of_run, run_id=entry.run_id) if is_here else None
        return [
            copies.request_ids_choice([entry], ()),
            copies.handoff_choice(handoff, entry.run_id, "This change was made on another server."),
            copies.id_choice("workflow" if entry.is_about_workflow else "run", entry.run_id),
            copies.link_choice(entry.root, entry.workflow_id),
            *copies.command_choices(shared_request(entry.method, entry.url, headers, entry.body), entry.root),
            copies.json_choice({**entry_object(entry), "response": entry.response}),
        ]

    def _of_exchange(self, exchange: Exchange) -> list[CopyChoice]:
        return [
            copies.request_ids_choice((), [exchange]),
            *copies.command_choices(request_of(exchange), self._workspace.root),
            copies.response_choice(exchange.body_text),
        ]

    def _request_ids(self, run_id: str) -> CopyChoice:
        workspace = self._workspace
        changes = workspace.journal.of_run(workspace.root, run_id)
        return copies.request_ids_choice(changes, requests_about(workspace, run_id))


_LINES_OF_HINT: Final = 1


class SelectionPage(DrawnOnce[None]):
    """A text alone on the screen, to select it in the terminal: a way to copy without a clipboard.

    Nothing is beside or before the text, so that selecting lines selects nothing else; no line is wrapped, because it
    would be selected as two. The way back is below.
    """

    BINDINGS = bindings("page", close_page="close_page")
    DEFAULT_CSS = """
    SelectionPage { overflow: hidden; }
    SelectionPage #selection-text { height: 1fr; width: 100%; text-wrap: nowrap; }
    SelectionPage #selection-hint { height: 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        yield Static(content(self._text, newlines=True), id="selection-text", markup=False)
        yield Static(self._hint, id="selection-hint", markup=False)

    @property
    def _hint(self) -> Content:
        """Return how to go on, or that the terminal cannot show the whole text."""
        words = "Select the text in your terminal"
        if not fits_on_page(self._text, self.app.size):
            words = "The terminal is too small for all of the text"
        return content(f"{words}; {key_of('close_page')} goes back.")

    def on_resize(self) -> None:
        self.query_one("#selection-hint", Static).update(self._hint)

    def action_close_page(self) -> None:
        self.dismiss()


def fits_on_page(text: str, size: Size) -> bool:
    """Return whether a terminal of that size, in cells, can show a whole text."""
    lines = visible(text, newlines=True).split("\n")
    return len(lines) <= size.height - _LINES_OF_HINT and all(cell_len(line) <= size.width for line in lines)


class CopySubject(NamedTuple):
    """The subject under the cursor of a list, as far as it can be copied."""

    lead: tuple[CopyChoice, ...] = ()
    """The choices about the subject alone; two keys copy the first one."""
    run_id: str = ""
    """The run that it is or belongs to."""
    workflow_id: str = ""
    """Its workflow; empty if that is the run's."""
    result_id: str = ""
    """The user's result in the run that it is or belongs to."""
    handoff: MakesHandoff | None = None
    """Makes its hand-over, if it belongs to no run."""
    received: Mapping[str, Any] | None = None
    is_run: bool = False
    """True if it was received as the run."""


def _run(view: RunsView, row: RunRow) -> CopySubject:
    lead = (copies.id_choice("run", row.id), *copies.marked_choices(view.table.marks))
    return CopySubject(lead, row.id, row.workflow_id, is_run=True)


def _result(view: ResultsView, row: ResultRow) -> CopySubject:
    run_id = row.save.run_id
    ids = (copies.id_choice("run", run_id), *copies.marked_choices(view.list.table.marks))
    return CopySubject((*ids, *copies.reason_choices(row.reason)), run_id, is_run=True)


def _user(view: UsersView, row: UserRow) -> CopySubject:
    run_id, result = view.run_id or "", row.result
    why = copies.reason_choices(row.blocker.reason if row.blocker is not None else "")
    lead = (copies.id_choice("user", row.id), *why, copies.id_choice("run", run_id))
    subject = CopySubject(lead, run_id)
    return subject if result is None else subject._replace(result_id=result.id, received=result.received)


def _task(view: TasksView, row: TaskRow) -> CopySubject:
    of_user = view.user.result if view.user is not None else None
    subject = _of_task(row.result, view.run_id or "")
    return subject._replace(result_id=of_user.id if of_user is not None else "")


def _of_task(task: TaskResult, run_id: str) -> CopySubject:
    ids = (copies.id_choice("task result", task.id), copies.id_choice("run", run_id))
    lead = (*copies.reason_choices(task.reason if task.is_failed else ""), *ids)
    return CopySubject(lead, run_id, received=task.received)


def _cause(view: CausesView, row: CauseRow) -> CopySubject:
    cause = row.cause
    finds = copies.text_choice("filter that finds its runs", "Filter", f"cause:{cause.key}")
    lead = (*copies.reason_choices(cause.reason), finds)
    handoff = partial(handoff_of_cause, cause=cause, query=runs_of_cause(view.shown, cause))
    return CopySubject(lead, handoff=handoff, received=cause_record(cause))


def _workflow(_view: OverviewView, row: WorkflowHistory) -> CopySubject:
    workflow = row.workflow
    lead = (copies.id_choice("workflow", workflow.id),)
    return CopySubject(lead, workflow_id=workflow.id, received=workflow.received)


_SUBJECTS: Final[Mapping[type[ActionView[Any]], Callable[[Any, Any], CopySubject]]] = {
    RunsView: _run,
    ResultsView: _result,
    UsersView: _user,
    TasksView: _task,
    PersonView: lambda _view, row: _of_task(row.result, row.run_id),
    CausesView: _cause,
    OverviewView: _workflow,
}
"""Functions that make the subject of a row that has more than its cells."""
