"""The filter box: an input, and below it the completions at the cursor or the mistake.

Invariant: only a valid filter is announced; an invalid one stays in the box, with a mark under the mistake. A thread
counts values, and the next key waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, NamedTuple, TypeAlias

from rich.cells import cell_len
from textual import on
from textual.content import Content
from textual.message import Message
from textual.style import Style
from textual.widgets import Input, Static

from runtui.domain.filter_tree import Filter
from runtui.domain.filters import FilterError
from runtui.domain.text import visible
from runtui.errors import RuntuiError
from runtui.keys.actions import Scope
from runtui.services.preferences import Preferences
from runtui.tui.actions import bindings
from runtui.tui.filtering import Candidate, Slot, ValueCount, candidates, slot_at
from runtui.tui.keys import blocks_keys
from runtui.tui.resources import Resource
from runtui.tui.text import ELLIPSIS, content, fit
from runtui.tui.widgets.inputs import InputBar, LineInput

CountValues: TypeAlias = Callable[[str], Sequence[ValueCount]]
"""Returns the values of a column, the most frequent first. A thread calls it."""

_COUNTING: Final = blocks_keys("values")
_MAX_KEPT: Final = 50
_GAP: Final = "  "


class History:
    """The earlier filters, the latest last, and the one that a person is looking at. `preferences` keeps them for the
    next start.
    """

    def __init__(self, preferences: Preferences | None = None) -> None:
        self._preferences = preferences
        self._kept: Sequence[str] = preferences.kept.filters if preferences is not None else ()
        self._at = len(self._kept)
        self._typed = ""

    def keep(self, text: str) -> None:
        """Remember a text as the latest; equal texts are kept once."""
        if text:
            self._kept = [*(kept for kept in self._kept if kept != text), text][-_MAX_KEPT:]
            if self._preferences is not None:
                self._preferences.keep(filters=self._preferences.kept.with_filters(self._kept).filters)
        self._at = len(self._kept)

    def earlier(self, text: str) -> str | None:
        """Return the text before the one in the box; None if there is none."""
        if not self._is_shown(text):
            self._typed, self._at = text, len(self._kept)
        before = [at for at in range(self._at) if self._kept[at] != text.strip()]
        if not before:
            return None
        self._at = before[-1]
        return self._kept[self._at]

    def later(self, text: str) -> str | None:
        """Return the text after the one in the box, at the end the typed one; None if the box shows no earlier one."""
        if not self._is_shown(text):
            return None
        self._at += 1
        return self._kept[self._at] if self._at < len(self._kept) else self._typed

    def _is_shown(self, text: str) -> bool:
        return self._at < len(self._kept) and self._kept[self._at] == text.strip()


class _Choice(NamedTuple):
    """The candidates that repeated completion goes through."""

    slot: Slot
    found: tuple[Candidate, ...]
    at: int
    text: str
    """The whole text of the box with this one."""
    rest: str
    """The text after it."""


class FilterBar(InputBar):
    """The input and the line below it, hidden until opened. `count_values` returns the values of the rows; None if they
    are unknown.
    """

    scope: ClassVar[Scope] = "filter"
    BINDINGS = bindings("filter")
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "filter-bar--candidate", "filter-bar--count", "filter-bar--slip",
    }  # fmt: skip

    class Typed(Message):
        """A new valid filter; `filter` is the result of the resource's `read_filter`."""

        def __init__(self, text: str, found: Any) -> None:
            super().__init__()
            self.text = text
            self.filter = found

    class Closed(Message):
        """The bar was closed, with the filter kept or cleared."""

    def __init__(
        self,
        resource: Resource[Any, Any],
        count_values: CountValues | None = None,
        history: History | None = None,
    ) -> None:
        super().__init__()
        self._box = LineInput(id="filter-input")
        self._hint = Static(" ", id="filter-hint", markup=False)
        self._resource = resource
        self._count_values = count_values
        self._history = history or History()
        self._counted: dict[str, Sequence[ValueCount]] = {}
        """The values counted since the box was opened, by column."""
        self._choice: _Choice | None = None
        self._error: RuntuiError | None = None
        self._is_refused = False
        """True if an invalid text was entered; its mistake is shown until the text changes."""
        self._slip = ""

    def on_mount(self) -> None:
        self.watch(self._box, "selection", self._show_hint, init=False)

    def open(self) -> None:
        """Show and focus the box, so that it gets the next key. It is mounted on first use."""
        self._counted.clear()
        if not self._box.is_attached:
            self.mount(self._box, self._hint)
        super().open()
        self._show_hint()

    def paste(self, text: str) -> None:
        """Look for the text itself if it is no filter."""
        try:
            self._resource.read_filter(text)
        except RuntuiError:
            text = '"{}"'.format(text.replace('"', ""))
        super().paste(text)

    def put(self, text: str) -> Any:
        """Put a text into the box without announcing it, and return its filter: the caller shows the filtered rows.

        Raises:
            RuntuiError: the filter is invalid; the box stays as it is.
        """
        found = self._resource.read_filter(text)
        with self.prevent(Input.Changed):
            self._box.value = text
        self._read(text)
        return found

    def _read(self, text: str) -> Any:
        """Parse a text and note its mistakes; return the filter, None if it is invalid."""
        self._error, self._slip, self._is_refused = None, "", False
        if self._choice is not None and self._choice.text != text:
            self._choice = None
        try:
            found = self._resource.read_filter(text)
        except RuntuiError as error:
            self._error = error
            return None
        self._slip = found.hint if isinstance(found, Filter) else ""
        return found

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        found = self._read(event.value)
        self._show_hint()
        if self._error is None:
            self.post_message(self.Typed(event.value.strip(), found))

    # Keys

    def action_keep_filter(self) -> None:
        """Keep the filter and go to the list; if it is invalid, stay and show the mistake."""
        text = self._box.value
        self._read(text)
        if self._error is not None:
            self._is_refused = True
            self._show_hint()
            return
        self._history.keep(text.strip())
        self.close()
        self.post_message(self.Closed())

    def action_clear_filter(self) -> None:
        if self._error is None:
            self._history.keep(self._box.value.strip())
        self._box.value = ""
        self.action_keep_filter()

    def action_earlier_filter(self) -> None:
        if (text := self._history.earlier(self._box.value)) is not None:
            self._box.value = text

    def action_later_filter(self) -> None:
        """Go to the next filter, then to the typed one, then to the list."""
        if (text := self._history.later(self._box.value)) is not None:
            self._box.value = text
        else:
            self.action_keep_filter()

    def action_complete(self) -> None:
        """Put the first candidate into the box; repeated, the next one."""
        self._choose(1)

    def action_complete_back(self) -> None:
        self._choose(-1)

    def _choose(self, by: int) -> None:
        box, choice = self._box, self._choice
        if choice is not None and choice.text == box.value:
            slot, found, rest = choice.slot, choice.found, choice.rest
            at = (choice.at + by) % len(found)
        else:
            slot = self._slot()
            found, rest = self._candidates(slot), box.value[slot.end :]
            at = 0 if by > 0 else len(found) - 1
        if not found:
            return
        completed = f"{box.value[: slot.start]}{found[at].text}"
        # A single candidate is final: the next completion is for what follows it.
        self._choice = _Choice(slot, found, at, completed + rest, rest) if len(found) > 1 else None
        box.value = completed + rest
        box.cursor_position = len(completed)

    # The line under the box

    def _slot(self) -> Slot:
        return slot_at(self._box.value, self._box.cursor_position, self._resource.fields)

    def _candidates(self, slot: Slot) -> tuple[Candidate, ...]:
        counted = self._counted.get(slot.field.listed, ()) if slot.field is not None else ()
        return candidates(slot, self._resource.fields, counted)

    def on_resize(self) -> None:
        self._box.placeholder = fit(self._resource.filter_help, self._room)
        self._show_hint()

    def _show_hint(self) -> None:
        """Show the candidates at the cursor; the mistake if it is elsewhere, was entered, or there are none. Before the
        first layout there is no room for them."""
        if not (self.is_open and self._box.size):
            return
        slot = self._slot()
        self._count(slot)
        choice = self._choice
        found = choice.found if choice is not None else self._candidates(slot)
        error = self._error
        is_elsewhere = isinstance(error, FilterError) and error.position + error.length < slot.start
        if error is not None and (self._is_refused or is_elsewhere or not found):
            line = self._error_line(self._box.value, error)
        elif found:
            line = self._offer(found, choice.at if choice is not None else None)
        elif self._slip:
            # One line here; an empty list says it in full below.
            line = content(fit(self._slip, self._room).rstrip(), self.get_visual_style("filter-bar--slip"))
        else:
            # An empty box says it itself.
            line = content(fit(self._resource.filter_help if self._box.value else "", self._room))
        is_one_line = "\n" not in line.plain and line.cell_length <= self._room
        self._hint.update(line, layout=not is_one_line or self._hint.size.height != 1)

    @property
    def _room(self) -> int:
        return max(20, self._box.content_size.width)

    def _count(self, slot: Slot) -> None:
        """Start to count the values of the field at the cursor, once while the box is open."""
        if slot.field is None or not slot.field.listed or self._count_values is None:
            return
        if slot.field.listed not in self._counted:
            self._counted[slot.field.listed] = ()
            self.run_worker(
                self._count_in_thread(slot.field.listed, self._count_values),
                group=_COUNTING,
                description="count values",
            )

    async def _count_in_thread(self, column: str, count_values: CountValues) -> None:
        try:
            self._counted[column] = await asyncio.to_thread(count_values, column)
        except RuntuiError as error:
            self._slip = str(error)
        self._show_hint()

    def _offer(self, found: Sequence[Candidate], chosen: int | None) -> Content:
        """Return as many candidates as fit in one line, with the chosen one among them."""
        parts = [(candidate, cell_len(_words(candidate)) + len(_GAP)) for candidate in found]
        first, room = 0, self._room - len(_GAP)
        while chosen is not None and first < chosen and sum(width for _, width in parts[first : chosen + 1]) > room:
            first += 1
        shown: list[Content] = []
        for at, (candidate, width) in enumerate(parts[first:], first):
            room -= width
            if room < 0 and shown:
                shown.append(Content(ELLIPSIS))
                break
            # A component's visual style has no reverse in Textual 8.2.8.
            style = self.get_visual_style("filter-bar--candidate") + Style(reverse=at == chosen, bold=at == chosen)
            count = f" {candidate.rows}" if candidate.rows is not None else ""
            text = fit(candidate.text, min(cell_len(candidate.text), self._room - len(count + _GAP)))
            shown += [
                Content.styled(text, style),
                Content.styled(count + _GAP, self.get_visual_style("filter-bar--count")),
            ]
        return Content("").join(shown)

    def _error_line(self, text: str, error: RuntuiError) -> Content:
        """Return the mistake in a filter, with a mark under its place if known, on one line if it fits."""
        style = self.get_visual_style("filter-bar--slip")
        if not isinstance(error, FilterError):
            return content(f"{error.message} {error.hint}", style)
        place = cell_len(visible(text[: error.position])) - self._box.scroll_offset.x
        length = max(1, cell_len(visible(text[error.position : error.position + error.length])))
        width = self._box.content_size.width
        mark = (" " * place + "^" * length)[:width] if 0 <= place < width else ""
        fits = len(mark) + 2 + cell_len(visible(error.message)) <= width
        return Content.assemble((mark, style), "  " if fits else "\n", content(error.message, style))


def _words(candidate: Candidate) -> str:
    return candidate.text if candidate.rows is None else f"{candidate.text} {candidate.rows}"
