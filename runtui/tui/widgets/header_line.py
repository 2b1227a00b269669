"""The first line: whose runs these are, how many went wrong, and how old the list is.

Invariant: the tenant and the SANDBOX and READ-ONLY badges are never dropped, however narrow the screen; what is told
of the runs gives way first.
"""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len
from textual.app import RenderResult
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from runtui.services.refresh import Progress
from runtui.services.sandbox_control import SandboxControl, sandbox_badge
from runtui.services.store import Totals
from runtui.settings import Settings
from runtui.tui.text import ELLIPSIS, fit, plain


@dataclass(frozen=True, slots=True)
class Headline:
    """The facts of the first line."""

    tenant: str = ""
    badges: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()
    """Such as "240 runs", "18 failed": the last ones are dropped first."""
    state: str = ""
    """Such as "listing…", "as of 15:42:07", "waiting until 15:42:19", "paused"."""
    who: str = ""
    """Whose token it is, such as "lee.admin" or "signed out"; dropped where it does not fit, after counts and state."""


class HeaderLine(Widget):
    """Draws the headline in one line."""

    DEFAULT_CSS = "HeaderLine { height: 1; padding: 0 1; }"
    COMPONENT_CLASSES = {"header-line--name", "header-line--badge"}
    """
    | Class | Description |
    | :- | :- |
    | `header-line--name` | The program's name. |
    | `header-line--badge` | SANDBOX, READ-ONLY. |
    """

    headline: reactive[Headline] = reactive(Headline())
    """What is said."""

    def render(self) -> RenderResult:
        """Draw: name, tenant and badges at the left; counts and state at the right, as far as they fit."""
        line = self.headline
        width = self.content_size.width
        badges = "".join(f" {badge} " for badge in line.badges)
        fixed = cell_len("runtui  ") + cell_len(badges) + (2 if badges else 0)
        tenant = plain(line.tenant)
        if fixed + cell_len(tenant) > width:
            tenant = fit(tenant, max(4, width - fixed)).rstrip()
        who = f"  {plain(line.who)}" if line.who else ""
        if fixed + cell_len(tenant + who) > width:
            who = ""
        left = fixed + cell_len(tenant + who)
        right = self._right(width - left - 2)
        parts = [
            Content.styled("runtui", self.get_visual_style("header-line--name")),
            Content(f"  {tenant}{who}"),
        ]
        if badges:
            parts += [Content("  "), Content.styled(badges, self.get_visual_style("header-line--badge"))]
        gap = max(0, width - left - cell_len(right))
        return Content("").join([*parts, Content(" " * gap + right)])

    def _right(self, room: int) -> str:
        counts = list(self.headline.counts)
        while True:
            text = " · ".join(counts)
            text = f"{text}   {self.headline.state}" if text and self.headline.state else text or self.headline.state
            if cell_len(text) <= room:
                return text
            if not counts:
                return text[: max(0, room - 1)] + ELLIPSIS if room > 1 else ""
            counts.pop()


def headline(
    settings: Settings,
    totals: Totals,
    progress: Progress,
    sandbox: SandboxControl | None = None,
    *,
    read_only: bool = False,
    unknown: int = 0,
    who: str = "",
) -> Headline:
    """The first line's facts: whose runs, how many of them somebody must look at, and when they were read."""
    counts = [f"{unknown} unknown"] if unknown else []
    counts += [f"{totals.total} runs"]
    counts += [f"{totals.failed} failed"] if totals.failed else []
    counts += [f"{totals.stuck} stuck"] if totals.stuck else []
    badges = (sandbox_badge(sandbox),) * settings.is_sandbox + ("READ-ONLY",) * read_only
    if progress.waiting_until is not None:
        state = f"waiting until {progress.waiting_until.astimezone():%H:%M:%S}"
    elif progress.finished_at is not None:
        state = f"as of {progress.finished_at.astimezone():%H:%M:%S}"
    else:
        state = "reading…" if progress.listing else ""
    if progress.complaint is not None:
        state = f"{state} incomplete".strip()
    if progress.paused:
        state = f"{state} paused".strip()
    return Headline(settings.tenant, badges, tuple(counts), state, who)
