"""Foreign text in Markdown: as code, so that nothing in it is a heading, a link, a picture or a mention.

Invariant: whatever the text, what follows it is outside of the code again (CommonMark, sections 4.5 and 6.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from runtui.domain.text import visible

_PROSE: Final = re.compile(r"[^\W_](?:[^\W_]|[ ,.;:()'-])*")

_NUMBERED: Final = re.compile(r"[0-9]+[.)]")
"""What begins a list of its own."""


def code_span(text: object) -> str:
    """Text in one line, between more backticks than it has in a row."""
    shown = visible(text) or " "
    ticks = "`" * (_longest_row(shown) + 1)
    # One blank at both ends is not part of the span; without it, a backtick there would be.
    pad = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{ticks}{pad}{shown}{pad}{ticks}"


def code_block(text: object, language: str = "") -> Iterator[str]:
    """Text as a fenced block, line by line."""
    shown = visible(text, newlines=True)
    fence = "`" * max(3, _longest_row(shown) + 1)
    yield f"{fence}{language}"
    yield from shown.split("\n")
    yield fence


def prose(text: str) -> str:
    """A sentence as it is where nothing in it can be markup, a link or a mention; else as code."""
    is_plain = _PROSE.fullmatch(text) and not _NUMBERED.match(text) and "www." not in text.lower()
    return text if is_plain else code_span(text)


def _longest_row(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
