"""The four themes, two of our own and two that use only the terminal's sixteen colours, and the choice of the first.

Invariant: text in `$foreground` or any `$text-…` colour has a contrast of at least 4.5 to 1 (WCAG 2.2, level AA) on
`$background`, `$surface` and `$panel` of our own themes, also when rounded to 256 colours; the ansi themes use only
colours of the terminal's palette. The style sheets in styles/ say which part of the screen uses which variable.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from rich.console import Console
from textual.theme import BUILTIN_THEMES, Theme

from runtui.errors import RuntuiError

DARK: Final = "runtui-dark"
LIGHT: Final = "runtui-light"
ANSI_DARK: Final = "ansi-dark"
ANSI_LIGHT: Final = "ansi-light"

_DARK_THEME: Final = Theme(
    name=DARK,
    primary="#5fafff",
    accent="#d7afff",
    warning="#ffaf5f",
    error="#ff8787",
    success="#87d787",
    foreground="#dadada",
    background="#121212",
    surface="#1c1c1c",
    panel="#262626",
    dark=True,
    variables={
        "text-primary": "#87bfff",
        "text-accent": "#d7afff",
        "text-warning": "#ffaf5f",
        "text-error": "#ff8787",
        "text-success": "#87d787",
        "text-muted": "#a8a8a8",
        "block-cursor-blurred-background": "#303030",
        "input-selection-background": "#005f87",
        "border-blurred": "#4e4e4e",
    },
)

_LIGHT_THEME: Final = Theme(
    name=LIGHT,
    primary="#005faf",
    accent="#6b219c",
    warning="#875f00",
    error="#a8000f",
    success="#005f00",
    foreground="#1c1c1c",
    background="#ffffff",
    surface="#f5f5f5",
    panel="#eeeeee",
    dark=False,
    variables={
        "text-primary": "#005faf",
        "text-accent": "#6b219c",
        "text-warning": "#875f00",
        "text-error": "#a8000f",
        "text-success": "#005f00",
        "text-muted": "#585858",
        "block-cursor-blurred-background": "#d0d0d0",
        "input-selection-background": "#afd7ff",
        "border-blurred": "#a8a8a8",
    },
)


def _with_text_colours(name: str, colours: Mapping[str, str]) -> Theme:
    """Return Textual's own theme of this name with other colours for text."""
    theme = BUILTIN_THEMES[name]
    # Textual halves the opacity of muted text, which a palette cannot do; bright black is invisible in some.
    return replace(theme, variables={**theme.variables, "text-muted": "ansi_default", **colours})


THEMES: Final[Mapping[str, Theme]] = {
    DARK: _DARK_THEME,
    LIGHT: _LIGHT_THEME,
    # The plain blue of most palettes is too dark for a dark background, and Textual's accent is the green of success.
    ANSI_DARK: _with_text_colours(
        ANSI_DARK,
        {"text-primary": "ansi_bright_blue", "text-accent": "ansi_magenta", "text-error": "ansi_bright_red"},
    ),
    # Yellow, cyan and every bright colour are too pale for a light background: a warning is as red as an error.
    ANSI_LIGHT: _with_text_colours(ANSI_LIGHT, {"text-warning": "ansi_red"}),
}
"""Name -> theme, for every theme of runtui. Register them all: the ansi ones replace Textual's."""

_LIGHT_BACKGROUNDS: Final = {"7", *map(str, range(9, 16))}
"""The light background colours in COLORFGBG, by the rule of vim and rxvt: 7, and 9 to 15."""


def starting_theme(environ: Mapping[str, str] = os.environ, chosen: str | None = None, kept: str = "") -> str:
    """Return the name of the theme to start with: `chosen` (a theme, `dark` or `light`), else one for this terminal.

    With NO_COLOR or 16 colours this is an ansi theme, which uses the terminal's own palette and half the bytes.
    COLORFGBG, if set, tells light from dark. `kept` is the theme of the last session: it is used if none is chosen,
    or the ansi theme of the same brightness if this terminal has too few colours.

    Raises:
        RuntuiError: There is no theme named `chosen`.
    """
    if chosen is not None and chosen in THEMES:
        return chosen
    if chosen not in (None, "dark", "light"):
        known = ", ".join(["dark", "light", *THEMES])
        raise RuntuiError("Unknown theme", f"There is no theme {chosen!r}.", f"Choose one of {known}.")
    console = Console(force_terminal=True, _environ=environ)  # concludes from TERM and COLORTERM; Textual asks it too
    has_few_colours = "NO_COLOR" in environ or console.color_system in (None, "standard")
    if chosen is None and kept in THEMES:
        if not has_few_colours or kept in (ANSI_DARK, ANSI_LIGHT):
            return kept
        chosen = "dark" if THEMES[kept].dark else "light"
    is_light = chosen == "light" if chosen else environ.get("COLORFGBG", "").rpartition(";")[2] in _LIGHT_BACKGROUNDS
    if has_few_colours:
        return ANSI_LIGHT if is_light else ANSI_DARK
    return LIGHT if is_light else DARK
