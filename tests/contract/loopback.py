"""A sandbox behind a real socket of this machine, in the test's own event loop.

Invariant: nothing outlives the `async with`: no connection, no task.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.types import ASGIApp
from uvicorn.server import ServerState

from runtui.sandbox.server import HOST, BreakableProtocol, server_config


@asynccontextmanager
async def served(app: ASGIApp, **where: Any) -> AsyncIterator[asyncio.Server]:
    """Serve the app as `runtui sandbox` does; `where` are arguments of the event loop's `create_server`."""
    config, state = server_config(app), ServerState()
    config.load()
    server = await asyncio.get_running_loop().create_server(
        lambda: BreakableProtocol(config=config, server_state=state, app_state={}), **where
    )
    try:
        yield server
    finally:
        server.close()
        tasks = tuple(state.tasks)
        for connection in tuple(state.connections):
            connection.transport.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # the loop tells the connections of their end in its next iteration
        await server.wait_closed()


@asynccontextmanager
async def loopback(app: ASGIApp) -> AsyncIterator[str]:
    """Serve the app; yield the Graph root."""
    async with served(app, host=HOST, port=0) as server:
        yield f"http://{HOST}:{server.sockets[0].getsockname()[1]}/beta"
