"""The search bar: an input, the number of matches and the place of the current one.

Invariant: a search pauses every few milliseconds for keys and frames. A key that is no letter waits for its end, so
that a typed-ahead `n` goes where it would go later. A match is underlined or reversed, and needs no colour.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar, Final, NamedTuple, Protocol

from rich.cells import cell_len
from rich.style import Style
from textual import on, work
from textual.app import ComposeResult
from textual.content import Content
from textual.strip import Strip
from textual.widgets import Input, Static

from runtui.keys.actions import Scope
from runtui.tui.actions import bindings
from runtui.tui.keys import blocks_keys
from runtui.tui.widgets.inputs import InputBar, LineInput

_SEARCHING: Final = blocks_keys("search")

MAX_MATCHES: Final = 10_000
"""The most matches to look for; after the last of them the next one is the first."""

_SECONDS_AT_ONCE: Final = 0.004

MATCH: Final = "bold underline"
CURRENT_MATCH: Final = "bold reverse"


class Match(NamedTuple):
    """One occurrence of the searched text."""

    line: int
    nth: int
    """Its index among the matches of its line."""


class Searchable(Protocol):
    """A widget with numbered lines that can be searched."""

    @property
    def top_line(self) -> int:
        """The first visible line."""

    @property
    def source(self) -> object:
        """What is searched, without regard to its lines: equal before and after a new width."""

    def occurrences(self, text: str, first: int) -> Iterator[int | None]:
        """Yield the line of each occurrence, from line `first` on and then from the top; None allows a pause."""

    def mark(self, text: str, current: Match | None) -> None:
        """Mark all occurrences of `text`, `current` in its own way, until the next call; with no text, mark none."""

    def go_to(self, match: Match) -> None:
        """Scroll to a match."""

    def focus(self) -> object:
        """Focus this widget."""


class Found(NamedTuple):
    """The cells of a line that a match, or a part of one, takes."""

    begin: int
    end: int
    """Exclusive."""
    match: Match


def with_matches(strip: Strip, found: Iterable[Found], current: Match | None) -> Strip:
    """Mark the matches in a drawn line, `current` in its own way; `found` is in order."""
    parts, at = [], 0
    for begin, end, match in found:
        style = Style.parse(CURRENT_MATCH if match == current else MATCH)
        parts += [strip.crop(at, begin), strip.crop(begin, end).apply_style(style)]
        at = end
    return Strip.join([*parts, strip.crop(at)]) if parts else strip


def spans(line: str, text: str) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each occurrence of a text in a line, in characters."""
    for match in re.finditer(re.escape(text), line, re.IGNORECASE):
        yield match.span()


def cells_of(line: str, span: tuple[int, int]) -> tuple[int, int]:
    """Convert a start and end in `line` from characters to cells."""
    begin, end = span
    return cell_len(line[:begin]), cell_len(line[:end])


class SearchBar(InputBar):
    """The search bar below a text; `searched` returns the widget with the visible text."""

    scope: ClassVar[Scope] = "search"
    BINDINGS = bindings("search")
    DEFAULT_CSS = """
    SearchBar { layout: horizontal; height: 1; }
    SearchBar #search-sign { width: 2; padding: 0 0 0 1; }
    SearchBar LineInput { width: 1fr; }
    SearchBar #search-count { width: auto; padding: 0 1; }
    """

    def __init__(self, searched: Callable[[], Searchable]) -> None:
        super().__init__()
        self._searched = searched
        self._marked: Searchable | None = None
        self._found: list[Match] = []
        """The matches in the order of the text; empty until a search ends."""
        self._at: int | None = None
        self._current: Match | None = None
        """The match at that index. A search sets both when it ends, `step` when it moves to another match."""
        self._ended: tuple[object, str, int] = None, "", 0
        """The last search that ended: what it went through, the text that it looked for, and the number of matches."""
        self._is_cut = False
        self._is_going = False
        """True if the search goes to its first match once that is found."""
        self._from = 0
        """The first visible line when the bar was opened, where a search for typed text starts."""

    def compose(self) -> ComposeResult:
        yield Static("/", id="search-sign", markup=False)
        yield LineInput(id="search-input")
        yield Static(id="search-count", markup=False)

    @property
    def text(self) -> str:
        return self.query_one(LineInput).value if self.is_open else ""

    def open(self) -> None:
        """Open the bar with the text of the last search, which the first typed letter replaces."""
        super().open()
        self._from = self._searched().top_line
        self.query_one(LineInput).action_select_all()
        self.search_again()

    def close(self) -> None:
        """Close the bar and remove all marks."""
        super().close()
        self.search_again()

    def search_again(self) -> None:
        """Search again after the visible text has changed, without scrolling."""
        if self.is_open or self._marked is not None:
            self._search(go=False)

    def step(self, by: int) -> None:
        """Go `by` matches forward or back, wrapping around at the ends."""
        if not self._found:
            return
        if self._at is None:
            top = self._searched().top_line
            after = next((at for at, match in enumerate(self._found) if match.line >= top), 0)
            self._at = after if by > 0 else after - 1
        else:
            self._at += by
        self._at %= len(self._found)
        self._go_to(self._found[self._at], self._searched())
        self._show_count()

    def _go_to(self, match: Match, searched: Searchable) -> None:
        self._current = match
        searched.mark(self.text, match)
        searched.go_to(match)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        if self.is_open:
            self._search(go=True)

    def action_keep_search(self) -> None:
        """Go to the text with the matches still marked; if nothing was typed, close the bar."""
        if not self.text:
            self.close()
        self._searched().focus()

    def action_clear_search(self) -> None:
        self.close()
        self._searched().focus()

    def _search(self, *, go: bool) -> None:
        self.workers.cancel_group(self, _SEARCHING)
        text, searched = self.text, self._searched()
        if self._marked is not None and self._marked is not searched:
            self._marked.mark("", None)
        if go or not text:
            self._at = self._current = None
        self._found, self._is_cut = [], False
        self._is_going = bool(text) and (go or self._is_going)
        searched.mark(text, self._current)
        self._marked = searched if text else None
        if text:
            self._search_through(searched, text)
        else:
            self._show_count()

    @work(group=_SEARCHING, description="search a text")
    async def _search_through(self, searched: Searchable, text: str) -> None:
        top = self._from if self._is_going else searched.top_line
        after: list[Match] = []
        before: list[Match] = []
        began = time.perf_counter()
        for line in searched.occurrences(text, top):
            if line is not None:
                found = after if line >= top else before
                nth = found[-1].nth + 1 if found and found[-1].line == line else 0
                found.append(Match(line, nth))
                if len(after) + len(before) == MAX_MATCHES:
                    self._is_cut = True
                    break
            if time.perf_counter() - began > _SECONDS_AT_ONCE:
                await asyncio.sleep(0)
                began = time.perf_counter()
        # A long line that starts above the top is searched first.
        self._found = sorted(before) + after
        last, self._ended = self._ended, (searched.source, text, len(self._found))
        if self._is_going and self._found:
            self._at = len(before) % len(self._found)
            self._go_to(self._found[self._at], searched)
        elif self._ended == last:  # the same matches, but another width may have moved them to other lines
            if self._at is not None and (match := self._found[self._at]) != self._current:
                self._go_to(match, searched)
        elif self._current in self._found:
            self._at = self._found.index(self._current)
        else:
            self._at = self._current = None
        self._is_going = False
        self._show_count()

    def _show_count(self) -> None:
        count = f"{len(self._found)}{'+' if self._is_cut else ''}"
        if not self.text:
            words = ""
        elif not self._found:
            words = "no match"
        else:
            words = f"{self._at + 1} of {count}" if self._at is not None else f"{count} found"
        self.query_one("#search-count", Static).update(Content(words))
