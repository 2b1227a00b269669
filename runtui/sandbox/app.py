"""The sandbox as an ASGI app: which paths there are, under /beta and /v1.0 alike, and the tenant behind them.

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
from runtui.sandbox.authority.asgi import TokenGuard
from runtui.sandbox.authority.service import Authority
from runtui.sandbox.batch import post_batch
from runtui.sandbox.database import Database
from runtui.sandbox.envelope import GraphEnvelope, fault_response, graph_headers
from runtui.sandbox.exchange import Pause, SandboxState
from runtui.sandbox.faults import GraphError, internal_error, method_not_allowed, unknown_segment
from runtui.sandbox.scenarios import CurrentScenario, ScenarioMiddleware
from runtui.sandbox.story import DEFAULT_RUNS, plan_runs
from runtui.sandbox.tenant import workflows as seeded_workflows

PREFIXES: Final = ("/beta", "/v1.0")

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
    Route(_USER_RESULTS + "/{user_result_id}/taskProcessingResults", handlers.list_task_results),
    Route("/workflowBase/runs/{run_id}", handlers.update_run, methods=["PATCH"]),
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

    `app.state.applied` lists the writes that were carried out (`handlers.AppliedWrite`), oldest first, and
    `app.state.scenario` is how it behaves (`scenarios.CurrentScenario`), which may change at any moment.

    Args:
        runs: how many runs the tenant has.
        seed: which tenant; the same seed tells the same story, counted back from now.
        hostile: whether names and texts attack terminals and markup.
        scenario: how it behaves, by a name of `scenarios.SCENARIOS`.
        authority: whose tokens it takes; None for any.
        clock: the present moment in ticks; a test hands in its own.
        pause: waits some seconds, for scenarios that are slow; a test hands in its own.

    Raises:
        UsageError: there is no such scenario, or it needs an authority.
    """
    workflows = seeded_workflows(seed)
    plans = plan_runs(runs, seed, clock(), workflows)
    if hostile:
        from runtui.sandbox.hostile import hostile_plans, hostile_workflows

        workflows, plans = hostile_workflows(workflows), hostile_plans(plans)
    guard = [Middleware(TokenGuard, authority)] if authority is not None else []
    app = Starlette(
        routes=[Mount(prefix, routes=ROUTES) for prefix in PREFIXES],
        middleware=[Middleware(ScenarioMiddleware), Middleware(GraphEnvelope), *guard],
        exception_handlers={
            GraphError: _on_graph_error,
            HTTPException: _on_http_exception,
            ClientDisconnect: _on_disconnect,
            Exception: _on_crash,
        },
    )
    database = app.state.database = Database(workflows.values(), plans, seed=seed, clock=clock)
    app.state.scenario = CurrentScenario(scenario, SandboxState(database, pause, authority))
    app.state.clock = clock
    app.state.applied = []
    return app


async def _on_graph_error(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, GraphError)  # noqa: S101 - it is registered for this type alone
    return fault_response(request, fault)


async def _on_http_exception(request: Request, exception: Exception) -> Response:
    """Starlette's own refusals in Graph's words: no such path, wrong verb."""
    assert isinstance(exception, HTTPException)  # noqa: S101 - it is registered for this type alone
    if exception.status_code == 405:
        return fault_response(request, method_not_allowed(exception.headers))
    return fault_response(request, unknown_segment(first_unknown_segment(request.url.path)))


async def _on_disconnect(_request: Request, _exception: Exception) -> Response:
    """The client left before its request was whole: nothing was done, and nobody is there to be answered."""
    return Response(status_code=499)


async def _on_crash(request: Request, exception: Exception) -> Response:
    """A defect of the sandbox still answers in Graph's shape; Starlette raises it again for the log.

    It answers from outside the envelope, so the headers are put on here.

    Raises:
        ConnectionError: the scenario breaks the connection; there is nothing to answer then.
    """
    if isinstance(exception, ConnectionError):
        raise exception
    response = fault_response(request, internal_error())
    response.headers.update(graph_headers(request.scope["state"]))
    return response


def first_unknown_segment(path: str) -> str:
    """The segment of a path at which no route goes on; its last one if the path only ends too early."""
    segments = [segment for segment in path.split("/") if segment]
    templates = [[prefix.strip("/"), *route.path.strip("/").split("/")] for prefix in PREFIXES for route in ROUTES]
    for depth, segment in enumerate(segments):
        templates = [
            template
            for template in templates
            if depth < len(template) and (template[depth] == segment or template[depth].startswith("{"))
        ]
        if not templates:
            return segment
    return segments[-1] if segments else ""
