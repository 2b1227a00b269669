"""Lists of options, whose page keys never raise as those of Textual 8.2.8 do.

Invariant: no text is parsed as markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from rich.style import Style
from textual.geometry import Size
from textual.reactive import Reactive
from textual.strip import Strip
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from runtui.domain.times import second_text
from runtui.graph.exchange import Exchange, FailureKind
from runtui.tui.actions import bindings
from runtui.tui.text import content
from runtui.tui.widgets.search_bar import CURRENT_MATCH, MATCH, Match, spans

_REVERSE: Final = Style(reverse=True)

_NOTHING_LOGGED: Final = "No request yet. Successful listings are left out."


class PagedList(OptionList):
    """A list of options with a reverse cursor, which Textual's option style cannot have. Page keys do nothing before
    the first layout; Textual's would raise KeyError."""

    virtual_size: Reactive[Size] = Reactive(Size(0, 0), repaint=False)  # the list's length moves no other widget
    has_cursor = False
    """Whether to show the cursor without the focus."""

    def __init__(self, *options: str, id: str | None = None) -> None:
        super().__init__(*options, id=id, compact=True, markup=False)

    def render_line(self, y: int) -> Strip:
        strip = super().render_line(y)
        is_under_cursor = any(
            style is not None and style.meta.get("option", -1) == self.highlighted for _, style, _ in strip
        )
        return strip.apply_style(_REVERSE) if is_under_cursor and (self.has_focus or self.has_cursor) else strip

    def action_page_up(self) -> None:
        if self.scrollable_content_region:
            super().action_page_up()  # type: ignore[no-untyped-call]

    def action_page_down(self) -> None:
        if self.scrollable_content_region:
            super().action_page_down()  # type: ignore[no-untyped-call]


class ChoiceList(PagedList, inherit_bindings=False):
    """A list with the keys of a table; enter is left to the view around it."""

    DEFAULT_CSS = "ChoiceList { height: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }"
    BINDINGS = bindings("table")

    def show(self, lines: Iterable[str], at: int | None = 0) -> None:
        """List other lines, with the cursor on the one at index `at`; None for no cursor."""
        self.set_options([Option(content(line)) for line in lines])
        self.highlighted = at


class LogList(PagedList):
    """The requests of this session, one per line."""

    BINDINGS = bindings("table")

    @property
    def top_line(self) -> int:
        return self.highlighted or 0

    @property
    def source(self) -> object:
        return self

    def occurrences(self, text: str, first: int) -> Iterator[int | None]:
        lines = [str(option.prompt) for option in self.options]
        for number in (*range(first, len(lines)), *range(min(first, len(lines)))):
            yield from (number for _ in spans(lines[number], text))

    def mark(self, text: str, current: Match | None) -> None:
        for number, option in enumerate(self.options):
            line = content(str(option.prompt))
            for nth, match in enumerate(spans(line.plain, text) if text else ()):
                line = line.stylize(CURRENT_MATCH if current == (number, nth) else MATCH, *match)
            self.replace_option_prompt_at_index(number, line)

    def go_to(self, match: Match) -> None:
        self.highlighted = match.line

    @property
    def chosen(self) -> int | None:
        """The number of the request under the cursor, else of the first; None if there is none."""
        option = self.highlighted_option or next(iter(self.options), None)
        return int(option.id) if option is not None and option.id is not None else None

    def show(self, exchanges: Iterable[Exchange]) -> None:
        """List the requests in the given order; the cursor stays on its request."""
        options = [Option(content(_summary(exchange)), id=str(exchange.number)) for exchange in exchanges]
        under_cursor = self.highlighted_option
        self.set_options(options or [Option(content(_NOTHING_LOGGED), disabled=True)])
        ids = [option.id for option in options]
        if under_cursor is not None and under_cursor.id in ids:
            self.highlighted = ids.index(under_cursor.id)


def _summary(exchange: Exchange) -> str:
    is_given_up = exchange.failure is not None and exchange.failure.kind is FailureKind.CANCELLED
    answer = str(exchange.status or ("given up" if is_given_up else "no answer"))
    seconds = f"{exchange.seconds * 1000:.0f} ms" if exchange.seconds is not None else ""
    return f"{second_text(exchange.started_at)}  {exchange.method:5}  {answer}  {seconds:>8}  {exchange.purpose}"
