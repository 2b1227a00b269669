"""The preview: while the app loads, keys already move the cursor, show a view or open the help on the first paint.

Invariant: the app ends up as it would without a preview: it gets all keys, in order. The preview ends when the help
opens, or at the first key with another action.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from runtui.domain.times import now_ticks
from runtui.domain.views import MAX_VIEWS, all_views, problems_toggled, view_toggled
from runtui.keys.actions import ACTION_BY_ID, Action, in_scopes
from runtui.keys.names import is_text, key_text
from runtui.prelude.first_paint import FirstPaint, query_of
from runtui.prelude.snapshot import drawn_lines
from runtui.prelude.terminal import write
from runtui.services.preferences import StoredPreferences
from runtui.services.store.store import EVERY_RUN, MANY_RUNS, RunRows, Store

_HELP: Final = "help"
_PROBLEMS: Final = "problems"
_VIEWS: Final = {f"view_{number}": number for number in range(1, MAX_VIEWS + 1)}
"""The ids of the actions that open the help or change the listed runs; for views, id -> number."""

_SEQUENCES: Final[Mapping[str, tuple[bytes, ...]]] = {
    "up": (b"\x1b[A", b"\x1bOA"),
    "down": (b"\x1b[B", b"\x1bOB"),
    "home": (b"\x1b[H", b"\x1bOH", b"\x1b[1~", b"\x1b[7~"),
    "end": (b"\x1b[F", b"\x1bOF", b"\x1b[4~", b"\x1b[8~"),
    "pageup": (b"\x1b[5~",),
    "pagedown": (b"\x1b[6~",),
    "space": (b" ",),
    "f1": (b"\x1bOP", b"\x1b[11~", b"\x1b[[A"),
}
"""Textual's names of keys that are no characters -> the byte sequences that terminals send."""


class Preview:
    """Acts on keys with the rows of the first paint, and draws the result.

    Args:
        paint: Draws the rows.
        store: Holds the rows.
        kept: Filter, order and columns of the list.
        moves: Whether keys move the cursor; False while more rows may come in between. A view is then shown as soon as
            the rows fill the list.
    """

    def __init__(self, paint: FirstPaint, store: Store, kept: StoredPreferences, *, moves: bool = True) -> None:
        self._paint, self._store, self._kept = paint, store, kept
        self._shown: Sequence[str] = ()
        self._top = self._cursor = 0
        is_soon_counted = store.count(EVERY_RUN) < MANY_RUNS
        moving = in_scopes("table") if moves and (is_soon_counted or not kept.runs.filter) else ()
        viewing = (_PROBLEMS, *_VIEWS) if is_soon_counted else ()
        self._does = _keys_of(*moving, *(ACTION_BY_ID[action] for action in (*viewing, _HELP)))
        self._moves = moves
        self.is_full = moves
        """True if the rows fill the list, or there are no more."""
        self.is_over = False
        """True if only the app can act on the next key."""
        self.awaits_rows = False
        """True if the next key waits for more rows."""
        self.shows_help = False
        self.typed = b""
        """All bytes read so far, acted on or not."""
        self._acted_on = 0

    @property
    def is_served(self) -> bool:
        """True if keys were typed and none of them waits for more rows."""
        return bool(self.typed) and not self.awaits_rows

    @property
    def _rows(self) -> RunRows:
        """The rows of the list as it is shown."""
        return RunRows(self._store, query_of(self._kept.runs, now_ticks()))

    def show(self) -> int:
        """Act on keys that waited for rows, draw the stored rows unless the help is shown, and return their number."""
        total = self._store.count(EVERY_RUN)
        self.is_full = self.is_full or total >= self._paint.rows
        if total and not self.shows_help:
            self._act()
            self._draw(self._shown)
        return total

    def feed(self, data: bytes) -> None:
        """Take typed bytes, and act on as many keys as the preview can."""
        self.typed += data
        acted_on, first_kept = self._acted_on, self._kept
        self._act()
        if acted_on < self._acted_on:
            self._draw(self._shown or self._paint.lines(self._store, first_kept))

    def _draw(self, before: Sequence[str]) -> None:
        """Draw the help, or the rows; show the cursor only after a key was acted on."""
        if self.shows_help:
            write(drawn_lines(self._paint.help(self._store)))
            return
        cursor = self._cursor if self._acted_on else None
        self._shown = self._paint.lines(self._store, self._kept, self._top, cursor)
        write(drawn_lines(self._shown, before))

    def _act(self) -> None:
        """Act on the typed keys up to the first that the preview cannot handle yet, or at all."""
        self.awaits_rows = False
        while not self.is_over and (rest := self.typed[self._acted_on :]):
            known = next((sequence for sequence in self._does if rest.startswith(sequence)), None)
            if known is None:
                self.is_over = not any(sequence.startswith(rest) for sequence in self._does)
                return
            action = self._does[known]
            if action == _HELP:
                self.is_over = self.shows_help = True
            elif not self.is_full:
                self.awaits_rows = True
                return
            elif action != _PROBLEMS and action not in _VIEWS:
                self._move(action)
            elif not self._show_view(_VIEWS.get(action)):
                self.is_over, self.awaits_rows = self._moves, not self._moves  # later rows may match it
                return
            self._acted_on += len(known)

    def _show_view(self, number: int | None) -> bool:
        """Show a view by its number (None: the problems), cursor on the same row. Return False if it has no rows."""
        settings, own = self._kept.runs, self._kept.views
        if number is not None and number > len(all_views(own)):
            return False
        under_cursor = self._rows.window(self._cursor, 1)
        wanted = problems_toggled(settings, own) if number is None else view_toggled(settings, own, number)
        rows = RunRows(self._store, query_of(wanted, now_ticks()))
        is_understood = (rows.query.filter is None) == (not wanted.filter)
        if not (is_understood and (total := rows.count())):
            return False
        self._kept = self._kept._replace(runs=wanted)
        self._cursor = (rows.position(under_cursor[0].id) if under_cursor else None) or 0
        self._top = max(0, min(self._cursor - self._paint.rows // 2, total - self._paint.rows))
        return True

    def _move(self, action: str) -> None:
        """Move the cursor as `LineTable` does."""
        total = self._rows.count()
        page = max(1, self._paint.rows - 1)
        lines = {
            "cursor_up": self._cursor - 1,
            "cursor_down": self._cursor + 1,
            "page_up": self._cursor - page,
            "page_down": self._cursor + page,
            "first_row": 0,
            "last_row": total - 1,
        }
        self._cursor = max(0, min(lines[action], total - 1))
        self._top = max(self._cursor - self._paint.rows + 1, min(self._top, self._cursor))


def _keys_of(*actions: Action) -> dict[bytes, str]:
    """Return the bytes that a terminal sends for the keys of `actions` -> action id."""
    return {
        sequence: action.id
        for action in actions
        for key in action.keys
        for sequence in _SEQUENCES.get(key, (key_text(key).encode(),) if is_text(key) else ())
    }
