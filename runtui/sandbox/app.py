"""The sandbox as an ASGI app: its paths, under /beta and /v1.0 alike, and the tenant behind them.

Invariant: every path of the service is in `ROUTES`; all others get Graph's error. Paths: Microsoft Graph reference,
`identityGovernance/lifecycleWorkflows`, and the page "Update run".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount

from runtui.domain.times import now_ticks
from runtui.sandbox.batch import post_batch
from runtui.sandbox.database import Database
from runtui.sandbox.errors import GraphError
from runtui.sandbox.exchange import Pause, fault_response, graph_envelope, graph_headers, token_guard
from runtui.sandbox.reads import ROOT, function_routes, read_routes
from runtui.sandbox.requests import Route, RouteTable, canonical_paths
from runtui.sandbox.scenarios import ScenarioSwitch, simulation
from runtui.sandbox.tenant.seed import DEFAULT_RUNS, HOSTILE_TEXTS, hostile_plans, hostile_workflows, plan_runs
from runtui.sandbox.tenant.seed import workflows as seeded_workflows
from runtui.sandbox.writes import action_routes, update_run

if TYPE_CHECKING:
    from runtui.sandbox.authority.service import Authority

ROUTES: Final = (
    *function_routes(),
    *read_routes(),
    *action_routes(),
    Route(f"/{ROOT}/workflows/{{key}}/runs/{{key}}", update_run, "PATCH"),
    Route("/workflowBase/runs/{key}", update_run, "PATCH"),
    Route("/$batch", post_batch, "POST"),
)
_TABLE: Final = RouteTable(
    route._replace(path=prefix + route.path) for prefix in ("/beta", "/v1.0") for route in ROUTES
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
    """Make the sandbox with a new tenant of `runs` runs. The same seed gives the same runs, with times relative to now.

    `app.state.applied` lists the writes that were applied (`writes.AppliedWrite`), oldest first. `app.state.scenario`
    holds the current scenario (`scenarios.ScenarioSwitch`), which may change at any moment. With `hostile`, names and
    texts attack terminals and markup. With an `authority` the sandbox accepts only its tokens, otherwise any token.
    Tests may pass their own clock (ticks) and pause (seconds).

    Raises:
        UsageError: there is no such scenario, or it needs an authority.
    """
    workflows = seeded_workflows(seed)
    plans = plan_runs(runs, seed, clock(), workflows)
    if hostile:
        workflows, plans = hostile_workflows(workflows), hostile_plans(plans)
    app = _create_starlette(authority)
    names = HOSTILE_TEXTS if hostile else ()
    database = app.state.database = Database(workflows.values(), plans, seed=seed, clock=clock, names=names)
    app.state.scenario = ScenarioSwitch(scenario, database, pause, authority)
    app.state.clock = clock
    app.state.applied = []
    return app


def _create_starlette(authority: Authority | None) -> Starlette:
    """Make the app of the routes and the middleware; the first middleware of the list is the outermost."""
    layers = [Middleware(canonical_paths, _TABLE), Middleware(simulation), Middleware(graph_envelope)]
    if authority is not None:
        layers.append(Middleware(token_guard, authority))
    return Starlette(
        routes=[Mount("", _TABLE)],
        middleware=layers,
        exception_handlers={GraphError: _on_graph_error, ClientDisconnect: _on_disconnect, Exception: _on_crash},
    )


async def _on_graph_error(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, GraphError)  # noqa: S101 - it is registered for this type alone
    return fault_response(request, fault)


async def _on_disconnect(_request: Request, _exception: Exception) -> Response:
    """Answer a client that disconnected before its request was complete. Nothing was done; nobody reads the answer."""
    return Response(status_code=499)


async def _on_crash(request: Request, exception: Exception) -> Response:
    """Answer a defect of the sandbox in Graph's shape; Starlette raises the exception again for the log.

    This answer does not pass through the envelope, so Graph's headers are added here.

    Raises:
        ConnectionError: the scenario breaks the connection.
    """
    if isinstance(exception, ConnectionError):
        raise exception
    fault = GraphError(500, "InternalServerError", "The sandbox has a defect; see its standard error.")
    response = fault_response(request, fault)
    response.headers.update(graph_headers(request.scope["state"]))
    return response
