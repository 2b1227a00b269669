"""The first paint: the stored rows on the terminal, before Textual is imported.

Invariant: nothing here imports Textual, Rich or pydantic; foreign text passes through `visible`; the terminal is left
as it was found, or handed over with its alternate screen on. The rows are where the list will be, so that the screen
draws over them.
"""

from __future__ import annotations

import contextlib
import os
import sys
import termios
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TextIO

from runtui.domain.columns import GAP, GUTTER, Arrangement, Layout, Role, coloured, is_framed, list_width, pane_width
from runtui.domain.plots import STRIP_DAYS, STRIP_LINES, strip_text, tenant_counts, tenant_strip
from runtui.domain.rows import RunRow
from runtui.domain.text import cell_width, fit_cells, visible
from runtui.domain.times import now_ticks
from runtui.domain.views import ListSettings, order_title, view_of
from runtui.errors import RuntuiError
from runtui.keys.actions import view_keys
from runtui.services.preferences import KeptChoices
from runtui.services.store import EVERY_RUN, MANY_RUNS, RunQuery, Store, cells_of
from runtui.services.workspace import SandboxControl, sandbox_badge
from runtui.settings import Settings

MOST_CELLS: Final = 1_000
"""The most columns and lines that are used: more than an 8K screen has in a font of 8x16 pixels."""

_WITHOUT_A_SCREEN: Final = "Use `runtui list` without a terminal; over SSH, `ssh -t` gives one."
_ENTER: Final = "\x1b[?1049h"
_CLEAR: Final = "\x1b[?25l\x1b[H\x1b[2J"
_LEAVE: Final = "\x1b[?25h\x1b[?1049l"
_INPUT, _LOCAL = 0, 3
"""The places of the input and local modes in what `termios.tcgetattr` returns."""


def require_terminal(environ: Mapping[str, str] = os.environ, streams: tuple[TextIO, ...] | None = None) -> None:
    """Check that there is a terminal for a full-screen program.

    Raises:
        RuntuiError: standard input, output or error is not a terminal, or TERM is one that cannot place a cursor.
    """
    for stream in streams or (sys.stdin, sys.stdout, sys.stderr):
        if not stream.isatty():
            raise RuntuiError(
                "No terminal",
                "Standard input, output and error must be a terminal; Textual draws on standard error.",
                _WITHOUT_A_SCREEN,
            )
    term = environ.get("TERM", "")
    if term in ("", "dumb", "unknown"):
        raise RuntuiError(
            "No screen", f"TERM is {term or 'not set'}: this terminal cannot place a cursor.", _WITHOUT_A_SCREEN
        )


def terminal_size() -> tuple[int, int]:
    """Return the columns and lines of the terminal on which Textual draws, as the terminal itself says.

    LINES and COLUMNS may be out of date. Without a size, that of a VT100 is used; of an absurdly large terminal only
    MOST_CELLS columns and lines.
    """
    try:
        columns, lines = os.get_terminal_size(sys.__stderr__.fileno() if sys.__stderr__ is not None else 2)
    except (OSError, ValueError):
        columns, lines = 0, 0
    return min(columns or 80, MOST_CELLS), min(lines or 24, MOST_CELLS)


class FirstPaint:
    """Draws the list on the terminal's alternate screen.

    Args:
        settings: This session's choices.
        columns: Width of the terminal in cells.
        lines: Its height.
        write: Takes text to the terminal.
        sandbox: The demo's sandbox; None on a real server.
    """

    def __init__(
        self,
        settings: Settings,
        columns: int,
        lines: int,
        write: Callable[[str], None],
        sandbox: SandboxControl | None = None,
    ) -> None:
        self._settings = settings
        self._sandbox = sandbox
        self._columns = columns
        self._lines = lines
        self._has_colours = "NO_COLOR" not in os.environ
        self.write = write

    def show(self, store: Store, kept: KeptChoices) -> bool:
        """Draw the first rows, or that they are being read; return whether there were any.

        Args:
            store: Where they are.
            kept: Filter, order, columns and views of the last session.
        """
        settings = kept.runs
        total, now = store.count(EVERY_RUN), now_ticks()
        query = _query_of(settings, now)
        arrangement = Arrangement(settings.run_columns, cells_of(store), bool(settings.columns))
        layout = arrangement.layout(list_width(self._columns, self._lines))
        lines = [self._header()]
        if self._lines >= STRIP_LINES:
            lines.append(self._strip(store) if total else "")
        title = _title(kept, str(total) if query.filter is None else _count(store, query, total)) if total else ""
        has_frame = is_framed(self._columns, self._lines)
        height = self._lines - len(lines) - 1  # of the panes, over the line of hints
        rows = store.window(query, 0, max(1, height - 2 - has_frame))
        listed = [self._titles(layout)]
        listed += [self._row(layout, row, now) for row in rows] or ["", "" if total else "  Reading the runs…"]
        lines += self._framed(title, listed, height) if has_frame else [f" {title}", *listed]
        self.write("".join(f"\x1b[{number};1H{line}" for number, line in enumerate(lines, 1)))
        return total > 0

    def _framed(self, title: str, listed: Sequence[str], height: int) -> Iterator[str]:
        """The frames of both panes, the left one around a list."""
        left = pane_width(self._columns)
        widths = (left - 2, self._columns - left - 2)
        title = fit_cells(title, min(widths[0] - 3, sum(map(cell_width, title))))
        head = f"─ {title} " if title else ""
        yield f"╭{head}{'─' * (widths[0] - sum(map(cell_width, head)))}╮╭{'─' * widths[1]}╮"
        for line in (*listed, *[""] * (height - 2 - len(listed))):
            yield f"│{line}\x1b[{left}G││\x1b[{self._columns}G│"
        yield "".join(f"╰{'─' * width}╯" for width in widths)

    def _header(self) -> str:
        settings = self._settings
        badges = [sandbox_badge(self._sandbox)] * settings.is_sandbox + ["READ-ONLY"] * settings.read_only
        return fit_cells(f" runtui  {visible(settings.tenant)}   {'  '.join(badges)}", self._columns)

    def _strip(self, store: Store) -> str:
        totals = store.totals()
        counts = tenant_counts(totals.by_status, totals.stuck)
        parts = tenant_strip(counts, store.failures_by_day(STRIP_DAYS), self._columns - 2, keys=view_keys())
        return " " + strip_text([part._replace(text=self._coloured(part.text, part.role)) for part in parts])

    def _titles(self, layout: Layout[RunRow]) -> str:
        return " " * GUTTER + " ".join(fit_cells(column.title, width, column.align) for column, width in layout)

    def _row(self, layout: Layout[RunRow], row: RunRow, now: int) -> str:
        parts = [" " * GUTTER]
        for column, width in layout:
            content = column.show(row, now)
            text = fit_cells(visible(content.text), width, column.align)
            parts += [self._coloured(text, content.role), " " * GAP]
        return "".join(parts)

    def _coloured(self, text: str, role: Role) -> str:
        return coloured(text, role) if self._has_colours else text


def _count(store: Store, query: RunQuery, total: int) -> str:
    """How many runs a filter finds, of how many; nothing where that takes longer than the first rows may."""
    return f"{store.count(query)} of {total}" if total < MANY_RUNS else ""


def _title(kept: KeptChoices, counted: str) -> str:
    settings = kept.runs
    view = view_of(settings, kept.views)
    name = view.name[:1].upper() + view.name[1:] if view is not None else "Runs"
    filtered = f"/{settings.filter}" if settings.filter and view is None else ""
    parts = (name, counted, filtered, order_title(settings.sort, descending=settings.descending))
    return visible("  ".join(filter(None, parts)))


def _query_of(settings: ListSettings, now: int) -> RunQuery:
    """The rows that the screen will show; a filter that cannot be understood finds all of them, as there."""
    found = None
    if settings.filter:
        from runtui.domain.filters import FilterError, parse_filter

        with contextlib.suppress(FilterError):
            found = parse_filter(settings.filter, now)
    return RunQuery(found, settings.sort, settings.descending)


@contextlib.contextmanager
def first_paint(
    settings: Settings, sandbox: SandboxControl | None = None, *, follows: bool = False
) -> Iterator[FirstPaint]:
    """Take the terminal for the first paint: alternate screen, no cursor, and keys as the screen will read them.

    Without an error the terminal is handed over with the alternate screen and its rows; keys stay in its queue. An
    error restores the screen. With `follows`, the alternate screen is on already. Use it inside `keyboard_given_back`.
    """
    screen = sys.stderr.fileno()

    def write(text: str) -> None:
        _write(screen, text)

    paint = FirstPaint(settings, *terminal_size(), write, sandbox)
    _take_keys()
    paint.write(_CLEAR if follows else _ENTER + _CLEAR)
    try:
        yield paint
    except BaseException:
        with contextlib.suppress(OSError):  # the terminal itself may be what is gone
            paint.write(_LEAVE)
        raise


def _take_keys() -> None:
    """Read keys as they are pressed: no echo, no line editing, enter is not ctrl+j, ctrl+s does not stop output.

    ctrl+c stays a signal, as there is no screen yet to handle it.
    """
    keyboard = sys.stdin.fileno()
    modes = termios.tcgetattr(keyboard)
    modes[_INPUT] &= ~(termios.IXON | termios.IXOFF | termios.ICRNL | termios.INLCR | termios.IGNCR)
    modes[_LOCAL] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN)
    termios.tcsetattr(keyboard, termios.TCSANOW, modes)


@contextlib.contextmanager
def keyboard_given_back() -> Iterator[None]:
    """Restore the keyboard's modes after the last screen."""
    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    try:
        yield
    finally:
        with contextlib.suppress(termios.error):  # the terminal itself may be what is gone
            termios.tcsetattr(keyboard, termios.TCSANOW, before)


@contextlib.contextmanager
def given_back_on_error() -> Iterator[None]:
    """Restore the screen where an error comes between two sessions."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            _write(sys.stderr.fileno(), _LEAVE)
        raise


def _write(descriptor: int, text: str) -> None:
    data = text.encode()
    while data:
        data = data[os.write(descriptor, data) :]
