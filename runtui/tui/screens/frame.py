"""The layout of every screen: header, tenant strip, left pane, side panel, status line and hint line.

Invariant: every screen is a `ViewScreen` around one view. The session (`Chrome`) owns the text of the lines and the
panel; the screen in front draws it. So another screen changes the left pane alone. An action that `why_not` refuses
never runs, whichever key, hint or palette entry asked for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from inspect import isawaitable
from itertools import chain
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.reactive import Reactive
from textual.screen import Screen, ScreenResultCallbackType, ScreenResultType
from textual.widget import Widget

from runtui.domain.columns import FRAMED_LINES, WIDE
from runtui.domain.plots import STRIP_LINES
from runtui.domain.views import all_views
from runtui.keys.actions import (
    ACTION_BY_ID,
    TYPING,
    Scope,
    in_scopes,
    key_of,
    keys_of,
    where_key_works,
    with_key,
)
from runtui.services.store.store import StoredRun
from runtui.services.workspace import SandboxControl, Workspace
from runtui.tui.actions import NO_ROW, NO_RUN, ActionContext, bindings, hints, why_not, why_read_only
from runtui.tui.keys import KeyQueue, blocks_keys
from runtui.tui.output import DrawnOnce
from runtui.tui.screens.panel import Panel
from runtui.tui.screens.view import ActionView
from runtui.tui.terminal import TerminalApp, shell_waits
from runtui.tui.widgets.chrome import (
    Condition,
    HeaderLine,
    Headline,
    HintBar,
    Pane,
    Severity,
    Status,
    StatusLine,
    TenantProblems,
    TenantStrip,
    always,
    headline,
    tenant_problems,
)
from runtui.tui.widgets.inputs import InputBar
from runtui.tui.widgets.side_panel import SidePanel, Tab

if TYPE_CHECKING:
    from runtui.profiles import Profiles

READING_SECONDS: Final = 10
"""How long a sentence that warns of nothing stays at least; then the next key that works clears it."""

FIRST_ROWS_SECONDS: Final = 3
"""How long keys wait for the first rows of the list: shorter than a key waits for the effect of the one before it."""

PREPARE: Final = "prepare"
"""The group of the worker that mounts screens before they are first opened."""


def when_answered(
    answered: Callable[[ScreenResultType], object], given_up: Callable[[], object] = lambda: None
) -> Callable[[ScreenResultType | None], Awaitable[None]]:
    """Return a callback for a question's screen that calls `answered` with the answer, or `given_up` without one, and
    awaits it."""

    async def pass_on(answer: ScreenResultType | None) -> None:
        outcome = given_up() if answer is None else answered(answer)
        if isawaitable(outcome):
            await outcome

    return pass_on


class FeatureSource(Protocol):
    """The features, as far as screens know them."""

    def owners(self, action_id: str) -> Iterable[object]:
        """Return the features that may perform an action; this loads a feature that is not loaded yet."""

    def extend(self, context: ActionContext) -> ActionContext:
        """Add what the features know to the action context."""


class Chrome:
    """The state that all screens of one session share, and the ways to open and close screens.

    Args:
        app: The application whose screen stack holds the screens.
        workspace: The connected services.
        keys: The terminal's events on their way to the widgets.
        sandbox: The demo's sandbox; None on a real server.
        profiles: The profiles to switch between; None if there are none.
    """

    def __init__(
        self,
        app: TerminalApp,
        workspace: Workspace,
        keys: KeyQueue,
        sandbox: SandboxControl | None = None,
        profiles: Profiles | None = None,
    ) -> None:
        self.app = app
        self.workspace = workspace
        self.keys = keys
        self.sandbox = sandbox
        self.profiles = profiles
        self.panel = Panel(app, workspace)
        self.features: FeatureSource
        """The features of the session, which set this."""
        self.headline = Headline()
        self.problems = TenantProblems()
        self.status = Status()
        self.is_zoomed = False
        """True while the pane with the focus fills the screen."""
        self.mounting = asyncio.Lock()
        """Held while a screen mounts: Textual 8.2.8 fails when the app exits meanwhile."""

    @property
    def front(self) -> ViewScreen[Any]:
        """The topmost screen of a view; the palette or a notice may cover it."""
        return next(screen for screen in reversed(self.app.screen_stack) if isinstance(screen, ViewScreen))

    def is_in_front(self, view: ActionView[Any]) -> bool:
        """Return whether the view's screen gets the keys."""
        return self.app.screen is self.front and self.front.view is view

    def install(self, view: ActionView[Any]) -> ViewScreen[Any]:
        """Install a screen for a view; it stays mounted once it has been opened."""
        screen = ViewScreen[Any](self, view)
        self.app.install_screen(screen, str(id(view)))
        return screen

    async def prepare(self, screen: ViewScreen[Any]) -> None:
        """Mount an installed screen unless it is mounted already."""
        async with self.mounting:
            if not screen.is_mounted:
                await self.app.mount_ahead(screen)

    async def open(
        self,
        screen: ViewScreen[Any],
        answered: ScreenResultCallbackType[Any] | None = None,
        *,
        fill: Callable[[], object] = lambda: None,
    ) -> None:
        """Mount a screen, call `fill`, and show it: close the screens above it, or push it if it is on no stack."""
        await self.prepare(screen)
        fill()
        if screen.is_open:
            self.go_back_to(screen)
        else:
            await self.app.push_screen(screen, answered)
            self.panel.turn_to(screen.panel)

    async def ask(
        self,
        view: ActionView[ScreenResultType],
        answered: Callable[[ScreenResultType], object],
        given_up: Callable[[], object] = lambda: None,
    ) -> None:
        """Open a question above the current screen; if its action has asked it already, close it instead.

        An action that awaits this lets the question have the focus before the next key is routed. See `when_answered`.
        """
        for screen in self.app.screen_stack:
            if isinstance(screen, ViewScreen) and view.asked_by and screen.view.asked_by == view.asked_by:
                self.close(screen)
                return
        await self.open(ViewScreen(self, view), when_answered(answered, given_up))

    def go_back_to(self, screen: Screen[Any]) -> None:
        """Dismiss all screens above one; questions among them get None as their answer."""
        while self.app.screen is not screen:
            self.app.screen.dismiss(None)

    def go_to_list(self) -> None:
        """Dismiss all screens above that of the list, the lowest one."""
        self.go_back_to(self.app.screen_stack[0])

    def close(self, screen: ViewScreen[Any]) -> None:
        """Dismiss a screen and all screens above it."""
        self.go_back_to(screen)
        screen.dismiss(None)

    # State

    def pin_run(self) -> str | None:
        """Return the id of the run that keys act on, and keep the cursor on its row from now on."""
        view = self.front.view
        if view.list is not None:
            view.list.table.row_under_cursor(pin=True)
        return view.run_id

    def stored_run(self, run_id: str) -> StoredRun | None:
        """Return a run from the store; if it is not there, say so in the status line and return None."""
        stored = self.workspace.store.get(run_id)
        if stored is None:
            self.front.set_status("This run is no longer in the list.", "warning")
        return stored

    def context(self) -> ActionContext:
        """Return the facts that decide which actions can run now, from this class and from every feature."""
        view, workspace = self.front.view, self.workspace
        run_id, draft, listed = view.run_id, view.draft, view.list
        marks = len(listed.table.marks) if listed is not None else 0
        has_list, progress = listed is not None and view.scope != "help", workspace.progress
        known_here = ActionContext(
            is_searching=self.panel.is_searching,
            is_demo=self.sandbox is not None,
            sign_in=workspace.sign_in,
            has_shell=shell_waits(),
            profiles=len(self.profiles or ()),
            views=len(all_views(workspace.preferences.kept.views)),
            why_read_only=why_read_only(workspace),
            has_run=run_id is not None,
            saving=run_id is not None and workspace.save_of(run_id) is not None,
            changes=len(draft.changes()) if draft is not None else 0,
            errors=len(draft.errors()) if draft is not None else 0,
            sends_changed=draft is not None and draft.mode == "changed",
            marked_runs=marks if view.changes_marked else 0,
            is_covered=bool(listed and listed.filter_text) or (self.panel.is_open and self.app.size.width < WIDE),
            has_list=has_list,
            needs_refresh=has_list and bool(progress and (progress.paused or progress.why_incomplete)),
            has_row=listed is not None and listed.table.cursor_id is not None,
            marks=marks,
        )
        return self.features.extend(known_here)

    def set_status(self, text: str, severity: Severity = "information", shown_while: Condition = always) -> None:
        """Show a sentence in the status line while `shown_while` returns True; an empty text hides the line."""
        self.status = Status(text, severity, shown_while, since=monotonic())
        for screen in {self.front, self.app.screen}:
            for line in screen.query(StatusLine):
                line.show(text, severity)

    def has_confirmed(self, question: str, shown_while: Condition = always) -> bool:
        """Return True if the status line shows `question`: its key was pressed twice. Else return False and show it."""
        is_asked = self.status.text == question
        if not is_asked:
            self.front.set_status(question, "warning", shown_while)
        return is_asked

    def zoom(self, zoomed: bool) -> None:
        """Let the pane with the focus fill the screen, or show both panes again."""
        self.is_zoomed = zoomed
        self.front.draw()

    def show_panel(self) -> None:
        """Show the panel, also if the terminal is narrow or the left pane fills the screen."""
        self.panel.is_open = True
        self.is_zoomed = self.is_zoomed and self.front.has_keys_in_panel

    def show_headline(self) -> None:
        """Update the header line from the workspace."""
        self.headline = headline(self.workspace, self.sandbox)
        self.refresh()

    def count_problems(self) -> None:
        """Count what the tenant strip shows; it is drawn with whatever is drawn next."""
        self.problems = tenant_problems(self.workspace.store)

    def refresh(self) -> None:
        """Redraw the changed parts of the screen in front."""
        if self.app.is_running and self.front.is_mounted:
            self.front.draw()


class ViewScreen(DrawnOnce[ScreenResultType]):
    """A screen with the lines, the panel and one view; a view may ask a question.

    Args:
        chrome: The state that all screens share.
        view: The content of the left pane.
    """

    BINDINGS = bindings("app", "panel")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-low"), (STRIP_LINES, "-high"), (FRAMED_LINES, "-tall")]
    AUTO_FOCUS = ""
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)  # the focused widget draws itself

    def __init__(self, chrome: Chrome, view: ActionView[ScreenResultType]) -> None:
        # With these classes the first layout is already right for the size.
        width, height = chrome.app.size
        of_width = max(at for at in self.HORIZONTAL_BREAKPOINTS if at[0] <= width)[1]
        of_height = max(at for at in self.VERTICAL_BREAKPOINTS if at[0] <= height)[1]
        super().__init__(classes=f"{of_width} {of_height}")
        self.chrome = chrome
        self.view = view

    def compose(self) -> ComposeResult:
        """Create the lines and the two panes. Most places are never opened, so `__init__` does not create them."""
        self._header = HeaderLine(id="header")
        self._strip = TenantStrip(id="strip")
        self._left = Pane(self.view, id="left", classes="-active")
        # Only the first screen is on the stack already.
        self.panel = SidePanel(self.chrome.panel.pages, id="panel", is_empty=self.is_open)
        self._status = StatusLine(id="status")
        self._hints = HintBar(id="hints")
        yield self._header
        yield self._strip
        yield Horizontal(self._left, self.panel, id="body")
        yield self._status
        yield self._hints

    def on_mount(self) -> None:
        """Focus the view, and give its list the columns that the person chose."""
        if not self.view.is_attached:  # the app is exiting and mounts nothing more
            return
        listed, kept = self.view.list, self.chrome.workspace.preferences.kept.columns
        if listed is not None and (keys := kept.get(str(listed.name))):
            listed.choose(keys)
        self.view.take_focus()
        self.give_room()

    def on_screen_resume(self) -> None:
        """Draw what changed while another screen was in front."""
        self.view.resumed()
        self.draw()

    @property
    def is_open(self) -> bool:
        """True if it is on the stack, in front or behind others."""
        return self in self.app.screen_stack

    @property
    def has_keys_in_panel(self) -> bool:
        return self.focused is not None and self.panel in self.focused.ancestors_with_self

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """The scopes of all actions that work on this screen."""
        text: tuple[Scope, ...] = ("text",) if self.has_keys_in_panel else ()
        return (*self.view.scopes, *text, "panel", "app")

    def set_status(self, text: str, severity: Severity = "information", shown_while: Condition = always) -> None:
        """Show a sentence in the status line while this screen is in front and `shown_while` returns True."""
        self.chrome.set_status(text, severity, lambda: self.chrome.front is self and shown_while())

    # Drawing

    def draw(self) -> None:
        """Redraw the lines and the panel where they changed."""
        if not self.is_attached:  # the app is exiting and accepts no widgets
            return
        chrome, in_panel = self.chrome, self.has_keys_in_panel
        if chrome.status.text and not chrome.status.shown_while():  # its sentence is no longer true
            chrome.status = Status()
        self._header.headline = chrome.headline
        self._strip.problems = chrome.problems
        self._left.show_title(self.view.title())
        self._left.mark_active(not in_panel)
        self.give_room()
        chrome.panel.turn_to(self.panel)
        self.view.show_in(chrome.panel)
        chrome.panel.draw_on(self.panel, is_in_sight=self.shows_panel)
        self.panel.mark_active(in_panel)
        self._status.show(chrome.status.text, chrome.status.severity)
        now = chrome.context()
        shown = hints(
            in_scopes(*self.scopes_of_keys),
            now,
            typing=self.focused is not None and self.focused.check_consume_key("a", "a"),
            opens_panel=now.has_list and not (self.shows_panel or chrome.is_zoomed),
        )
        self._hints.hints = [hint for hint in shown if not self._holds(hint.key)]

    @property
    def shows_panel(self) -> bool:
        """True if the panel is visible: always from WIDE columns on, else if it was opened or there is a draft."""
        if self.chrome.is_zoomed:
            return self.has_keys_in_panel
        is_asked_for = self.chrome.panel.is_open or self.view.needs_panel or self.view.draft is not None
        return is_asked_for or self.app.size.width >= WIDE

    @property
    def scopes_of_keys(self) -> tuple[Scope, ...]:
        """The scopes whose keys work where the focus is, innermost first."""
        around = self.focused.ancestors_with_self if self.focused is not None else ()
        inner: Scope | None = next((scope for node in around if (scope := getattr(node, "scope", None))), None)
        if inner is not None and inner != self.view.scope:  # an input, or an open dropdown
            return (inner, "app")
        return ("text", "panel", "app") if self.has_keys_in_panel else (*self.view.scopes, "app")

    def give_room(self) -> None:
        """Show one pane or both. This sets the panes' own styles: a class on the screen would restyle every widget."""
        is_alone = self.chrome.is_zoomed and self.has_keys_in_panel
        for pane, is_in_sight in ((self._left, not is_alone), (self.panel, self.shows_panel)):
            if pane.display != is_in_sight:  # Textual 8.2.8 lays out again even for an equal first value
                pane.display = is_in_sight
        self.panel.set_class(is_alone, "-alone")

    @on(ActionView.Said)
    def _view_said(self, event: ActionView.Said) -> None:
        self.set_status(event.status.text, event.status.severity, event.status.shown_while)

    @on(ActionView.Changed)
    @on(events.DescendantFocus)
    @on(events.Resize)
    def draw_in_front(self) -> None:
        """Draw after a change of the view, the focus or the size, if this screen is in front. While the first screen
        mounts, none is. Behind questions that leave the panel as it is, update the panel."""
        stack = self.app.screen_stack
        if self not in stack:
            return
        above = [screen.view for screen in stack[stack.index(self) + 1 :] if isinstance(screen, ViewScreen)]
        if not above:
            self.draw()
        elif all(view.leaves_panel for view in above):
            self.view.show_in(self.chrome.panel)

    def watch_focused(self, focused: Widget | None) -> None:
        """Focus the view when nothing has the focus, as after a click outside of all widgets.

        When the panel gets the focus, it shows the run under the cursor before the next key acts on it.
        """
        if focused is None:
            self.call_later(self._give_keys)
        elif self.has_keys_in_panel:
            self.app.run_worker(self.chrome.panel.catch_up(), group=blocks_keys("panel"), description="fill the panel")

    def _give_keys(self) -> None:
        if self.focused is None and self.is_mounted and self.is_current and self.app.app_focus:
            self.view.take_focus()

    def on_option_list_option_selected(self, event: Message) -> None:
        """Show the request that was chosen in the log of the panel."""
        event.stop()
        self.chrome.panel.show_logged()

    # Actions

    def action_choose_tab(self, tab: Tab) -> None:
        self.chrome.panel.choose(tab)

    async def action_perform(self, action_id: str) -> None:
        """Run an action by its id, or say why it cannot run. Its `action_<id>` is in the view, its list, this screen,
        its panel or a feature."""
        action = ACTION_BY_ID[action_id]
        if action.scope not in self.scopes:
            return
        if action.scope in self.view.scopes:
            self.view.before(action_id)
        of_view = self.view, self.view.list, self.view.owner
        owners = chain(of_view, (self, self.panel), self.chrome.features.owners(action_id))
        found = (getattr(owner, f"action_{action_id}", None) for owner in owners)
        # Find it before `why_not`: that may load the feature that knows the reason.
        run = partial(self.run_action, action.call) if action.call else next(filter(None, found))
        if reason := why_not(action, self.chrome.context()):
            coming = self.view.first_rows
            if coming is not None and not coming.is_set() and reason in (NO_RUN, NO_ROW):
                work = self._perform_on_first_rows(action_id, coming)
                self.app.run_worker(work, group=blocks_keys("first rows"), description="wait for the first rows")
                return
            say = self.set_status if self.view.scope in TYPING else self.remark  # the next keys may remove the reason
            say(reason, "warning", lambda: why_not(action, self.chrome.context()) == reason)
            return
        outcome = run()
        if isawaitable(outcome):
            await outcome

    async def _perform_on_first_rows(self, action_id: str, coming: asyncio.Event) -> None:
        """Run an action that was asked for before there were rows, as soon as there are; if none come soon, drop it and
        the keys typed after it, which would act on something else."""
        self.chrome.workspace.refresh.start()
        with suppress(TimeoutError):
            await asyncio.wait_for(coming.wait(), FIRST_ROWS_SECONDS)
        if why_not(ACTION_BY_ID[action_id], self.chrome.context()) is None:
            await self.action_perform(action_id)
            return
        self.chrome.keys.drop()
        words = f"No run is listed yet: {key_of(action_id)} and what you typed after it did nothing."
        self.set_status(words, "warning")

    async def action_run_by_name(self, action_id: str) -> None:
        """Run an action chosen from a list of all actions, as its key would; if it does not work here, say where.

        The keys of tables and inputs work only while those have the focus.
        """
        action = ACTION_BY_ID[action_id]
        own = next((key for key in self.active_bindings.values() if key.binding.id == action.name), None)
        if action.scope in self.scopes:
            await self.action_perform(action_id)
        elif own is not None and (action.has_own_name or action.scope in self.scopes_of_keys):
            await self.app.run_action(own.binding.action, own.node)
        else:
            self.remark(where_key_works(action), "warning")

    def on_key(self, event: events.Key) -> None:
        """Say where a key works that does nothing here. The next key that works clears that, and a light sentence that
        had the time to be read; a warning stays."""
        if event.key == "ctrl+c" and TYPING.isdisjoint(self.scopes_of_keys):  # it ends most programs
            self.remark(f"{ACTION_BY_ID['quit'].key_while_typing} quits; ctrl+c copies text selected in a field.")
            return
        if self._holds(event.key):
            event.stop()
            finds = f"{key_of('filter_choices')} filters the lines, " if self.view.scope == "picker" else ""
            self.remark(f"{finds}{key_of('leave_question')} goes back.")
            return
        action, status = with_key(event.key), self.chrome.status
        if action is None or event.key in keys_of(self.scopes_of_keys) or event.key in self.active_bindings:
            if status.is_remark or (status.is_light and monotonic() - status.since > READING_SECONDS):
                self.set_status("")
        elif status.is_remark or not status.text or status.is_light:
            where = where_key_works(action, event.key)
            if self.has_keys_in_panel and action.scope in self.view.scopes:
                where = f"{action.shown_key} {action.label} works in the left pane; {key_of('focus_left')} goes there."
            self.remark(where)

    def _holds(self, key: str) -> bool:
        """Return whether a key is a letter of another screen, which does nothing while the view asks a question. The
        letter of the action that asked it closes the question."""
        view = self.view
        if not (view.holds_letters and len(key) == 1 and key.isalpha()):
            return False
        own = keys_of(("table", *(scope for scope in self.scopes if scope != "app")))
        return key not in own.union(ACTION_BY_ID[view.asked_by].keys if view.asked_by else ())

    async def on_paste(self, event: events.Paste) -> None:
        """Filter or search by a text that no field has taken, such as an id from a ticket."""
        if not (text := " ".join(event.text.split())):
            return
        actions = in_scopes(*self.scopes_of_keys)
        opens_bar = next((action.id for action in actions if action.name == "filter"), None)
        if opens_bar is not None:
            await self.action_perform(opens_bar)
        bar = self.focused.parent if self.focused is not None else None
        if isinstance(bar, InputBar):
            bar.paste(text)
        else:
            self.remark("Nothing here takes a paste.")

    def remark(self, text: str, severity: Severity = "information", shown_while: Condition = always) -> None:
        """Say why a key does nothing; the next key that works clears that."""
        self.set_status(text, severity, shown_while)
        self.chrome.status = self.chrome.status._replace(is_remark=True)
