"""The help: every key, from the action registry, the filter languages and the signs of the list.

Invariant: no key is written here; the registry is read.
"""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from runtui.domain.rows import STATUS_LOOKS
from runtui.keys.actions import SCOPE_TITLES, in_scopes
from runtui.keys.names import key_text
from runtui.services.journal_query import ENTRY_FILTER_HELP
from runtui.tui.actions import bindings
from runtui.tui.resources import ROW_FLAGS
from runtui.tui.screens.frame import ActionView

FILTER_HELP = """\
plain text             in the workflow's name, the run's id, status or type
status:failed          also status:failed,canceled   type:onDemand   wf:"Onboard"   id:6393
failed>0               failed users or tasks; also users, tasks, successful, unprocessed
started>-24h           in the last 24 hours; also completed, scheduled, updated; 2026-11-20; completed:none
is:problem  is:stuck   what went wrong; what hangs
user:"Adele Vance"     by name, UPN or id; also task, reason and cause: of the runs whose results were read
!term   a or b   ( )   not, or, groups; terms side by side must all hold"""


class HelpView(ActionView[None]):
    """One page of keys and words."""

    scope = "help"
    BINDINGS = bindings("help")
    DEFAULT_CSS = """
    HelpView { layout: vertical; height: 1fr; }
    HelpView VerticalScroll { height: 1fr; padding: 0 1; }
    """

    def compose(self) -> ComposeResult:
        """One scrolling page."""
        with VerticalScroll(id="help-page"):
            yield Static(help_text(), markup=False)

    def __init__(self) -> None:
        super().__init__(name="help")

    def title(self) -> Content:
        """One word."""
        return Content("Help")

    def take_focus(self) -> None:
        """Give the page the keys, to scroll."""
        self.screen.set_focus(self.query_one("#help-page"))

    def action_close(self) -> None:
        """Back to what was there."""
        self.answer()

    action_close_by_quit = action_close


def help_text() -> Content:
    """The whole page, in the order of use."""
    parts: list[Content] = []
    for scope, title in SCOPE_TITLES.items():
        parts.append(Content.styled(f"{title}\n", "bold"))
        for action in in_scopes(scope):
            keys = " ".join(key_text(key) for key in action.keys)
            parts.append(Content.assemble((f"  {keys:18}", "$text-accent"), f" {action.help}\n"))
        parts.append(Content("\n"))
    parts += [Content.styled("Filter\n", "bold"), Content(FILTER_HELP + "\n\n")]
    parts += [
        Content.styled("Filter of the journal\n", "bold"),
        Content(f"{ENTRY_FILTER_HELP}\n\n"),
        Content.styled("Signs\n", "bold"),
    ]
    parts.append(Content("   ".join(f"{look.glyph} {look.name or 'any other'}" for look in STATUS_LOOKS.values())))
    parts.append(Content("\n" + "   ".join(f"{flag.sign} {flag.words}" for flag in ROW_FLAGS)))
    return Content("").join(parts)
