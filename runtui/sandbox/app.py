"""The sandbox as an ASGI app: its paths, under /beta and /v1.0 alike, and the tenant behind them.

Invariant: every path of the service is in `ROUTES`; all others get Graph's error. Paths: Microsoft Graph reference,
`identityGovernance/lifecycleWorkflows`, and the page "Update run".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from runtui.domain.times import now_ticks
from runtui.sandbox.batch import post_batch
from runtui.sandbox.database import Database
from runtui.sandbox.errors import GraphError
from runtui.sandbox.exchange import (
    Exchange,
    Pause,
    ProxyPage,
    authenticate,
    authorize,
    fault_response,
    give_ids,
    with_graph_headers,
)
from runtui.sandbox.reads import ROOT, read_routes
from runtui.sandbox.requests import Route, RouteTable
from runtui.sandbox.scenarios import ScenarioSwitch
from runtui.sandbox.tenant.seed import DEFAULT_RUNS, HOSTILE_TEXTS, hostile_plans, hostile_workflows, plan_runs
from runtui.sandbox.tenant.seed import workflows as seeded_workflows
from runtui.sandbox.writes import action_routes, update_run

if TYPE_CHECKING:
    from runtui.sandbox.authority.service import Authority

ROUTES: Final = (
    *read_routes(),
    *action_routes(),
    Route(f"/{ROOT}/workflows/{{key}}/runs/{{key}}", update_run, "PATCH"),
    Route("/workflowBase/runs/{key}", update_run, "PATCH"),
    Route("/$batch", lambda request: post_batch(request, _respond), "POST"),
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

    `app.state.applied` lists the writes that were applied (`writes.AppliedWrite`), and `app.state.edits` those of
    somebody else that a scenario simulates (run ids and properties), oldest first. `app.state.scenario` holds the
    current scenario (`scenarios.ScenarioSwitch`), which may change at any moment. With `hostile`, names and texts
    attack terminals and markup. With an `authority` the sandbox accepts only its tokens, otherwise any token. Tests may
    pass their own clock (ticks) and pause (seconds).

    Raises:
        UsageError: there is no such scenario, or it needs an authority.
    """
    workflows = seeded_workflows(seed)
    plans = plan_runs(runs, seed, clock(), workflows)
    if hostile:
        workflows, plans = hostile_workflows(workflows), hostile_plans(plans)
    app = Starlette(routes=[Mount("", _answer)], exception_handlers={Exception: _on_exception})
    names = HOSTILE_TEXTS if hostile else ()
    database = app.state.database = Database(workflows.values(), plans, seed=seed, clock=clock, names=names)
    app.state.scenario = ScenarioSwitch(scenario, database, authority)
    app.state.authority = authority
    app.state.clock = clock
    app.state.pause = pause
    app.state.applied = []
    app.state.edits = []
    return app


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    response = await _respond(Request(scope, receive))
    await response(scope, receive, send)


async def _respond(request: Request) -> Response:
    """Do to a request what the current scenario says: most often, let Graph answer.

    Raises:
        ConnectionError: the scenario breaks the connection.
    """
    give_ids(request)
    action = request.app.state.scenario.action(request.method, request.scope["path"])
    response = await (_ask_graph(request) if action is None else action(Exchange(request, _ask_graph)))
    return response if isinstance(response, ProxyPage) else with_graph_headers(request, response)


async def _ask_graph(request: Request) -> Response:
    try:
        permissions = authenticate(request)
        endpoint = _TABLE.endpoint(request)  # as in Graph, an unknown path is refused before a missing permission
        if permissions is not None:
            authorize(request, permissions)
        return await endpoint(request)
    except GraphError as fault:
        return fault_response(request, fault)
    except ClientDisconnect:
        return Response(status_code=499)  # nothing was done, and nobody reads this


async def _on_exception(request: Request, exception: Exception) -> Response:
    """Answer a defect of the sandbox in Graph's shape; Starlette raises the exception again for the log.

    Raises:
        ConnectionError: the scenario breaks the connection.
    """
    if isinstance(exception, ConnectionError):
        raise exception
    fault = GraphError(500, "InternalServerError", "The sandbox has a defect; see its standard error.")
    return with_graph_headers(request, fault_response(request, fault))
