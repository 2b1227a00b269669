"""Reads and checks `[keys]` of config.toml, which gives actions other keys by name.

Invariant: an accepted key can be pressed wherever its action works, and means one thing there. A mistake names the
action; if there is no such action, it names the most similar one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from runtui.errors import nearest_words
from runtui.keys.actions import ACTIONS, SCOPE_TITLES, SIMULTANEOUS_SCOPES, TYPING, Action
from runtui.keys.names import Keys, Mistake, is_text, key_text, read_key
from runtui.options import BELONGS_TO_PROFILE, OPTION_BY_NAME

NAMES: Final = tuple(dict.fromkeys(action.name for action in ACTIONS))
"""The action names that `[keys]` may contain."""

EDITING_KEYS: Final = frozenset({
    "enter", "tab", "shift+tab", "up", "down", "left", "right", "shift+left", "shift+right", "ctrl+left", "ctrl+right",
    "home", "end", "shift+home", "shift+end", "backspace", "delete",
    *(f"ctrl+{letter}" for letter in "acdekuvwx"),
})  # fmt: skip
"""The keys that an input, or the form around it, handles itself."""


def read_keys(table: object) -> Keys:
    """Read `[keys]`: a table of action names, each with a key or a list of keys, as a person writes them."""
    if not isinstance(table, dict):
        return Keys({}, (Mistake("", "keys must be a table: [keys]."),))
    mistakes: list[Mistake] = []
    by_name: dict[str, tuple[str, ...]] = {}
    for name, value in table.items():
        if name not in NAMES:
            what = f"There is no action {name!r}.{nearest_words(name, NAMES)}"
            mistakes.append(Mistake(name, f"{name} {BELONGS_TO_PROFILE}" if name in OPTION_BY_NAME else what))
            continue
        try:
            by_name[name] = _keys(value)
        except ValueError as error:
            mistakes.append(Mistake(name, f"{name}: {error}."))
    mistakes += _typed(by_name)
    mistakes += _clashes(by_name)
    order = list(table)
    return Keys(by_name, tuple(sorted(mistakes, key=lambda mistake: order.index(mistake.name))))


def _keys(value: object) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError('it must be a key, such as "ctrl+e", or a list of keys')
    keys = []
    for text in texts:
        try:
            keys.append(read_key(text))
        except ValueError as error:
            raise ValueError(f"{text!r} cannot be used: {error}") from None
    return tuple(dict.fromkeys(keys))


def _typed(by_name: Mapping[str, tuple[str, ...]]) -> Iterator[Mistake]:
    """Yield a mistake for each action of a form or a box all of whose keys an input would take."""
    for action in ACTIONS:
        keys = by_name.get(action.name)
        own = EDITING_KEYS - set(action.default_keys)
        if keys and action.scope in TYPING and all(is_text(key) or key in own for key in keys):
            several = f"{' and '.join(map(key_text, keys))} {'are' if len(keys) > 1 else 'is'}"
            place = SCOPE_TITLES[action.scope].lower()
            yield Mistake(
                action.name, f"{action.name}: {several} typed as text in the {place}; add a key such as ctrl+y."
            )


def _clashes(by_name: Mapping[str, tuple[str, ...]]) -> Iterator[Mistake]:
    """Yield a mistake for each key that two actions share at one time, if `[keys]` names at least one of the two."""
    reported = set()
    for scopes in SIMULTANEOUS_SCOPES:
        owners: dict[str, Action] = {}
        for action in ACTIONS:
            if action.scope not in scopes:
                continue
            for key in by_name.get(action.name, action.default_keys):
                other = owners.setdefault(key, action)
                pair = (key, frozenset({action.name, other.name}))
                if other.name == action.name or pair in reported or not {action.name, other.name} & by_name.keys():
                    continue
                reported.add(pair)
                mine, rival = (action, other) if action.name in by_name else (other, action)
                yield Mistake(
                    mine.name,
                    f"{mine.name}: {key_text(key)} is already the key of {rival.name}; "
                    f"choose another key, or give {rival.name} another one.",
                )
