"""The settings of the list of runs (filter, order, columns), and views: named settings, each on a digit key.

Invariant: the built-in views have the first digits and never change; a person's own views follow. The current view is
derived from the settings of the list, so its name is never shown above another list.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from runtui.domain.columns import Column, chosen_columns
from runtui.domain.plots import RUNNING
from runtui.domain.properties import PROPERTIES
from runtui.domain.rows import RUN_COLUMN_BY_KEY, RUN_COLUMNS, RunRow

PROBLEMS: Final = "is:problem"
"""The filter for the runs that a person should look at."""

UNHANDLED_PROBLEMS: Final = f"{PROBLEMS} triage:unhandled"
"""The filter for those of them that are neither handled nor snoozed."""

MAX_VIEWS: Final = 9
"""The digits from 1."""


class ListSettings(NamedTuple):
    """The settings of the list."""

    filter: str = ""
    """The filter; empty for all runs."""
    sort: str = "status"
    """The key of a column."""
    descending: bool = True
    columns: tuple[str, ...] = ()
    """The keys of the chosen columns in order; empty for the default ones that fit."""

    @property
    def order_title(self) -> str:
        """The order for a title, such as "severity ↓"."""
        return RUN_COLUMN_BY_KEY[self.sort].order_title(descending=self.descending)

    @property
    def run_columns(self) -> tuple[Column[RunRow], ...]:
        """The chosen columns, including the flexible one; without a choice, all columns in default order."""
        return chosen_columns(RUN_COLUMNS, self.columns)


class View(NamedTuple):
    """Named settings of the list; without columns, the list keeps its own."""

    name: str
    settings: ListSettings


BUILT_IN_VIEWS: Final = (
    View("problems", ListSettings(PROBLEMS)),
    View("failed", ListSettings("status:failed", "started")),
    View("stuck", ListSettings("is:stuck", "updated", descending=False)),
    View("running", ListSettings(RUNNING, "started")),
    View("today", ListSettings("started>=today", "started")),
    View("to do", ListSettings(UNHANDLED_PROBLEMS)),
)


def all_views(own: Sequence[View]) -> tuple[View, ...]:
    return (*BUILT_IN_VIEWS, *own)


def view_of(settings: ListSettings, own: Sequence[View]) -> View | None:
    """Return the view with the filter of the list, preferably also with its order and columns; None if there is none.
    Without a filter, order and columns must match."""
    views = [view for view in all_views(own) if view.settings.filter == settings.filter]
    exact = [view for view in views if _has(settings, view)]
    return next(iter(exact or views if settings.filter else exact), None)


def _has(settings: ListSettings, view: View) -> bool:
    """Return whether a list with these settings has the filter, the order and the columns of a view."""
    return view.settings in (settings, settings._replace(columns=()))


def without_filter(settings: ListSettings, own: Sequence[View]) -> ListSettings:
    """Return the settings of all runs; the order and the columns of a view go with it."""
    view = view_of(settings, own)
    if view is None or not _has(settings, view):
        return settings._replace(filter="")
    return ListSettings(columns=() if view.settings.columns else settings.columns)


def problems_toggled(settings: ListSettings, own: Sequence[View]) -> ListSettings:
    """Return the settings with the filter PROBLEMS, or without a filter if they have it."""
    is_on = settings.filter == PROBLEMS
    return without_filter(settings, own)._replace(filter="" if is_on else PROBLEMS)


def view_toggled(settings: ListSettings, own: Sequence[View], number: int) -> ListSettings:
    """Return the settings of a view by number, from 1; if it is the current view, those of all runs.

    Raises:
        IndexError: there is no such view.
    """
    view = all_views(own)[number - 1]
    if view == view_of(settings, own):
        return without_filter(settings, own)
    return view.settings._replace(columns=view.settings.columns or settings.columns)


_KINDS: Final = {item.key: item.kind for item in PROPERTIES}
_ORDERS: Final = {
    "count": ("most first", "fewest first"),
    "datetime": ("newest first", "oldest first"),
    "severity": ("most urgent first", "least urgent first"),
}


def order_words(sort: str, *, descending: bool) -> str:
    kind = RUN_COLUMN_BY_KEY[sort].order_name or _KINDS.get(sort, "text")
    downwards, upwards = _ORDERS.get(kind, ("Z to A", "A to Z"))
    return downwards if descending else upwards
