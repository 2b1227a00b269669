"""The views of an opened run: its users, and the tasks of one user.

Invariant: each view shows the results of one run only, whose id it holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from textual.content import Content

from runtui.domain.columns import RESERVED_CELLS
from runtui.domain.results import TaskResult
from runtui.domain.times import now_ticks
from runtui.domain.triage.run_users import NO_TASKS, TASK_COLUMNS, USER_COLUMNS, TaskRow, UserRow
from runtui.tui.resources import READING, Resource, in_memory
from runtui.tui.screens.frame import ActionView
from runtui.tui.screens.panel import Panel
from runtui.tui.widgets.read_list import ReadList
from runtui.tui.words.pages import task_page

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
        user = self.list.table.row_under_cursor()
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
        row = self.list.table.row_under_cursor()
        panel.show_page(task_page(self.run_id or "", self.user.name if self.user is not None else "", row, now_ticks()))
