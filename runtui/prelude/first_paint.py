"""The first paint: draws the stored rows on the terminal before Textual is imported.

Invariant: this file imports neither Textual, Rich nor pydantic; foreign text passes through `visible`. The rows are
where the list will be, so the app draws over them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

from runtui.domain.columns import (
    GAP,
    GUTTER,
    Arrangement,
    Layout,
    Role,
    RowT,
    coloured,
    is_framed,
    list_width,
    pane_width,
)
from runtui.domain.plots import STRIP_DAYS, STRIP_LINES, strip_text, tenant_counts, tenant_strip
from runtui.domain.text import cells_in, fit_cells, visible
from runtui.domain.times import now_ticks
from runtui.domain.views import ListSettings, view_of
from runtui.keys.actions import VIEWS, view_keys
from runtui.services.preferences import StoredPreferences
from runtui.services.store.store import EVERY_RUN, MANY_RUNS, RunQuery, Store, cells_of
from runtui.services.workspace import SandboxControl, sandbox_badge
from runtui.settings import Settings


class FirstPaint:
    """The app's first screen, without the parts that have to be read or loaded first.

    Args:
        settings: This session's choices.
        columns: The terminal's width in cells.
        height: The terminal's height in lines.
        sandbox: The demo's sandbox; None on a real server.
    """

    def __init__(self, settings: Settings, columns: int, height: int, sandbox: SandboxControl | None = None) -> None:
        self._settings = settings
        self._sandbox = sandbox
        self._columns = columns
        self._height = height
        self._has_colours = "NO_COLOR" not in os.environ
        self._has_frame = is_framed(columns, height)
        above = 1 + (height >= STRIP_LINES)
        self._pane = height - above - 1
        """The lines of a pane, between the lines above it and the hint line."""
        self.rows = max(1, self._pane - 2 - self._has_frame)
        """The number of rows that the list has room for."""

    def lines(self, store: Store, kept: StoredPreferences, top: int = 0, cursor: int | None = None) -> list[str]:
        """Return all lines of the terminal, with the rows from index `top` on, or the notice that runs are being read.

        `cursor` is the index of the row under the cursor; None to show no cursor.
        """
        settings = kept.runs
        total, now = store.count(EVERY_RUN), now_ticks()
        query = query_of(settings, now)
        arrangement = Arrangement(settings.run_columns, cells_of(store), bool(settings.columns))
        layout = arrangement.layout(list_width(self._columns, self._height))
        title = _title(kept, str(total) if query.filter is None else _count(store, query, total)) if total else ""
        listed = [" " * GUTTER + " ".join(fit_cells(column.title, width, column.align) for column, width in layout)]
        for number, row in enumerate(store.window(query, top, self.rows), top):
            listed.append(self._under_cursor(layout, row, now) if number == cursor else self._row(layout, row, now))
        if len(listed) == 1:
            listed += ["", "" if total else "  Reading the runs…"]
        return self._around(title, listed, store)

    def help(self, store: Store) -> list[str]:
        """Return all lines of the terminal, with the help as it opens over the list."""
        from runtui.keys.help import HELP_COLUMNS, LINES_BELOW, help_rows

        rows = help_rows(("runs", *VIEWS["runs"], "app"))
        needs = [(column.key, max(len(column.show(row, 0).text) for row in rows)) for column in HELP_COLUMNS]
        layout = Arrangement(HELP_COLUMNS, tuple(needs)).layout(list_width(self._columns, self._height))
        shown = rows[: self.rows + 1 - LINES_BELOW]  # the help has no column titles
        under_cursor = shown[1]  # the first line is a heading
        listed = [
            self._under_cursor(layout, row, 0) if row is under_cursor else self._row(layout, row, 0) for row in shown
        ]
        return self._around("Help", [*listed, f" {under_cursor.whole}", ""], store)

    def _around(self, title: str, listed: Sequence[str], store: Store) -> list[str]:
        """Return all lines of the terminal around a list and its title."""
        lines = [self._header()]
        if self._height >= STRIP_LINES:
            lines.append(self._strip(store) if store.count(EVERY_RUN) else "")
        lines += self._framed(title, listed) if self._has_frame else [f" {title}", *listed]
        return [*lines, *[""] * (self._height - len(lines))]

    def _framed(self, title: str, listed: Sequence[str]) -> Iterator[str]:
        """Yield the lines of both bordered panes, the left one with a list."""
        left = pane_width(self._columns)
        widths = (left - 2, self._columns - left - 2)
        title = fit_cells(title, min(widths[0] - 3, cells_in(title)))
        head = f"─ {title} " if title else ""
        yield f"╭{head}{'─' * (widths[0] - cells_in(head))}╮╭{'─' * widths[1]}╮"
        for line in (*listed, *[""] * (self._pane - 2 - len(listed))):
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

    def _row(self, layout: Layout[RowT], row: RowT, now: int) -> str:
        parts = [" " * GUTTER]
        for column, width in layout:
            content = column.show(row, now)
            text = fit_cells(visible(content.text), width, column.align)
            parts += [self._coloured(text, content.role), " " * GAP]
        return "".join(parts)

    def _under_cursor(self, layout: Layout[RowT], row: RowT, now: int) -> str:
        cells = (fit_cells(visible(column.show(row, now).text), width, column.align) for column, width in layout)
        line = fit_cells(" " * GUTTER + (" " * GAP).join(cells), list_width(self._columns, self._height))
        return f"\x1b[7m{line}\x1b[0m"

    def _coloured(self, text: str, role: Role) -> str:
        return coloured(text, role) if self._has_colours else text


def _count(store: Store, query: RunQuery, total: int) -> str:
    """Return "found of total" for a filter; empty for so many runs that counting would delay the first rows."""
    return f"{store.count(query)} of {total}" if total < MANY_RUNS else ""


def _title(kept: StoredPreferences, counted: str) -> str:
    settings = kept.runs
    view = view_of(settings, kept.views)
    name = view.name[:1].upper() + view.name[1:] if view is not None else "Runs"
    filtered = f"/{settings.filter}" if settings.filter and view is None else ""
    parts = (name, counted, filtered, settings.order_title)
    return visible("  ".join(filter(None, parts)))


def query_of(settings: ListSettings, now: int) -> RunQuery:
    """Return the query of the list that the app will show; an invalid filter finds all runs, as it does there."""
    found = None
    if settings.filter:
        from runtui.domain.filters import FilterError, parse_filter

        with contextlib.suppress(FilterError):
            found = parse_filter(settings.filter, now)
    return RunQuery(found, settings.sort, settings.descending)
