"""The panel at the right: the answer, the request, the run and what was sent before, as tabs.

Invariant: it shows what it is given, in full, and decides nothing. What stands above a body is wrapped to the panel's
width; the body scrolls under it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import ContentSwitcher, OptionList
from textual.widgets.option_list import Option

from runtui.graph.exchange import Exchange
from runtui.keys.actions import key_of
from runtui.tui.text import content, plain
from runtui.tui.widgets.chrome import PaneTitle
from runtui.tui.widgets.inputs import PagedList
from runtui.tui.widgets.json_view import JsonView

Tab = Literal["response", "request", "run", "log"]
TABS: Final[tuple[Tab, ...]] = ("response", "request", "run", "log")


@dataclass(frozen=True, slots=True)
class Fact:
    """A line above a body: a text of any length, and its style."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """What one tab shows."""

    facts: tuple[Fact, ...] = ()
    body: str = ""
    changed: frozenset[str] = frozenset()
    """The properties of the body that carry a sign: they changed."""


class SidePanel(Vertical):
    """Four tabs, one of them in sight."""

    DEFAULT_CSS = """
    SidePanel ContentSwitcher { height: 1fr; }
    SidePanel OptionList { height: 1fr; }
    """

    class ExchangeChosen(Message):
        """A request of the log was chosen."""

        def __init__(self, panel: SidePanel, number: int) -> None:
            super().__init__()
            self.panel = panel
            self.number = number

        @property
        def control(self) -> SidePanel:
            return self.panel

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.tab: Tab = "response"
        self._pages: dict[Tab, Page] = {
            "response": Page((Fact("Nothing has been sent yet. The answer to a change appears here.", "$text-muted"),)),
            "request": Page((Fact("The request that a change would make appears here.", "$text-muted"),)),
            "run": Page((Fact(f"{key_of('open_run')} on a run shows it here.", "$text-muted"),)),
        }
        self._active = False
        self._undrawn: set[Tab] = set()
        """The tabs whose page was not drawn yet."""

    def compose(self) -> ComposeResult:
        """The tabs' names in one line, the chosen one under it."""
        yield PaneTitle(id="panel-title")
        with ContentSwitcher(initial="tab-response"):
            yield JsonView(id="tab-response")
            yield JsonView(id="tab-request")
            yield JsonView(id="tab-run")
            yield PagedList(id="tab-log")

    def on_mount(self) -> None:
        self._show_title()

    def on_resize(self) -> None:
        """Wrap the facts to the new width."""
        self._undrawn = set(self._pages)
        self._draw(keep_place=True)

    def show(self, tab: Tab, page: Page, *, keep_place: bool = False) -> None:
        """Set the page of a tab; the visible tab stays the same."""
        if self._pages.get(tab) != page:
            self._pages[tab] = page
            self._undrawn.add(tab)
            self._draw(keep_place=keep_place)

    def show_log(self, exchanges: Iterable[Exchange]) -> None:
        """List the requests of this session, the newest first."""
        log = self.query_one(OptionList)
        log.clear_options()
        log.add_options(Option(content(_summary(exchange)), id=str(exchange.number)) for exchange in exchanges)

    def choose(self, tab: Tab) -> None:
        """Show a tab; it takes the focus if the panel had it."""
        had_focus = self.has_focus_within
        self.tab = tab
        self.query_one(ContentSwitcher).current = f"tab-{tab}"
        self._draw(keep_place=False)
        self._show_title()
        if had_focus:
            self.take_focus()

    def step(self, by: int) -> None:
        self.choose(TABS[(TABS.index(self.tab) + by) % len(TABS)])

    def take_focus(self) -> None:
        self.query_one(f"#tab-{self.tab}").focus()

    def mark_active(self, active: bool) -> None:
        self._active = active
        self._show_title()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option.id is not None:
            self.post_message(self.ExchangeChosen(self, int(event.option.id)))

    def _show_title(self) -> None:
        names = [
            Content.styled(tab.capitalize(), "bold underline" if tab == self.tab else "$text-muted") for tab in TABS
        ]
        self.query_one("#panel-title", PaneTitle).show(Content(" │ ").join(names), active=self._active)

    def _draw(self, *, keep_place: bool) -> None:
        """Draw the visible tab if its page or the width changed."""
        tab = self.tab
        if tab not in self._undrawn or not self.size.width:
            return
        self._undrawn.remove(tab)
        page = self._pages[tab]
        view = self.query_one(f"#tab-{tab}", JsonView)
        width = max(20, self.size.width - 1)
        header = [line for fact in page.facts for line in _wrapped(fact, width)]
        if header and page.body:
            header.append(Content(""))
        view.show_text(page.body, header=header, keep_place=keep_place)
        view.highlight_changed(page.changed)


def _wrapped(fact: Fact, width: int) -> Sequence[Content]:
    lines = textwrap.wrap(plain(fact.text), width, break_on_hyphens=False) or [""]
    return [content(line, fact.style) for line in lines]


def _summary(exchange: Exchange) -> str:
    answer = f"{exchange.status}" if exchange.status is not None else "no answer"
    seconds = f"{exchange.seconds * 1000:.0f} ms" if exchange.seconds is not None else ""
    local = exchange.started_at.astimezone()
    return f"{local:%H:%M:%S}  {exchange.method:5}  {answer}  {seconds:>8}  {exchange.purpose}"
