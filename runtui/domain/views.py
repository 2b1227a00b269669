"""What a person wants of the list of runs (filter, order, columns), and views: that under a name, each on a digit.

Invariant: built-in views stand on the first digits and never change; a person's own follow them. A view is told from
what the list shows, so its name never stands over anything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from runtui.domain.columns import Column
from runtui.domain.plots import RUNNING
from runtui.domain.properties import PROPERTIES
from runtui.domain.rows import RUN_COLUMN_BY_KEY, RUN_COLUMNS, RunRow

PROBLEMS: Final = "is:problem"
"""The filter of the runs that a person should look at."""

UNHANDLED_PROBLEMS: Final = f"{PROBLEMS} triage:unhandled"
"""The filter of those that nobody has handled or put off."""

MOST_VIEWS: Final = 9
"""As many as there are digits from 1."""


class ListSettings(NamedTuple):
    """What the list shows."""

    filter: str = ""
    """In the filter language; empty for every run."""
    sort: str = "status"
    """The key of a column."""
    descending: bool = True
    columns: tuple[str, ...] = ()
    """The keys of the columns that were chosen, in their order; empty for those that the width has room for."""

    @property
    def run_columns(self) -> tuple[Column[RunRow], ...]:
        """The chosen columns with the one by which a person knows a run, or all of them in their usual order."""
        chosen = tuple(RUN_COLUMN_BY_KEY[key] for key in self.columns)
        if not chosen:
            return RUN_COLUMNS
        return chosen if any(column.flexible for column in chosen) else (RUN_COLUMN_BY_KEY["workflow"], *chosen)


class View(NamedTuple):
    """Settings of the list under a name; without columns those of the list stay as they are."""

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
    """The view that the list shows: the one with its filter, and of several the one with its order and columns too."""
    views = [view for view in all_views(own) if view.settings.filter == settings.filter]
    exact = [view for view in views if view.settings in (settings, settings._replace(columns=()))]
    return next(iter(exact or views if settings.filter else exact), None)


def problems_toggled(settings: ListSettings) -> ListSettings:
    """Only the runs with problems, or all runs where it is those already."""
    return settings._replace(filter="" if settings.filter == PROBLEMS else PROBLEMS)


def view_toggled(settings: ListSettings, own: Sequence[View], number: int) -> ListSettings:
    """The view of a number, counted from 1, or all runs where it is shown already.

    Raises:
        IndexError: there is no such view.
    """
    view = all_views(own)[number - 1]
    if view == view_of(settings, own):
        return settings._replace(filter="")
    return view.settings._replace(columns=view.settings.columns or settings.columns)


_KINDS: Final = {item.key: item.kind for item in PROPERTIES}
_ORDERS: Final = {
    "count": ("most first", "fewest first"),
    "datetime": ("newest first", "oldest first"),
    "severity": ("most urgent first", "least urgent first"),
}


def order_title(sort: str, *, descending: bool) -> str:
    """An order as a title names it, such as "severity ↓"."""
    column = RUN_COLUMN_BY_KEY[sort]
    return f"{column.order_name or column.title} {'↓' if descending else '↑'}"


def order_words(sort: str, *, descending: bool) -> str:
    kind = RUN_COLUMN_BY_KEY[sort].order_name or _KINDS.get(sort, "text")
    downwards, upwards = _ORDERS.get(kind, ("Z to A", "A to Z"))
    return downwards if descending else upwards
