"""All services of one session on one Graph root, wired together.

Invariant: opening a workspace opens the store and nothing else. Every other service is imported and built on the event
loop at its first use. A property that only reports (`progress`, `unsettled`) builds none.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from functools import cached_property
from importlib import import_module
from pathlib import Path
from sys import maxsize
from typing import TYPE_CHECKING, Final, Protocol

from runtui.announcer import Announcer
from runtui.errors import RuntuiError
from runtui.graph.root import parse_root
from runtui.private_files import MAX_LOG_BYTES, logs_kept
from runtui.services.foreground import Foreground
from runtui.services.store.store import Store
from runtui.settings import JOURNAL_FILE, Settings

if TYPE_CHECKING:
    from runtui.auth.signin import SignIn
    from runtui.graph.client import GraphClient
    from runtui.graph.exchange import Exchange
    from runtui.graph.transport import Wire
    from runtui.services.preferences import Preferences
    from runtui.services.records.drafts import Drafts
    from runtui.services.records.journal import Entry, Journal
    from runtui.services.refresh import Progress, Refresh
    from runtui.services.results import ResultReader
    from runtui.services.triage.memory import TriageMemory
    from runtui.services.writing.reconcile import Reconciler
    from runtui.services.writing.saves import SaveQueue
    from runtui.services.writing.write import Save

LISTINGS: Final = frozenset({"list workflows", "list runs", "read results"})
"""The purposes of the most frequent requests."""

KEPT_EXCHANGES: Final = 200
"""Requests kept for the Log tab; older ones are dropped, bodies and all."""


class Workspace:
    """The store, the wire, the listing, the reading of results and the write path of one session.

    Call `connect` before you use a service that sends requests.
    """

    root: str
    """The Graph root as the journal names it."""

    def __init__(
        self, settings: Settings, store_file: Path, token: Callable[[], Awaitable[str]], *, wire: Wire | None = None
    ) -> None:
        """Open the store; `journal.db` belongs in its folder. A `wire` carries the requests instead of the network."""
        self.settings = settings
        self._wire = wire
        self.foreground = Foreground()
        self._store_file = store_file
        self.store = Store(store_file, self.foreground)
        self._journal_file = store_file.with_name(JOURNAL_FILE)
        self._read_only_since: datetime | None = None
        """When a person switched the session to read-only (local time); None if it is not switched."""
        self.exchanges: deque[Exchange] = deque(maxlen=KEPT_EXCHANGES)
        self.exchanged: Announcer[Exchange] = Announcer()
        self.progressed: Announcer[Progress] = Announcer()
        """Announces the state of the listing."""
        self._token = token
        self._ends = AsyncExitStack()
        """Closes the services that were built, the newest first."""

    @staticmethod
    def load() -> None:
        """Import the modules that read the server. It is slow, so call it in a thread at the start."""
        import runtui.graph.client
        import runtui.services.refresh  # noqa: F401
        from runtui.graph.network import load_httpx

        load_httpx()

    async def load_triage(self) -> TriageMemory:
        """Return `triage`, built with the journal and the drafts. The modules are imported in a thread."""
        if not self._has_used("triage"):
            for module in ("triage.memory", "records.drafts"):
                await asyncio.to_thread(import_module, f"runtui.services.{module}")
        return self.triage

    def _has_used(self, service: str) -> bool:
        """Return whether a service was built: a cached property keeps its value in the instance from its first use
        on."""
        return service in vars(self)

    def connect(self, root: str) -> None:
        """Set the Graph root.

        Raises:
            UsageError: the root may not be used.
        """
        self.root = parse_root(root)

    @cached_property
    def preferences(self) -> Preferences:
        from runtui.services.preferences import Preferences

        preferences = Preferences(self.settings.state_folder, self.settings.profile, self.settings.root)
        self._ends.callback(preferences.close)
        return preferences

    @cached_property
    def client(self) -> GraphClient:
        from runtui.graph.client import GraphClient
        from runtui.graph.transport import Transport

        settings = self.settings
        transport = Transport(
            self.root,
            token=self._token,
            ca_file=settings.ca_file,
            proxy=settings.proxy,
            on_exchange=self._keep,
            wire=self._wire,
        )
        self._ends.push_async_callback(transport.aclose)
        return GraphClient(
            transport,
            patch_path=settings.patch_path,
            page_size=settings.page_size,
            on_unusable=self._keep_for_log,
        )

    @cached_property
    def refresh(self) -> Refresh:
        from runtui.services.refresh import Refresh

        refresh = Refresh(self.client, self.store, interval=self.settings.refresh_seconds)
        refresh.changed.subscribe(self.progressed.announce)
        self._ends.push_async_callback(refresh.stop)
        return refresh

    @property
    def progress(self) -> Progress | None:
        """The state of the listing; None before `refresh` is first used."""
        return self.refresh.progress if self._has_used("refresh") else None

    @cached_property
    def triage(self) -> TriageMemory:
        """What people noted about the runs: seen, handled, snoozed, notes."""
        from runtui.services.triage.memory import TriageMemory

        return TriageMemory(self.journal, self.store, self.root)

    @cached_property
    def saves(self) -> SaveQueue:
        from runtui.services.writing.drive import WriteContext
        from runtui.services.writing.saves import SaveQueue

        saves = SaveQueue(
            self.client,
            self.store,
            self.journal,
            WriteContext(self.root, self.settings.tenant, self.settings.profile, self.account),
            refusal=self.why_read_only,
            requires_why=self.settings.require_why,
            foreground=self.foreground,
        )
        saves.changed.subscribe(self._follow_save)
        self._ends.push_async_callback(saves.abandon)
        return saves

    def save_of(self, run_id: str) -> Save | None:
        """Return the change to a run that is in progress; None if there is none."""
        return self.saves.of_run(run_id) if self._has_used("saves") else None

    @property
    def active_saves(self) -> Sequence[Save]:
        """The changes in progress, oldest first."""
        return self.saves.active() if self._has_used("saves") else ()

    @cached_property
    def reconciler(self) -> Reconciler:
        from runtui.services.writing.reconcile import Reconciler

        reconciler = Reconciler(self.client, self.journal, self.store, self.root)
        reconciler.changed.subscribe(self._follow_entry)
        self._ends.push_async_callback(reconciler.stop)
        return reconciler

    @property
    def unsettled(self) -> Mapping[str, Entry]:
        """The changes with an unknown outcome, by run key; empty before `reconciler` is first used."""
        return self.reconciler.unsettled if self._has_used("reconciler") else {}

    @cached_property
    def results(self) -> ResultReader:
        from runtui.services.results import ResultReader

        results = ResultReader(self.client, self.store)
        self._ends.push_async_callback(results.close)
        return results

    @cached_property
    def journal(self) -> Journal:
        """The record of every write."""
        from runtui.services.records.journal import Journal

        journal = Journal(self._journal_file, self.foreground)
        # Drafts open the same file first: if they found it broken, the journal was set aside.
        journal.set_aside = self.drafts.set_aside
        return journal

    @cached_property
    def drafts(self) -> Drafts:
        """The changes that were typed, until they are done."""
        from runtui.services.records.drafts import Drafts

        drafts = Drafts(self._journal_file)
        drafts.load(self.root)
        return drafts

    @property
    def unsaved_drafts(self) -> int:
        """The number of drafts while they cannot be written; 0 before `drafts` is first used."""
        return len(self.drafts) if self._has_used("drafts") and self.drafts.fault is not None else 0

    def has_draft(self, run_id: str) -> bool:
        """Return True if the run has a draft; False before `drafts` is first used."""
        return self._has_used("drafts") and run_id in self.drafts

    @property
    def sign_in(self) -> SignIn | None:
        """The sign-in that supplies the tokens; None for a token that the user supplied."""
        if self.settings.sign_in is None:
            return None
        from runtui.auth.signin import SignIn

        return self._token if isinstance(self._token, SignIn) else None

    @property
    def read_only(self) -> bool:
        return self.settings.read_only or self._read_only_since is not None

    def why_read_only(self) -> str | None:
        """Return in a sentence why changes are refused now; None if they are allowed."""
        if self.settings.read_only:
            return "Started read-only: start again with --write to allow changes."
        return f"Read-only since {self._read_only_since:%H:%M}." if self._read_only_since is not None else None

    def toggle_read_only(self) -> None:
        """Switch read-only on or off; a session started read-only stays read-only."""
        if not self.settings.read_only:
            self._read_only_since = datetime.now().astimezone() if self._read_only_since is None else None

    async def account(self) -> str:
        """Return the account named in the token; empty if it names none or there is no token."""
        from runtui.auth.claims import read_claims

        try:
            return read_claims(await self._token()).account
        except RuntuiError:
            return ""

    def _keep(self, exchange: Exchange) -> None:
        """Keep a request for the Log tab, except successful listings: their bodies hold every run and result."""
        if exchange.purpose not in LISTINGS or exchange.status != 200 or exchange.failure is not None:
            self._keep_for_log(exchange)

    def _keep_for_log(self, exchange: Exchange) -> None:
        if all(exchange.number != kept.number for kept in self.exchanges):
            self.exchanges.appendleft(exchange)
            self.exchanged.announce(exchange)

    def _follow_save(self, save: Save) -> None:
        """Drop the draft of a change that is done, read back an unknown one, and doubt a list that may be wrong."""
        from runtui.domain.report import Outcome

        if save.outcome is Outcome.DONE and self.drafts.get(save.run_id) == save.operation:
            self.drafts.drop(save.run_id)
        elif save.outcome is Outcome.UNKNOWN:
            self.reconciler.check_soon()
            self.refresh.doubt(save.operation.workflow_id)
        elif save.exchange is not None and save.exchange.is_gone:
            self.refresh.doubt(save.operation.workflow_id)

    def _follow_entry(self, entry: Entry) -> None:
        """Drop the draft of a change that read-back proved done, if nothing else was typed since."""
        from runtui.domain.report import Outcome

        draft = self.drafts.get(entry.run_id)
        if draft is None or draft.errors() or entry.outcome is not Outcome.DONE or entry.action:
            return
        if {change.field.name: change.after for change in draft.changes()} == entry.after:
            self.drafts.drop(entry.run_id)

    async def drop_done_drafts(self) -> None:
        """Drop the drafts whose change was sent before a crash, and was found done by another process since.

        Raises:
            JournalError: see `Journal`.
        """
        for run_id in tuple(self.drafts):
            newest = next(iter(await asyncio.to_thread(self.journal.of_run, self.root, run_id)), None)
            if newest is not None and run_id in self.drafts and newest.opened_at >= self.drafts.changed_at(run_id):
                self._follow_entry(newest)

    async def close(self, *, is_over: bool = False) -> None:
        """Stop the listing and close every service. Call `saves.drain()` first: saves still pending are abandoned. With
        `is_over` the files are deleted next, so the logs are not written into them."""
        await self._ends.aclose()
        with logs_kept(self._store_file, self._journal_file, most=maxsize if is_over else MAX_LOG_BYTES):
            if self._has_used("drafts"):
                self.drafts.close()
            if self._has_used("journal"):
                self.journal.close()
            self.store.close()


NO_FAULT: Final = "none"
"""The name of the sandbox scenario without faults."""


class SandboxControl(Protocol):
    """Controls the sandbox behind a demo."""

    @property
    def scenarios(self) -> Mapping[str, str]:
        """The summary of each scenario by name, in display order."""

    @property
    def scenario(self) -> str:
        """The name of the current scenario."""

    @property
    def authority(self) -> str:
        """The address of the sandbox's own sign-in page; empty if it has none."""

    async def use_scenario(self, name: str) -> None:
        """Switch to a scenario; it applies to every request sent after this returns.

        Raises:
            RuntuiError: there is no such scenario, or the sandbox has ended.
        """


def sandbox_badge(sandbox: SandboxControl | None) -> str:
    """Return the badge for the first line of the screen: "SANDBOX", with the name of a scenario that causes faults."""
    if sandbox is None or sandbox.scenario == NO_FAULT:
        return "SANDBOX"
    return f"SANDBOX: {sandbox.scenario}"
