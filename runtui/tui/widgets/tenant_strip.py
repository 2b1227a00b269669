"""The strip of the tenant: how many runs are in trouble, by kind, and what went wrong by day, in one line.

Invariant: it draws the counts it is given and what is the same is not drawn again; a click on a count asks for exactly
the runs that it counts, and one on the days for the overview.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, NamedTuple, get_args

from textual import events
from textual.app import RenderResult
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from runtui.domain.columns import Role
from runtui.domain.plots import StripPart, TenantCount, part_at, strip_text, tenant_strip

_PADDING: Final = 1


class TenantTrouble(NamedTuple):
    """The facts of the strip."""

    counts: tuple[TenantCount, ...] = ()
    failures: tuple[int, ...] = ()
    """Runs that went wrong, by day, today's last."""
    keys: tuple[tuple[str, str], ...] = ()
    """Filters that a key sets, each with that key."""
    is_known: bool = False
    """Whether anything was read yet."""


class TenantStrip(Widget):
    """Draws the trouble of the tenant in one line."""

    DEFAULT_CSS = f"TenantStrip {{ height: 1; padding: 0 {_PADDING}; }}"
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"tenant-strip--{role}" for role in get_args(Role)}
    """
    | Class | Description |
    | :- | :- |
    | `tenant-strip--ROLE` | A count, by its role in `domain.columns`. |
    """

    class Chosen(Message):
        """A count was clicked, and `filter` finds its runs; or the days, and it is empty."""

        def __init__(self, filter_text: str) -> None:
            super().__init__()
            self.filter = filter_text

    trouble: reactive[TenantTrouble] = reactive(TenantTrouble())
    """What is said."""

    def render(self) -> RenderResult:
        parts = self._parts()
        line, at = Content(strip_text(parts)), 0
        for part in parts:
            at = line.plain.index(part.text, at)
            line = line.stylize(self.get_visual_style(f"tenant-strip--{part.role}"), at, at + len(part.text))
        return line

    def on_click(self, event: events.Click) -> None:
        part = part_at(self._parts(), event.x - _PADDING)
        if part is not None and self.trouble.counts:
            self.post_message(self.Chosen(part.filter))

    def _parts(self) -> list[StripPart]:
        trouble = self.trouble
        if not trouble.is_known:
            return []
        keys: Mapping[str, str] = dict(trouble.keys)
        return tenant_strip(trouble.counts, trouble.failures, self.content_size.width, keys)
