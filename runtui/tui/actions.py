"""Every action, declared once: key, words, where it works, and why it cannot just now.

Invariant: keys, hint bar, palette, help and the README's table come from `ACTIONS` alone; an action that cannot run is
still shown, and says why. A view, the frame around it or a feature has an
`action_<id>` for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal

from textual.binding import Binding, BindingType

from runtui.domain.report import Outcome
from runtui.services.journal import Entry
from runtui.services.journal_query import damage_sentence
from runtui.services.undo import why_not

Scope = Literal[
    "app",
    "table",
    "runs",
    "edit",
    "conflict",
    "review",
    "journal",
    "picker",
    "sign_in",
    "help",
    "panel",
]

SCOPE_TITLES: Final[dict[Scope, str]] = {
    "table": "Moving",
    "runs": "In the list",
    "edit": "In the form",
    "conflict": "Between three values",
    "review": "In the review",
    "journal": "In the journal",
    "panel": "In the side panel",
    "app": "Everywhere",
    "picker": "When choosing from a list",
    "sign_in": "When signing in",
    "help": "In the help",
}


@dataclass(frozen=True, slots=True)
class Situation:
    """What decides whether an action can run now."""

    connected: bool = False
    why_read_only: str | None = None
    """Why nothing may be written; None when it may."""
    has_run: bool = False
    """The cursor stands on a run."""
    saving: bool = False
    """The run under the cursor, or in the form, is being saved."""
    waiting: bool = False
    """A save waits until the service takes requests again."""
    entry: Entry | None = None
    """The entry of the journal under the cursor."""
    is_elsewhere: bool = False
    """That entry is of another root than this session's."""
    changes: int = 0
    errors: int = 0
    marks: int = 0
    profiles: int = 0
    """How many of them config.toml has, where one can go on to another."""
    why_no_sign_in: str | None = None
    """Why no person signs in here; None when one does."""
    is_signed_in: bool = False
    is_signing_in: bool = False
    """A sign-in is under way."""
    is_demo: bool = False
    """The server is a sandbox of our own, that can be told to misbehave."""


Reason = Callable[[Situation], str | None]


def _always(_: Situation) -> str | None:
    return None


def _needs_server(now: Situation) -> str | None:
    return None if now.connected else "Not connected yet."


def _needs_run(now: Situation) -> str | None:
    return None if now.has_run else "There is no run under the cursor."


def _needs_marks(now: Situation) -> str | None:
    return None if now.marks else "No run is marked."


def _may_write(now: Situation) -> str | None:
    return now.why_read_only


def _may_edit(now: Situation) -> str | None:
    if (why := _may_write(now)) is not None:
        return why
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


def _needs_waiting(now: Situation) -> str | None:
    return None if now.waiting else "No save waits."


def _needs_entry(now: Situation) -> str | None:
    return None if now.entry is not None else "There is no entry under the cursor."


def _needs_own_entry(now: Situation) -> str | None:
    if now.entry is not None and now.entry.damage:
        return damage_sentence(now.entry)
    if now.is_elsewhere:
        return "This entry is of another root; start runtui on that one."
    return _needs_entry(now) or _needs_server(now)


def _may_undo(now: Situation) -> str | None:
    why = _may_write(now) or _needs_own_entry(now)
    return why if why is not None or now.entry is None else why_not(now.entry)


def _needs_unknown(now: Situation) -> str | None:
    why = _needs_own_entry(now)
    if why is not None or now.entry is None or now.entry.outcome is Outcome.UNKNOWN:
        return why
    return "Its outcome is known." if now.entry.is_settled else "It is on its way."


def _may_look(now: Situation) -> str | None:
    # An entry of a process that is gone is open, and looking finds that out.
    return _needs_own_entry(now) if now.entry is None or now.entry.outcome is None else _needs_unknown(now)


def _needs_profiles(now: Situation) -> str | None:
    return None if now.profiles > 1 else "There is no other profile: `runtui config path` says where one belongs."


def _needs_sign_in(now: Situation) -> str | None:
    return now.why_no_sign_in


def _may_begin(now: Situation) -> str | None:
    return "A sign-in is under way; esc gives it up." if now.is_signing_in else None


def _may_copy(now: Situation) -> str | None:
    return None if now.is_signing_in else "There is no code and no address to copy yet."


def _needs_account(now: Situation) -> str | None:
    return None if now.is_signed_in else "Nobody is signed in."


def _needs_demo(now: Situation) -> str | None:
    return None if now.is_demo else "Only the sandbox of `runtui demo` can be told to misbehave."


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
    only_demo: bool = False
    """Whether the hint bar shows it in a demo alone."""

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
    Action("undo", "runs", ("u", "shift+f4"), "undo", "Take the last change of the run back.", 65, _may_edit),
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
    Action(
        "drop_draft",
        "edit",
        ("shift+f8",),
        "drop draft",
        "Drop the whole draft, when pressed twice.",
        0,
        _needs_changes,
    ),
    Action("leave", "edit", ("escape",), "back", "Back to the list; the draft is kept.", 80),
    # A draft whose run has moved
    Action(
        "merge",
        "conflict",
        ("enter", "ctrl+s", "f2"),
        "review",
        "Review the draft with the values chosen.",
        90,
        _may_edit,
    ),
    Action("ours", "conflict", ("o",), "yours", "Keep the value of the draft.", 85),
    Action("theirs", "conflict", ("t",), "theirs", "Take the value that the run has by now.", 84),
    Action("other", "conflict", ("space",), "the other", "Take the other one of the two."),
    Action("merge_in_form", "conflict", ("e", "f4"), "edit", "Open the form over the values chosen.", 60, _may_edit),
    Action("drop_merge", "conflict", ("D", "shift+f8"), "drop draft", "Drop the whole draft, when pressed twice.", 50),
    Action("leave_merge", "conflict", ("escape",), "back", "Back; the draft is kept as it was.", 80),
    # The review
    Action("send", "review", ("y",), "send", "Send exactly this request.", 90, _may_write),
    Action("reject", "review", ("n", "escape"), "back", "Send nothing, and go back.", 80),
    # The journal
    Action("entry", "journal", ("enter", "f3"), "details", "Show what was sent and answered.", 90, _needs_entry),
    Action("undo_entry", "journal", ("u", "shift+f4"), "undo", "Take the change back.", 85, _may_undo),
    Action("look", "journal", ("l",), "look", "Look now what became of an unknown change.", 75, _may_look),
    Action("was_done", "journal", ("d",), "done", "Say, twice, that an unknown was done.", 68, _needs_unknown),
    Action(
        "was_not_done", "journal", ("n",), "not done", "Say, twice, that an unknown was not done.", 67, _needs_unknown
    ),
    Action("filter_journal", "journal", ("slash", "f7"), "filter", "Type a filter; esc clears it.", 76),
    Action("all_roots", "journal", ("a",), "all roots", "Show the entries of every root, or of this one.", 40),
    Action("export", "journal", ("x",), "export", "Write the entries to a file.", 60),
    Action("leave_journal", "journal", ("escape", "J"), "back", "Clear the filter, then back.", 80),
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
    # A list to choose from
    Action("choose", "picker", ("enter",), "choose", "Choose what the cursor stands on.", 90),
    Action("choose_nothing", "picker", ("escape",), "back", "Choose nothing, and go back.", 80),
    # The sign-in
    Action("use_way", "sign_in", ("enter",), "begin", "Sign in by the way under the cursor.", 90, _may_begin),
    Action(
        "copy_code", "sign_in", ("c", "ctrl+y"), "copy", "Copy the code to type, or the address to open.", 85, _may_copy
    ),
    Action("sign_out", "sign_in", ("o",), "sign out", "Forget the sign-in, when pressed twice.", 75, _needs_account),
    Action("leave_sign_in", "sign_in", ("escape", "A"), "back", "Give up the sign-in under way, or go back.", 80),
    # Everywhere
    Action("focus_left", "app", ("1",), "left pane", "Go to the list or the form."),
    Action("focus_panel", "app", ("2", "f12"), "panel", "Go to the side panel, and open it.", 25),
    Action("refresh", "app", ("r", "f5"), "refresh", "Read all runs again now.", 22),
    Action(
        "scenario",
        "app",
        ("M",),
        "scenario",
        "Choose how the demo's sandbox misbehaves.",
        66,
        _needs_demo,
        only_demo=True,
    ),
    Action("journal", "app", ("J", "shift+f3"), "journal", "Show every change that was sent.", 58),
    Action(
        "give_up", "app", ("w", "ctrl+g"), "give up", "Give up a save that waits for the service.", 12, _needs_waiting
    ),
    Action("read_only", "app", ("ctrl+r",), "read-only", "Allow writing no more, or again."),
    Action("sign_in", "app", ("A", "shift+f2"), "account", "Show who is signed in; sign in or out.", 0, _needs_sign_in),
    Action("profiles", "app", ("P",), "profiles", "Go on to another profile of config.toml.", 0, _needs_profiles),
    Action("pause", "app", ("p",), "pause", "Stop reading by the clock, or go on.", 20),
    Action("help", "app", ("question_mark", "f1"), "help", "Show the keys.", 70),
    Action(
        "palette", "app", ("ctrl+p", "colon"), "palette", "Find an action by its name.", 10, call="app.command_palette"
    ),
    Action("repaint", "app", ("ctrl+l",), "repaint", "Draw the whole screen anew.", call="app.repaint"),
    Action("theme", "app", ("T",), "theme", "Change to the next theme."),
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
    """Textual's bindings for some scopes. A table moves by itself; all else runs through `Frame.perform`."""
    return [
        Binding(
            ",".join(action.keys),
            action.call or (action.id if action.scope == "table" else f"perform('{action.id}')"),
            action.label,
            id=action.id,
        )
        for action in in_scopes(*scopes)
    ]


def hints(actions: Iterable[Action]) -> list[Action]:
    """The actions of a hint bar, the most important first."""
    return sorted((action for action in actions if action.weight), key=lambda action: -action.weight)
