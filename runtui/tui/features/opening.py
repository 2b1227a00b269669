"""Opens a run's users, a user's tasks, and the full data of a task.

Invariant: each view shows the results of one run only, whose id it holds. A screen opens while its key is handled, and
shows the stored data at once; the next key waits for that, and never for the network. Data for a run that is no longer
open is dropped. Enter on a list that is still being read opens its first row once it is there, if the person still
waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple

from textual.content import Content

from runtui.domain.columns import RESERVED_CELLS
from runtui.domain.results import TaskResult
from runtui.domain.times import now_ticks
from runtui.domain.triage.run_users import (
    NO_TASKS,
    TASK_COLUMNS,
    USER_COLUMNS,
    TaskRow,
    UserRow,
    in_sequence,
    progress_words,
    user_rows,
    why_no_users,
)
from runtui.errors import RuntuiError
from runtui.graph.pages import GraphError
from runtui.services.store.store import workflow_of
from runtui.tui.features.feature import Feature, Features
from runtui.tui.features.panes import Panes
from runtui.tui.keys import blocks_keys
from runtui.tui.resources import READING, Resource, in_memory
from runtui.tui.screens.panel import Panel
from runtui.tui.screens.view import ActionView, Throttle
from runtui.tui.widgets.row_list import ReadList
from runtui.tui.words.pages import task_page

if TYPE_CHECKING:
    from runtui.services.refresh import Progress

READS_NAMES: Final = "User.ReadBasic.All"
"""The least permission that reads names from the directory."""

_READING: Final = "read one run"
_SHOWING: Final = "show a part of a run"

_ROOM_FOR_REASONS: Final = {"reason": RESERVED_CELLS, "task": 27}
"""The column widths, in cells, to reserve for a run with failures, so that no column moves when the reasons arrive."""

USERS: Final[Resource[UserRow, str]] = in_memory(
    "Users", "user", USER_COLUMNS, lambda row: row.id, "The run has no users."
)

TASKS: Final[Resource[TaskRow, str]] = in_memory("Tasks", "task", TASK_COLUMNS, lambda row: row.result.id, NO_TASKS)


class UsersView(ActionView[None]):
    """The users of a run."""

    scope = "users"
    opens = "open_user"
    list: ReadList[UserRow, str]
    run_id: str | None = None

    def __init__(self) -> None:
        super().__init__()
        self.list = ReadList(USERS, name="users", sort="status")
        self.workflow_name = ""
        self.progress = ""
        """How many users were read so far; empty once all were."""

    def open(self, run_id: str, workflow_name: str, *, has_failures: bool) -> None:
        """Open a run, or stay with the one that is open. With failures, reserve room for their reasons."""
        self.list.expected = _ROOM_FOR_REASONS if has_failures else {}
        if run_id != self.run_id:
            self.run_id, self.workflow_name, self.progress = run_id, workflow_name, ""
            self.list.begin(READING)

    def title(self) -> Content:
        return self.list.heading(self.workflow_name, self.progress)

    def show_in(self, panel: Panel) -> None:
        """Show the failed or pending task of the user under the cursor; without one, the run."""
        if self.run_id is None:
            return
        user = self.list.row
        if user is not None and user.blocker is not None:
            panel.show_page(task_page(self.run_id, user.name, user.row_of(user.blocker), now_ticks()))
        else:
            panel.follow(self.run_id)


class TasksView(ActionView[None]):
    """The tasks of a run for one user."""

    scope = "tasks"
    opens = "open_task"
    list: ReadList[TaskRow, str]
    run_id: str | None = None

    def __init__(self) -> None:
        super().__init__()
        self.list = ReadList(TASKS, name="tasks", sort="sequence")
        self.user: UserRow | None = None

    def open(self, run_id: str, user: UserRow) -> None:
        """Open a user, or stay with the one that is open."""
        if self.user is None or (run_id, user.id) != (self.run_id, self.user.id):
            self.list.begin(READING)
        self.run_id, self.user = run_id, user

    def show(self, user: UserRow, tasks: Sequence[TaskResult], *, is_whole: bool) -> None:
        """Show the user's tasks, all (`is_whole`) or those read so far. The cursor starts at the task in trouble."""
        rows, is_new = [user.row_of(task) for task in tasks], not self.list.rows
        self.user = user
        self.list.put(rows, TASKS.empty if is_whole else READING)
        if is_new and user.blocker is not None:
            self.list.go_to(user.blocker.id)

    def title(self) -> Content:
        return self.list.heading(self.user.name if self.user is not None else "")

    def show_in(self, panel: Panel) -> None:
        row = self.list.row
        panel.show_page(task_page(self.run_id or "", self.user.name if self.user is not None else "", row, now_ticks()))


class _Known(NamedTuple):
    """The known data of a run."""

    rows: Sequence[UserRow] = ()
    empty: str = ""
    """Why it has no users."""
    progress: str = ""
    """How many users were read, if not all."""
    is_outdated: bool = False


class Opening(Feature):
    """The screens of one run."""

    def __init__(self, features: Features) -> None:
        super().__init__(features)
        self.users = UsersView()
        self.tasks = TasksView()
        self._users_screen = self._chrome.install(self.users)
        self._tasks_screen = self._chrome.install(self.tasks)
        self._is_reading = False
        self._is_shown = False
        """True once the list has the users as they were read last."""
        self._drawing = Throttle(self.users, self._workspace.foreground, self._show_part)
        """Shows more while the users are read: a large run comes in many parts."""
        self._fault = ""
        """Why the shown data may differ from the server's; empty if it does not."""
        self._user_id = ""
        """The user whom the run was opened for; empty for nobody in particular."""
        self._opens_first = False
        """True if the first user is to be opened once the users are there."""

    def start(self) -> None:
        self.listen(self._workspace.store.changed, self._runs_changed)
        self.listen(self._workspace.store.results_read, lambda run_id: self._runs_changed({run_id}))
        self.listen(self._workspace.progressed, self._listed, only_newest=True)
        self.listen(self._workspace.results.part_arrived, self._part_arrived, only_newest=True)
        self.listen(self._workspace.results.changed, lambda _progress: self._drawing.ask(), only_newest=True)

    # enter on a run

    async def action_open_run(self) -> None:
        if (run_id := self._chrome.pin_run()) is not None:
            await self.open_run(run_id)

    async def open_run(self, run_id: str, user_id: str = "") -> None:
        """Open a run; the cursor goes to this user, if the run has it, as long as nobody moves it."""
        if (stored := self._chrome.stored_run(run_id)) is None:
            return
        self._opens_first, has_failures = False, bool(stored.raw.get("failedUsersCount"))
        fill = partial(self.users.open, run_id, stored.workflow_name, has_failures=has_failures)
        await self._chrome.open(self._users_screen, self._dismissed, fill=fill)
        self._user_id = user_id
        self.users.list.go_to(user_id)
        self.in_worker(self._begin(run_id), blocks_keys("users of a run"), exclusive=True)

    def _dismissed(self, _answer: None) -> None:
        """Stop reading, because nobody looks at the users any more; what was read stays."""
        self._chrome.app.workers.cancel_group(self._chrome.app, _READING)
        self._is_reading = False

    async def _begin(self, run_id: str) -> None:
        await self._show_stored(run_id)
        self._read_again(run_id)
        await self._remember(run_id)

    async def _remember(self, run_id: str) -> None:
        """Mark an opened run as seen; passing over it with the cursor does not count."""
        if await self.in_thread(partial(self._workspace.triage.see, run_id)):
            self._chrome.panel.read_again()

    def _read_again(self, run_id: str) -> None:
        if run_id == self.users.run_id:
            self._is_reading, self._is_shown = True, False
            self.in_worker(self._read(run_id), _READING, exclusive=True)

    async def _read(self, run_id: str) -> None:
        """Read the results of a run into the store, and show them, or why they cannot be read."""
        stored = self._workspace.store.get(run_id)
        words = ""
        try:
            if stored is not None:
                await self._workspace.results.read_run(stored.workflow_id, run_id)
        except RuntuiError as error:
            words = f"The users could not be read. {error}"
        if run_id != self.users.run_id:
            return
        self._is_reading = False
        self._chrome.app.workers.cancel_group(self._chrome.app, _SHOWING)
        await self._show_stored(run_id, words)
        has_more = [await self._read_extensions(), await self._read_names()]
        if any(has_more):
            await self._show_stored(run_id, words)

    async def _read_names(self) -> bool:
        """Request the names of users with only an id from the directory; return whether more are known now. If the
        directory cannot be read, say so once."""
        rows = (*self.users.list.shown.rows, *self.users.list.rows)
        try:
            return await self._workspace.results.read_names([row.id for row in rows if row.is_unnamed])
        except GraphError as error:
            cure = f" Names need the permission {READS_NAMES}." if error.exchange.status == HTTPStatus.FORBIDDEN else ""
            self._chrome.front.set_status(f"Users are shown by their ids: {error.title}.{cure}")
            return False

    def _part_arrived(self, run_id: str) -> None:
        if run_id == self.users.run_id:
            self._drawing.ask()

    def _show_part(self) -> None:
        """Show what was read so far of a large run, or that the service asks to wait; never less than before."""
        run_id, has_all = self.users.run_id, self.users.list.rows and not self.users.progress
        if self._is_reading and run_id is not None and not has_all:
            self.in_worker(self._show_stored(run_id), _SHOWING)

    async def _read_extensions(self) -> bool:
        """Read the extensions that tasks wait for; return whether more of them are known now."""
        waiting = (row.waiting.extension_id for row in self.users.list.rows if row.waiting is not None)
        return await self._workspace.results.read_extensions(waiting)

    def _runs_changed(self, run_ids: Collection[str] | None) -> None:
        """Show changed runs or results, if the open run is among them."""
        run_id = self.users.run_id
        is_open = self._users_screen.is_open
        if run_id is None or not is_open or self._is_reading or (run_ids is not None and run_id not in run_ids):
            return
        self.in_worker(self._follow(run_id), "follow one run", exclusive=True)

    def _listed(self, progress: Progress) -> None:
        """Read again what could not be read, since a listing has succeeded."""
        run_id, has_succeeded = self.users.run_id, not progress.listing and progress.fault is None
        if self._fault and has_succeeded and run_id is not None and self._users_screen.is_open and not self._is_reading:
            self._read_again(run_id)

    async def _follow(self, run_id: str) -> None:
        known = await self._show_stored(run_id)
        if known is not None and known.is_outdated:
            self._read_again(run_id)

    # What is shown

    async def _show_stored(self, run_id: str, fault: str = "") -> _Known | None:
        """Show the stored data of a run, if it is still open. `fault` says why it may be outdated."""
        try:
            known = await asyncio.to_thread(self._stored, run_id)
        except RuntuiError as error:
            known = _Known(empty=str(error))
        if run_id != self.users.run_id:
            return None
        self._fault = fault
        if fault and known.rows:
            self._chrome.set_status(
                f"{'Read in part' if known.progress else 'As read before'}. {fault}",
                "warning",
                lambda: self._fault == fault and self._chrome.front.view in (self.users, self.tasks),
            )
        self.users.progress = known.progress
        self.users.list.put(known.rows, fault or known.empty)
        self._is_shown = not self._is_reading
        if self.users.list.table.is_untouched:
            self.users.list.go_to(self._user_id)
        await self._follow_user(run_id, known.rows)
        await self._open_first()
        return known

    def _stored(self, run_id: str) -> _Known:
        """Return the stored data of a run. It reads the file."""
        store = self._workspace.store
        stored, results = store.get(run_id), store.results_of(run_id, with_users=True)
        if stored is None:
            return _Known(empty="The run is gone from the server.")
        if results is None:
            return _Known(empty=self._workspace.results.progress.waiting or READING, is_outdated=True)
        rows = user_rows(results.users, results.tasks, self._workspace.results.extensions)
        progress = "" if results.is_whole else progress_words(stored.raw, len(rows))
        empty = why_no_users(stored.raw, workflow_of(store, stored.workflow_id), now_ticks())
        return _Known(rows, READING if progress else empty, progress, results.is_outdated)

    async def _follow_user(self, run_id: str, rows: Sequence[UserRow]) -> None:
        """Show the known tasks of the user whose tasks are in front."""
        shown = self.tasks.user
        row = next((row for row in rows if shown is not None and row.id == shown.id), None)
        if row is not None and self._tasks_screen.is_open and self.tasks.run_id == run_id:
            await self._show_tasks(run_id, row)

    # enter on a user

    async def action_open_user(self) -> None:
        row, run_id = self.users.list.table.row_under_cursor(pin=True), self.users.run_id
        if row is None or run_id is None:
            self._opens_first = not self._is_shown
            words = (
                "There is no user to open." if self._is_shown else "The first user opens as soon as the users are read."
            )
            self._chrome.front.set_status(words, shown_while=lambda: not self.users.list.table.total)
            return
        await self._chrome.open(self._tasks_screen, fill=partial(self.tasks.open, run_id, row))
        self.in_worker(self._show_tasks(run_id, row), blocks_keys("tasks of a user"), exclusive=True)

    async def _show_tasks(self, run_id: str, user: UserRow) -> None:
        """Show the tasks of a run for a user, if that is still open."""
        tasks = await asyncio.to_thread(self._workspace.store.tasks_of, run_id, user.subject_id)
        shown = self.tasks.user
        if shown is not None and (self.tasks.run_id, shown.id) == (run_id, user.id):
            self.tasks.show(user, in_sequence(tasks), is_whole=not self.users.progress)

    async def _open_first(self) -> None:
        """Open the first user, if somebody asked for that before there was one, and still waits."""
        if not self._opens_first or not self.users.list.table.total:
            return
        self._opens_first = False
        if self._chrome.is_in_front(self.users) and self._chrome.app.focused is self.users.list.table:
            await self.action_open_user()

    # enter on a task

    async def action_open_task(self) -> None:
        self._chrome.panel.choose("run")
        self._features[Panes].action_focus_panel()
