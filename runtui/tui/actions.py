"""Checks whether an action can run now, and makes Textual's bindings from the action registry.

Invariant: an action that cannot run says why; only the hint line leaves it out. A view, its screen or a feature
has an `action_<id>` for each action of `runtui.keys.actions`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from textual.binding import Binding, BindingType

from runtui.keys.actions import ACTION_BY_ID, VIEW_NEEDS, Action, HintedWhile, Need, Scope, in_scopes, key_of

if TYPE_CHECKING:
    from runtui.auth.signin import SignIn
    from runtui.services.records.journal import Entry
    from runtui.services.workspace import Workspace


class ActionContext(NamedTuple):
    """The facts that decide whether an action can run now."""

    why_read_only: str | None = None
    """Why nothing can be changed; None when it can."""
    has_run: bool = False
    """The cursor is on a run, or inside an opened run."""
    has_own_change: bool = False
    """This session has changed that run and not undone it."""
    has_new_run: bool = False
    """The run that an action of this session created from it is known."""
    is_covered: bool = False
    """A filter hides runs, or the panel was opened over them."""
    has_list: bool = False
    """The view is a list; it may be empty."""
    needs_refresh: bool = False
    """The view is a list that is incomplete, or whose auto-refresh is paused."""
    has_row: bool = False
    """The cursor is on a row."""
    saving: bool = False
    """A change to the run under the cursor, or in the form, is in progress."""
    waiting: bool = False
    """A throttled change waits until the service takes requests again."""
    entry: Entry | None = None
    """The journal entry under the cursor."""
    is_elsewhere: bool = False
    """That entry is of another root than this session's."""
    changes: int = 0
    errors: int = 0
    marks: int = 0
    marked_runs: int = 0
    """The number of runs that a change applies to; 0 if it applies to the run under the cursor."""
    has_open: bool = False
    has_done: bool = False
    has_not_done: bool = False
    """The shown bulk change has changes in progress, done, not done."""
    is_action: bool = False
    """The shown bulk change is an action of the service."""
    has_bulk: bool = False
    """This session has made a bulk change."""
    views: int = 0
    """How many views of the list there are."""
    profiles: int = 0
    """How many profiles this session can switch between."""
    sign_in: SignIn | None = None
    """The sign-in of this session; None if a token was supplied."""
    is_signing_in: bool = False
    """A sign-in is in progress."""
    has_code: bool = False
    """The sign-in shows a code, an address or a message to copy."""
    sends_changed: bool = False
    """The request of the draft has only the changed properties."""
    is_searching: bool = False
    """A search is open in the side panel."""
    is_demo: bool = False
    """The server is runtui's own sandbox, which can simulate faults."""
    has_shell: bool = False
    """The parent is a shell that can resume this process."""


def why_read_only(workspace: Workspace) -> str | None:
    """Return why changes are not allowed now, and the key that allows them; None if they are allowed."""
    why = workspace.why_read_only()
    if why is None or workspace.settings.read_only:
        return why
    return f"{why.rstrip('.')}; {key_of('read_only')} allows changes."


NO_RUN: Final = "There is no run under the cursor."
NO_ROW: Final = "There is nothing under the cursor."
NO_ENTRY: Final = "There is no change under the cursor."

Reason = Callable[[ActionContext], str | None]
"""Returns why an action cannot run, as a sentence; None if it can."""


def _may_edit(now: ActionContext) -> str | None:
    if now.why_read_only is not None:
        return now.why_read_only
    if now.saving:
        return "A change to this run is in progress; wait for the response."
    return None if now.has_run else NO_RUN


def _may_open_form(now: ActionContext) -> str | None:
    """Allow it for marked runs even if some have a change in progress: the form leaves those out."""
    return now.why_read_only if now.marked_runs else _may_edit(now)


def _may_review(now: ActionContext) -> str | None:
    if now.errors:
        have, them = ("fields have", "them") if now.errors > 1 else ("field has", "it")
        return f"{now.errors} {have} an invalid value; correct {them} first."
    return _needs_change(now) or _may_open_form(now)


def _needs_change(now: ActionContext) -> str | None:
    return None if now.changes or now.errors else "Nothing has changed yet."


def _needs_own_entry(now: ActionContext) -> str | None:
    if now.entry is not None and now.entry.damage:
        from runtui.services.records.journal_query import damage_sentence

        return damage_sentence(now.entry)
    if now.is_elsewhere:
        return "This change was made on another server; start runtui on that one."
    return None if now.entry is not None else NO_ENTRY


def _may_undo(now: ActionContext) -> str | None:
    why = now.why_read_only or _needs_own_entry(now)
    if why is not None or now.entry is None:
        return why
    from runtui.services.writing import undo

    return undo.why_not(now.entry)


def _may_check(now: ActionContext) -> str | None:
    """Allow it for an entry without an outcome too, which may belong to a process that has ended."""
    is_known = now.entry is not None and now.entry.is_settled
    return _needs_own_entry(now) or ("The outcome of this change is known." if is_known else None)


def _may_decide(now: ActionContext) -> str | None:
    is_in_progress = now.entry is not None and now.entry.outcome is None
    return _may_check(now) or ("This change is in progress." if is_in_progress else None)


def _may_undo_bulk(now: ActionContext) -> str | None:
    if now.is_action:
        return "An action cannot be undone."
    return now.why_read_only or (None if now.has_done else "There is no completed change to undo.")


def _needs_waiting(now: ActionContext) -> str | None:
    if now.waiting:
        return None
    if now.has_bulk:
        return f"No change to one run is waiting; {key_of('stop_bulk')} stops a change to many."
    return "No change waits."


def _needs_view(number: int, now: ActionContext) -> str | None:
    return None if number <= now.views else f"There is no view {number}; {key_of('views')} saves the list as a view."


def _needs_account(now: ActionContext) -> str | None:
    sign_in = now.sign_in
    if sign_in is None and now.is_demo:
        return "The demo needs no sign-in; runtui demo --sign-in rehearses one."
    if sign_in is None:
        return "Using a token you supplied; there is nothing to sign in to."
    if not sign_in.is_person:
        account = sign_in.state.account
        as_whom = f", as {account.username}" if account is not None and account.username else ""
        return f"This session signs in without a person ({sign_in.settings.method}){as_whom}."
    return None


REASONS: Final[Mapping[Need, Reason]] = {
    "": lambda _: None,
    "run": lambda now: None if now.has_run else NO_RUN,
    "runs": lambda now: None if now.has_run or now.marked_runs else NO_RUN,
    "row": lambda now: None if now.has_row else NO_ROW,
    "row or run": lambda now: None if now.has_row or now.has_run else NO_ROW,
    "marks": lambda now: None if now.marks else "Nothing is marked.",
    "writing": lambda now: now.why_read_only,
    "editing": _may_edit,
    "form": _may_open_form,
    "valid change": _may_review,
    "change": _needs_change,
    "waiting change": _needs_waiting,
    "bulk change": lambda now: None if now.has_bulk else "You have not changed several runs at once yet.",
    "open change": lambda now: None if now.has_open else "All changes have ended.",
    "failed change": lambda now: now.why_read_only or (None if now.has_not_done else "There is no change to retry."),
    "done change": _may_undo_bulk,
    "journal entry": lambda now: None if now.entry is not None else NO_ENTRY,
    "any entry": lambda now: None if now.entry is not None else "There is nothing to export.",
    "undoable entry": _may_undo,
    "unknown entry": _may_decide,
    "checkable entry": _may_check,
    **{need: partial(_needs_view, number) for number, need in VIEW_NEEDS.items()},
    "profiles": lambda now: (
        None if now.profiles > 1 else "There is no other profile; `runtui config path` shows where to add one."
    ),
    "account": _needs_account,
    "signed in": lambda now: (
        None if now.sign_in is not None and now.sign_in.state.account is not None else "Nobody is signed in."
    ),
    "no sign-in": lambda now: (
        f"A sign-in is in progress; {key_of('leave_sign_in')} cancels it." if now.is_signing_in else None
    ),
    "code": lambda now: None if now.has_code else "There is nothing to copy yet.",
    "search": lambda now: None if now.is_searching else f"There is no search; {key_of('search')} starts one.",
    "shell": lambda now: None if now.has_shell else "No shell is waiting that could resume runtui.",
    "demo": lambda now: None if now.is_demo else "Only the sandbox of `runtui demo` can simulate faults.",
}


HINTED_WHILE: Final[Mapping[HintedWhile, Callable[[ActionContext], bool]]] = {
    "": lambda _: True,
    "row": lambda now: now.has_row,
    "list": lambda now: now.has_list,
    "needs refresh": lambda now: now.needs_refresh,
    "editing": lambda now: _may_edit(now) is None,
    "own change": lambda now: now.has_own_change,
    "new run": lambda now: now.has_new_run,
    "journal entry": lambda now: now.entry is not None,
    "signed out": lambda now: (
        (who := now.sign_in) is not None and who.is_person and not (who.state.account and not who.state.needs_person)
    ),
    "back": lambda now: now.is_covered,
}


def why_not(action: Action, now: ActionContext) -> str | None:
    """Return why an action cannot run, as a sentence; None if it can."""
    return REASONS[action.needs](now)


def bindings(*scopes: Scope, **calls: str) -> list[BindingType]:
    """Return Textual's bindings for the actions of `scopes`.

    Tables and inputs run their own actions; all others go through `ViewScreen.action_perform`. `calls` maps an action
    id to the Textual action of this widget, if that has another name.
    """
    return [binding(action, calls.get(action.id, "")) for action in in_scopes(*scopes)]


def binding(action: Action, call: str = "") -> Binding:
    """Return Textual's binding for an action, which runs `call` if that is given."""
    is_own = action.scope in ("table", "filter", "search")
    call = call or action.call or (action.id if is_own else f"screen.perform('{action.id}')")
    return Binding(",".join(action.default_keys), call, action.label, show=False, id=action.name)


MAX_HINTS: Final = 5
"""The most actions in a hint line, besides the help."""

_STEPS: Final = frozenset({"valid change"})
"""Needs that a person fulfils in the same view: until then the hint is shown, but dimmed."""


_SENDS_ALL: Final = ACTION_BY_ID["changed_only"]._replace(label="send all")
"""The action as the hint line names it while only changed properties are sent."""

_OPENS_PANEL: Final = ACTION_BY_ID["next_tab"]._replace(label="panel")
"""The next-tab action as the hint line names it while the panel is hidden: the panel says why a run failed."""
_OPENS_PANEL_AT: Final = 2
"""Its index among the hints, after the actions on the row."""


class Hint(NamedTuple):
    """A hint: an action, its key, and whether the action can run now."""

    action: Action
    key: str
    is_ready: bool = True


def hints(
    actions: Collection[Action], now: ActionContext, *, typing: bool = False, opens_panel: bool = False
) -> list[Hint]:
    """Return the hint line: the most important of `actions` that can run now, then the help.

    With `typing`, keys that an input takes as text are not offered; with `opens_panel`, the key that shows the panel
    is. The action that opens the current view is left out.
    """
    here = {action.scope for action in actions}
    found = []
    for action in sorted((action for action in actions if action.weight), key=lambda action: -action.weight):
        key = action.key_while_typing if typing else action.shown_key
        if key is None or action.id in here or not HINTED_WHILE[action.hinted](now):
            continue
        is_ready = why_not(action, now) is None
        if is_ready or action.needs in _STEPS:
            shown_as = _SENDS_ALL if now.sends_changed and action.id == _SENDS_ALL.id else action
            found.append(Hint(shown_as, key, is_ready))
    helps = [hint for hint in found if hint.action.id == "help"]
    shown = [hint for hint in found if hint not in helps][:MAX_HINTS] + helps
    if opens_panel and not typing:
        shown.insert(_OPENS_PANEL_AT, Hint(_OPENS_PANEL, _OPENS_PANEL.shown_key))
    return shown
