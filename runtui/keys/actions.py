"""The action registry: the name, keys, words and needs of every action. It imports no screen.

Invariant: keys, hint line, palette, help, `[keys]` of config.toml and the README's table come from `ACTIONS` alone.
Actions with the same meaning share a name, and a letter belongs to one name: it means one thing on every screen.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from runtui.domain.views import BUILT_IN_VIEWS, MAX_VIEWS
from runtui.keys.names import is_text, key_text

_logger: Final = logging.getLogger("runtui.keys")

Scope = Literal[
    "app", "table", "rows", "row", "wide", "run", "runs", "users", "tasks", "causes", "people", "person", "edit",
    "conflict", "review", "journal", "filter", "picker", "columns", "sign_in", "help", "panel", "text", "search",
    "overview", "results", "copies", "page", "line", "opened", "question", "values",
]  # fmt: skip

SCOPE_TITLES: Final[dict[Scope, str]] = {
    "table": "Moving",
    "rows": "Every list",
    "row": "A row of a list",
    "wide": "Wide lists",
    "run": "A run",
    "opened": "Every list except Runs",
    "runs": "Runs",
    "users": "Users of a run",
    "tasks": "Tasks of a user",
    "causes": "Causes",
    "people": "People",
    "person": "One person",
    "filter": "Filter box",
    "edit": "Form",
    "values": "Dropdown of the form",
    "conflict": "Conflict",
    "review": "Review",
    "results": "Results of a bulk change",
    "journal": "Journal",
    "overview": "Overview",
    "panel": "Side panel",
    "text": "Text in the side panel",
    "search": "Search box",
    "app": "Everywhere",
    "question": "Every question",
    "picker": "Choosing from a list",
    "copies": "Choosing what to copy",
    "page": "Text to select",
    "columns": "Choosing columns",
    "line": "Typing a note, a name or a time",
    "sign_in": "Account and sign-in",
    "help": "Help",
}

VIEWS: Final[dict[Scope, tuple[Scope, ...]]] = {
    "runs": ("rows", "row", "wide", "run"),
    "users": ("rows", "row", "wide", "run", "opened"),
    "tasks": ("rows", "row", "wide", "run", "opened"),
    "causes": ("rows", "row", "wide", "opened"),
    "person": ("rows", "row", "wide", "opened"),
    "results": ("rows", "row", "wide", "opened"),
    "overview": ("rows", "row", "opened"),
    "journal": ("rows", "opened"),
    "help": (),
    "edit": (),
    "conflict": (),
    "review": ("question",),
    "question": (),
    "picker": ("question",),
    "columns": ("question",),
    "line": ("question",),
    "people": ("question",),
    "sign_in": (),
}
"""The scope of each view, and the shared scopes that it includes."""

TYPING: Final[frozenset[Scope]] = frozenset({"edit", "values", "filter", "search", "people", "line"})
"""The scopes in which an input has the focus, so that a letter is text."""

_WITHOUT_LINES: Final = TYPING | {"review", "question"}

SIMULTANEOUS_SCOPES: Final[tuple[frozenset[Scope], ...]] = (
    *(
        frozenset({view, *shared, "panel", "app", *(() if view in _WITHOUT_LINES else ("table",))})
        for view, shared in VIEWS.items()
    ),
    frozenset({"table", "picker", "copies", "question", "panel", "app"}),
    frozenset({"table", "text", "panel", "app"}),
    frozenset({"filter"}),
    frozenset({"search"}),
    frozenset({"page"}),
    frozenset({"values"}),
)
"""The sets of scopes whose keys work at the same time."""

Need = Literal[
    "", "run", "runs", "row", "row or run", "marks", "writing", "editing", "form", "valid change", "change",
    "waiting change", "bulk change", "open change", "failed change", "done change", "journal entry", "any entry",
    "undoable entry", "unknown entry", "checkable entry", "profiles", "account", "signed in", "no sign-in", "code",
    "demo", "search", "shell", "view 7", "view 8", "view 9",
]  # fmt: skip
"""The condition for an action to run; `tui.actions.why_not` says what is missing."""

VIEW_NEEDS: Final[Mapping[int, Need]] = {7: "view 7", 8: "view 8", 9: "view 9"}
"""The number of each view that a person may save -> what its key needs."""

HintedWhile = Literal[
    "", "row", "list", "needs refresh", "editing", "own change", "new run", "journal entry", "signed out", "back",
]  # fmt: skip
"""A further condition for the hint line to show an action; its key works without that."""

MEANINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "filter": ("slash", "f7"),
    "mark": ("space",),
    "copy": ("y", "ctrl+y"),
    "back": ("escape",),
    "edit": ("e", "f4"),
    "undo": ("u", "shift+f4"),
    "act": ("a",),
    "new-run": ("F",),
    "next": ("n",),
    "note": ("m",),
    "details": ("enter", "f3"),
    "choose": ("enter",),
    "export": ("E",),
}
"""Meanings that actions of several scopes share -> their default keys."""


class Action(NamedTuple):
    """One thing a person can do."""

    id: str
    binding: str | tuple[str, ...]
    """A key of MEANINGS; or its own default keys in Textual's names, the one to show first."""
    label: str
    """One or two words for the hint line."""
    help: str
    """One sentence for help and palette."""
    weight: int = 0
    """Its rank in the hint line, the largest first; 0 keeps it out."""
    needs: Need = ""
    meaning: str = ""
    """A name that it shares with other actions although it has its own keys; empty if it shares none."""
    call: str = ""
    """The Textual action to run; empty for the one named by the id."""
    hinted: HintedWhile = ""
    scope: Scope = "app"
    """Where its keys work; `ACTIONS` takes it from the group."""

    @property
    def has_own_name(self) -> bool:
        """True if its name comes from its id, not from a shared meaning."""
        return self.name == self.id.replace("_", "-")

    @property
    def default_keys(self) -> tuple[str, ...]:
        return MEANINGS[self.binding] if isinstance(self.binding, str) else self.binding

    @property
    def name(self) -> str:
        """Its name in `[keys]`: the shared meaning, else its id."""
        return self.binding if isinstance(self.binding, str) else self.meaning or self.id.replace("_", "-")

    @property
    def keys(self) -> tuple[str, ...]:
        """Its keys from `[keys]`, else the default keys."""
        return _remapped.get(self.name, self.default_keys)

    @property
    def shown_key(self) -> str:
        return key_text(self.keys[0])

    @property
    def key_while_typing(self) -> str | None:
        """The first key that an input does not take as text; None if there is none."""
        return next((key_text(key) for key in self.keys if not is_text(key)), None)


_remapped: dict[str, tuple[str, ...]] = {}
"""The keys from `[keys]`, by action name. A process reads them once, before it shows anything."""


def remap(keys: Mapping[str, tuple[str, ...]]) -> None:
    """Set the keys of the named actions; all others get their default keys.

    `keymap.read_keys` checks the keys first.
    """
    _remapped.clear()
    _remapped.update(keys)
    keys_of.cache_clear()
    with_key.cache_clear()
    for name, pressed in keys.items():
        _logger.info("keys of %s: %s", name, " ".join(pressed) or "none")


def remapped() -> Mapping[str, tuple[str, ...]]:
    """Return the keys from `[keys]`, by action name."""
    return _remapped


def _views() -> Iterator[Action]:
    """Yield one action per view, with a digit as its key."""
    for number in range(1, MAX_VIEWS + 1):
        name, words = "view", f"your view {number}, if there is one"
        if number <= len(BUILT_IN_VIEWS):
            name = BUILT_IN_VIEWS[number - 1].name
            words = f"the view {name}"
        needs = VIEW_NEEDS.get(number, "")
        yield Action(f"view_{number}", (str(number),), name, f"Show {words}, or all runs.", needs=needs)


_ACTIONS: Final[Mapping[Scope, tuple[Action, ...]]] = {
    "table": (
        Action("cursor_up", ("k", "up"), "up", "Move one line up."),
        Action("cursor_down", ("j", "down"), "down", "Move one line down."),
        Action("page_up", ("pageup", "ctrl+b", "ctrl+u"), "page up", "Move one screen up."),
        Action("page_down", ("pagedown", "ctrl+f", "ctrl+d"), "page down", "Move one screen down."),
        Action("first_row", ("g", "home"), "first", "Go to the first line.", call="first"),
        Action("last_row", ("G", "end"), "last", "Go to the last line.", call="last"),
    ),
    "rows": (
        Action("filter", "filter", "filter", "Filter the rows as you type.", 80),
        Action("sort", ("s",), "sort", "Sort by the next column.", 55),
        Action("sort_order", ("S", "shift+f7"), "sort by", "Choose a column to sort by, and the direction."),
        Action("reverse", ("I", "shift+f8"), "reverse", "Reverse the sort order."),
        Action("columns", ("C",), "columns", "Choose the columns and their order."),
        *_views(),
    ),
    "row": (
        Action("mark", "mark", "mark", "Toggle mark.", 60, "row"),
        Action("clear_marks", ("U",), "clear marks", "Clear marks.", needs="marks"),
        Action("copy", "copy", "copy", "Copy an id, a command, the hand-over or more.", 61, "row or run"),
    ),
    "opened": (Action("leave_view", "back", "back", "Clear the filter, then go back.", 80),),
    "question": (Action("leave_question", "back", "back", "Go back; nothing is chosen or sent.", 80),),
    "wide": (
        Action("next_columns", ("right",), "right", "Scroll the columns to the right."),
        Action("previous_columns", ("left",), "left", "Scroll the columns to the left."),
    ),
    "run": (
        Action("edit", "edit", "edit", "Open the run, or all marked runs, in the form.", 90, "form"),
        Action("undo", "undo", "undo", "Undo the last change to this run.", 71, "editing", hinted="own change"),
        Action("watch", ("W",), "watch", "Toggle the bell for when the run, or each marked run, ends.", needs="runs"),
        Action(
            "act", "act", "actions", "Cancel, reprocess and more, for the run or all marked runs.", 62, hinted="editing"
        ),
        Action("new_run", "new-run", "new run", "Go to the run that reprocesses it.", 86, hinted="new run"),
        Action("next_problem", "next", "next", "Go to the next problem that is not handled.", 62, hinted="row"),
        Action("handled", ("f",), "handled", "Toggle handled for the run, or for all marked runs.", 40, "runs"),
        Action("snooze", ("b",), "snooze", "Snooze the run, or all marked runs, until later.", needs="runs"),
        Action("note", "note", "note", "Write a note on the run, or on all marked runs.", needs="runs"),
    ),
    "runs": (
        Action("open_run", "details", "open", "Open the run to see its users.", 85, "run"),
        Action("problems", ("x",), "problems", "Show only runs with problems, or all runs.", 60),
        Action("mark_all", ("ctrl+a",), "mark all", "Mark all runs that the list shows."),
        Action("mark_range", ("V",), "mark range", "Mark the runs from the last mark to the cursor.", needs="run"),
        Action("invert_marks", ("asterisk",), "invert marks", "Invert the marks of the list."),
        Action("views", ("v",), "views", "Show a view; save, rename or delete one of your own.", 45),
        Action("clear", "back", "back", "Clear the filter, then close the side panel.", 79, hinted="back"),
    ),
    "users": (Action("open_user", "details", "open", "Open the user to see the tasks.", 85, hinted="row"),),
    "tasks": (Action("open_task", "details", "JSON", "Go to the task's JSON in the panel.", 85, "row"),),
    "causes": (Action("cause_runs", "details", "runs", "Show the runs of this cause.", 85, "row"),),
    "people": (
        Action("choose_person", "choose", "show", "Show what all workflows did for this person.", 90),
        Action("person_up", ("up",), "up", "Move one line up.", meaning="cursor-up"),
        Action("person_down", ("down",), "down", "Move one line down.", meaning="cursor-down"),
    ),
    "person": (Action("open_persons_run", "details", "open", "Open the run.", 85, "row"),),
    "filter": (
        Action("keep_filter", ("enter",), "keep", "Keep the filter and go to the list.", 90),
        Action("complete", ("tab",), "complete", "Complete a field or a value; repeat for the next one.", 85),
        Action("complete_back", ("shift+tab",), "previous", "Complete with the previous suggestion."),
        Action("earlier_filter", ("up",), "earlier", "Go to the previous filter.", 70),
        Action("later_filter", ("down",), "list", "Go to the next filter; after the last, to the list.", 60),
        Action("clear_filter", ("escape",), "clear", "Clear the filter and close the box.", 80),
    ),
    "edit": (
        Action("review", ("ctrl+s", "f2"), "review", "Review the change before it is sent.", 90, "valid change"),
        Action(
            "changed_only", ("ctrl+t", "f6"), "send changed", "Send only changed properties, or all required ones.", 60
        ),
        Action("revert", ("f8",), "revert", "Revert this field.", 50, "change"),
        Action("discard", ("shift+f8",), "discard", "Discard the draft (press twice).", needs="change"),
        Action("leave", "back", "back", "Go back to the list; the draft is kept.", 80),
    ),
    "values": (
        Action("choose_value", "choose", "choose", "Choose the value under the cursor.", 90, call="press('enter')"),
        Action("close_values", "back", "keep", "Close the dropdown unchanged.", 80, call="press('escape')"),
    ),
    "conflict": (
        Action(
            "merge", ("enter", "ctrl+s", "f2"), "review", "Review the merged values.", 90, "editing", meaning="review"
        ),
        Action("theirs", ("left",), "theirs", "Use the value that the run has now.", 85),
        Action("ours", ("right",), "yours", "Use the value in your draft.", 84),
        Action("other", ("space",), "switch", "Switch between theirs and yours."),
        Action("merge_in_form", "edit", "edit", "Edit the merged values.", 60, "editing"),
        Action(
            "discard_merge", ("D", "shift+f8"), "discard", "Discard the draft (press twice).", 50, meaning="discard"
        ),
        Action("leave_merge", "back", "back", "Go back; the draft is kept.", 80),
    ),
    "review": (
        Action("send", ("y",), "send", "Send exactly this request.", 90, "writing"),
        Action("why", "note", "why", "Give a reason, for the journal.", 84),
        Action("reject", ("n",), "no", "Go back; nothing is sent."),
    ),
    "results": (
        Action("open_result", "details", "details", "Show the request and the response.", 90, "row"),
        Action("result_run", "new-run", "run", "Go to the new run of the action, or to its own run.", 86, "row"),
        Action("retry", ("R",), "retry", "Review the changes not done, and resend them.", 84, "failed change"),
        Action("undo_bulk", "undo", "undo", "Undo the changes that were done.", 82, "done change"),
        Action("stop_bulk", ("X",), "stop", "Stop the unsent changes, or continue after a refusal.", 88, "open change"),
        Action("export_results", "export", "export", "Export the results to a file.", 60),
    ),
    "journal": (
        Action("entry", "details", "details", "Show the request and the response.", 90, "journal entry"),
        Action("undo_entry", "undo", "undo", "Undo this change.", 85, "undoable entry"),
        Action("check", ("l",), "check", "Check an unknown change now.", 75, "checkable entry"),
        Action("decide", ("d",), "decide", "Record whether an unknown change was done.", 68, "unknown entry"),
        Action(
            "copy_entry", "copy", "copy", "Copy request ids, a command, the hand-over or more.", 64, "journal entry"
        ),
        Action("all_servers", ("i",), "all servers", "Show the changes on all servers, or on this one.", 40),
        Action("export", "export", "export", "Export the changes to a file.", 60, "any entry", hinted="journal entry"),
    ),
    "overview": (
        Action("workflow_runs", "details", "its runs", "Show the runs of the workflow, or of its day.", 90, "row"),
        Action(
            "new_workflow_run", "new-run", "new run", "Go to the run that you started.", 88, "row", hinted="new run"
        ),
        Action("earlier_day", ("left",), "earlier day", "Go to the previous day.", 86, "row"),
        Action("later_day", ("right",), "later day", "Go to the next day; from today, to all days.", needs="row"),
        Action(
            "act_on_workflow", "act", "actions", "Clear the quarantine, run on demand, preview failures.", 64, "row"
        ),
    ),
    "panel": (
        Action("next_tab", ("right_square_bracket", "f9"), "next tab", "Show the next tab.", 66),
        Action("previous_tab", ("left_square_bracket", "shift+f9"), "previous tab", "Show the previous tab."),
        Action("leave_panel", "back", "back", "End the search, then go back to the left pane.", 85),
    ),
    "text": (
        Action("search", "filter", "search", "Search the text as you type.", 80),
        Action("next_match", "next", "next", "Go to the next match; without a search, the next problem.", 75),
        Action("previous_match", ("N",), "previous", "Go to the previous match.", needs="search"),
        Action("copy_tab", "copy", "copy", "Copy something that the tab shows.", 72),
    ),
    "search": (
        Action("keep_search", ("enter", "down"), "keep", "Keep the matches and go to the text.", 90),
        Action("clear_search", ("escape",), "clear", "End the search and go to the text.", 80),
    ),
    "picker": (
        Action("choose", "choose", "choose", "Choose the line under the cursor.", 90),
        Action("filter_choices", "filter", "filter", "Filter the lines as you type.", 70),
    ),
    "copies": (
        Action("copy_chosen", "copy", "copy", "Copy what is under the cursor."),
        Action("copy_handoff", ("h",), "hand-over", "Copy the hand-over.", 86),
        Action("show_chosen", ("t",), "show", "Show the text, to select it in the terminal.", 75),
        Action("save_chosen", "export", "to a file", "Write the text to a file.", 70),
    ),
    "page": (Action("close_page", ("escape", "enter"), "close", "Go back.", 90, meaning="back"),),
    "columns": (
        Action("toggle_column", "mark", "show", "Show or hide the column.", 90),
        Action("column_up", ("minus", "shift+up"), "move up", "Move the column one place up.", 84),
        Action("column_down", ("plus", "shift+down"), "move down", "Move the column one place down.", 82),
        Action("automatic", ("0",), "automatic", "Show as many columns as fit.", 70),
        Action("keep_columns", "choose", "apply", "Show these columns.", 88),
    ),
    "line": (Action("keep_line", ("enter",), "keep", "Keep what is typed.", 90),),
    "sign_in": (
        Action("use_method", ("enter",), "sign in", "Sign in with the selected method.", 90, "no sign-in"),
        Action("copy_code", "copy", "copy", "Copy the code, the address or the message.", 85, "code"),
        Action("sign_out", ("O",), "sign out", "Sign out (press twice).", 75, "signed in"),
        Action("leave_sign_in", "back", "back", "Cancel the sign-in, or go back.", 80),
    ),
    "app": (
        Action("zoom", ("z", "f11"), "zoom", "Show one pane alone, or both.", 15),
        Action("focus_left", ("less_than_sign", "shift+f12"), "left pane", "Go to the left pane."),
        Action(
            "focus_panel", ("greater_than_sign", "f12"), "panel", "Open the side panel and go to it.", 25, hinted="list"
        ),
        Action("refresh", ("r", "f5"), "refresh", "Refresh now.", 88, hinted="needs refresh"),
        Action("refresh_all", ("ctrl+f5",), "refresh all", "Read all runs again, even unchanged ones."),
        Action("pause", ("p",), "pause", "Pause or resume auto-refresh.", 20, hinted="list"),
        Action(
            "causes", ("c",), "causes", "Open or close the causes of failures in the listed runs.", 64, hinted="list"
        ),
        Action("people", ("at",), "people", "Find one person across all workflows.", 14, hinted="list"),
        Action(
            "journal", ("J", "shift+f3"), "journal", "Open or close the journal of your changes.", 58, hinted="list"
        ),
        Action(
            "bulk", ("B",), "results", "Open or close the results of the last change to many runs.", 13, "bulk change"
        ),
        Action("counts", ("number_sign",), "counts", "Show the runs of one of the counts under the header."),
        Action("overview", ("o",), "overview", "Open or close the overview of the workflows.", 57, hinted="list"),
        Action(
            "stop_waiting",
            ("w", "ctrl+g"),
            "stop waiting",
            "Stop waiting for a throttled change.",
            12,
            "waiting change",
        ),
        Action("read_only", ("ctrl+r",), "read-only", "Toggle read-only."),
        Action(
            "sign_in",
            ("A", "shift+f2"),
            "account",
            "Show the account; sign in or out.",
            99,
            "account",
            hinted="signed out",
        ),
        Action("profiles", ("P",), "profiles", "Switch profile.", needs="profiles"),
        Action("simulate", ("M",), "simulate", "Simulate a fault in the sandbox.", 64, "demo", hinted="list"),
        Action("help", ("question_mark", "f1"), "help", "Open or close the list of keys.", 70),
        Action("palette", ("ctrl+p", "colon"), "palette", "Find an action by name.", 10),
        Action("redraw", ("ctrl+l",), "redraw", "Redraw the screen.", call="app.repaint"),
        Action("suspend", ("ctrl+z",), "suspend", "Suspend to the shell; `fg` resumes runtui.", needs="shell"),
        Action("theme", ("T",), "theme", "Switch to the next theme."),
        Action(
            "quit",
            ("q", "f10", "ctrl+q"),
            "quit",
            "Quit (waits for a change in progress).",
            30,
            call="app.quit",
            hinted="list",
        ),
    ),
    "help": (
        Action("run_action", ("enter",), "run", "Close the help and run the action under the cursor.", 85),
        Action("filter_help", "filter", "filter", "Filter the keys as you type.", 80),
        Action("close", "back", "close", "Clear the filter, then close the help.", 90),
        Action("close_by_quit", ("q",), "close", "Close the help.", meaning="quit"),
    ),
}

ACTIONS: Final = tuple(action._replace(scope=scope) for scope, actions in _ACTIONS.items() for action in actions)

FEATURES: Final[Mapping[str, str]] = {
    "listing": "watch refresh refresh_all pause",
    "panes": "next_tab previous_tab leave_panel next_match zoom focus_left focus_panel",
    "helping": "help palette",
    "switching": "profiles simulate read_only theme",
    "arranging": f"sort_order columns problems views {' '.join(action.id for action in _views())}",
    "opening": "open_run open_user open_task",
    "copying": "copy copy_entry copy_tab copy_chosen show_chosen save_chosen copy_handoff copy_code",
    "leaving": "suspend",
    "signing_in": "sign_in use_method leave_sign_in sign_out",
    "changes.editing": "edit review leave discard discard_merge stop_waiting",
    "changes.bulk_editing": "mark_all invert_marks mark_range",
    "changes.acting": "act act_on_workflow",
    "changes.bulk_sending": "bulk stop_bulk open_result retry undo_bulk export_results",
    "changes.following": "new_workflow_run new_run result_run",
    "changes.journaling": "journal entry check decide undo_entry export undo",
    "changes.reviewing": "",
    "triage.triaging": "next_problem handled snooze note",
    "triage.explaining": "causes cause_runs",
    "triage.overviewing": "overview counts workflow_runs",
    "triage.tracing": "people open_persons_run",
}
"""The feature files -> the ids of the actions that each performs; the first use of one loads its feature. The view or
the frame with the focus performs all others."""

FEATURE_OF: Final = {action_id: feature for feature, ids in FEATURES.items() for action_id in ids.split()}

_PLAIN_KEYS: Final = frozenset({"left", "right", "enter", "escape", "tab", "shift+tab"})
"""Keys for which no message says where they work."""

ACTION_BY_ID: Final = {action.id: action for action in ACTIONS}


def in_scopes(*scopes: Scope) -> tuple[Action, ...]:
    return tuple(action for action in ACTIONS if action.scope in scopes)


def key_of(action_id: str) -> str:
    """Return an action's first key, as a sentence names it."""
    return ACTION_BY_ID[action_id].shown_key


def where_key_works(action: Action, key: str = "") -> str:
    """Say where its first key, or `key`, works: "R retry works in: Results of a bulk change."."""
    key = key or action.keys[0]
    scopes = {same.scope for same in ACTIONS if same.name == action.name and key in same.keys}
    views = [SCOPE_TITLES[view] for view, shared in VIEWS.items() if scopes & {view, *shared}]
    return f"{key_text(key)} {action.label} works in: {', '.join(views) or SCOPE_TITLES[action.scope]}."


@lru_cache(maxsize=64)
def keys_of(scopes: tuple[Scope, ...]) -> frozenset[str]:
    """Return the keys of all actions in `scopes`, in Textual's names."""
    return frozenset(key for action in in_scopes(*scopes) for key in action.keys)


@lru_cache(maxsize=256)
def with_key(key: str) -> Action | None:
    """Return the first action with this key (Textual's name); None if there is none, or if it moves or confirms."""
    found = next((action for action in ACTIONS if key in action.keys), None)
    return None if found is None or found.scope == "table" or key in _PLAIN_KEYS else found


def view_keys() -> Mapping[str, str]:
    """Return the filters of the built-in views -> the key that shows each."""
    actions = [ACTION_BY_ID[f"view_{number}"] for number in range(1, len(BUILT_IN_VIEWS) + 1)]
    shown = zip(BUILT_IN_VIEWS, actions, strict=True)
    return {view.settings.filter: action.shown_key for view, action in shown if action.keys}
