"""Search in a text: a line to type into, how many matches there are, and which of them one stands on.

Invariant: a text is looked through a few milliseconds at a time, so that letters and paints come between; the key after
them waits for the end, so that `n` typed ahead goes where it would later. A match is underlined or reversed and needs
no colour.
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
from textual.message import Message
from textual.strip import Strip
from textual.widgets import Input, Static

from runtui.keys.actions import Scope
from runtui.tui.actions import bindings
from runtui.tui.keys import awaited
from runtui.tui.widgets.inputs import InputBar, LineInput

_LOOKING: Final = awaited("search")

MOST_MATCHES: Final = 10_000
"""Matches after which nothing more is looked for; from the last of them the next one is the first."""

_SECONDS_AT_ONCE: Final = 0.004

MATCH: Final = "bold underline"
CURRENT_MATCH: Final = "bold reverse"


class Match(NamedTuple):
    """One occurrence of the text that is looked for."""

    line: int
    nth: int
    """Which one of its line, from 0."""


class Searchable(Protocol):
    """A widget of numbered lines."""

    @property
    def top_line(self) -> int:
        """The first line in sight."""

    def occurrences(self, text: str, first: int) -> Iterator[int | None]:
        """The line of each occurrence, from line `first` on and then from the top; None is a place to pause."""

    def mark(self, text: str, current: Match | None) -> None:
        """Mark every occurrence of a text from here on, one of them as the current one; no text: mark nothing."""

    def go_to(self, match: Match) -> None:
        """Bring a match into sight."""

    def take_focus(self) -> None:
        """Give it the keys."""


class Found(NamedTuple):
    """Where a match, or a part of it, stands on a line."""

    begin: int
    end: int
    """In cells."""
    match: Match


def with_matches(strip: Strip, found: Iterable[Found], current: Match | None) -> Strip:
    """A drawn line with matches marked, in their order; `current` in its own way."""
    parts, at = [], 0
    for begin, end, match in found:
        style = Style.parse(CURRENT_MATCH if match == current else MATCH)
        parts += [strip.crop(at, begin), strip.crop(begin, end).apply_style(style)]
        at = end
    return Strip.join([*parts, strip.crop(at)]) if parts else strip


def places(line: str, text: str) -> Iterator[tuple[int, int]]:
    """Where each occurrence of a text begins and ends in a line, in characters."""
    for match in re.finditer(re.escape(text), line, re.IGNORECASE):
        yield match.span()


def cells_of(line: str, place: tuple[int, int]) -> tuple[int, int]:
    """A place in a line, in cells."""
    begin, end = place
    return cell_len(line[:begin]), cell_len(line[:end])


class SearchBar(InputBar):
    """The line under a text; `searched` gives the one that is in sight."""

    scope: ClassVar[Scope] = "search"
    BINDINGS = bindings("search")
    DEFAULT_CSS = """
    SearchBar { layout: horizontal; height: 1; }
    SearchBar #search-sign { width: 2; padding: 0 0 0 1; }
    SearchBar LineInput { width: 1fr; }
    SearchBar #search-count { width: auto; padding: 0 1; }
    """

    class Changed(Message):
        """The bar was opened or closed."""

    def __init__(self, searched: Callable[[], Searchable]) -> None:
        super().__init__()
        self._searched = searched
        self._marked: Searchable | None = None
        self._found: list[Match] = []
        """In the order of the text, as far as it was looked through."""
        self._at: int | None = None
        self._is_cut = False
        self._is_going = False
        """The first match of what was typed is to be brought into sight, once it is found."""
        self._from = 0
        """The first line in sight when the search began: what is typed is looked for from there on."""

    def compose(self) -> ComposeResult:
        yield Static("/", id="search-sign", markup=False)
        yield LineInput(id="search-input")
        yield Static(id="search-count", markup=False)

    @property
    def text(self) -> str:
        return self.query_one(LineInput).value if self.is_open else ""

    def open(self) -> None:
        """Begin to search, or go on with the text of the last search, which the first letter replaces."""
        super().open()
        self._from = self._searched().top_line
        self.query_one(LineInput).action_select_all()
        self.post_message(self.Changed())
        self.look_again()

    def close(self) -> None:
        """Search no more; nothing stays marked."""
        super().close()
        self.look_again()
        self.post_message(self.Changed())

    def look_again(self) -> None:
        """The text in sight is another one: mark what it has, and stay where it is."""
        if self.is_open or self._marked is not None:
            self._look(go=False)

    def step(self, by: int) -> None:
        """To the next match, or the one before; from the last one to the first."""
        if not self._found:
            return
        if self._at is None:
            top = self._searched().top_line
            after = next((at for at, match in enumerate(self._found) if match.line >= top), 0)
            self._at = after if by > 0 else after - 1
        else:
            self._at += by
        self._at %= len(self._found)
        searched, match = self._searched(), self._found[self._at]
        searched.mark(self.text, match)
        searched.go_to(match)
        self._say()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        if self.is_open:
            self._look(go=True)

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_keep_search()

    def action_keep_search(self) -> None:
        """To the text; the matches stay marked. With nothing typed there is nothing to keep."""
        if not self.text:
            self.close()
        self._searched().take_focus()

    def action_clear_search(self) -> None:
        self.close()
        self._searched().take_focus()

    def _look(self, *, go: bool) -> None:
        self.workers.cancel_group(self, _LOOKING)
        text, searched = self.text, self._searched()
        if self._marked is not None and self._marked is not searched:
            self._marked.mark("", None)
        current = self._found[self._at] if self._at is not None and not go else None
        self._found, self._at, self._is_cut = [], None, False
        self._is_going = bool(text) and (go or self._is_going)
        searched.mark(text, current)
        self._marked = searched if text else None
        if text:
            self._look_through(searched, text, current)
        else:
            self._say()

    @work(group=_LOOKING, description="search a text")
    async def _look_through(self, searched: Searchable, text: str, current: Match | None) -> None:
        top = self._from if self._is_going else searched.top_line
        after: list[Match] = []
        before: list[Match] = []
        began = time.perf_counter()
        for line in searched.occurrences(text, top):
            if line is not None:
                found = after if line >= top else before
                nth = found[-1].nth + 1 if found and found[-1].line == line else 0
                found.append(Match(line, nth))
                if len(after) + len(before) == MOST_MATCHES:
                    self._is_cut = True
                    break
            if time.perf_counter() - began > _SECONDS_AT_ONCE:
                await asyncio.sleep(0)
                began = time.perf_counter()
        # A long line that begins above the top is looked through first.
        self._found = sorted(before) + after
        if self._is_going and self._found:
            self._at = len(before) % len(self._found)
            searched.mark(text, self._found[self._at])
            searched.go_to(self._found[self._at])
        elif current in self._found:
            self._at = self._found.index(current)
        self._is_going = False
        self._say()

    def _say(self) -> None:
        count = f"{len(self._found)}{'+' if self._is_cut else ''}"
        if not self.text:
            words = ""
        elif not self._found:
            words = "no match"
        else:
            words = f"{self._at + 1} of {count}" if self._at is not None else f"{count} found"
        self.query_one("#search-count", Static).update(Content(words))
