"""Every action, declared once: key, words, where it works, and why it cannot just now.

Invariant: keys, hint bar, palette, help and the README's table come from `ACTIONS` alone; an action that cannot run is
still shown, and says why. Each view implements `action_<id>` for the actions of its scope.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal

from textual.binding import Binding, BindingType

Scope = Literal["app", "table", "runs", "edit", "review", "help", "panel"]

SCOPE_TITLES: Final[dict[Scope, str]] = {
    "table": "Moving",
    "runs": "In the list",
    "edit": "In the form",
    "review": "In the review",
    "panel": "In the side panel",
    "app": "Everywhere",
    "help": "In the help",
}


@dataclass(frozen=True, slots=True)
class Situation:
    """What decides whether an action can run now."""

    connected: bool = False
    read_only: bool = False
    has_run: bool = False
    """The cursor stands on a run."""
    saving: bool = False
    """The run under the cursor, or in the form, is being saved."""
    changes: int = 0
    errors: int = 0
    marks: int = 0


Reason = Callable[[Situation], str | None]


def _always(_: Situation) -> str | None:
    return None


def _needs_server(now: Situation) -> str | None:
    return None if now.connected else "Not connected yet."


def _needs_run(now: Situation) -> str | None:
    return None if now.has_run else "There is no run under the cursor."


def _needs_marks(now: Situation) -> str | None:
    return None if now.marks else "No run is marked."


def _may_edit(now: Situation) -> str | None:
    if now.read_only:
        return "This session is read-only."
    if now.saving:
        return "This run is being saved; wait for the answer."
    return _needs_run(now) or _needs_server(now)


def _may_review(now: Situation) -> str | None:
    if now.errors:
        several = now.errors > 1
        return f"{now.errors} {'fields hold' if several else 'field holds'} no valid value; correct it first."
    if not now.changes:
        return "Nothing has changed yet."
    return _may_edit(now)


def _needs_changes(now: Situation) -> str | None:
    return None if now.changes or now.errors else "Nothing has changed yet."


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a person can do. The first key is the one shown."""

    id: str
    scope: Scope
    keys: tuple[str, ...]
    label: str
    """One or two words for the hint bar."""
    help: str
    """One sentence for help and palette."""
    weight: int = 0
    """Its place in the hint bar, the largest first; 0 keeps it out."""
    reason: Reason = _always
    """Why it cannot run in a situation; None when it can."""
    call: str = ""
    """What Textual is to run, where that is not the action of the same name."""

    @property
    def shown_key(self) -> str:
        """The first key as a person reads it."""
        return key_text(self.keys[0])

    @property
    def key_while_typing(self) -> str | None:
        """The first key that an input does not take for text; None when there is none."""
        return next((key_text(key) for key in self.keys if key != "space" and len(key_text(key)) > 1), None)


_KEY_WORDS: Final = {
    "question_mark": "?",
    "slash": "/",
    "colon": ":",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "escape": "esc",
    "space": "space",
    "pageup": "page up",
    "pagedown": "page down",
    "less_than_sign": "<",
    "greater_than_sign": ">",
}


def key_text(key: str) -> str:
    """Textual's name of a key as it is printed on keyboards."""
    if key in _KEY_WORDS:
        return _KEY_WORDS[key]
    if key.startswith("f") and key[1:].isdigit():
        return key.upper()
    return key


ACTIONS: Final[tuple[Action, ...]] = (
    # Moving
    Action("cursor_up", "table", ("k", "up"), "up", "One run up.", call="step(-1)"),
    Action("cursor_down", "table", ("j", "down"), "down", "One run down.", call="step(1)"),
    Action("page_up", "table", ("pageup",), "page up", "One screen up.", call="page(-1)"),
    Action("page_down", "table", ("pagedown",), "page down", "One screen down.", call="page(1)"),
    Action("first_row", "table", ("g", "home"), "first", "To the first run."),
    Action("last_row", "table", ("G", "end"), "last", "To the last run."),
    # The list
    Action("edit", "runs", ("e", "f4"), "edit", "Open the run in the form.", 90, _may_edit),
    Action("details", "runs", ("enter", "f3"), "details", "Show the run, and what failed in it.", 85, _needs_run),
    Action("filter", "runs", ("slash", "f7"), "filter", "Type a filter; esc clears it.", 80),
    Action("problems", "runs", ("x",), "problems", "Show only runs that went wrong; again: all.", 60),
    Action("sort", "runs", ("s",), "sort", "Sort by the next column.", 55),
    Action("reverse", "runs", ("S", "shift+f8"), "reverse", "Turn the order round."),
    Action("mark", "runs", ("space",), "mark", "Mark the run, or take the mark back.", 50, _needs_run),
    Action("unmark_all", "runs", ("U",), "unmark", "Take all marks back.", reason=_needs_marks),
    Action("clear", "runs", ("escape",), "clear", "Clear the filter, close the panel."),
    # The form
    Action("review", "edit", ("ctrl+s", "f2"), "review", "Review the change before it is sent.", 90, _may_review),
    Action(
        "body_mode",
        "edit",
        ("ctrl+t", "f6"),
        "body",
        "Send all required properties, or changed ones only.",
        60,
    ),
    Action("revert", "edit", ("f8",), "revert field", "Put the field back as it was received.", 50, _needs_changes),
    Action("leave", "edit", ("escape",), "back", "Back to the list; the draft is kept.", 80),
    # The review
    Action("send", "review", ("y",), "send", "Send exactly this request.", 90),
    Action("reject", "review", ("n", "escape"), "back to the form", "Send nothing, and go back.", 80),
    # The side panel
    Action(
        "next_tab", "panel", ("right_square_bracket", "f9"), "next tab", "Show the next tab.", 30, call="step_tab(1)"
    ),
    Action(
        "previous_tab",
        "panel",
        ("left_square_bracket", "shift+f9"),
        "previous tab",
        "Show the tab before.",
        call="step_tab(-1)",
    ),
    Action("leave_panel", "panel", ("escape",), "back", "Back to the list or the form.", 85),
    Action("zoom", "app", ("z", "f11"), "zoom", "Give the pane with the focus the whole screen, or give it back.", 15),
    # Everywhere
    Action("focus_left", "app", ("1",), "left pane", "Go to the list or the form."),
    Action("focus_panel", "app", ("2", "f12"), "panel", "Go to the side panel, and open it.", 25),
    Action("refresh", "app", ("r", "f5"), "refresh", "Read all runs again now.", 22),
    Action("pause", "app", ("p",), "pause", "Stop reading by the clock, or go on.", 20),
    Action("help", "app", ("question_mark", "f1"), "help", "Show the keys.", 70),
    Action(
        "palette", "app", ("ctrl+p", "colon"), "palette", "Find an action by its name.", 10, call="app.command_palette"
    ),
    Action("repaint", "app", ("ctrl+l",), "repaint", "Draw the whole screen anew.", call="app.repaint"),
    Action("theme", "app", ("T",), "theme", "Change to the next theme.", call="app.next_theme"),
    Action(
        "quit", "app", ("q", "f10", "ctrl+q"), "quit", "Leave; a save on its way is waited for.", 30, call="app.quit"
    ),
    Action("close", "help", ("escape", "q", "question_mark", "f1"), "close", "Close the help.", 90),
)

ACTION_BY_ID: Final = {action.id: action for action in ACTIONS}


def in_scopes(*scopes: Scope) -> tuple[Action, ...]:
    """The actions of some scopes, in their declared order."""
    return tuple(action for action in ACTIONS if action.scope in scopes)


def bindings(*scopes: Scope) -> list[BindingType]:
    """Textual's bindings for some scopes; what can be refused with a reason runs through `perform`."""
    return [
        Binding(
            ",".join(action.keys),
            action.call or (action.id if action.reason is _always else f"perform('{action.id}')"),
            action.label,
            id=action.id,
        )
        for action in in_scopes(*scopes)
    ]


def hints(actions: Iterable[Action]) -> list[Action]:
    """The actions of a hint bar, the most important first."""
    return sorted((action for action in actions if action.weight), key=lambda action: -action.weight)
