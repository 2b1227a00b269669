"""Going deeper: from a run to its users, from a user to the tasks, from a task to all that the server tells of it.

Invariant: a place opens within the key that asks for it, and is filled when its rows are there. What comes for a run
that is open no longer is dropped.
"""

from __future__ import annotations

from runtui.domain.results import TaskResult, UserResult
from runtui.graph.client import GraphError
from runtui.graph.retry import Pace
from runtui.tui.actions import ActionContext
from runtui.tui.screens.frame import Chrome, Frame
from runtui.tui.screens.run import TasksView, UsersView


class Opening:
    """The places of one run.

    Args:
        chrome: The frame.
    """

    def __init__(self, chrome: Chrome) -> None:
        self._chrome = chrome
        self._workspace = chrome.workspace
        self.users = UsersView()
        self.tasks = TasksView()
        self._users_place = Frame(chrome, self.users)
        self._tasks_place = Frame(chrome, self.tasks)
        self.places = (self._users_place, self._tasks_place)
        """Their screens; they stay mounted."""

    def extend(self, context: ActionContext) -> ActionContext:
        """Nothing but what the lists tell by themselves."""
        return context

    # enter on a run

    async def action_open_run(self) -> None:
        """Open the run under the cursor."""
        if (run_id := self._chrome.hold_run()) is not None:
            await self.open_run(run_id)

    async def open_run(self, run_id: str) -> None:
        """Show the users of a run, and read them again."""
        stored = self._workspace.store.get(run_id)
        if stored is None:
            self._chrome.front.set_status("This run is no longer in the list.", "warning")
            return
        await self._chrome.prepare(self._users_place)
        self.users.open(run_id, stored.workflow_name)
        await self._chrome.open(self._users_place)
        if self._workspace.connected:
            self._chrome.app.run_worker(
                self._read(stored.workflow_id, run_id), group="read one run", exclusive=True, description="read a run"
            )

    async def _read(self, workflow_id: str, run_id: str) -> None:
        client, pace = self._workspace.client, Pace()
        users: list[UserResult] = []
        tasks: list[TaskResult] = []
        try:
            async for page in client.user_results(workflow_id, run_id, pace=pace):
                users += map(UserResult, page.items)
            async for page in client.task_results(workflow_id, run_id, pace=pace):
                tasks += map(TaskResult, page.items)
        except GraphError as error:
            self.users.say(run_id, str(error))
        else:
            self.users.show(run_id, users, tasks)
            self._follow_user(run_id)

    def _follow_user(self, run_id: str) -> None:
        """Show what is known by now of the user whose tasks are in sight."""
        shown = self.tasks.user
        if self._tasks_place in self._chrome.app.screen_stack and shown is not None and self.tasks.run_id == run_id:
            for row in self.users.list.rows:
                if row.id == shown.id:
                    self.tasks.open(run_id, row)

    # enter on a user

    async def action_open_user(self) -> None:
        """Open the user under the cursor."""
        row, run_id = self.users.list.table.row_under_cursor(hold=True), self.users.run_id
        if row is None or run_id is None:
            self._chrome.front.set_status("There is no user under the cursor.", "warning")
            return
        await self._chrome.prepare(self._tasks_place)
        self.tasks.open(run_id, row)
        await self._chrome.open(self._tasks_place)

    # enter on a task

    def action_open_task(self) -> None:
        """Go to the task in the panel."""
        self._chrome.panel.choose("run")
        self._chrome.front.action_focus_panel()
