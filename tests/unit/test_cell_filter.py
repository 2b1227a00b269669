"""The filter of rows in memory, on columns of this test."""

from __future__ import annotations

from typing import Final, NamedTuple

import pytest

from runtui.domain.columns import Column, ListCell
from runtui.domain.filters import FilterError
from runtui.tui.filtering import cell_filter, cell_filter_help, cells_to_search


class Animal(NamedTuple):
    name: str
    sound: str


COLUMNS: Final = (
    Column[Animal]("animal", "name", 8, 1, lambda row, _: ListCell(row.name)),
    Column[Animal]("sound", "sound", 8, 2, lambda row, _: ListCell(row.sound)),
)

ANIMALS: Final = (Animal("Cat", "purrs softly"), Animal("Dog", "barks: cat!"), Animal("Cow", "moos"))


def found(text: str) -> list[str]:
    wanted = cell_filter(COLUMNS)(text)
    return [row.name for row in ANIMALS if wanted is None or wanted(cells_to_search(COLUMNS, row, 0))]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ["Cat", "Dog", "Cow"]),
        ("cat", ["Cat", "Dog"]),
        ("CAT purrs", ["Cat"]),
        ("!cat", ["Cow"]),
        ("name:cat", ["Cat"]),
        ("animal:cat,dog", ["Cat", "Dog"]),
        ("!name:cat,dog", ["Cow"]),
        ('"purrs softly"', ["Cat"]),
        ('sound:"s: c"', ["Dog"]),
        ("sound:moos name:cat", []),
        ("name=cow or (cat !barks)", ["Cat", "Cow"]),
        ("sound!=moos", ["Cat", "Dog"]),
        ("https://cat", []),
    ],
)
def test_words_are_looked_for_in_what_a_row_shows(text: str, names: list[str]) -> None:
    assert found(text) == names


def test_the_help_names_a_field_as_it_can_be_typed_and_no_column_without_a_title() -> None:
    count = Column[Animal]("legs", "✗", 8, 3, lambda *_: ListCell("4"))
    assert cell_filter_help((*COLUMNS, count, count._replace(title=""))) == "text  name:…  sound:…  legs:…  !not"


def test_where_nothing_has_a_name_a_colon_is_text() -> None:
    wanted = cell_filter((COLUMNS[1]._replace(title=""),))("barks: cat")
    assert wanted is not None
    assert [row.name for row in ANIMALS if wanted({"sound": row.sound})] == ["Dog"]


@pytest.mark.parametrize(
    ("text", "words", "place"),
    [
        ("cat nam:x", "No field is called nam. Did you mean name?", (4, 3)),
        ("cat what:x", "Possible: name, sound.", (4, 4)),
        ("cat sound:", "A value for sound is missing", (9, 1)),
        ('""', "There is nothing between these quotes", (0, 2)),
        ("!", "A term is missing", (1, 1)),
        ("sound>a", "sound takes : or = or !=", (5, 1)),
    ],
)
def test_an_invalid_term_is_refused_with_its_position(text: str, words: str, place: tuple[int, int]) -> None:
    with pytest.raises(FilterError) as caught:
        found(text)
    assert words in caught.value.message
    assert (caught.value.position, caught.value.length) == place
