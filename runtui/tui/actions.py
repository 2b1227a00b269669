"""What decides whether an action can run now, and Textual's bindings for the registry's keys.

Invariant: an action that cannot run says why; only the hint line leaves it out. A view, the frame around it or a
feature has an `action_<id>` for each action of `runtui.keys.actions`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from textual.binding import Binding, BindingType, Keymap

from runtui.keys.actions import Action, Need, Scope, in_scopes, key_of, remapped

if TYPE_CHECKING:
    from runtui.auth.signin import SignIn
    from runtui.domain.report import Outcome
    from runtui.services.journal import Entry
    from runtui.services.workspace import Workspace


class ActionContext(NamedTuple):
    """What decides whether an action can run now."""

    why_read_only: str | None = None
    """Why nothing can be changed; None when it can."""
    has_run: bool = False
    """The cursor is on a run, or in one."""
    has_own_change: bool = False
    """A change to that run was done in this session, and not undone."""
    has_new_run: bool = False
    """It is known which run an action of this session has made of that."""
    has_list: bool = False
    """Rows are in sight, or why there are none."""
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
    """How many runs a change is for; 0 where it is for the run under the cursor."""
    outcomes: frozenset[Outcome | None] = frozenset()
    """How the changes in sight have ended, of those to many runs; None: one is on its way."""
    is_action: bool = False
    """Those changes are actions of the service."""
    has_bulk: bool = False
    """Many runs were changed in this session."""
    profiles: int = 0
    """How many profiles this session can switch between."""
    sign_in: SignIn | None = None
    """What signs in here; None where a token was supplied."""
    is_signing_in: bool = False
    """A sign-in is in progress."""
    is_searching: bool = False
    """Something is looked for in the side panel."""
    is_demo: bool = False
    """The server is a sandbox of our own, that can simulate faults."""
    has_shell: bool = False
    """A shell waits that can bring this process back."""


def why_read_only(workspace: Workspace) -> str | None:
    """Why nothing may be changed now, and what allows it again; None when changes are allowed."""
    why = workspace.why_read_only()
    if why is None or workspace.settings.read_only:
        return why
    return f"{why.rstrip('.')}; {key_of('read_only')} allows changes."


NO_RUN: Final = "There is no run under the cursor."

Reason = Callable[[ActionContext], str | None]
"""Why an action cannot run, as a sentence; None when it can."""


def _needs_run(now: ActionContext) -> str | None:
    return None if now.has_run else NO_RUN


def _may_write(now: ActionContext) -> str | None:
    return now.why_read_only


def _may_edit(now: ActionContext) -> str | None:
    if (why := _may_write(now)) is not None:
        return why
    if now.saving:
        return "A change to this run is in progress; wait for the response."
    return _needs_run(now)


def _may_open_form(now: ActionContext) -> str | None:
    """Of marked runs, those with a change in progress are left out."""
    return _may_write(now) if now.marked_runs else _may_edit(now)


def _may_review(now: ActionContext) -> str | None:
    if now.errors:
        return f"{now.errors} {'fields have' if now.errors > 1 else 'field has'} an invalid value; correct it first."
    return _needs_change(now) or _may_open_form(now)


def _needs_change(now: ActionContext) -> str | None:
    return None if now.changes or now.errors else "Nothing has changed yet."


def _needs_entry(now: ActionContext) -> str | None:
    return None if now.entry is not None else "There is no change under the cursor."


def _needs_own_entry(now: ActionContext) -> str | None:
    if now.entry is not None and now.entry.damage:
        from runtui.services.journal_query import damage_sentence

        return damage_sentence(now.entry)
    if now.is_elsewhere:
        return "This change was made on another server; start runtui on that one."
    return _needs_entry(now)


def _may_undo(now: ActionContext) -> str | None:
    why = _may_write(now) or _needs_own_entry(now)
    if why is not None or now.entry is None:
        return why
    from runtui.services.writing import undo

    return undo.why_not(now.entry)


def _needs_unknown(now: ActionContext) -> str | None:
    from runtui.domain.report import Outcome

    why = _needs_own_entry(now)
    if why is not None or now.entry is None or now.entry.outcome is Outcome.UNKNOWN:
        return why
    return "The outcome of this change is known." if now.entry.is_settled else "This change is in progress."


def _may_check(now: ActionContext) -> str | None:
    # An entry of a process that is gone is open, and a check finds that out.
    return _needs_own_entry(now) if now.entry is None or now.entry.outcome is None else _needs_unknown(now)


def _may_retry(now: ActionContext) -> str | None:
    from runtui.domain.report import Outcome

    is_there = Outcome.NOT_DONE in now.outcomes
    return _may_write(now) or (None if is_there else "There is no change that was not done.")


def _may_undo_bulk(now: ActionContext) -> str | None:
    from runtui.domain.report import Outcome

    if now.is_action:
        return "An action cannot be undone."
    is_there = Outcome.DONE in now.outcomes
    return _may_write(now) or (None if is_there else "There is no change that was done.")


def _needs_account(now: ActionContext) -> str | None:
    from runtui.tui.words.sign_in_words import why_nobody

    return why_nobody(now.sign_in, is_demo=now.is_demo)


def _is_signed_in(now: ActionContext) -> bool:
    return now.sign_in is not None and now.sign_in.state.account is not None


def _needs_signing_in(now: ActionContext) -> str | None:
    is_needed = now.sign_in is not None and not _is_signed_in(now) and _needs_account(now) is None
    return None if is_needed else "Nobody has to sign in."


def _may_sign_in(now: ActionContext) -> str | None:
    return f"A sign-in is in progress; {key_of('leave_sign_in')} cancels it." if now.is_signing_in else None


REASONS: Final[Mapping[Need, Reason]] = {
    "": lambda _: None,
    "run": _needs_run,
    "row": lambda now: None if now.has_row else "There is nothing under the cursor.",
    "list": lambda now: None if now.has_list else "There is no list here.",
    "marks": lambda now: None if now.marks else "Nothing is marked.",
    "writing": _may_write,
    "editing": _may_edit,
    "own change": lambda now: None if now.has_own_change else "You have not changed this run in this session.",
    "new run": lambda now: None if now.has_new_run else "No action of this session has made a run of it.",
    "form": _may_open_form,
    "valid change": _may_review,
    "change": _needs_change,
    "waiting change": lambda now: None if now.waiting else "No change is waiting.",
    "bulk change": lambda now: None if now.has_bulk else "You have not changed several runs at once yet.",
    "open change": lambda now: None if None in now.outcomes else "All changes have ended.",
    "failed change": _may_retry,
    "done change": _may_undo_bulk,
    "journal entry": _needs_entry,
    "undoable entry": _may_undo,
    "unknown entry": _needs_unknown,
    "checkable entry": _may_check,
    "profiles": lambda now: (
        None if now.profiles > 1 else "There is no other profile; `runtui config path` shows where to add one."
    ),
    "account": _needs_account,
    "signed in": lambda now: None if _is_signed_in(now) else "Nobody is signed in.",
    "signed out": _needs_signing_in,
    "no sign-in": _may_sign_in,
    "code": lambda now: None if now.is_signing_in else "There is no code or address to copy yet.",
    "search": lambda now: None if now.is_searching else f"Nothing is searched for; {key_of('search')} searches.",
    "shell": lambda now: None if now.has_shell else "No shell waits here that could bring runtui back.",
    "demo": lambda now: None if now.is_demo else "Only the sandbox of `runtui demo` can simulate faults.",
}


def why_not(action: Action, now: ActionContext) -> str | None:
    """Why an action cannot run, as a sentence; None when it can."""
    return REASONS[action.needs](now)


def bindings(*scopes: Scope, **calls: str) -> list[BindingType]:
    """Textual's bindings for some scopes.

    Tables and boxes act by themselves; all else runs through `Frame.action_perform`. `calls` has the Textual action of
    this widget for the ids of actions that have another name there.
    """
    return [
        Binding(
            ",".join(action.default_keys),
            calls.get(action.id) or _call(action),
            action.label,
            show=False,
            id=action.name,
        )
        for action in in_scopes(*scopes)
    ]


def _call(action: Action) -> str:
    return action.call or (
        action.id if action.scope in ("table", "filter", "search") else f"screen.perform('{action.id}')"
    )


def textual_keymap() -> Keymap:
    """The keys of `[keys]` for `App.set_keymap`, by the ids of `bindings`."""
    return {name: ",".join(keys) for name, keys in remapped().items()}


MOST_HINTS: Final = 5
"""Actions that a hint line names beside the help."""

_STEPS: Final = frozenset({"valid change"})
"""What a person is about to bring about in the place where the action is: its hint waits for that, dimmed."""


def hints(actions: Collection[Action], now: ActionContext, *, typing: bool = False) -> list[tuple[Action, str]]:
    """The actions of a hint line, of those that have the keys, each with its key: the most important ones that can be
    done now, and the help. While typing, letters and digits are text.

    The way to a place is left out where one is there already.
    """
    here = {action.scope for action in actions}
    found = []
    for action in sorted((action for action in actions if action.weight), key=lambda action: -action.weight):
        key = action.key_while_typing if typing else action.shown_key
        if key is None or action.id in here or REASONS[action.hinted](now) is not None:
            continue
        if action.needs in _STEPS or why_not(action, now) is None:
            found.append((action, key))
    helps = [hint for hint in found if hint[0].id == "help"]
    return [hint for hint in found if hint not in helps][:MOST_HINTS] + helps
