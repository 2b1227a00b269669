"""All services of one session on one Graph root, wired together.

Invariant: opening a workspace touches only the disk; the network is first used by `connect`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from runtui.domain.draft import Draft
from runtui.graph.exchange import Outcome
from runtui.services.announcer import Announcer
from runtui.services.store import Store
from runtui.settings import Settings

if TYPE_CHECKING:
    from runtui.graph.client import GraphClient
    from runtui.graph.exchange import Exchange
    from runtui.graph.transport import Transport, Wire
    from runtui.services.refresh import Refresh
    from runtui.services.saves import Save, Saves

Service = TypeVar("Service")

LISTINGS: Final = frozenset({"list workflows", "list runs"})
"""The purposes of the requests of a listing."""

KEPT_EXCHANGES: Final = 200
"""Requests kept for the History tab; older ones are dropped, bodies and all."""


class Workspace:
    """The store, the wire, the listing and the write path of one session."""

    def __init__(
        self,
        settings: Settings,
        store_file: Path,
        token: Callable[[], Awaitable[str]],
        *,
        wire: Wire | None = None,
    ) -> None:
        """Open the store.

        Args:
            settings: This session's choices.
            store_file: The SQLite file of the runs.
            token: Gives the bearer token of a request.
            wire: What carries the requests in place of the network.
        """
        self.settings = settings
        self._wire = wire
        self.store = Store(store_file)
        self.drafts: dict[str, Draft] = {}
        """Changes begun and not sent, by run id."""
        self.exchanges: deque[Exchange] = deque(maxlen=KEPT_EXCHANGES)
        self.exchanged: Announcer[Exchange] = Announcer()
        self._token = token
        self._transport: Transport | None = None
        self._client: GraphClient | None = None
        self._saves: Saves | None = None
        self._refresh: Refresh | None = None

    def connect(self, root: str) -> None:
        """Build client, listing and write path for a root and start listing.

        Raises:
            UsageError: when the root is none that may be used.
        """
        from runtui.graph.client import GraphClient
        from runtui.graph.transport import Transport
        from runtui.services.refresh import Refresh
        from runtui.services.saves import Saves

        self._transport = Transport(root, token=self._token, on_exchange=self._keep, wire=self._wire)
        self._transport.warm()
        self._client = GraphClient(self._transport, patch_path=self.settings.patch_path)
        self._saves = Saves(self._client, self.store, read_only=self.settings.read_only)
        self._saves.changed.subscribe(self._follow_save)
        self._refresh = Refresh(self._client, self.store, interval=self.settings.refresh_seconds)

    @property
    def connected(self) -> bool:
        """Whether there is a client to ask."""
        return self._client is not None

    @property
    def client(self) -> GraphClient:
        """The Graph client; only after `connect`."""
        return _connected(self._client)

    @property
    def saves(self) -> Saves:
        """The write path; only after `connect`."""
        return _connected(self._saves)

    @property
    def refresh(self) -> Refresh:
        """The listing; only after `connect`."""
        return _connected(self._refresh)

    def _keep(self, exchange: Exchange) -> None:
        """Remember a request, but for listings that went well: they come by the dozen and hold every run."""
        if exchange.purpose in LISTINGS and exchange.status == 200 and exchange.failure is None:
            return
        self.exchanges.appendleft(exchange)
        self.exchanged.announce(exchange)

    def _follow_save(self, save: Save) -> None:
        """A draft that was written is gone; one that was overtaken stands on the run as it is now."""
        if save.outcome is Outcome.DONE and self.drafts.get(save.run_id) == save.draft:
            del self.drafts[save.run_id]
        elif save.conflicts and (stored := self.store.get(save.run_id)) is not None:
            self.drafts[save.run_id] = self.drafts.get(save.run_id, save.draft).rebased(stored.raw)

    async def close(self) -> None:
        """Stop listing and close what is open. Whoever may wait drains the saves before; the others are abandoned."""
        if self._saves is not None:
            await self._saves.abandon()
        if self._refresh is not None:
            await self._refresh.stop()
        if self._transport is not None:
            await self._transport.aclose()
        self.store.close()


def _connected(service: Service | None) -> Service:
    if service is None:
        raise RuntimeError("The workspace is not connected yet.")
    return service
