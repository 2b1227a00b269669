"""No sentence contains a key as a literal: each names it through its action, so that it is still true after
remapping."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

RUNTUI: Final = Path(__file__).parents[2] / "runtui"
SOURCES: Final = sorted(path for path in RUNTUI.rglob("*.py") if not {"sandbox", "headless"} & set(path.parts))
"""All files but those of commands and of the sandbox, which read lines: what ends a line there is no action."""
NAME_KEYS: Final = {"keymap.py", "input.py"}
"""Files about keys themselves."""

KEY: Final = re.compile(
    r"\b(esc|shift\+|ctrl\+(?!c\b)|F\d{1,2}\b)"  # ctrl+c is a signal outside the screen, and cannot be remapped
    r"|\b[Pp]ress (?!twice\b|…)"
    r"|\((?!s\))[A-Za-z]\)"
    r"|(?:^|(?<=[ .;:,]))[b-zB-HJ-Z](?: again\b| \w+s\b| on the\b)"
)


def sentences(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the strings of a module with more than a word, without docstrings; the values in f-strings become `…`."""
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    docstrings = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values]
            yield node.lineno, "".join(parts)
        elif isinstance(node, ast.Constant) and " " in str(node.value) and id(node) not in docstrings | inside:
            yield node.lineno, str(node.value)


def test_no_sentence_writes_a_key() -> None:
    read = {path: ast.parse(path.read_text("utf-8")) for path in SOURCES if path.name not in NAME_KEYS}
    assert [(path, *found) for path, tree in read.items() for found in sentences(tree) if KEY.search(found[1])] == []


@pytest.mark.parametrize(
    "sentence",
    [
        "Press esc to clear it.",
        "The draft is kept; e on the run opens it again.",
        "until it is read again (r).",
        "q again leaves at once.",
        "ctrl+s shows the three values.",
        "F4 opens the form.",
    ],
)
def test_a_key_in_a_sentence_is_found(sentence: str) -> None:
    assert KEY.search(sentence)
