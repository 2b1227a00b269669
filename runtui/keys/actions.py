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
    "", "run", "row", "list", "marks", "writing", "editing", "own change", "new run", "form", "valid change",
    "change", "waiting change", "bulk change", "open change", "failed change", "done change", "journal entry",
    "undoable entry", "unknown entry", "checkable entry", "profiles", "account", "signed in", "signed out",
    "no sign-in", "code", "demo", "search", "shell", "back",
]  # fmt: skip
"""The condition for an action to run; `tui.actions.why_not` says what is missing."""

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
    scope: Scope
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
    hinted: Need = ""
    """A further condition for the hint line to show it; its key works without that."""

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
        name, words = "view", f"your view {number}"
        if number <= len(BUILT_IN_VIEWS):
            name = BUILT_IN_VIEWS[number - 1].name
            words = f"the view {name}"
        yield Action(f"view_{number}", "runs", (str(number),), name, f"Show {words}, or all runs.")


ACTIONS: Final[tuple[Action, ...]] = (
    # Moving
    Action("cursor_up", "table", ("k", "up"), "up", "Move one line up.", call="step(-1)"),
    Action("cursor_down", "table", ("j", "down"), "down", "Move one line down.", call="step(1)"),
    Action("page_up", "table", ("pageup",), "page up", "Move one screen up.", call="page(-1)"),
    Action("page_down", "table", ("pagedown",), "page down", "Move one screen down.", call="page(1)"),
    Action("first_row", "table", ("g", "home"), "first", "Go to the first line."),
    Action("last_row", "table", ("G", "end"), "last", "Go to the last line."),
    # Every list
    Action("filter", "rows", "filter", "filter", "Filter the rows as you type.", 80),
    Action("sort", "rows", ("s",), "sort", "Sort by the next column.", 55),
    Action("sort_order", "rows", ("S", "shift+f7"), "sort by", "Choose a column to sort by, and the direction."),
    Action("reverse", "rows", ("I", "shift+f8"), "reverse", "Reverse the sort order."),
    Action("columns", "rows", ("C",), "columns", "Choose the columns and their order."),
    # A row of most lists
    Action("mark", "row", "mark", "mark", "Toggle mark.", 60, "row"),
    Action("clear_marks", "row", ("U",), "clear marks", "Clear marks.", needs="marks"),
    Action("copy", "row", "copy", "copy", "Copy an id, a command, the hand-over or more.", 61, "row"),
    # A list opened above another screen, and a question
    Action("leave_view", "opened", "back", "back", "Clear the filter, then go back.", 80),
    Action("leave_question", "question", "back", "back", "Go back; nothing is chosen or sent.", 80),
    # Lists with hidden columns
    Action("next_columns", "wide", ("right",), "right", "Scroll the columns to the right."),
    Action("previous_columns", "wide", ("left",), "left", "Scroll the columns to the left."),
    # A run, under the cursor or opened
    Action("edit", "run", "edit", "edit", "Open the run, or all marked runs, in the form.", 90, "form"),
    Action("undo", "run", "undo", "undo", "Undo the last change to this run.", 71, "editing", hinted="own change"),
    Action("watch", "run", ("W",), "watch", "Toggle the bell for when the run, or each marked run, ends.", 0, "run"),
    Action(
        "act",
        "run",
        "act",
        "actions",
        "Cancel, reprocess and more, for the run or all marked runs.",
        62,
        hinted="editing",
    ),
    Action("new_run", "run", "new-run", "new run", "Go to the run that reprocesses it.", 86, hinted="new run"),
    Action("next_problem", "run", "next", "next", "Go to the next problem that is not handled.", 62, hinted="row"),
    Action("handled", "run", ("f",), "handled", "Toggle handled for the run, or for all marked runs.", 40, "run"),
    Action("snooze", "run", ("b",), "snooze", "Snooze the run, or all marked runs, until later.", needs="run"),
    Action("note", "run", "note", "note", "Write a note on the run, or on all marked runs.", 0, "run"),
    # The list of runs
    Action("open_run", "runs", "details", "open", "Open the run to see its users.", 85, "run"),
    Action("problems", "runs", ("x",), "problems", "Show only runs with problems, or all runs.", 60),
    Action("mark_all", "runs", ("ctrl+a",), "mark all", "Mark all runs that the list shows."),
    Action("mark_range", "runs", ("V",), "mark range", "Mark the runs from the last mark to the cursor.", needs="run"),
    Action("invert_marks", "runs", ("asterisk",), "invert marks", "Invert the marks of the list."),
    *_views(),
    Action("views", "runs", ("v",), "views", "Show a view; save, rename or delete one of your own.", 45),
    Action("clear", "runs", "back", "back", "Clear the filter, then close the side panel.", 79, hinted="back"),
    # One run
    Action("open_user", "users", "details", "open", "Open the user to see the tasks.", 85, hinted="row"),
    # One user of a run
    Action("open_task", "tasks", "details", "JSON", "Go to the task's JSON in the panel.", 85, "row"),
    # Causes
    Action("cause_runs", "causes", "details", "runs", "Show the runs of this cause.", 85, "row"),
    # Finding a person
    Action("choose_person", "people", "choose", "show", "Show what all workflows did for this person.", 90),
    Action("person_up", "people", ("up",), "up", "Move one line up.", meaning="cursor-up"),
    Action("person_down", "people", ("down",), "down", "Move one line down.", meaning="cursor-down"),
    # One person
    Action("open_persons_run", "person", "details", "open", "Open the run.", 85, "row"),
    # The filter box
    Action("keep_filter", "filter", ("enter",), "keep", "Keep the filter and go to the list.", 90),
    Action("complete", "filter", ("tab",), "complete", "Complete a field or a value; repeat for the next one.", 85),
    Action("complete_back", "filter", ("shift+tab",), "previous", "Complete with the previous suggestion."),
    Action("earlier_filter", "filter", ("up",), "earlier", "Go to the previous filter.", 70),
    Action("later_filter", "filter", ("down",), "list", "Go to the next filter; after the last, to the list.", 60),
    Action("clear_filter", "filter", ("escape",), "clear", "Clear the filter and close the box.", 80),
    # The form
    Action("review", "edit", ("ctrl+s", "f2"), "review", "Review the change before it is sent.", 90, "valid change"),
    Action(
        "changed_only",
        "edit",
        ("ctrl+t", "f6"),
        "send changed only",
        "Send only changed properties, or all required ones.",
        60,
    ),
    Action("revert", "edit", ("f8",), "revert field", "Revert this field.", 50, "change"),
    Action("discard", "edit", ("shift+f8",), "discard", "Discard the draft (press twice).", needs="change"),
    Action("leave", "edit", "back", "back", "Go back to the list; the draft is kept.", 80),
    Action(
        "choose_value", "values", "choose", "choose", "Choose the value under the cursor.", 90, call="press('enter')"
    ),
    Action("close_values", "values", "back", "keep", "Close the dropdown unchanged.", 80, call="press('escape')"),
    # A draft whose run has changed
    Action(
        "merge",
        "conflict",
        ("enter", "ctrl+s", "f2"),
        "review",
        "Review the merged values.",
        90,
        "editing",
        meaning="review",
    ),
    Action("theirs", "conflict", ("left",), "theirs", "Use the value that the run has now.", 85),
    Action("ours", "conflict", ("right",), "yours", "Use the value in your draft.", 84),
    Action("other", "conflict", ("space",), "switch", "Switch between theirs and yours."),
    Action("merge_in_form", "conflict", "edit", "edit", "Edit the merged values.", 60, "editing"),
    Action(
        "discard_merge",
        "conflict",
        ("D", "shift+f8"),
        "discard",
        "Discard the draft (press twice).",
        50,
        meaning="discard",
    ),
    Action("leave_merge", "conflict", "back", "back", "Go back; the draft is kept.", 80),
    # The review
    Action("send", "review", ("y",), "send", "Send exactly this request.", 90, "writing"),
    Action("why", "review", "note", "why", "Give a reason, for the journal.", 84),
    Action("reject", "review", ("n",), "no", "Go back; nothing is sent."),
    # Results of a bulk change
    Action("open_result", "results", "details", "details", "Show the request and the response.", 90, "row"),
    Action("result_run", "results", "new-run", "run", "Go to the new run of the action, or to its own run.", 86, "row"),
    Action("retry", "results", ("R",), "retry", "Review the changes not done, and resend them.", 84, "failed change"),
    Action("undo_bulk", "results", "undo", "undo", "Undo the changes that were done.", 82, "done change"),
    Action(
        "stop_bulk", "results", ("X",), "stop", "Stop the unsent changes, or go on after a refusal.", 88, "open change"
    ),
    Action("export_results", "results", "export", "export", "Export the results to a file.", 60),
    # The journal
    Action("entry", "journal", "details", "details", "Show the request and the response.", 90, "journal entry"),
    Action("undo_entry", "journal", "undo", "undo", "Undo this change.", 85, "undoable entry"),
    Action("check", "journal", ("l",), "check", "Check an unknown change now.", 75, "checkable entry"),
    Action("decide", "journal", ("d",), "decide", "Record whether an unknown change was done.", 68, "unknown entry"),
    Action(
        "copy_entry",
        "journal",
        "copy",
        "copy",
        "Copy request ids, a command, the hand-over or more.",
        64,
        "journal entry",
    ),
    Action("all_servers", "journal", ("i",), "all servers", "Show the changes on all servers, or on this one.", 40),
    Action("export", "journal", "export", "export", "Export the changes to a file.", 60, hinted="journal entry"),
    # The overview
    Action(
        "workflow_runs", "overview", "details", "its runs", "Show the runs of the workflow, or of its day.", 90, "row"
    ),
    Action(
        "new_workflow_run",
        "overview",
        "new-run",
        "new run",
        "Go to the run that you started.",
        88,
        "row",
        hinted="new run",
    ),
    Action("earlier_day", "overview", ("left",), "earlier day", "Go to the previous day.", 86, "row"),
    Action("later_day", "overview", ("right",), "later day", "Go to the next day; from today, to all days.", 0, "row"),
    Action(
        "act_on_workflow",
        "overview",
        "act",
        "actions",
        "Clear the quarantine, run on demand, preview failures.",
        64,
        "row",
    ),
    # The side panel
    Action("next_tab", "panel", ("right_square_bracket", "f9"), "next tab", "Show the next tab.", 66),
    Action("previous_tab", "panel", ("left_square_bracket", "shift+f9"), "previous tab", "Show the previous tab."),
    Action("leave_panel", "panel", "back", "back", "End the search, then go back to the left pane.", 85),
    Action("search", "text", "filter", "search", "Search the text as you type.", 80),
    Action("next_match", "text", "next", "next", "Go to the next match; without a search, the next problem.", 75),
    Action("previous_match", "text", ("N",), "previous", "Go to the previous match.", 0, "search"),
    Action("copy_tab", "text", "copy", "copy", "Copy something that the tab shows.", 72),
    Action("keep_search", "search", ("enter", "down"), "keep", "Keep the matches and go to the text.", 90),
    Action("clear_search", "search", ("escape",), "clear", "End the search and go to the text.", 80),
    Action("zoom", "app", ("z", "f11"), "zoom", "Show one pane alone, or both.", 15),
    # A picker
    Action("choose", "picker", "choose", "choose", "Choose the line under the cursor.", 90),
    # The copy dialog
    Action("copy_chosen", "copies", "copy", "copy", "Copy what is under the cursor."),
    Action("copy_handoff", "copies", ("h",), "hand-over", "Copy the hand-over.", 86),
    Action("show_chosen", "copies", ("t",), "show", "Show the text, to select it in the terminal.", 75),
    Action("save_chosen", "copies", "export", "to a file", "Write the text to a file.", 70),
    Action("close_page", "page", ("escape", "enter"), "close", "Go back.", 90, meaning="back"),
    # The columns
    Action("toggle_column", "columns", "mark", "show", "Show or hide the column.", 90),
    Action("column_up", "columns", ("minus", "shift+up"), "move up", "Move the column one place up.", 84),
    Action("column_down", "columns", ("plus", "shift+down"), "move down", "Move the column one place down.", 82),
    Action("automatic", "columns", ("0",), "automatic", "Show as many columns as fit.", 70),
    Action("keep_columns", "columns", "choose", "apply", "Show these columns.", 88),
    # A note, a name or a time
    Action("keep_line", "line", ("enter",), "keep", "Keep what is typed.", 90),
    # The account
    Action("use_method", "sign_in", ("enter",), "sign in", "Sign in with the selected method.", 90, "no sign-in"),
    Action("copy_code", "sign_in", "copy", "copy", "Copy the code or the address.", 85, "code"),
    Action("sign_out", "sign_in", ("O",), "sign out", "Sign out (press twice).", 75, "signed in"),
    Action("leave_sign_in", "sign_in", "back", "back", "Cancel the sign-in, or go back.", 80),
    # Everywhere
    Action("focus_left", "app", ("less_than_sign", "shift+f12"), "left pane", "Go to the left pane."),
    Action(
        "focus_panel",
        "app",
        ("greater_than_sign", "f12"),
        "panel",
        "Open the side panel and go to it.",
        25,
        hinted="list",
    ),
    Action("refresh", "app", ("r", "f5"), "refresh", "Refresh now.", 22, hinted="list"),
    Action("refresh_all", "app", ("ctrl+f5",), "refresh all", "Read all runs again, even unchanged ones."),
    Action("pause", "app", ("p",), "pause", "Pause or resume auto-refresh.", 20, hinted="list"),
    Action(
        "causes",
        "app",
        ("c",),
        "causes",
        "Open or close the causes of failed tasks in the listed runs.",
        64,
        hinted="list",
    ),
    Action("people", "app", ("at",), "people", "Find one person across all workflows.", 14, hinted="list"),
    Action(
        "journal", "app", ("J", "shift+f3"), "journal", "Open or close the journal of your changes.", 58, hinted="list"
    ),
    Action(
        "bulk",
        "app",
        ("B",),
        "results",
        "Open or close the results of the last change to many runs.",
        13,
        "bulk change",
    ),
    Action("counts", "app", ("number_sign",), "counts", "Show the runs of one of the counts under the header."),
    Action("overview", "app", ("o",), "overview", "Open or close the overview of the workflows.", 57, hinted="list"),
    Action(
        "stop_waiting",
        "app",
        ("w", "ctrl+g"),
        "stop waiting",
        "Stop waiting for a throttled change.",
        12,
        "waiting change",
    ),
    Action("read_only", "app", ("ctrl+r",), "read-only", "Toggle read-only."),
    Action(
        "sign_in",
        "app",
        ("A", "shift+f2"),
        "account",
        "Show the account; sign in or out.",
        99,
        "account",
        hinted="signed out",
    ),
    Action("profiles", "app", ("P",), "profiles", "Switch profile.", needs="profiles"),
    Action("simulate", "app", ("M",), "simulate", "Simulate a fault in the sandbox.", 64, "demo", hinted="list"),
    Action("help", "app", ("question_mark", "f1"), "help", "Open or close the list of keys.", 70),
    Action("palette", "app", ("ctrl+p", "colon"), "palette", "Find an action by name.", 10),
    Action("redraw", "app", ("ctrl+l",), "redraw", "Redraw the screen.", call="app.repaint"),
    Action("suspend", "app", ("ctrl+z",), "suspend", "Suspend to the shell; `fg` resumes runtui.", needs="shell"),
    Action("theme", "app", ("T",), "theme", "Switch to the next theme."),
    Action(
        "quit",
        "app",
        ("q", "f10", "ctrl+q"),
        "quit",
        "Quit (waits for a change in progress).",
        30,
        call="app.quit",
        hinted="list",
    ),
    Action("run_action", "help", ("enter",), "run", "Close the help and run the action under the cursor.", 85),
    Action("filter_help", "help", "filter", "filter", "Filter the keys as you type.", 80),
    Action("close", "help", "back", "close", "Clear the filter, then close the help.", 90),
    Action("close_by_quit", "help", ("q",), "close", "Close the help.", meaning="quit"),
)

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
    "changes.editing": "edit review leave discard discard_merge",
    "changes.bulk_editing": "mark_all invert_marks mark_range",
    "changes.acting": "act act_on_workflow",
    "changes.bulk_sending": "bulk stop_bulk open_result retry undo_bulk export_results",
    "changes.following": "new_workflow_run new_run result_run",
    "changes.journaling": "journal entry check decide undo_entry export undo",
    "changes.waiting": "stop_waiting",
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
