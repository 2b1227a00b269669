"""The sandbox as an ASGI app: its paths, under /beta and /v1.0 alike, and the tenant behind them.

Invariant: every path of the service is a line in `ROUTES`, and nothing else answers. Paths: Microsoft Graph reference,
`identityGovernance/lifecycleWorkflows`, and the page "Update run".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from runtui.domain.times import now_ticks
from runtui.sandbox import handlers
from runtui.sandbox.authority.service import Authority
from runtui.sandbox.batch import post_batch
from runtui.sandbox.database import Database
from runtui.sandbox.errors import GraphError, method_not_allowed, unknown_segment
from runtui.sandbox.exchange import GraphEnvelope, Pause, SandboxState, TokenGuard, fault_response, graph_headers
from runtui.sandbox.scenarios import ScenarioMiddleware, ScenarioSwitch
from runtui.sandbox.tenant.seed import DEFAULT_RUNS, HOSTILE_TEXTS, hostile_plans, hostile_workflows, plan_runs
from runtui.sandbox.tenant.seed import workflows as seeded_workflows

_PREFIXES: Final = ("/beta", "/v1.0")

_WORKFLOWS: Final = "/identityGovernance/lifecycleWorkflows/workflows"
_RUNS: Final = _WORKFLOWS + "/{workflow_id}/runs"
_USER_RESULTS: Final = _RUNS + "/{run_id}/userProcessingResults"

ROUTES: Final = (
    Route(_WORKFLOWS, handlers.list_workflows),
    Route(_WORKFLOWS + "/{workflow_id}", handlers.get_workflow),
    Route(_RUNS, handlers.list_runs),
    Route(_RUNS + "/summary({window})", handlers.get_summary),
    Route(_RUNS + "/microsoft.graph.identityGovernance.summary({window})", handlers.get_summary),
    Route(_RUNS + "/{run_id}", handlers.get_run, methods=["GET"]),
    Route(_RUNS + "/{run_id}", handlers.update_run, methods=["PATCH"]),
    Route(_RUNS + "/{run_id}/taskProcessingResults", handlers.list_task_results),
    Route(_USER_RESULTS, handlers.list_user_results),
    Route(_RUNS + "/{run_id}/subjectProcessingResults", handlers.list_subject_results),
    Route(_USER_RESULTS + "/{user_result_id}/taskProcessingResults", handlers.list_task_results),
    Route("/workflowBase/runs/{run_id}", handlers.update_run, methods=["PATCH"]),
    Route("/users/{user_id}", handlers.get_user),
    Route("/directoryObjects/{user_id}", handlers.get_user),
    Route("/$batch", post_batch, methods=["POST"]),
)


def create_app(
    *,
    runs: int = DEFAULT_RUNS,
    seed: int = 7,
    hostile: bool = False,
    scenario: str = "none",
    authority: Authority | None = None,
    clock: Callable[[], int] = now_ticks,
    pause: Pause = asyncio.sleep,
) -> Starlette:
    """Make the sandbox with a freshly seeded tenant.

    `app.state.applied` lists the writes that were applied (`handlers.AppliedWrite`), oldest first, and
    `app.state.scenario` is the scenario in force (`scenarios.ScenarioSwitch`), which may change at any moment.

    Args:
        runs: How many runs the tenant has.
        seed: Which tenant; the same seed gives the same runs, counted back from now.
        hostile: Whether names and texts attack terminals and markup.
        scenario: A name of `scenarios.SCENARIOS`.
        authority: Issues the tokens that it takes; None for any token.
        clock: The present in ticks; a test hands in its own.
        pause: Waits some seconds, for slow scenarios; a test hands in its own.

    Raises:
        UsageError: there is no such scenario, or it needs an authority.
    """
    workflows = seeded_workflows(seed)
    plans = plan_runs(runs, seed, clock(), workflows)
    if hostile:
        workflows, plans = hostile_workflows(workflows), hostile_plans(plans)
    guard = [Middleware(TokenGuard, authority)] if authority is not None else []
    app = Starlette(
        routes=[Mount(prefix, routes=ROUTES) for prefix in _PREFIXES],
        middleware=[Middleware(ScenarioMiddleware), Middleware(GraphEnvelope), *guard],
        exception_handlers={
            GraphError: _on_graph_error,
            HTTPException: _on_http_exception,
            ClientDisconnect: _on_disconnect,
            Exception: _on_crash,
        },
    )
    names = HOSTILE_TEXTS if hostile else ()
    database = app.state.database = Database(workflows.values(), plans, seed=seed, clock=clock, names=names)
    app.state.scenario = ScenarioSwitch(scenario, SandboxState(database, pause, authority))
    app.state.clock = clock
    app.state.applied = []
    return app


async def _on_graph_error(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, GraphError)  # noqa: S101 - it is registered for this type alone
    return fault_response(request, fault)


async def _on_http_exception(request: Request, exception: Exception) -> Response:
    """Starlette's own errors as Graph words them: unknown path, wrong method."""
    assert isinstance(exception, HTTPException)  # noqa: S101 - it is registered for this type alone
    if exception.status_code == 405:
        return fault_response(request, method_not_allowed(exception.headers))
    return fault_response(request, unknown_segment(first_unknown_segment(request.url.path)))


async def _on_disconnect(_request: Request, _exception: Exception) -> Response:
    """The client disconnected before its request was whole: nothing was done, and nobody reads the response."""
    return Response(status_code=499)


async def _on_crash(request: Request, exception: Exception) -> Response:
    """A defect of the sandbox still answers in Graph's shape; Starlette raises it again for the log.

    It answers from outside the envelope, so the headers are added here.

    Raises:
        ConnectionError: the scenario breaks the connection.
    """
    if isinstance(exception, ConnectionError):
        raise exception
    fault = GraphError(500, "InternalServerError", "The sandbox has a defect; see its standard error.")
    response = fault_response(request, fault)
    response.headers.update(graph_headers(request.scope["state"]))
    return response


def first_unknown_segment(path: str) -> str:
    """The first segment of a path that no route has; its last one if the path only ends too early."""
    segments = [segment for segment in path.split("/") if segment]
    templates = [[prefix.strip("/"), *route.path.strip("/").split("/")] for prefix in _PREFIXES for route in ROUTES]
    for depth, segment in enumerate(segments):
        templates = [
            template
            for template in templates
            if depth < len(template) and (template[depth] == segment or template[depth].startswith("{"))
        ]
        if not templates:
            return segment
    return segments[-1] if segments else ""
