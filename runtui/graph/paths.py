"""The paths of lifecycle workflows below a Graph root, built from ids.

Invariant: an id is one segment of a path, whatever it contains.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from runtui.domain.times import format_ticks
from runtui.domain.triage.service_actions import ServiceAction

WORKFLOWS_PATH: Final = "/identityGovernance/lifecycleWorkflows/workflows"


def segment(text: str) -> str:
    """Return an id as one segment of a path."""
    return quote(text, safe="", errors="replace")


def workflow_path(workflow_id: str) -> str:
    return f"{WORKFLOWS_PATH}/{segment(workflow_id)}"


def runs_path(workflow_id: str, changed_since: int | None = None, begun: int | None = None) -> str:
    """Return the path of a workflow's runs: all of them, those changed since a time (ticks) or without such a time, or
    those scheduled since `begun` (ticks)."""
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


def user_tasks_path(workflow_id: str, run_id: str, result_id: str) -> str:
    """Return the path of the tasks of one user of a run, by the id of the user's result; `run_id` is "" if unknown."""
    above = run_path(workflow_id, run_id) if run_id else workflow_path(workflow_id)
    return f"{above}/userProcessingResults/{segment(result_id)}/taskProcessingResults"


def user_path(name: str) -> str:
    """Return the path of a user of the directory, with the displayed properties."""
    return f"/users/{segment(name)}?$select=id,displayName,userPrincipalName,onPremisesSyncEnabled"


def extension_path(extension_id: str) -> str:
    return f"/identityGovernance/lifecycleWorkflows/customTaskExtensions/{segment(extension_id)}"


def object_path(action: ServiceAction) -> str:
    """Return the path of the object of an action: a workflow, a run, or a task result."""
    if action.is_about_workflow:
        return workflow_path(action.workflow_id)
    if action.task_result_id:
        return f"{task_results_path(action.workflow_id, action.run_id)}/{segment(action.task_result_id)}"
    return run_path(action.workflow_id, action.run_id)


def action_path(action: ServiceAction) -> str:
    """Return the path to POST an action to: at a task result, or at the workflow."""
    above = object_path(action) if action.task_result_id else workflow_path(action.workflow_id)
    return f"{above}/{action.name}"
