"""Arranges the list: the column it is sorted by, its columns, and the person's own views.

Invariant: a question changes nothing until it is answered. A choice is kept for the next start.
"""

from __future__ import annotations

from functools import partial, partialmethod
from typing import Final

from runtui.domain.columns import Order, natural_order
from runtui.domain.views import (
    BUILT_IN_VIEWS,
    MAX_VIEWS,
    ListSettings,
    View,
    all_views,
    order_words,
    problems_toggled,
    view_of,
    view_toggled,
)
from runtui.errors import RuntuiError
from runtui.tui.features.feature import Feature, Features
from runtui.tui.screens.questions import Choice, ColumnChooser, LineQuestion, NextStep, Picker, marked_lines

LONGEST_NAME: Final = 24
"""The most characters of a view's name."""


class Arranging(Feature):
    """Sorting, columns and views."""

    def __init__(self, features: Features) -> None:
        super().__init__(features)
        self._preferences = self._workspace.preferences

    # Order

    async def action_sort_order(self) -> None:
        listed = self._chrome.front.view.list
        if listed is None:
            return
        orders: list[Order] = []
        rows: list[tuple[str, str]] = []
        for column in listed.resource.columns:
            natural = natural_order(column)
            for order in (natural, natural._replace(descending=not natural.descending)):
                words = order_words(order.key, descending=order.descending) if listed is self._runs.list else ""
                orders.append(order)
                rows.append((column.order_title(descending=order.descending), words))
        present = orders.index(listed.order) if listed.order in orders else None
        choices = [Choice(order, line) for order, line in zip(orders, marked_lines(rows, present), strict=True)]
        await self._chrome.ask(Picker("Sort by", choices, at=present or 0), listed.sort_by)

    # Columns

    async def action_columns(self) -> None:
        listed = self._chrome.front.view.list
        if listed is None:
            return
        columns, is_of_runs = listed.resource.columns, listed is self._runs.list
        fitting = {column.key for column, _ in listed.arranged(0, chosen=()).layout(listed.table.size.width)}
        automatic = tuple(column.key for column in columns if column.key in fitting)

        def chosen(keys: tuple[str, ...]) -> None:
            listed.choose(keys)
            if is_of_runs:
                self._runs.keep_settings()
            else:
                self._preferences.keep(columns={**self._preferences.kept.columns, str(listed.name): keys})

        await self._chrome.ask(ColumnChooser(columns, listed.chosen, automatic), chosen)

    # Views

    def action_problems(self) -> None:
        self._runs.show_settings(problems_toggled(self._runs.settings, self._preferences.kept.views))

    def show_view(self, number: int) -> None:
        """Bring the list to the front with the view of a digit, or with all runs if it shows that view already."""
        settings = self._runs.settings
        if self._chrome.front.view is not self._runs:
            settings = ListSettings(columns=settings.columns)  # what is covered is not toggled
        try:
            wanted = view_toggled(settings, self._preferences.kept.views, number)
            self._chrome.go_to_list()
            self._runs.show_settings(wanted)
        except RuntuiError as error:  # an older runtui, or a person, wrote it
            self._chrome.set_status(f"View {number} cannot be shown. {error}", "error")

    action_view_1 = partialmethod(show_view, 1)
    action_view_2 = partialmethod(show_view, 2)
    action_view_3 = partialmethod(show_view, 3)
    action_view_4 = partialmethod(show_view, 4)
    action_view_5 = partialmethod(show_view, 5)
    action_view_6 = partialmethod(show_view, 6)
    action_view_7 = partialmethod(show_view, 7)
    action_view_8 = partialmethod(show_view, 8)
    action_view_9 = partialmethod(show_view, 9)

    @property
    def _views(self) -> tuple[View, ...]:
        return all_views(self._preferences.kept.views)

    @property
    def _present(self) -> View | None:
        return view_of(self._runs.settings, self._preferences.kept.views)

    async def action_views(self) -> None:
        """Ask for a view; one of the person's own leads to a second question."""
        views, built_in = self._views, len(BUILT_IN_VIEWS)
        present = views.index(self._present) if self._present in views else None
        rows = [(f"{at} {view.name}", _summary(view.settings)) for at, view in enumerate(views, 1)]
        lines = marked_lines(rows, present)
        choices: list[Choice[NextStep]]
        choices = [Choice(partial(self._show, number), line) for number, line in enumerate(lines[:built_in], 1)]
        about = "Yours: show, rename, replace or delete it."
        choices += [Choice(partial(self._change, at), line, about) for at, line in enumerate(lines[built_in:])]
        full = f"All {MAX_VIEWS} views are in use; delete one of yours first." if len(views) >= MAX_VIEWS else ""
        choices.append(Choice(self._name, "+ save the list as a view", _summary(self._runs.settings), refusal=full))
        at = len(views) if present is None else present
        question = Picker("Views", choices, at=at)
        await self._chrome.ask(question, lambda step: step())

    async def _show(self, number: int) -> None:
        if self._views[number - 1] != self._present:
            self.show_view(number)

    async def _change(self, at: int) -> None:
        """Ask what to do with the person's own view at this index."""
        own, number = list(self._preferences.kept.views), at + 1 + len(BUILT_IN_VIEWS)
        view = own[at]

        async def replace() -> None:
            own[at] = view._replace(settings=self._runs.settings)
            self._keep(own, f"View {number} is saved: it shows the list as it is now.")

        async def delete() -> None:
            del own[at]
            self._keep(own, f"View {view.name} is deleted.")

        choices: list[Choice[NextStep]] = [
            Choice(partial(self._show, number), f"show {view.name}"),
            Choice(partial(self._name, at), "rename"),
            Choice(replace, "replace with the list as it is now"),
            Choice(delete, "delete"),
        ]
        await self._chrome.ask(Picker(f"View {number}", choices), lambda step: step())

    async def _name(self, at: int | None = None) -> None:
        """Ask for the name of the person's own view at this index, or of a new one, and save it."""
        own = list(self._preferences.kept.views)
        view = View("", self._runs.settings) if at is None else own[at]

        def named(name: str) -> None:
            if name:
                place = len(own) if at is None else at
                own[place : place + 1] = [view._replace(name=name)]
                self._keep(own, f"Saved: {place + 1 + len(BUILT_IN_VIEWS)} shows {name}.")

        taken = {other.name.casefold() for other in self._views if other.name != view.name}

        def check(text: str) -> None:
            if not text or len(text) > LONGEST_NAME:
                raise ValueError(f"A name has 1 to {LONGEST_NAME} characters.")
            if text.casefold() in taken:
                raise ValueError(f"There is a view {text} already.")

        title = "Save as a view" if at is None else "Rename the view"
        question = LineQuestion(title, "A name for the view, such as leavers", view.name, check)
        await self._chrome.ask(question, named)

    def _keep(self, own: list[View], words: str) -> None:
        self._preferences.keep(views=tuple(own))
        self._chrome.set_status(words)
        self._chrome.refresh()


def _summary(settings: ListSettings) -> str:
    parts = [settings.filter or "all runs", settings.order_title]
    if settings.columns:
        parts.append(f"{len(settings.columns)} columns")
    return "  ".join(parts)
