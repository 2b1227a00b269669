"""The paths of lifecycle workflows below a Graph root, from ids to what a request line carries.

Invariant: an id is one segment of a path, whatever stands in it; nothing of it becomes a part of the path.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from runtui.domain.times import format_ticks
from runtui.domain.triage.service_actions import ServiceAction

WORKFLOWS_PATH: Final = "/identityGovernance/lifecycleWorkflows/workflows"


def segment(text: str) -> str:
    """An id as one segment of a path."""
    return quote(text, safe="", errors="replace")


def workflow_path(workflow_id: str) -> str:
    return f"{WORKFLOWS_PATH}/{segment(workflow_id)}"


def runs_path(workflow_id: str, changed_since: int | None = None, begun: int | None = None) -> str:
    """The runs of a workflow: all of them, or those that changed since a moment (ticks) and those that do not tell, or
    those that were scheduled since `begun` (ticks)."""
    path = f"{workflow_path(workflow_id)}/runs"
    if begun is not None:
        return f"{path}?$filter={segment(f'scheduledDateTime ge {format_ticks(begun)}')}"
    if changed_since is None:
        return path
    changed = f"lastUpdatedDateTime ge {format_ticks(changed_since)} or lastUpdatedDateTime eq null"
    return f"{path}?$filter={segment(changed)}"


def run_path(workflow_id: str, run_id: str) -> str:
    return f"{workflow_path(workflow_id)}/runs/{segment(run_id)}"


def task_results_path(workflow_id: str, run_id: str) -> str:
    return f"{run_path(workflow_id, run_id)}/taskProcessingResults"


def user_results_path(workflow_id: str, run_id: str) -> str:
    return f"{run_path(workflow_id, run_id)}/userProcessingResults"


def user_path(name: str) -> str:
    """A user of the directory, with the properties that are shown."""
    return f"/users/{segment(name)}?$select=id,displayName,userPrincipalName,onPremisesSyncEnabled"


def extension_path(extension_id: str) -> str:
    return f"/identityGovernance/lifecycleWorkflows/customTaskExtensions/{segment(extension_id)}"


def object_path(action: ServiceAction) -> str:
    """What an action is about: a workflow, a run, or what a task of it did."""
    if action.is_about_workflow:
        return workflow_path(action.workflow_id)
    if action.task_result_id:
        return f"{task_results_path(action.workflow_id, action.run_id)}/{segment(action.task_result_id)}"
    return run_path(action.workflow_id, action.run_id)


def action_path(action: ServiceAction) -> str:
    """Where an action is POSTed: at a task result, or at the workflow."""
    above = object_path(action) if action.task_result_id else workflow_path(action.workflow_id)
    return f"{above}/{action.name}"
