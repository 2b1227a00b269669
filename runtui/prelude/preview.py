"""Keys that move the cursor, answered on the first rows while the screen is loaded.

Invariant: the screen ends up as if there were no preview: all that was read is handed on to it, in order. A preview
ends at the first key that does something else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final

from runtui.domain.times import now_ticks
from runtui.keys.actions import in_scopes
from runtui.prelude.first_paint import FirstPaint, query_of
from runtui.prelude.snapshot import placed
from runtui.prelude.terminal import write
from runtui.services.preferences import KeptChoices
from runtui.services.store import EVERY_RUN, MANY_RUNS, Store

_SEQUENCES: Final[Mapping[str, tuple[bytes, ...]]] = {
    "up": (b"\x1b[A", b"\x1bOA"),
    "down": (b"\x1b[B", b"\x1bOB"),
    "home": (b"\x1b[H", b"\x1bOH", b"\x1b[1~", b"\x1b[7~"),
    "end": (b"\x1b[F", b"\x1bOF", b"\x1b[4~", b"\x1b[8~"),
    "pageup": (b"\x1b[5~",),
    "pagedown": (b"\x1b[6~",),
}
"""What terminals send for keys that are no characters."""


class Preview:
    """Where the cursor will be, on the first rows.

    Args:
        paint: What drew them.
        store: Where they are.
        kept: Filter, order and columns of the list.
    """

    def __init__(self, paint: FirstPaint, store: Store, kept: KeptChoices) -> None:
        self._paint, self._store, self._kept = paint, store, kept
        self._shown: Sequence[str] = ()
        self._top = self._cursor = 0
        is_soon_counted = not kept.runs.filter or store.count(EVERY_RUN) < MANY_RUNS
        self._moves = _moves() if is_soon_counted else {}
        self._typed = b""
        self._acted_on = 0

    @cached_property
    def _total(self) -> int:
        return self._store.count(query_of(self._kept.runs, now_ticks()))

    @property
    def typed(self) -> bytes:
        """All that was read: what is acted on, and what is not."""
        return self._typed

    def feed(self, data: bytes) -> bool:
        """Act on what was typed; whether the next key can be acted on too."""
        self._typed += data
        acted_on = self._acted_on
        goes_on = self._act()
        if acted_on < self._acted_on:
            before = self._shown or self._paint.lines(self._store, self._kept)
            self._shown = self._paint.lines(self._store, self._kept, self._top, self._cursor)
            write(placed(self._shown, before))
        return goes_on

    def _act(self) -> bool:
        """Act on all keys that move the cursor; whether what comes next may be another one."""
        while rest := self._typed[self._acted_on :]:
            known = next((sequence for sequence in self._moves if rest.startswith(sequence)), None)
            if known is None:
                return any(sequence.startswith(rest) for sequence in self._moves)
            self._acted_on += len(known)
            self._move(self._moves[known])
        return True

    def _move(self, action: str) -> None:
        """Put the cursor where `LineTable` puts it."""
        page = max(1, self._paint.rows - 1)
        lines = {
            "cursor_up": self._cursor - 1,
            "cursor_down": self._cursor + 1,
            "page_up": self._cursor - page,
            "page_down": self._cursor + page,
            "first_row": 0,
            "last_row": self._total - 1,
        }
        self._cursor = max(0, min(lines[action], self._total - 1))
        self._top = max(self._cursor - self._paint.rows + 1, min(self._top, self._cursor))


def _moves() -> dict[bytes, str]:
    """The actions that move the cursor, by what a terminal sends for their keys."""
    return {
        sequence: action.id
        for action in in_scopes("table")
        for key in action.keys
        for sequence in _SEQUENCES.get(key, (key.encode(),) if len(key) == 1 else ())
    }
