"""The last line of the screen: the keys that matter here, the most important first.

Invariant: one line at any width; a key that cannot be used now is dimmed, not hidden. It reads the action registry.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual.app import RenderResult
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from runtui.actions import Action
from runtui.tui.actions import ActionContext, hints, why_not


class HintBar(Widget):
    """Shows as many hints as fit."""

    DEFAULT_CSS = "HintBar { height: 1; padding: 0 1; }"
    COMPONENT_CLASSES = {"hint-bar--key", "hint-bar--label", "hint-bar--disabled"}
    """
    | Class | Description |
    | :- | :- |
    | `hint-bar--key` | The key. |
    | `hint-bar--label` | What it does. |
    | `hint-bar--disabled` | Both, when it cannot be done now. |
    """

    actions: reactive[Sequence[Action]] = reactive(())
    """The actions of the view that has the focus."""
    context: reactive[ActionContext] = reactive(ActionContext())
    """What decides which of them can run."""
    typing: reactive[bool] = reactive(False)
    """Whether an input has the keys, so that letters and digits are text."""

    def render(self) -> RenderResult:
        """Draw the hints that fit, each whole."""
        key_style = self.get_visual_style("hint-bar--key")
        label_style = self.get_visual_style("hint-bar--label")
        disabled_style = self.get_visual_style("hint-bar--disabled")
        room = self.content_size.width
        parts: list[Content] = []
        for action in hints(self.actions):
            key = action.key_while_typing if self.typing else action.shown_key
            if key is None or (action.only_demo and not self.context.is_demo):
                continue
            text = f"{key} {action.label}"
            room -= cell_len(text) + (2 if parts else 0)
            if room < 0:
                break
            if parts:
                parts.append(Content("  "))
            if why_not(action, self.context) is None:
                parts.append(Content.styled(key, key_style))
                parts.append(Content.styled(f" {action.label}", label_style))
            else:
                parts.append(Content.styled(text, disabled_style))
        return Content("").join(parts) if parts else Content("")
