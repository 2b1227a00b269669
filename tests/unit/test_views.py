"""Views: the name of a view follows from the settings of the list, and every built-in view works."""

from __future__ import annotations

import pytest

from runtui.domain.filters import parse_filter
from runtui.domain.rows import RUN_COLUMN_BY_KEY, RUN_COLUMNS
from runtui.domain.times import parse_ticks
from runtui.domain.views import BUILT_IN_VIEWS, ListSettings, View, order_words, view_of

OWN = (
    View("leavers", ListSettings('wf:"Offboard"', "users", True, ("workflow", "users"))),
    View("worst leavers", ListSettings('wf:"Offboard"', "failedUsers")),
    View("by name", ListSettings("", "workflow", False)),
)


@pytest.mark.parametrize("view", BUILT_IN_VIEWS, ids=lambda view: view.name)
def test_a_built_in_view_can_be_shown(view: View) -> None:
    assert parse_filter(view.settings.filter, parse_ticks("2026-11-20T12:00:00Z")) is not None
    assert view.settings.sort in RUN_COLUMN_BY_KEY


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (ListSettings(), None),
        (ListSettings("is:problem"), "problems"),
        (ListSettings("is:problem", "workflow", False), "problems"),
        (ListSettings("is:problem failed>1"), None),
        (OWN[0].settings, "leavers"),
        (OWN[1].settings, "worst leavers"),
        (OWN[1].settings._replace(columns=("status",)), "worst leavers"),
        (ListSettings('wf:"Offboard"', "id"), "leavers"),
        (OWN[2].settings, "by name"),
        (ListSettings("", "workflow", True), None),
    ],
)
def test_a_view_is_on_where_the_list_shows_what_it_says(settings: ListSettings, name: str | None) -> None:
    view = view_of(settings, OWN)
    assert (view and view.name) == name


def test_the_workflow_is_always_a_column() -> None:
    assert [column.key for column in ListSettings(columns=("id", "status")).run_columns] == ["workflow", "id", "status"]
    assert [column.key for column in ListSettings(columns=("id", "workflow")).run_columns] == ["id", "workflow"]
    assert ListSettings().run_columns == RUN_COLUMNS


def test_an_order_says_what_it_puts_first() -> None:
    assert ListSettings(sort="status", descending=True).order_title == "severity ↓"
    words = {key: order_words(key, descending=column.descending_first) for key, column in RUN_COLUMN_BY_KEY.items()}
    assert words["status"] == "most urgent first"
    assert (words["started"], words["users"], words["workflow"], words["id"], words["type"]) == (
        "newest first",
        "most first",
        "A to Z",
        "A to Z",
        "A to Z",
    )
    assert order_words("started", descending=False) == "oldest first"
