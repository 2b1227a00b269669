"""How wide text is on a terminal, for those who draw without Rich.

Invariant: text that `visible` has passed fills exactly the cells it is given, wide and combining characters included.
"""

from __future__ import annotations

import unicodedata
from typing import Literal


def fit(text: str, width: int, align: Literal["left", "right"] = "left") -> str:
    """Show `text` in exactly `width` cells: padded, or cut with an ellipsis."""
    room = width - sum(map(cells, text))
    if room >= 0:
        return " " * room + text if align == "right" else text + " " * room
    if width <= 0:
        return ""
    kept, room = "", width - 1
    for letter in text:
        if cells(letter) > room:
            break
        room -= cells(letter)
        kept += letter
    return kept + " " * room + "…"


def cells(letter: str) -> int:
    """How many cells a terminal gives a character."""
    if letter.isascii():
        return 1
    if unicodedata.combining(letter) or unicodedata.category(letter) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(letter) in {"W", "F"} else 1
