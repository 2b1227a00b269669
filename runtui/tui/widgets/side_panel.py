"""The side panel: tabs with the run, the request, the response and the log of requests.

Invariant: it shows the given pages in full, and decides nothing. Its second line names the subject of the page, or says
that this is not the run under the cursor. The facts above a body are wrapped to the panel's width, and scroll with it.
The first screen needs none of the widgets below that line: each is loaded and mounted at its first use.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from rich.cells import cell_len
from textual.content import Content
from textual.strip import Strip
from textual.widget import Widget

from runtui.domain.columns import panel_width
from runtui.domain.rows import short_id
from runtui.domain.text import visible
from runtui.tui.actions import bindings
from runtui.tui.text import content, fit, middle, wrapped
from runtui.tui.widgets.chrome import Pane, clickable, unboxed

if TYPE_CHECKING:
    from runtui.graph.exchange import Exchange
    from runtui.tui.widgets.json_view import JsonView
    from runtui.tui.widgets.option_lists import LogList
    from runtui.tui.widgets.search_bar import Searchable, SearchBar

Tab = Literal["run", "request", "response", "log"]
TABS: Final[tuple[Tab, ...]] = ("run", "request", "response", "log")

_MIN_ID_CELLS: Final = 9
"""The least width, in cells, of a run's id beside a long name."""

ANOTHER_RUN: Final = "another run"
"""The words for a page that is not about the run under the cursor."""


class About(NamedTuple):
    """The subject of a page, for the line above it."""

    run_id: str = ""
    """Empty if it is about no run."""
    words: str = ""
    """The text at the left, cut to the room."""
    at_right: str = ""
    style: str = "bold"


NOTHING_NAMED: Final = About()
"""The subject of a page that is about no run."""


class Fact(NamedTuple):
    """A line above a body: a text of any length, and its style."""

    text: str
    style: str = ""


class Page(NamedTuple):
    """The contents of one tab."""

    facts: tuple[Fact, ...] = ()
    body: str = ""
    changed: frozenset[str] = frozenset()
    """The changed properties of the body, which get a sign."""
    about: About = NOTHING_NAMED


def none_selected(what: str) -> Page:
    """Return the page beside a list without rows; `what` names one row."""
    return Page((Fact(f"No {what} is selected.", "$text-muted"),))


NOTHING_SENT: Final[Mapping[Tab, Page]] = {
    "request": Page((Fact("The request that a change would make appears here.", "$text-muted"),)),
    "response": Page((Fact("The response to a change appears here.", "$text-muted"),)),
}
"""The pages of Request and Response before any change."""


@unboxed
class AboutLine(Widget):
    """The line with the subject of a page, after a blank cell."""

    DEFAULT_CSS = "AboutLine { height: 1; }"

    _shown = Content("")

    def show(self, about: Content) -> None:
        """Show `about`, and draw nothing if it is the same as before."""
        if not about.is_same(self._shown):
            self._shown = about
            self.refresh()

    def render_line(self, y: int) -> Strip:  # noqa: ARG002 - there is one
        return Strip(Content(" ").append(self._shown).render_segments(self.visual_style))


class SidePanel(Pane):
    """Shows one of four tabs, with the search bar below.

    Args:
        pages: The pages of the session, by tab; the panel of each screen draws the same ones.
        is_empty: Whether the widget for pages is loaded and mounted later, with the first page.
    """

    BINDINGS = bindings("text")

    def __init__(self, pages: Mapping[Tab, Page], *, id: str, is_empty: bool = False) -> None:
        self._pages = pages
        self._about = AboutLine(id="panel-about")
        self._page = None if is_empty else _new_page()
        self._log: LogList | None = None
        self._search: SearchBar | None = None
        super().__init__(self._about, *((self._page,) if self._page is not None else ()), id=id)
        self.tab: Tab = "run"
        self.cursor_run = ""
        """The id of the run under the cursor; empty if there is none."""
        self._drawn: tuple[Tab, int, Page] | None = None
        """The drawn tab, its width and its page."""
        self._tops: dict[Tab, tuple[float, Page]] = {}
        """The scroll positions of hidden pages, and these pages."""

    def on_mount(self) -> None:
        self._show_title()

    def on_resize(self) -> None:
        self._draw(keep_place=True)

    def page_changed(self, tab: Tab, *, keep_place: bool) -> None:
        """Draw a tab whose page has changed, if it is visible. `keep_place` keeps the scroll position, also later."""
        if keep_place and tab in self._tops:
            self._tops[tab] = self._tops[tab][0], self._pages[tab]
        if tab == self.tab:
            self._draw(keep_place=keep_place)

    def point_at(self, run_id: str) -> None:
        """Set the run under the cursor; empty for none. Also draw a page that changed while the panel was hidden, since
        no Resize event may follow when it is shown again."""
        if run_id != self.cursor_run or not self._is_drawn:
            self.cursor_run = run_id
            self._draw(keep_place=True)

    @property
    def shows_another_run(self) -> bool:
        """True if the visible page is about a run that is not under the cursor."""
        about = self._pages[self.tab].about
        return bool(about.run_id) and about.run_id != self.cursor_run

    def show_log(self, exchanges: Iterable[Exchange]) -> None:
        """List the requests in the given order; the cursor stays on its request."""
        self._log_list().show(exchanges)
        if self.tab == "log":
            self._search_again()

    @property
    def logged(self) -> int | None:
        """The number of the request that the log shows; None if it shows none."""
        return self._log.chosen if self._log is not None else None

    def choose(self, tab: Tab) -> None:
        """Show a tab; it takes the focus if the panel had it."""
        had_focus = self.has_focus_within
        if self.tab not in (tab, "log") and self._page is not None:
            self._tops[self.tab] = self._page.scroll_y, self._pages[self.tab]
        self.tab = tab
        self.set_class(tab == "log", "-log")
        self._draw(keep_place=False)
        top, page = self._tops.pop(tab, (0.0, None))
        if page == self._pages[tab] and self._page is not None:
            self._page.scroll_to(y=top, animate=False)
        self._show_title()
        self._search_again()
        if had_focus:
            self.take_focus()

    def take_focus(self) -> None:
        self._searched().focus()

    @property
    def search(self) -> SearchBar | None:
        """The search; None unless it is open."""
        return self._search if self._search is not None and self._search.is_open else None

    async def action_search(self) -> None:
        if self._search is None:
            from runtui.tui.widgets.search_bar import SearchBar

            self._search = SearchBar(self._searched)
            await self.mount(self._search)
        self._search.open()

    def action_previous_match(self) -> None:
        if self.search is not None:
            self.search.step(-1)

    def on_json_view_laid_out(self, event: JsonView.LaidOut) -> None:
        event.stop()
        self._search_again()

    def _search_again(self) -> None:
        if self._search is not None:
            self._search.search_again()

    def _searched(self) -> Searchable:
        """Return the widget to search, that of the visible tab."""
        return self._log_list() if self.tab == "log" else self._page_view()

    def _page_view(self) -> JsonView:
        if self._page is None:
            self._page = _new_page()
        self._mount(self._page)
        return self._page

    def _log_list(self) -> LogList:
        if self._log is None:
            from runtui.tui.widgets.option_lists import LogList

            self._log = LogList(id="panel-log")
        self._mount(self._log)
        return self._log

    def _mount(self, shown: LogList | JsonView) -> None:
        if self.is_attached and not shown.is_attached:
            self.mount(shown, after=self._about)

    def _show_title(self) -> None:
        names = [
            Content.styled(tab.capitalize(), "bold underline" if tab == self.tab else "$text-muted").stylize(
                clickable(f"screen.choose_tab('{tab}')")
            )
            for tab in TABS
        ]
        self.show_title(Content(" ─ ").join(names))

    def _show_about(self) -> None:
        """Show the subject of the visible page, or that it is about another run."""
        about = self._pages[self.tab].about
        room = self._width - 2
        most, words = room // 2, about.at_right
        if words == short_id(about.run_id):
            # An id stays readable when shortened in its middle, so the name gets the room.
            most = min(most, max(_MIN_ID_CELLS, room - 1 - cell_len(visible(about.words))))
            words = words if cell_len(visible(words)) <= most else about.run_id
        at_right = content(middle(words, most), "$text-muted")
        if self.shows_another_run:
            at_right = Content.styled(ANOTHER_RUN, "bold $text-warning")
        left = fit(about.words, max(0, room - 1 - at_right.cell_length))
        self._about.show(Content.assemble(content(left, about.style), " ", at_right))

    @property
    def _width(self) -> int:
        """The width of a line in cells; before the first layout, the width that the panel will have."""
        return self.size.width or panel_width(*self.app.size)

    @property
    def _is_drawn(self) -> bool:
        return self._drawn == (self.tab, self._width, self._pages[self.tab])

    def _draw(self, *, keep_place: bool) -> None:
        """Draw the visible tab if tab, page or width have changed, on a screen that is open."""
        if not self.is_attached or self.screen not in self.app.screen_stack:  # mounted ahead
            return
        self._show_about()
        if self.tab == "log" or not self.display or self._is_drawn:
            return
        width, page = self._width, self._pages[self.tab]
        self._drawn = self.tab, width, page
        if page == Page() and self._page is None:
            return
        header = [line for fact in page.facts for line in wrapped(content(fact.text, fact.style), max(20, width - 2))]
        if header and page.body:
            header.append(Content(""))
        self._page_view().show_text(
            page.body, header=header, changed=page.changed, keep_place=keep_place, expected=max(0, width - 2)
        )
        self._search_again()


def _new_page() -> JsonView:
    from runtui.tui.widgets.json_view import JsonView

    return JsonView(id="panel-page")
