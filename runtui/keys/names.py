"""Names of keys: Textual's, those on keyboards, and which of them a terminal can send.

Invariant: every key that `read_key` returns can be pressed and arrives, also through tmux.
"""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Mapping
from typing import Final, NamedTuple


def _textual_name(character: str) -> str:
    name = unicodedata.name(character).lower().replace("-", "_").replace(" ", "_")
    return _SHORTENED.get(name, name)


_SHORTENED: Final = {
    "solidus": "slash",
    "reverse_solidus": "backslash",
    "commercial_at": "at",
    "hyphen_minus": "minus",
    "plus_sign": "plus",
    "low_line": "underscore",
}
_PUNCTUATION: Final = {_textual_name(character): character for character in string.punctuation}
_TEXTS: Final = {
    **_PUNCTUATION,
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "escape": "esc",
    "pageup": "page up",
    "pagedown": "page down",
}
_NAMES: Final = {text: name for name, text in _TEXTS.items()} | {"page-up": "pageup", "page-down": "pagedown"}

_FUNCTION_KEYS: Final = frozenset(f"f{number}" for number in range(1, 13))
_MOVING: Final = frozenset({"up", "down", "left", "right", "home", "end", "pageup", "pagedown"})
_ALONE: Final = _FUNCTION_KEYS | _MOVING | {"escape", "enter", "tab", "space", "backspace", "insert", "delete"}
_WITH_MODIFIER: Final = {
    "shift": _FUNCTION_KEYS | _MOVING | {"tab"},
    "ctrl": (_FUNCTION_KEYS | _MOVING | set(string.ascii_lowercase) | {"right_square_bracket"}),
}

_SENT_AS: Final = {
    "ctrl+h": "backspace",
    "ctrl+i": "tab",
    "ctrl+j": "enter",
    "ctrl+m": "enter",
    "ctrl+left_square_bracket": "esc",
    "ctrl+space": "ctrl+@",
    "ctrl+slash": "ctrl+_",
    "ctrl+enter": "enter",
    "shift+enter": "enter",
    "ctrl+backspace": "backspace",
    "shift+space": "space",
}
"""Keys -> the key that a terminal sends instead."""

_TAKEN: Final = {"ctrl+c": "copies the selected text"}


def key_text(key: str) -> str:
    """Return a key as printed on keyboards: `?` for "question_mark", `F4` for "f4"."""
    modifier, _, last = key.rpartition("+")
    last = last.upper() if last in _FUNCTION_KEYS else _TEXTS.get(last, last)
    return f"{modifier}+{last}" if modifier else last


def is_text(key: str) -> bool:
    """Return whether an input takes a key as text."""
    return len(key) == 1 or key == "space" or key in _PUNCTUATION


def read_key(text: str) -> str:
    """Return Textual's name of a key as a person writes it: "F4", "ctrl+e", "?", "page up".

    Raises:
        ValueError: No terminal sends such a key, or it has another use; the message says which.
    """
    modifiers, last = _split(text)
    if not modifiers:
        key = last
        if (len(key) == 1 and key.isalnum()) or key in _ALONE or key in _PUNCTUATION:
            return key
    elif modifiers == ["shift"] and last.isalpha() and len(capital := last.upper()) == 1:
        return capital
    key = "+".join([*modifiers, last])
    if key in _SENT_AS:
        raise ValueError(f"a terminal sends {_SENT_AS[key]} for {key_text(key)}")
    if key in _TAKEN:
        raise ValueError(f"{key_text(key)} {_TAKEN[key]}")
    if "alt" in modifiers:
        raise ValueError("terminals change keys with alt")
    if len(modifiers) == 1 and last in _WITH_MODIFIER.get(modifiers[0], ()):
        return key
    raise ValueError("no terminal sends such a key")


def _split(text: str) -> tuple[list[str], str]:
    """Return the modifiers of a key in lower case, and Textual's name of the key itself."""
    text = text.strip()
    if text == "+":
        return [], _NAMES[text]
    *modifiers, last = text.split("+")
    modifiers = sorted(modifier.strip().lower() for modifier in modifiers)
    last = last.strip() if len(last) > 1 else last
    if len(last) > 1 or "ctrl" in modifiers:
        last = last.lower()
    return modifiers, _NAMES.get(last, last)


class Mistake(NamedTuple):
    """A mistake in one entry of `[keys]`."""

    name: str
    sentence: str


class Keys(NamedTuple):
    """`[keys]` as read: action name -> keys, and the mistakes."""

    by_name: Mapping[str, tuple[str, ...]]
    mistakes: tuple[Mistake, ...]


NO_KEYS: Final = Keys({}, ())
