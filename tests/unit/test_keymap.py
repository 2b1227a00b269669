"""The keys of the registry and those of `[keys]`: their meanings, which keys can be pressed, and which are refused."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

import pytest
from textual.widgets import Input

from runtui.keys.actions import ACTION_BY_ID, ACTIONS, SCOPE_TITLES, SIMULTANEOUS_SCOPES, key_of, remap
from runtui.keys.keymap import EDITING_KEYS, NAMES, read_keys
from runtui.keys.names import is_text, key_text, read_key

ANSWERS = {"y", "n"}
"""Keys that answer a question, and do something else elsewhere."""


@pytest.fixture
def keys_of_a_person() -> Iterator[None]:
    yield
    remap({})


def sentences(table: object) -> list[str]:
    return [mistake.sentence for mistake in read_keys(table).mistakes]


def test_ids_are_unique_and_every_scope_has_a_title_and_a_place() -> None:
    assert len(ACTION_BY_ID) == len(ACTIONS)
    assert {action.scope for action in ACTIONS} == set(SCOPE_TITLES) == set().union(*SIMULTANEOUS_SCOPES)


def test_one_letter_means_one_thing_on_every_screen() -> None:
    meanings = defaultdict(set)
    for action in ACTIONS:
        for key in action.default_keys:
            if is_text(key) and key != "space":
                meanings[key].add(action.name)
    assert {key: names for key, names in meanings.items() if len(names) > 1 and key not in ANSWERS} == {}


@pytest.mark.parametrize("place", SIMULTANEOUS_SCOPES, ids=lambda place: "-".join(sorted(place)))
def test_no_key_does_two_things_in_one_place(place: frozenset[str]) -> None:
    owners: dict[str, str] = {}
    for action in ACTIONS:
        if action.scope in place:
            for key in action.default_keys:
                assert owners.setdefault(key, action.name) == action.name, key


def test_every_key_of_the_registry_can_be_written_into_the_file_as_it_is_shown() -> None:
    for key in {key for action in ACTIONS for key in action.default_keys}:
        assert read_key(key_text(key)) == read_key(key) == key


def test_the_registry_itself_has_no_mistakes() -> None:
    table = {action.name: [key_text(key) for key in action.default_keys] for action in ACTIONS if action.has_own_name}
    assert sentences(table) == []


def test_the_keys_that_an_input_handles_itself_are_known() -> None:
    taken = {key.strip() for binding in Input.BINDINGS for key in getattr(binding, "key", "").split(",")}
    assert {key for key in taken if can_be_pressed(key)} <= EDITING_KEYS


def can_be_pressed(key: str) -> bool:
    try:
        return read_key(key) == key
    except ValueError:
        return False


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("F4", "f4"),
        ("ctrl+E", "ctrl+e"),
        ("Ctrl + e", "ctrl+e"),
        ("shift+a", "A"),
        ("E", "E"),
        ("?", "question_mark"),
        ("+", "plus"),
        ("esc", "escape"),
        ("page up", "pageup"),
        ("shift+f4", "shift+f4"),
        ("ctrl+]", "ctrl+right_square_bracket"),
        ("é", "é"),
    ],
)
def test_keys_are_read_as_people_write_them(text: str, key: str) -> None:
    assert read_key(text) == key


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ctrl+i", "a terminal sends tab for ctrl+i"),
        ("ctrl+enter", "a terminal sends enter for ctrl+enter"),
        ("alt+e", "terminals change keys with alt"),
        ("ctrl+c", "ctrl+c copies the selected text"),
        ("hyper+q", "no terminal sends such a key"),
        ("F13", "no terminal sends such a key"),
        ("ee", "no terminal sends such a key"),
        ("shift+ß", "no terminal sends such a key"),
        ("ctrl+shift+e", "no terminal sends such a key"),
        ("", "no terminal sends such a key"),
        (" ", "no terminal sends such a key"),
    ],
)
def test_keys_that_nobody_can_press_are_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(why)}"):
        read_key(text)


def test_other_keys_are_read_and_may_change_places() -> None:
    keys = read_keys({"edit": "x", "problems": ["e", "ctrl+x"], "back": ["esc", "backspace"]})
    assert keys.mistakes == ()
    assert keys.by_name == {"edit": ("x",), "problems": ("e", "ctrl+x"), "back": ("escape", "backspace")}


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"edt": "z"}, "There is no action 'edt'. Did you mean edit?"),
        ({"undo_entry": "z"}, "There is no action 'undo_entry'."),
        ({"edit": 4}, 'edit: it must be a key, such as "ctrl+e", or a list of keys.'),
        ({"edit": []}, 'edit: it must be a key, such as "ctrl+e", or a list of keys.'),
        ({"edit": "alt+e"}, "edit: 'alt+e' cannot be used: terminals change keys with alt."),
        ({"edit": "x"}, "edit: x is already the key of problems; choose another key, or give problems another one."),
        ({"refresh": "e"}, "refresh: e is already the key of edit; choose another key, or give edit another one."),
        ({"review": "a"}, "review: a is typed as text in the form; add a key such as ctrl+y."),
        ({"discard": "D"}, "discard: D is typed as text in the form; add a key such as ctrl+y."),
        ({"revert": "ctrl+k"}, "revert: ctrl+k is typed as text in the form; add a key such as ctrl+y."),
        ([], "keys must be a table: [keys]."),
    ],
)
def test_mistakes_are_named(table: object, sentence: str) -> None:
    assert any(said.startswith(sentence) for said in sentences(table)), sentences(table)


def test_sentences_name_the_keys_of_a_person(keys_of_a_person: None) -> None:
    assert key_of("edit") == "e"
    remap(read_keys({"edit": ["ctrl+e", "E"], "undo": "Z"}).by_name)
    assert key_of("edit") == key_of("merge_in_form") == "ctrl+e"
    assert key_of("undo") == key_of("undo_entry") == "Z"
    assert ACTION_BY_ID["edit"].key_while_typing == "ctrl+e"
    remap({})
    assert key_of("edit") == "e"


def test_every_name_is_written_like_the_other_keys_of_the_file() -> None:
    assert all(name == name.lower() and "_" not in name for name in NAMES)
