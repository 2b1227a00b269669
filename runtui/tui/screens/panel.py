"""The contents of the side panel: the pages of its tabs, from drafts, saves, runs, journal entries and exchanges.

Invariant: the session owns the pages; the panel of the screen in front draws them. The Run tab follows the cursor:
REST_SECONDS after the cursor stops on a row, the tab shows its run, first from the store, then with its task results
once they are read. No key waits for that. A hidden tab reads nothing, and a read stops when the cursor leaves its row.
Until the new page is there, the panel says that it shows another run; while the cursor keeps moving, it is empty.

The person chooses the tab in front. A change brings Request and then Response forward; once the cursor is on another
run, the chosen tab comes back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from textual.app import App
from textual.worker import Worker

from runtui.domain.text import visible
from runtui.domain.times import now_ticks
from runtui.errors import RuntuiError
from runtui.prelude.terminal import TAKEOVER
from runtui.services.store.store import workflow_name_of
from runtui.services.workspace import Workspace
from runtui.tui.widgets.side_panel import NOTHING_NAMED, NOTHING_SENT, TABS, About, Page, SidePanel, Tab

if TYPE_CHECKING:
    from runtui.domain.triage.service_actions import Operation
    from runtui.graph.exchange import Exchange
    from runtui.services.known_run import KnownRun
    from runtui.services.records.journal import Entry
    from runtui.services.writing.write import Save

REST_SECONDS: Final = 0.1
"""How long the cursor stays on a row before the panel shows its run."""

GRACE_SECONDS: Final = 0.15
"""How long to wait after that for task results before showing the run without them: drawing its page twice costs twice
as much."""

ROWS_PASSED: Final = 2
"""How many rows the cursor passes without their being shown, as under a held key, before the panel is emptied."""

_FOLLOWING: Final = "follow the cursor"


class _Followed(NamedTuple):
    """The run that the Run tab is to show, and the state of that run."""

    run_id: str = ""
    state: object = None


class Panel:
    """The pages of the tabs in one session, and the tab in front."""

    def __init__(self, app: App[Any], workspace: Workspace) -> None:
        self._app = app
        self._workspace = workspace
        self._widget: SidePanel | None = None
        """The panel of the screen in front."""
        self._is_in_sight = False
        self.pages: dict[Tab, Page] = {"run": Page(), **NOTHING_SENT, "log": Page()}
        self._wanted = _Followed()
        """The run or page under the cursor."""
        self._passed = 0
        """How many rows the cursor has passed since the panel last showed its row."""
        self._is_following = False
        """True if the Run tab follows that run; False if it shows a given page, such as a task's."""
        self._news = 0
        """How often there was news of the run under the cursor."""
        self._news_shown = 0
        """The value of `_news` when the page on the Run tab was read."""
        self._reading: _Followed | None = None
        """The run whose reading was started last, finished or not."""
        self._worker: Worker[None] | None = None
        self.save_shown: Save | None = None
        """The save on the Response tab, as it was when drawn."""
        self._subject: Entry | Exchange | None = None
        """The finished change or request on the Request and Response tabs, if any."""
        self._drafted: tuple[Operation | None, Page] = None, Page()
        """The last draft, with its page on the Request tab."""
        self._changed_run = NOTHING_NAMED
        """The heading of the last draft or save, kept so that its run is not looked up at each key."""
        self._chosen: Tab = "run"
        """The tab that the person chose."""
        self.tab: Tab = "run"
        self.is_open = False
        """True if the person opened it on a narrow screen."""

    def turn_to(self, widget: SidePanel) -> None:
        """Draw on the panel of another screen no longer; `draw_on` follows."""
        if widget is not self._widget:
            self._widget = None

    def draw_on(self, widget: SidePanel, *, is_in_sight: bool) -> None:
        """Draw on `widget`, the panel of the screen in front, from now on."""
        is_other, self._widget, self._is_in_sight = widget is not self._widget, widget, is_in_sight
        if is_other:
            self.bring_forward(self.tab)
        widget.point_at(self._wanted.run_id)
        self._read_on()

    @property
    def is_searching(self) -> bool:
        """True if a search is open in the panel in front."""
        return self._widget is not None and self._widget.search is not None

    @property
    def in_front(self) -> Entry | Exchange | None:
        """The finished change or request that the tab in front shows; None if it shows anything else."""
        if self.tab == "log":
            return self._logged
        return self._subject if self.tab in ("request", "response") else None

    @property
    def _logged(self) -> Exchange | None:
        """The request under the cursor of the log."""
        number = self._widget.logged if self._widget is not None else None
        return next((exchange for exchange in self._workspace.exchanges if exchange.number == number), None)

    def text(self) -> str:
        """Return the page of the tab in front as text; empty for the log. It may read files.

        Right after a key the Run tab may still show another run; this returns the run under the cursor.
        """
        from runtui.tui.words import pages

        page = self.pages[self.tab]
        wanted = self._wanted.run_id
        if self.tab == "run" and wanted and page.about.run_id != wanted:
            page = pages.run_page(self._known(wanted), now_ticks())
        facts = "\n".join(visible(fact.text, newlines=True) for fact in page.facts)
        return "\n\n".join(filter(None, (facts, visible(page.body, newlines=True))))

    def choose(self, tab: Tab) -> None:
        """Bring the tab that a person chose to the front."""
        self._chosen = tab
        self.bring_forward(tab)

    def step(self, by: int) -> None:
        self.choose(TABS[(TABS.index(self.tab) + by) % len(TABS)])

    def bring_forward(self, tab: Tab) -> None:
        """Bring a tab to the front until the cursor is on another run; fill the log first."""
        self.tab = tab
        if self._widget is not None:
            if tab == "log":
                self._widget.show_log(self._workspace.exchanges)
            self._widget.choose(tab)
        self._read_on()

    # The run under the cursor

    def follow(self, run_id: str, state: object = None, finds: Callable[[str], bool] | None = None) -> None:
        """Follow the cursor to this run; read it again when its `state` changes.

        If `finds` says that the previous run has left the list, no person moved the cursor: a tab that a change brought
        forward then stays in front.
        """
        is_other, before = run_id != self._wanted.run_id, self._wanted.run_id
        if is_other and before:
            is_shown = self.pages["run"].about.run_id == before
            self._passed = 0 if is_shown else self._passed + 1
            if self._passed >= ROWS_PASSED:
                # Beside an empty panel a scrolling list moves whole lines, which the terminal can scroll itself.
                self._show("run", Page())
        self._wanted, self._is_following = _Followed(run_id, state), True
        if is_other and self.tab != self._chosen and (finds is None or finds(before)):
            self.bring_forward(self._chosen)

    def show_page(self, page: Page) -> None:
        """Show a given page on the Run tab: the cursor is on no run, or on something known in full."""
        if page.about.run_id != self._wanted.run_id and self.tab != self._chosen:
            self.bring_forward(self._chosen)
        self._stop_reading()
        self._wanted = self._reading = _Followed(page.about.run_id, page)
        self._is_following = False
        self._show("run", page)

    @property
    def is_outdated(self) -> bool:
        """True if there is news of the run under the cursor that the Run tab does not show."""
        return self._news_shown < self._news

    def read_again(self) -> None:
        """Read the run under the cursor again, since there is news of it."""
        self._news += 1
        if self._is_following:
            self._reading = None
            self._read_on()

    def _read_on(self) -> None:
        """Start to read the run under the cursor if its tab is visible; stop reading for any other row."""
        wanted = self._wanted
        if wanted == self._reading or not wanted.run_id:
            return
        self._stop_reading()
        if self._is_in_sight and self.tab == "run":
            self._reading = wanted
            self._worker = self._app.run_worker(
                partial(self._follow, wanted.run_id), group=_FOLLOWING, description="read the run in the panel"
            )

    def _stop_reading(self) -> None:
        self._reading = None
        if self._worker is not None:
            self._worker.cancel()

    async def _follow(self, run_id: str) -> None:
        """Show a run once the cursor has stayed on it, then again with its task results."""
        await asyncio.sleep(REST_SECONDS)
        while TAKEOVER.is_ahead:  # noqa: ASYNC110 - imports would delay the first frame, which shows those keys
            await asyncio.sleep(REST_SECONDS)
        await self._workspace.load_triage()
        news = self._news
        known = await asyncio.to_thread(self._known, run_id)
        if not known.lacks_results:
            await self._show_run(known, news)
            return
        reading = asyncio.create_task(self._read_results(known))
        try:
            if known.results is None:
                await asyncio.wait({reading}, timeout=GRACE_SECONDS)
            if not reading.done():
                await self._show_run(known, news)
            await self._show_run(await reading, news)
        finally:
            reading.cancel()

    async def catch_up(self) -> None:
        """Show the run under the cursor at once, from the data on this machine."""
        run_id = self._wanted.run_id
        is_current = self.pages["run"].about.run_id == run_id and not self.is_outdated
        if self.tab == "run" and self._is_following and run_id and not is_current:
            await self._workspace.load_triage()
            news = self._news
            await self._show_run(await asyncio.to_thread(self._known, run_id), news)

    async def _show_run(self, known: KnownRun, news: int) -> None:
        """Show the page of a run. A thread builds it, since a run may have thousands of tasks."""
        from runtui.tui.words import pages

        page = await asyncio.to_thread(pages.run_page, known, now_ticks())
        is_same = known.run_id == self.pages["run"].about.run_id
        self._show("run", page, keep_place=is_same)
        self._news_shown = news
        if known.stored is None:
            self._reading = None  # a listing may store it at any moment, in the same state

    def _known(self, run_id: str) -> KnownRun:
        """Return the data on this machine about a run; a read error becomes a note on the page. It reads files."""
        from runtui.services.known_run import KnownRun, known_run

        try:
            return known_run(self._workspace, run_id)
        except RuntuiError as error:
            return KnownRun(run_id, None, fault=error)

    async def _read_results(self, known: KnownRun) -> KnownRun:
        """Read a run's task results from the service; an error becomes a note on the page."""
        workflow_id = known.stored.workflow_id if known.stored is not None else ""
        try:
            await self._workspace.results.read_run(workflow_id, known.run_id)
            return known._replace(results=await asyncio.to_thread(self._workspace.store.results_of, known.run_id))
        except RuntuiError as error:
            return known._replace(fault=RuntuiError("Its task results could not be read", str(error)))

    # A change

    def show_draft(self, draft: Operation) -> None:
        """Show the request that a draft or an action would send; its run counts as the one under the cursor."""
        from runtui.tui.words import pages

        self._subject, is_other = None, draft.run_id != self._wanted.run_id
        self.follow(draft.run_id)
        if is_other:  # back from another view
            self.bring_forward("request")
        shown, page = self._drafted
        if draft is not shown or page is not self.pages["request"]:
            page = pages.draft_page(draft, *self._workspace.client.target(draft))
            page = page._replace(about=self._about(draft.run_id, draft.workflow_id))
            self._drafted = draft, page
            self._show("request", page, keep_place=True)

    def drop_draft(self) -> None:
        """Remove the request of a discarded draft, and return to the tab that the person chose."""
        self._show("request", NOTHING_SENT["request"])
        self.bring_forward(self._chosen)

    def show_save(self, save: Save) -> None:
        """Show the request of a save, and how far it is or how it ended."""
        from runtui.tui.words import pages

        self.save_shown, self._subject = save, None
        about = self._about(save.run_id, save.operation.workflow_id)
        request = pages.sending_page(save, *self._workspace.client.target(save.operation))
        self._show("request", request._replace(about=about), keep_place=True)
        self._show("response", pages.save_page(save, datetime.now(UTC))._replace(about=about))

    def show_entry(self, entry: Entry | None) -> None:
        """Show the request and the response of a journal entry; None if none is under the cursor."""
        from runtui.tui.words import pages

        self.save_shown, self._subject = None, entry
        if entry is None:
            self._show("request", NOTHING_SENT["request"])
            self._show("response", NOTHING_SENT["response"])
            return
        about, save = pages.about_entry(entry), self._workspace.save_of(entry.run_id)
        self._show("request", pages.entry_request_page(entry)._replace(about=about))
        self._show("response", pages.entry_response_page(entry, save)._replace(about=about))

    def show_logged(self) -> None:
        """Show the request under the cursor of the log."""
        if (exchange := self._logged) is not None:
            self.show_exchange(exchange)

    def show_exchange(self, exchange: Exchange) -> None:
        """Show a request, and its response with the meaning."""
        from runtui.graph.faults import fault_of
        from runtui.tui.words import pages

        fault = fault_of(exchange, writing=exchange.method != "GET")
        about = About(words=exchange.purpose)
        self.save_shown, self._subject = None, exchange
        self._show("request", pages.sent_page(exchange)._replace(about=about))
        self._show("response", pages.exchange_page(exchange, fault)._replace(about=about))
        self.choose("response")

    def exchange_ended(self, _news: object) -> None:
        """Show the log again, which has grown."""
        if self.tab == "log" and self._widget is not None:
            self._widget.show_log(self._workspace.exchanges)

    def _about(self, run_id: str, workflow_id: str) -> About:
        """Return the heading of a run: its workflow's name and its id."""
        from runtui.tui.words import pages

        if self._changed_run.run_id != run_id:
            name = workflow_name_of(self._workspace.store, run_id, workflow_id)
            self._changed_run = pages.about_run(run_id, name)
        return self._changed_run

    def _show(self, tab: Tab, page: Page, *, keep_place: bool = False) -> None:
        is_other, self.pages[tab] = page != self.pages[tab], page
        if is_other and self._widget is not None:
            self._widget.page_changed(tab, keep_place=keep_place)
