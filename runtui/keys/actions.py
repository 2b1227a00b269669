"""Every action, declared once: its names, its keys, its words and what it needs. No screen is known here.

Invariant: keys, hint line, palette, help, `[keys]` of config.toml and the README's table come from `ACTIONS` alone.
Actions that mean the same share a name, and a letter belongs to one name: it means one thing on every screen.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from runtui.domain.views import BUILT_IN_VIEWS, MOST_VIEWS
from runtui.keys.names import is_text, key_text

_logger: Final = logging.getLogger("runtui.keys")

Scope = Literal[
    "app", "table", "rows", "row", "wide", "run", "runs", "users", "tasks", "causes", "people", "person", "edit",
    "conflict", "review", "journal", "filter", "picker", "columns", "name", "sign_in", "help", "panel", "text",
    "search", "overview", "number", "results", "copies", "page", "line",
]  # fmt: skip

SCOPE_TITLES: Final[dict[Scope, str]] = {
    "table": "Moving",
    "rows": "Every list",
    "row": "A row of a list",
    "wide": "Wide lists",
    "run": "A run",
    "runs": "Runs",
    "users": "Users of a run",
    "tasks": "Tasks of a user",
    "causes": "Causes",
    "people": "People",
    "person": "One person",
    "filter": "Filter box",
    "edit": "Form",
    "conflict": "Conflict",
    "review": "Review",
    "number": "Review of many runs",
    "results": "Results of a bulk change",
    "journal": "Journal",
    "overview": "Overview",
    "panel": "Side panel",
    "text": "Text in the side panel",
    "search": "Search box",
    "app": "Everywhere",
    "picker": "Choosing from a list",
    "copies": "Choosing what to copy",
    "page": "Text to select",
    "columns": "Choosing columns",
    "name": "Naming a view",
    "line": "Typing a note or a time",
    "sign_in": "Account and sign-in",
    "help": "Help",
}

PLACES: Final[tuple[frozenset[Scope], ...]] = (
    frozenset({"table", "rows", "row", "wide", "run", "runs", "panel", "app"}),
    frozenset({"table", "rows", "row", "wide", "run", "users", "panel", "app"}),
    frozenset({"table", "rows", "row", "wide", "run", "tasks", "panel", "app"}),
    frozenset({"table", "text", "panel", "app"}),
    frozenset({"table", "rows", "row", "wide", "causes", "panel", "app"}),
    frozenset({"table", "rows", "row", "wide", "person", "panel", "app"}),
    frozenset({"people", "app"}),
    frozenset({"filter"}),
    frozenset({"search"}),
    frozenset({"edit", "panel", "app"}),
    frozenset({"table", "conflict", "panel", "app"}),
    frozenset({"review", "panel", "app"}),
    frozenset({"number", "panel", "app"}),
    frozenset({"table", "rows", "row", "wide", "results", "panel", "app"}),
    frozenset({"table", "rows", "journal", "panel", "app"}),
    frozenset({"table", "rows", "row", "overview", "panel", "app"}),
    frozenset({"table", "picker", "panel", "app"}),
    frozenset({"table", "picker", "copies", "panel", "app"}),
    frozenset({"page"}),
    frozenset({"table", "columns", "panel", "app"}),
    frozenset({"name", "panel", "app"}),
    frozenset({"line", "panel", "app"}),
    frozenset({"table", "sign_in", "panel", "app"}),
    frozenset({"table", "help", "panel", "app"}),
)
"""The scopes whose keys work at the same time."""

TYPING: Final[frozenset[Scope]] = frozenset({"edit", "filter", "search", "name", "people", "number", "line"})
"""The scopes in which an input has the focus: a letter there is text."""

Need = Literal[
    "",
    "server",
    "run",
    "row",
    "list",
    "marks",
    "writing",
    "editing",
    "own change",
    "new run",
    "form",
    "valid change",
    "change",
    "waiting change",
    "bulk change",
    "open change",
    "failed change",
    "done change",
    "journal entry",
    "undoable entry",
    "unknown entry",
    "checkable entry",
    "profiles",
    "account",
    "signed in",
    "no sign-in",
    "code",
    "demo",
    "search",
]  # fmt: skip
"""What has to be there before an action can run; `tui.actions.why_not` says what is missing."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a person can do."""

    id: str
    scope: Scope
    default_keys: tuple[str, ...]
    """As Textual names keys, the one to show first."""
    label: str
    """One or two words for the hint line."""
    help: str
    """One sentence for help and palette."""
    weight: int = 0
    """Its place in the hint line, the largest first; 0 keeps it out."""
    needs: Need = ""
    meaning: str = ""
    """The name that it shares with actions of other scopes that mean the same; empty where there is none."""
    call: str = ""
    """The Textual action to run, where that is not the one named by the id."""
    hinted: Need = ""
    """What has to be there besides for the hint line to show it; the key does not need it."""

    @property
    def name(self) -> str:
        """Its name in `[keys]`."""
        return self.meaning or self.id.replace("_", "-")

    @property
    def keys(self) -> tuple[str, ...]:
        """Its keys: those of `[keys]`, else the default ones."""
        return _remapped.get(self.name, self.default_keys)

    @property
    def shown_key(self) -> str:
        """The first key as a person reads it."""
        return key_text(self.keys[0])

    @property
    def key_while_typing(self) -> str | None:
        """The first key that an input does not take as text; None when there is none."""
        return next((key_text(key) for key in self.keys if not is_text(key)), None)


_remapped: dict[str, tuple[str, ...]] = {}
"""What `[keys]` says, by name. A process reads it once, before it shows anything."""


def remap(keys: Mapping[str, tuple[str, ...]]) -> None:
    """Replace the keys of some actions, by name; all others have their default keys.

    `keymap.read_keys` tells which keys can be given.
    """
    _remapped.clear()
    _remapped.update(keys)
    for name, pressed in keys.items():
        _logger.info("keys of %s: %s", name, " ".join(pressed) or "none")


def remapped() -> Mapping[str, tuple[str, ...]]:
    """The keys that differ from the default ones, by name of the action."""
    return _remapped


def _views() -> Iterator[Action]:
    """One action for each digit."""
    for number in range(1, MOST_VIEWS + 1):
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
    # What every list has
    Action("filter", "rows", ("slash", "f7"), "filter", "Filter the rows as you type.", 80),
    Action("sort", "rows", ("s",), "sort", "Sort by the next column.", 55),
    Action("sort_order", "rows", ("S", "shift+f7"), "sort by", "Choose a column to sort by, and the direction."),
    Action("reverse", "rows", ("I", "shift+f8"), "reverse", "Reverse the sort order."),
    Action("columns", "rows", ("C",), "columns", "Choose the columns and their order."),
    # A row of most lists
    Action("mark", "row", ("space",), "mark", "Toggle mark.", 60, "row"),
    Action("clear_marks", "row", ("U",), "clear marks", "Clear marks.", needs="marks"),
    Action("copy", "row", ("y", "ctrl+y"), "copy", "Copy an id, a command, the hand-over or more.", 61, "row"),
    # Lists with columns out of sight
    Action("next_columns", "wide", ("right",), "right", "Scroll the columns to the right."),
    Action("previous_columns", "wide", ("left",), "left", "Scroll the columns to the left."),
    # A run, under the cursor or opened
    Action("edit", "run", ("e", "f4"), "edit", "Open the run, or all marked runs, in the form.", 90, "form"),
    Action(
        "undo",
        "run",
        ("u", "shift+f4"),
        "undo",
        "Undo the last change to this run.",
        71,
        "editing",
        hinted="own change",
    ),
    Action("watch", "run", ("W",), "watch", "Ring the bell when the run, or all marked runs, end; or not.", 0, "run"),
    Action(
        "act",
        "run",
        ("a",),
        "actions",
        "Cancel or reprocess the run, or all marked runs; what else the service offers.",
        62,
        "server",
        hinted="editing",
    ),
    Action("new_run", "run", ("F",), "new run", "Go to the run that reprocesses it.", 86, "server", hinted="new run"),
    Action("next_problem", "run", ("n",), "next", "Go to the next problem not handled yet.", 62, "", "next", "", "row"),
    Action("handled", "run", ("f",), "handled", "Mark the run, or all marked runs, as handled, or not.", 40, "run"),
    Action("snooze", "run", ("b",), "snooze", "Put the run, or all marked runs, off until later.", needs="run"),
    Action("note", "run", ("m",), "note", "Write a note to the run, or to all marked runs.", needs="run"),
    # The list of runs
    Action("open_run", "runs", ("enter", "f3"), "open", "Open the run: its users.", 85, "run", meaning="details"),
    Action("problems", "runs", ("x",), "problems", "Show only runs with problems, or all runs.", 60),
    Action("mark_all", "runs", ("ctrl+a",), "mark all", "Mark all runs that the list shows."),
    Action("mark_range", "runs", ("V",), "mark range", "Mark the runs from the last mark to the cursor.", needs="run"),
    Action(
        "invert_marks",
        "runs",
        ("asterisk",),
        "invert marks",
        "Invert the marks of the list.",
    ),
    *_views(),
    Action("views", "runs", ("v",), "views", "Show a view; save, rename or delete one of your own.", 45),
    Action("clear", "runs", ("escape",), "clear", "Clear the filter, then close the side panel.", meaning="back"),
    # One run
    Action("open_user", "users", ("enter", "f3"), "open", "Open the user: the tasks.", 85, "", "details", "", "row"),
    Action("leave_run", "users", ("escape",), "back", "Clear the filter, then go back.", 78, meaning="back"),
    # One user of a run
    Action("open_task", "tasks", ("enter", "f3"), "JSON", "Go to the task in the panel.", 85, "row", meaning="details"),
    Action("leave_user", "tasks", ("escape",), "back", "Clear the filter, then go back.", 78, meaning="back"),
    # Causes
    Action(
        "cause_runs", "causes", ("enter", "f3"), "runs", "Show the runs of this cause.", 85, "row", meaning="details"
    ),
    Action("leave_causes", "causes", ("escape",), "back", "Clear the filter, then go back.", 78, meaning="back"),
    # The question for a person
    Action(
        "choose_person",
        "people",
        ("enter",),
        "show",
        "Show what all workflows did for this person.",
        90,
        meaning="choose",
    ),
    Action("person_up", "people", ("up",), "up", "Move one line up.", meaning="cursor-up"),
    Action("person_down", "people", ("down",), "down", "Move one line down.", meaning="cursor-down"),
    Action("leave_people", "people", ("escape",), "back", "Go back; nobody is chosen.", 80, meaning="back"),
    # One person
    Action("open_persons_run", "person", ("enter", "f3"), "open", "Open the run.", 85, "row", meaning="details"),
    Action("leave_person", "person", ("escape",), "back", "Clear the filter, then go back.", 78, meaning="back"),
    # The filter box
    Action("keep_filter", "filter", ("enter",), "keep", "Keep the filter and go to the list.", 90),
    Action("complete", "filter", ("tab",), "complete", "Complete a field or a value, or take the next one.", 85),
    Action("complete_back", "filter", ("shift+tab",), "previous", "Take the one before it."),
    Action("earlier_filter", "filter", ("up",), "earlier", "Go to the filter before this one.", 70),
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
    Action("leave", "edit", ("escape",), "back", "Go back to the list; the draft is kept.", 80, meaning="back"),
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
    Action("merge_in_form", "conflict", ("e", "f4"), "edit", "Edit the merged values.", 60, "editing", meaning="edit"),
    Action(
        "discard_merge",
        "conflict",
        ("D", "shift+f8"),
        "discard",
        "Discard the draft (press twice).",
        50,
        meaning="discard",
    ),
    Action("leave_merge", "conflict", ("escape",), "back", "Go back; the draft is kept.", 80, meaning="back"),
    # The review
    Action("send", "review", ("y",), "send", "Send exactly this request.", 90, "writing"),
    Action("why", "review", ("m",), "why", "Say why, for the journal.", 84, meaning="note"),
    Action("reject", "review", ("n",), "back", "Go back; nothing is sent.", 80),
    Action("leave_review", "review", ("escape",), "back", "Go back; nothing is sent.", meaning="back"),
    # The review of many runs
    Action("leave_number", "number", ("escape",), "back", "Go back; nothing is sent.", 80, meaning="back"),
    # What became of many runs
    Action(
        "open_result",
        "results",
        ("enter", "f3"),
        "details",
        "Show the request and the response.",
        90,
        "row",
        meaning="details",
    ),
    Action(
        "result_run",
        "results",
        ("F",),
        "run",
        "Go to the run that the action has made, or to its own.",
        86,
        "row",
        "new-run",
    ),
    Action("retry", "results", ("R",), "retry", "Review the changes that were not done again.", 84, "failed change"),
    Action(
        "undo_bulk",
        "results",
        ("u", "shift+f4"),
        "undo",
        "Undo the changes that were done.",
        82,
        "done change",
        meaning="undo",
    ),
    Action(
        "stop_bulk", "results", ("X",), "stop", "Stop what is not begun, or go on after a refusal.", 88, "open change"
    ),
    Action("export_results", "results", ("E",), "export", "Export the results to a file.", 60, meaning="export"),
    Action(
        "leave_results",
        "results",
        ("escape",),
        "back",
        "Clear the filter, then go back; the changes go on.",
        80,
        meaning="back",
    ),
    # The journal
    Action(
        "entry",
        "journal",
        ("enter", "f3"),
        "details",
        "Show the request and the response.",
        90,
        "journal entry",
        meaning="details",
    ),
    Action(
        "undo_entry", "journal", ("u", "shift+f4"), "undo", "Undo this change.", 85, "undoable entry", meaning="undo"
    ),
    Action("check", "journal", ("l",), "check", "Check an unknown change now.", 75, "checkable entry"),
    Action("decide", "journal", ("d",), "decide", "Record whether an unknown change was done.", 68, "unknown entry"),
    Action(
        "copy_entry",
        "journal",
        ("y", "ctrl+y"),
        "copy",
        "Copy request ids, a command, the hand-over or more.",
        64,
        "journal entry",
        meaning="copy",
    ),
    Action("all_servers", "journal", ("i",), "all servers", "Show the changes on all servers, or on this one.", 40),
    Action("export", "journal", ("E",), "export", "Export the changes to a file.", 60, hinted="journal entry"),
    Action("leave_journal", "journal", ("escape",), "back", "Clear the filter, then go back.", 80, meaning="back"),
    # The overview
    Action(
        "workflow_runs",
        "overview",
        ("enter", "f3"),
        "its runs",
        "Show the runs of the workflow, or of its day.",
        90,
        "row",
        meaning="details",
    ),
    Action(
        "new_workflow_run",
        "overview",
        ("F",),
        "new run",
        "Go to the run that you started.",
        88,
        "row",
        "new-run",
        "",
        "new run",
    ),
    Action("earlier_day", "overview", ("left",), "earlier day", "Go to the day before.", 86, "row"),
    Action("later_day", "overview", ("right",), "later day", "Go to the day after, then to all days.", 0, "row"),
    Action(
        "leave_overview", "overview", ("escape",), "back", "Go back to all days, then to the list.", 80, meaning="back"
    ),
    Action(
        "act_on_workflow",
        "overview",
        ("a",),
        "actions",
        "Clear the quarantine, run on demand, preview failures.",
        64,
        "row",
        meaning="act",
    ),
    # The side panel
    Action(
        "next_tab", "panel", ("right_square_bracket", "f9"), "next tab", "Show the next tab.", 66, call="step_tab(1)"
    ),
    Action(
        "previous_tab",
        "panel",
        ("left_square_bracket", "shift+f9"),
        "previous tab",
        "Show the previous tab.",
        call="step_tab(-1)",
    ),
    Action(
        "leave_panel",
        "panel",
        ("escape",),
        "back",
        "End the search, then go back to the left pane.",
        85,
        meaning="back",
    ),
    Action("search", "text", ("slash", "f7"), "search", "Search the text as you type.", 80, meaning="filter"),
    Action(
        "next_match",
        "text",
        ("n",),
        "next",
        "Go to the next match; without a search, as in the list.",
        75,
        meaning="next",
    ),
    Action("previous_match", "text", ("N",), "previous", "Go to the previous match.", 0, "search"),
    Action("copy_tab", "text", ("y", "ctrl+y"), "copy", "Copy something of what the tab shows.", 72, meaning="copy"),
    Action("keep_search", "search", ("enter", "down"), "keep", "Keep the matches and go to the text.", 90),
    Action("clear_search", "search", ("escape",), "clear", "End the search and go to the text.", 80),
    Action("zoom", "app", ("z", "f11"), "zoom", "Show one pane alone, or both.", 15),
    # A list to choose from
    Action("choose", "picker", ("enter",), "choose", "Choose the line under the cursor.", 90),
    Action("choose_nothing", "picker", ("escape",), "back", "Go back; nothing is chosen.", 80, meaning="back"),
    # What to copy
    Action("copy_chosen", "copies", ("y", "ctrl+y"), "copy", "Copy what is under the cursor.", meaning="copy"),
    Action("copy_handoff", "copies", ("h",), "hand-over", "Copy the hand-over.", 86),
    Action("show_chosen", "copies", ("t",), "show", "Show the text, to select it in the terminal.", 75),
    Action("save_chosen", "copies", ("E",), "to a file", "Write the text to a file.", 70, meaning="export"),
    Action("close_page", "page", ("escape", "enter"), "close", "Go back.", 90, meaning="back"),
    # The columns
    Action("toggle_column", "columns", ("space",), "show", "Show or hide the column.", 90, meaning="mark"),
    Action("column_up", "columns", ("minus", "shift+up"), "move up", "Move the column one place up.", 84),
    Action("column_down", "columns", ("plus", "shift+down"), "move down", "Move the column one place down.", 82),
    Action("automatic", "columns", ("0",), "automatic", "Show the columns that the width has room for.", 70),
    Action("keep_columns", "columns", ("enter",), "apply", "Show these columns.", 88, meaning="choose"),
    Action("leave_columns", "columns", ("escape",), "back", "Go back; the columns stay.", 80, meaning="back"),
    # The name of a view
    Action("keep_name", "name", ("enter",), "save", "Save the view under this name.", 90),
    Action("leave_name", "name", ("escape",), "back", "Go back; nothing is saved.", 80, meaning="back"),
    # A note, or a time
    Action("keep_line", "line", ("enter",), "keep", "Keep what is typed.", 90),
    Action("leave_line", "line", ("escape",), "back", "Go back; nothing is kept.", 80, meaning="back"),
    # The account
    Action("use_method", "sign_in", ("enter",), "sign in", "Sign in with the selected method.", 90, "no sign-in"),
    Action(
        "copy_code", "sign_in", ("y", "ctrl+y"), "copy", "Copy the code or the address.", 85, "code", meaning="copy"
    ),
    Action("sign_out", "sign_in", ("O",), "sign out", "Sign out (press twice).", 75, "signed in"),
    Action("leave_sign_in", "sign_in", ("escape",), "back", "Cancel the sign-in, or go back.", 80, meaning="back"),
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
    Action("refresh_all", "app", ("ctrl+f5",), "refresh all", "Read all runs again, also those that have not changed."),
    Action("pause", "app", ("p",), "pause", "Pause or resume auto-refresh.", 20),
    Action(
        "causes",
        "app",
        ("c",),
        "causes",
        "Open or close the reasons why tasks failed in the runs of the list.",
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
    Action("sign_in", "app", ("A", "shift+f2"), "account", "Show the account; sign in or out.", needs="account"),
    Action("profiles", "app", ("P",), "profiles", "Switch profile.", needs="profiles"),
    Action("simulate", "app", ("M",), "simulate", "Simulate a fault in the sandbox.", 64, "demo", hinted="list"),
    Action("help", "app", ("question_mark", "f1"), "help", "Open or close the list of keys.", 70),
    Action("palette", "app", ("ctrl+p", "colon"), "palette", "Find an action by name.", 10, call="app.command_palette"),
    Action("redraw", "app", ("ctrl+l",), "redraw", "Redraw the screen.", call="app.repaint"),
    Action("theme", "app", ("T",), "theme", "Switch to the next theme."),
    Action(
        "quit", "app", ("q", "f10", "ctrl+q"), "quit", "Quit (waits for a change in progress).", 30, call="app.quit"
    ),
    Action("run_action", "help", ("enter",), "run", "Close the help and run the action of the line.", 85),
    Action("filter_help", "help", ("slash", "f7"), "filter", "Filter the keys as you type.", 80, meaning="filter"),
    Action("close", "help", ("escape",), "close", "Clear the filter, then close the help.", 90, meaning="back"),
    Action("close_by_quit", "help", ("q",), "close", "Close the help.", meaning="quit"),
)

ACTION_BY_ID: Final = {action.id: action for action in ACTIONS}


def in_scopes(*scopes: Scope) -> tuple[Action, ...]:
    """The actions of some scopes, in their declared order."""
    return tuple(action for action in ACTIONS if action.scope in scopes)


def key_of(action_id: str) -> str:
    """The key to name in a sentence for an action."""
    return ACTION_BY_ID[action_id].shown_key


def view_keys() -> Mapping[str, str]:
    """The filters of the built-in views, each with the key that shows it."""
    actions = [ACTION_BY_ID[f"view_{number}"] for number in range(1, len(BUILT_IN_VIEWS) + 1)]
    shown = zip(BUILT_IN_VIEWS, actions, strict=True)
    return {view.settings.filter: action.shown_key for view, action in shown if action.keys}
