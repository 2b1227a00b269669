"""Every theme is readable: enough contrast in our own colours, only the terminal's palette in the ansi themes."""

from __future__ import annotations

import pytest
from rich.color import Color as RichColor
from rich.color import ColorSystem
from textual.app import App
from textual.color import Color
from textual.geometry import Region

from runtui.domain.properties import EDITABLE
from runtui.tui.themes import ANSI_DARK, ANSI_LIGHT, DARK, LIGHT, THEMES
from runtui.tui.widgets.inputs import LineInput
from tests.tui.conftest import Opener, Session
from tests.tui.wires import Graph

AA = 4.5
NAMES = ["primary", "accent", "warning", "error", "success", "muted"]
INKS = ["foreground", *(f"text-{name}" for name in NAMES)]
PAPERS = ["background", "surface", "panel"]
PAIRS = [(ink, paper) for ink in INKS for paper in PAPERS] + [
    ("foreground", "block-cursor-blurred-background"),
    ("foreground", "input-selection-background"),
]


def variables(theme: str) -> dict[str, str]:
    app = App[None]()
    for known in THEMES.values():
        app.register_theme(known)
    app.theme = theme
    return app.get_css_variables()


def luminance(colour: Color) -> float:
    """Return the relative luminance as WCAG 2.2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour.normalized]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: Color, other: Color) -> float:
    """Return the contrast ratio as WCAG 2.2 defines it."""
    darker, lighter = sorted([luminance(one), luminance(other)])
    return (lighter + 0.05) / (darker + 0.05)


def in_256_colours(colour: Color) -> Color:
    """Return the colour that a terminal without truecolor gets."""
    return Color.from_rich_color(colour.rich_color.downgrade(ColorSystem.EIGHT_BIT))


@pytest.mark.parametrize("theme", [DARK, LIGHT])
@pytest.mark.parametrize(("ink", "paper"), PAIRS)
def test_text_has_contrast(theme: str, ink: str, paper: str) -> None:
    known = variables(theme)
    front, back = Color.parse(known[ink]), Color.parse(known[paper])
    assert contrast(front, back) >= AA
    assert contrast(in_256_colours(front), in_256_colours(back)) >= AA


@pytest.mark.parametrize("theme", [ANSI_DARK, ANSI_LIGHT])
@pytest.mark.parametrize("ink", INKS)
def test_the_ansi_themes_use_the_palette_of_the_terminal(theme: str, ink: str) -> None:
    colour = Color.parse(variables(theme)[ink]).rich_color
    assert colour.is_default or (colour.number is not None and colour.number < 16)


@pytest.mark.parametrize("theme", sorted(THEMES))
def test_each_kind_of_status_has_a_different_colour(theme: str) -> None:
    known = variables(theme)
    names = ["text-primary", "text-accent", "text-warning", "text-error", "text-success"]
    assert len({known[name].lower() for name in names}) >= (5 if not THEMES[theme].ansi else 4)


@pytest.mark.parametrize("theme", sorted(THEMES))
async def test_a_field_has_an_edge_in_every_theme(open_session: Opener, theme: str) -> None:
    async with open_session(graph=Graph(), theme=theme) as session:
        await session.press("e", *["tab"] * 3)
        await session.until(lambda: session.view == "edit")
        form = session.form
        lines = session.app.screen._compositor.render_strips(session.app.size)
        for field in EDITABLE:
            region = form.region_of(field.name)
            styles = [segment.style for segment in lines[region.y].crop(region.x - 2, region.x + 3)]
            label, control = styles[0], styles[-1]
            assert label is not None
            assert control is not None
            if THEMES[theme].ansi:
                assert control.underline, "seen without any colour"
                assert not label.underline
            else:
                assert control.bgcolor != label.bgcolor


@pytest.mark.parametrize("theme", [ANSI_DARK, ANSI_LIGHT])
async def test_the_cursor_and_what_is_selected_are_seen_without_colours(open_session: Opener, theme: str) -> None:
    async with open_session(graph=Graph(), theme=theme) as session:
        await session.press("e", *["tab"] * 2)
        await session.until(lambda: session.view == "edit")
        region = session.form.region_of("scheduledDateTime")

        await session.until(lambda: reversed_in(session, region).startswith("2026-11-20T09:15:04.9206151Z"))
        await session.press("home")
        assert reversed_in(session, region) == "2"


@pytest.mark.parametrize("theme", [ANSI_DARK, ANSI_LIGHT])
async def test_they_are_seen_in_a_line_of_text_too(open_session: Opener, theme: str) -> None:
    async with open_session(graph=Graph(), theme=theme) as session:
        await session.press("slash", *"is:x", "home")
        box = session.app.screen.query_one(LineInput)
        assert reversed_in(session, box.region) == "i"
        await session.press("shift+end")
        assert reversed_in(session, box.content_region).rstrip() == "is:x"


def reversed_in(session: Session, region: Region) -> str:
    """Return the text in reverse on the first line of a region of the screen."""
    line = session.app.screen._compositor.render_strips(session.app.size)[region.y]
    parts = line.crop(region.x, region.right)
    return "".join(part.text for part in parts if part.style is not None and part.style.reverse)


def test_ours_are_dark_and_light() -> None:
    assert THEMES[DARK].dark
    assert not THEMES[LIGHT].dark
    assert RichColor.parse(variables(LIGHT)["background"]).get_truecolor() == (255, 255, 255)
