"""What a person sees of an emulated screen."""

from __future__ import annotations

import unicodedata

import pyte
from pyte.screens import Char


def seen(screen: pyte.Screen) -> list[list[Char]]:
    """Return every cell of `screen`. A space has only its background and its lines, because nothing else is visible."""
    return [[_seen(screen.buffer[y][x]) for x in range(screen.columns)] for y in range(screen.lines)]


def _seen(cell: Char) -> Char:
    if cell.data == " " and not (cell.reverse or cell.underscore or cell.strikethrough):
        return Char(" ", bg=cell.bg)
    return cell._replace(data=unicodedata.normalize("NFC", cell.data))
