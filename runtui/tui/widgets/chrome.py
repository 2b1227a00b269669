"""The widgets around the panes: header, tenant strip, pane titles, status line, hint line. Each draws given facts.

Invariant: each takes one line, but the status up to three, and none while it is empty. The tenant, the badges SANDBOX
and READ-ONLY and the age of the list stay on any screen: counts give way first, then the program's name, the account.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar, Final, Literal, NamedTuple, TypeAlias, TypeVar, get_args

from rich.cells import cell_len
from textual.app import RenderResult
from textual.containers import Vertical
from textual.content import Content
from textual.geometry import Region, Size
from textual.reactive import reactive
from textual.scrollbar import ScrollBar
from textual.strip import Strip
from textual.style import Style
from textual.widget import Widget

from runtui.domain.columns import Role
from runtui.domain.plots import STRIP_DAYS, TenantCount, strip_text, tenant_counts, tenant_strip
from runtui.domain.text import count_words, visible
from runtui.domain.times import second_text
from runtui.keys.actions import view_keys
from runtui.services.store.store import EVERY_RUN, Store
from runtui.services.workspace import SandboxControl, Workspace, sandbox_badge
from runtui.tui.actions import Hint
from runtui.tui.text import content, fit, in_lines, middle

if TYPE_CHECKING:
    from runtui.services.refresh import Progress

WidgetT = TypeVar("WidgetT", bound=Widget)


class Headline(NamedTuple):
    """The facts of the header line."""

    tenant: str = ""
    badges: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()
    """Such as "1 unknown", "240 runs"; the last are dropped first."""
    state: str = ""
    """Such as "reading…", "as of 15:42:07", "waiting until 15:42:19", "paused"."""
    who: str = ""
    """The account, such as "lee.admin" or "signed out"."""


_LEAST_TENANT: Final = 12
"""The least cells of the tenant; a longer one loses its middle. If it still does not fit, the state loses its end."""


def clickable(action: str) -> Style:
    """Return a style whose text runs an action when it is clicked. A widget with such text turns `auto_links` off,
    which would draw it as a link."""
    return Style.from_meta({"@click": action})


class HeaderLine(Widget):
    """Draws the headline in one line."""

    DEFAULT_CSS = "HeaderLine { height: 1; padding: 0 1; }"
    COMPONENT_CLASSES = {"header-line--name", "header-line--badge"}

    headline: reactive[Headline] = reactive(Headline())

    def render(self) -> RenderResult:
        """Draw name, tenant, account and badges at the left, and counts and state at the right."""
        line, width = self.headline, self.content_size.width
        badges = "".join(f" {badge} " for badge in line.badges)
        name, who = "runtui  ", f"  {visible(line.who)}" if line.who else ""
        room = width - cell_len(badges) - 2 * bool(badges) - cell_len(line.state) - 2
        if cell_len(f"{name}{visible(line.tenant)}{who}") > room:
            name = ""
        if cell_len(f"{visible(line.tenant)}{who}") > room:
            who = ""
        tenant = middle(line.tenant, max(_LEAST_TENANT, room))
        left = Content.assemble(
            (name, self.get_visual_style("header-line--name")),
            Content(f"{tenant}{who}{'  ' if badges else ''}"),
            (badges, self.get_visual_style("header-line--badge")),
        )
        right = self._right(width - left.cell_length - 2)
        return left + Content(" " * (width - left.cell_length - cell_len(right)) + right)

    def _right(self, room: int) -> str:
        """Return as many counts as fit in `room` cells, and the state; cut the state if it does not fit alone."""
        counts, state = self.headline.counts, self.headline.state
        for shown in range(len(counts), -1, -1):
            text = "   ".join(filter(None, (" · ".join(counts[:shown]), state)))
            if cell_len(text) <= room:
                return text
        return fit(state, room)


class TenantProblems(NamedTuple):
    """The facts of the tenant strip."""

    counts: tuple[TenantCount, ...] = ()
    failures: tuple[int, ...] = ()
    """The number of runs with failures per day; today's is last."""
    is_known: bool = False
    """True once any run was read."""


def tenant_problems(store: Store) -> TenantProblems:
    """Return the facts of the tenant strip from the store."""
    totals = store.totals()
    counts = tenant_counts(totals.by_status, totals.stuck)
    return TenantProblems(counts, tuple(store.failures_by_day(STRIP_DAYS)), bool(totals.by_status))


class TenantStrip(Widget):
    """Draws one line with the number of runs in trouble, by kind, and the failures of each day.

    A click on a count shows exactly those runs; a click on the days, the overview.
    """

    auto_links = reactive(False)
    DEFAULT_CSS = "TenantStrip { height: 1; padding: 0 1; }"
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"tenant-strip--{role}" for role in get_args(Role)}

    problems: reactive[TenantProblems] = reactive(TenantProblems())

    def render(self) -> RenderResult:
        counts, failures, is_known = self.problems
        parts = tenant_strip(counts, failures, self.content_size.width, view_keys()) if is_known else []
        line, at = Content(strip_text(parts)), 0
        for part in parts:
            at = line.plain.index(part.text, at)
            style = self.get_visual_style(f"tenant-strip--{part.role}")
            if counts:
                style += clickable(f"app.show_runs({part.filter!r})" if part.filter else "screen.perform('overview')")
            line = line.stylize(style, at, at + len(part.text))
        return line


def is_counted(runs: int, progress: Progress | None) -> bool:
    """Return whether the number of runs is known: some are stored, or a listing has finished."""
    return runs > 0 or (progress is not None and progress.finished_at is not None)


def headline(workspace: Workspace, sandbox: SandboxControl | None = None) -> Headline:
    """Return the current headline of a session: tenant, badges, number of runs, age of the list, account."""
    settings, progress, who = workspace.settings, workspace.progress, ""
    runs, unknown = workspace.store.count(EVERY_RUN), len(workspace.unsettled)
    if (sign_in := workspace.sign_in) is not None:
        from runtui.tui.words import sign_in_words

        who = sign_in_words.who(sign_in.state, datetime.now(UTC))
    counts = [f"{unknown} unknown"] if unknown else []
    counts += [count_words(runs, "run")] if is_counted(runs, progress) else []
    badges = [sandbox_badge(sandbox)] if settings.is_sandbox else []
    badges += ["READ-ONLY"] if workspace.read_only else []
    if progress is None:
        state = ""
    elif progress.waiting_until is not None:
        state = f"waiting until {second_text(progress.waiting_until)}"
    elif progress.finished_at is not None:
        state = f"as of {second_text(progress.finished_at)}"
    else:
        state = "reading…" if progress.listing else ""
    if progress is not None and progress.why_incomplete is not None:
        state = f"{state} incomplete".strip()
    if progress is not None and progress.paused:
        state = f"{state} paused".strip()
    return Headline(settings.tenant, tuple(badges), tuple(counts), state, who)


def unboxed(widget: type[WidgetT]) -> type[WidgetT]:
    """Make a widget that has no border, padding or tint, and keeps its lines, draw them alone: Textual's box around a
    line costs more than the line."""

    def render_lines(self: WidgetT, crop: Region) -> list[Strip]:
        width, style = self.outer_size.width, self.visual_style.rich_style
        background = self.background_colors[1]
        lines = [self.render_line(y).adjust_cell_length(width, style) for y in crop.line_range]
        for each in self.get_line_filters():
            lines = [line.apply_filter(each, background) for line in lines]
        return lines if crop.width == width else [line.crop(crop.x, crop.right) for line in lines]

    widget.render_lines = render_lines  # type: ignore[assignment,method-assign]
    return widget


# For the whole process, which shows no other app: Textual's widgets make their scrollbars of this very class.
unboxed(ScrollBar)


class Pane(Vertical):
    """One half of the body, with its title in its frame or, without one, in the line above.

    The pane with the focus has the class `-active`.
    """

    _title = Content("")

    def render_lines(self, crop: Region) -> list[Strip]:
        """Draw one line inside the frame, and repeat it: all are blank between the two sides."""
        draw = super().render_lines

        def drawn(y: int) -> Strip:
            return draw(Region(crop.x, y, crop.width, 1))[0]

        first, end = max(crop.y, self.gutter.top), min(crop.bottom, self.outer_size.height - self.gutter.bottom)
        inside = drawn(first) if first < end else None
        return [inside if inside is not None and first <= y < end else drawn(y) for y in crop.line_range]

    def mark_active(self, active: bool) -> None:
        """Mark the pane with the focus; only itself looks different, so the styles of its parts are not matched."""
        if self.has_class("-active") != active:
            self.set_class(active, "-active", update=False)
            self.app.stylesheet.update_nodes((self,))

    def show_title(self, title: Content) -> None:
        if not title.is_same(self._title):
            self._title = title
            self.border_title = Content.assemble(title)


Severity = Literal["information", "success", "warning", "error"]

Condition: TypeAlias = Callable[[], bool]
"""Returns whether a sentence is still true."""


def always() -> bool:
    """Keep a sentence until another one replaces it."""
    return True


class Status(NamedTuple):
    """The sentence of the status line, and how long it stays."""

    text: str = ""
    severity: Severity = "information"
    shown_while: Condition = always
    is_remark: bool = False
    """True if it says why a key did nothing; the next key that works clears it."""
    since: float = 0.0
    """When it appeared (monotonic seconds)."""

    @property
    def is_light(self) -> bool:
        """True if it warns of nothing."""
        return self.severity in ("information", "success")


_SIGNS: dict[Severity, str] = {"information": "·", "success": "✓", "warning": "!", "error": "✗"}


_STATUS_LINES: Final = 3
"""The most lines of a message; more would hide the rows that it is about."""


class StatusLine(Widget):
    """One message with a sign for its severity, readable without colour, and an ellipsis where it is cut."""

    DEFAULT_CSS = """
    StatusLine { height: auto; padding: 0 1; display: none; }
    StatusLine.-speaking { display: block; }
    """

    text = ""
    _severity: Severity = "information"

    def show(self, text: str, severity: Severity) -> None:
        """Show `text`; an empty text hides the line."""
        if (text, severity) == (self.text, self._severity):
            return
        self.text, self._severity = text, severity
        for known in _SIGNS:
            self.set_class(known == severity, f"-{known}")
        self.set_class(bool(text), "-speaking")
        self.refresh(layout=True)

    def render(self) -> RenderResult:
        said = Content(f"{_SIGNS[self._severity]} ") + content(self.text)
        return in_lines(said, max(1, self.app.size.width - 2), _STATUS_LINES)


_TEXT_LINES: Final = 4
"""The most lines of a text beside choices."""


class ShortText(Widget):
    """A text beside choices, which need the room: of a few lines, with an ellipsis where it is cut."""

    DEFAULT_CSS = "ShortText { height: auto; padding: 0 1; }"

    text: reactive[Content] = reactive(Content(), layout=True)

    def __init__(self, text: object = "", *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.set_reactive(ShortText.text, content(text))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002 - as Textual calls it
        return min(_TEXT_LINES, len(self.text.wrap(max(1, width), overflow="fold")))

    def render(self) -> RenderResult:
        return in_lines(self.text, max(1, self.content_size.width), _TEXT_LINES)


class HintBar(Widget):
    """Shows as many hints as fit, the most important ones; a click on a hint runs its action."""

    auto_links = reactive(False)
    DEFAULT_CSS = "HintBar { height: 1; padding: 0 1; }"
    COMPONENT_CLASSES = {"hint-bar--key", "hint-bar--label", "hint-bar--disabled"}

    hints: reactive[list[Hint]] = reactive(list)

    def render(self) -> RenderResult:
        ready = self.get_visual_style("hint-bar--key"), self.get_visual_style("hint-bar--label")
        disabled = self.get_visual_style("hint-bar--disabled")
        shown = [*self.hints]
        while sum(cell_len(f"{hint.key} {hint.action.label}  ") for hint in shown) - 2 > self.content_size.width:
            del shown[-2 if len(shown) > 1 else -1]  # keep the last one, the help
        parts = []
        for hint in shown:
            of_key, of_label = ready if hint.is_ready else (disabled, disabled)
            words = Content.assemble((hint.key, of_key), (f" {hint.action.label}", of_label))
            parts.append(words.stylize(clickable(f"screen.run_by_name('{hint.action.id}')")))
        return Content("  ").join(parts)
