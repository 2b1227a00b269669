"""Makes foreign text safe to show: no character acts on the terminal, and none is hidden.

Invariant: the result of `visible` has no character that moves a cursor, starts an escape sequence, reorders its
neighbours or takes no cell, except combining marks on a character.
It is for display only: the original text is stored, compared and sent.

Three decisions that are not obvious:

- Zero width joiners and skin tones are marked inside emoji too: terminals disagree by up to six cells about the
  width of a joined emoji, and one wrong width shifts the rest of the line. The parts are shown.
- The two presentation selectors (U+FE0E, U+FE0F) are the only characters left out. They say how wide and how
  colourful the symbol before them is drawn, never what it is; without them every terminal agrees on the width.
- Private-use characters are marked: no font on the far side of an SSH session has to know them.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import groupby
from typing import Final, Literal

_CONTROLS: Final = "\x00-\x1f\x7f-\x9f"  # C0, DEL, C1
_BIDI: Final = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_ZERO_WIDTH: Final = (
    "\u00ad\u034f\u180b-\u180f\u200b-\u200d\u2060-\u2065\u206a-\u206f\ufe00-\ufe0d\ufeff\ufff0-\ufffb"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
)
_BLANK_LETTERS: Final = "\u115f\u1160\u17b4\u17b5\u3164\uffa0"  # letters by category, invisible by design
_SEPARATORS: Final = "\u2028\u2029"
_TAGS: Final = "\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
_NOT_CHARACTERS: Final = "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"
_PRIVATE: Final = "\ue000-\uf8ff\U000f0000-\U0010ffff"
_SKIN_TONES: Final = "\U0001f3fb-\U0001f3ff"
_PRESENTATION: Final = "\ufe0e\ufe0f"

UNSAFE: Final = re.compile(
    f"[{_CONTROLS}{_BIDI}{_ZERO_WIDTH}{_BLANK_LETTERS}{_SEPARATORS}{_TAGS}{_NOT_CHARACTERS}{_PRIVATE}"
    f"{_SKIN_TONES}{_PRESENTATION}]"
)
"""One character that must not reach a terminal unchanged."""

COMBINING_LIMIT: Final = 8
"""The most combining marks on one character. Tibetan and Hebrew with cantillation need up to seven."""

# `\w` holds letters and digits but no combining mark, so these find every place worth a closer look at C speed.
_LONG_RUN: Final = re.compile(rf"[^\w\s\x00-\x7f]{{{COMBINING_LIMIT + 1},}}")
_LINE_START: Final = re.compile(r"^[^\w\s\x00-\x7f]", re.MULTILINE)
# The vowels and the finals of a Korean syllable stand in the two cells of its initial.
_INNER_JAMO: Final = frozenset(map(chr, (*range(0x1160, 0x1200), *range(0xD7B0, 0xD800))))
_DOTTED_CIRCLE: Final = "\u25cc"  # what a mark without a letter is drawn on, as in the Unicode charts


def visible(text: object, *, newlines: bool = False) -> str:
    """Return `text` in safe characters only; with `newlines`, line feeds are kept.

    None becomes the empty string, any other value its `str`. C0 controls and DEL become their pictures (U+2400 to
    U+2421), other unsafe characters the form `⟨U+202E⟩`. Runs of combining marks are cut at COMBINING_LIMIT, with the
    number of the rest. Applying it twice changes nothing.
    """
    raw = _as_str(text)
    if raw.isascii() and raw.isprintable():
        return raw
    marked = UNSAFE.sub(_mark_keeping_newline if newlines else _mark, raw)
    if raw.isascii():
        return marked
    bounded = _LONG_RUN.sub(_cut_combining, marked)
    return _LINE_START.sub(_seat_combining, bounded)


def _as_str(value: object) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    try:
        return str(value)
    except (ValueError, RecursionError):  # an integer beyond the digit limit, a structure that holds itself
        return f"⟨{type(value).__name__}⟩"


def _mark(match: re.Match[str]) -> str:
    return _sign(match[0])


def _mark_keeping_newline(match: re.Match[str]) -> str:
    return "\n" if match[0] == "\n" else _sign(match[0])


@lru_cache(maxsize=512)
def _sign(character: str) -> str:
    if character in _PRESENTATION:
        return ""
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return f"⟨U+{code:04X}⟩"


def _is_combining(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


def _cut_combining(match: re.Match[str]) -> str:
    shown = ""
    for combining, group in groupby(match[0], _is_combining):
        run = "".join(group)
        left_out = len(run) - COMBINING_LIMIT if combining else 0
        shown += f"{run[:COMBINING_LIMIT]}⟨+{left_out} marks⟩" if left_out > 0 else run
    return shown


def _seat_combining(match: re.Match[str]) -> str:
    return _DOTTED_CIRCLE + match[0] if _is_combining(match[0]) else match[0]


def fit_cells(text: str, width: int, align: Literal["left", "right"] = "left") -> str:
    """Return `text` in exactly `width` cells: padded, or cut with an ellipsis."""
    room = width - cells_in(text)
    if room >= 0:
        return " " * room + text if align == "right" else text + " " * room
    if width <= 0:
        return ""
    kept, room = "", width - 1
    for letter in text:
        if _cell_width(letter) > room:
            break
        room -= _cell_width(letter)
        kept += letter
    return kept + " " * room + "…"


def _cell_width(letter: str) -> int:
    if letter.isascii():
        return 1
    if unicodedata.combining(letter) or unicodedata.category(letter) in {"Mn", "Me"} or letter in _INNER_JAMO:
        return 0
    return 2 if unicodedata.east_asian_width(letter) in {"W", "F"} else 1


def cells_in(text: str) -> int:
    """Return the width of a text in terminal cells."""
    return len(text) if text.isascii() else sum(map(_cell_width, text))


def count_words(number: int, noun: str, plural: str = "") -> str:
    """Return a number with a noun: "1 run", "2 runs". Give `plural` if it is not the noun with an s."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"
