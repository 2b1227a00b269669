"""JSON laid out for reading contains what was received, byte for byte, and costs no more than its reader sees."""

import json
import re
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtui.domain import json_text
from runtui.domain.json_text import INDENT, MAX_INDENT, UNWRAPPED, Document, TokenKind, is_strict_json

KEY, STRING, NUMBER, KEYWORD, PUNCTUATION = TokenKind

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def lines(text: str) -> list[str]:
    document = Document(text).lay_out()
    return [document.line(number) for number in range(len(document))]


@given(json_values, st.booleans(), st.sampled_from([None, 0, 3]))
def test_any_json_is_laid_out_as_the_standard_library_would(
    value: object, ascii_only: bool, indent: int | None
) -> None:
    received = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert lines(received) == json.dumps(value, ensure_ascii=ascii_only, indent=INDENT).split("\n")


@given(json_values, st.sampled_from([1, 12, 200]))
def test_the_tokens_of_a_line_are_the_line(value: object, columns: int) -> None:
    document = Document(json.dumps(value), columns).lay_out()
    for number in range(len(document)):
        assert "".join(token.text for token in document.tokens(number)) == document.line(number)


def test_literals_and_doubled_keys_stay_as_received() -> None:
    assert lines('{"a":1.10,"a":1E400 ,"b" : "\\u00e9\\/", "c":[ ],"d":{}}') == [
        "{",
        '  "a": 1.10,',
        '  "a": 1E400,',
        '  "b": "\\u00e9\\/",',
        '  "c": [],',
        '  "d": {}',
        "}",
    ]


def test_tokens_carry_their_kind() -> None:
    document = Document('{"a:b":"c: 1","n":-1.5e3,"t":true,"z":null,"l":["x"]}').lay_out()
    kinds = [[(text, kind) for text, kind in document.tokens(number) if kind] for number in range(1, 7)]
    assert kinds == [
        [('"a:b"', KEY), (":", PUNCTUATION), ('"c: 1"', STRING), (",", PUNCTUATION)],
        [('"n"', KEY), (":", PUNCTUATION), ("-1.5e3", NUMBER), (",", PUNCTUATION)],
        [('"t"', KEY), (":", PUNCTUATION), ("true", KEYWORD), (",", PUNCTUATION)],
        [('"z"', KEY), (":", PUNCTUATION), ("null", KEYWORD), (",", PUNCTUATION)],
        [('"l"', KEY), (":", PUNCTUATION), ("[", PUNCTUATION)],
        [('"x"', STRING)],
    ]


@pytest.mark.parametrize(
    "text",
    ["<html>\r\n\t<b>502</b>\n\n", '{"cut": "in ha', "NaN", '{"a": Infinity}', "\ufeff{}", "// no\n{}", "{'a': 1}"],
)
def test_text_that_is_not_json_keeps_its_lines(text: str) -> None:
    assert not is_strict_json(text)
    assert lines(text) == [line.removesuffix("\r").expandtabs(4) for line in text.removesuffix("\n").split("\n")]


def test_an_integer_of_ten_thousand_digits_is_json_and_deep_nesting_is_no_crash() -> None:
    assert is_strict_json("9" * 10_000)
    assert Document("[" * 200_000).lay_out().is_json is False


def test_deep_nesting_is_indented_only_so_far() -> None:
    deep = lines("[" * 500 + "1" + "]" * 500)
    assert deep[500] == " " * (INDENT * MAX_INDENT) + "1"


@pytest.mark.parametrize("text", ["x" * 9_000 + "\ny", '{"long": "' + "x" * 9_000 + '", "short": 1}'])
def test_a_line_is_never_expensive_to_draw(text: str) -> None:
    shown = lines(text)
    assert max(map(len, shown)) <= UNWRAPPED
    assert re.sub(r"\s", "", "".join(shown)) == re.sub(r"\s", "", text)


def two_each(text: str) -> int:
    """Return the width if each non-ASCII character takes two cells."""
    return sum(1 if letter.isascii() else 2 for letter in text)


@given(json_values, st.integers(4, 60))
def test_a_value_longer_than_a_line_continues_on_the_next_lines(value: object, columns: int) -> None:
    text = json.dumps(value, ensure_ascii=False)
    wide, narrow = Document(text).lay_out(), Document(text, columns, two_each).lay_out()
    shown = [narrow.line(number) for number in range(len(narrow))]
    assert max(map(two_each, shown)) <= columns
    whole = [wide.line(number) for number in range(len(wide))]
    assert "".join(shown).replace(" ", "") == "".join(whole).replace(" ", "")


def test_a_long_value_goes_on_further_in_and_words_and_parts_of_ids_stay_whole() -> None:
    body = {"id": "6513270e-a1e4-4e31-9c6c-c5e6b4386393", "reason": "It did not call back in time."}
    document = Document(json.dumps({"value": [body]}), 34).lay_out()
    assert [document.line(number) for number in range(3, 8)] == [
        '      "id": "6513270e-a1e4-4e31-',
        '        9c6c-c5e6b4386393",',
        '      "reason": "It did not call ',
        '        back in time."',
        "    }",
    ]
    assert Document('{"startedDateTime": "2026-11-20T09:15:03Z"}', 30).lay_out().line(2) == '    "2026-11-20T09:15:03Z"'


def test_the_end_of_a_long_value_keeps_its_kind_and_its_item() -> None:
    document = Document(json.dumps({"key": "x" * 50, "n": 1}), 20).lay_out()
    assert [token.kind for token in document.tokens(3)] == [None, STRING]
    assert [document.top_level_key(number) for number in range(1, 4)] == ["key", None, None]
    assert (document.line_at(document.offset_of(3)), document.first_line_of(3)) == (1, 1)


def test_laying_out_goes_on_where_it_stopped() -> None:
    text = json.dumps(list(range(50)))
    document = Document(text).lay_out(10)
    assert len(document) == 10
    assert list(islice(lines(text), 10)) == [document.line(number) for number in range(10)]
    assert len(document.lay_out()) == 52


def test_only_keys_of_the_outermost_object_are_top_level() -> None:
    document = Document('{"a":1,"b":{"a":2},"c\\u0064":[3]}').lay_out()
    found = [document.top_level_key(number) for number in range(len(document))]
    assert found == [None, "a", "b", None, None, "cd", None, None, None]


@pytest.mark.parametrize("stretch", [1, 3, 5_000])
@given(data=st.data(), value=st.recursive(st.sampled_from([1.10, "aB: {", "x" * 30, True]), st.lists))
def test_a_search_finds_what_the_items_have_across_their_lines(
    data: st.DataObject, stretch: int, value: object
) -> None:
    received = json.dumps(
        {"aB": value, "b b": [value, {}], "c": {"ab": value}}, indent=data.draw(st.sampled_from([None, 1]))
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_text, "STRETCH", stretch)
        whole, document = Document(received).lay_out(), Document(received, 12).lay_out()
        first = data.draw(st.integers(0, len(document) - 1))
        line = whole.line(data.draw(st.integers(0, len(whole) - 1))).strip()
        begin = data.draw(st.integers(0, len(line)))
        text = line[begin : begin + data.draw(st.integers(1, 9))] or "ab"
        found = [line for line in document.occurrences(text.swapcase(), first) if line is not None]
        items = (whole.line(number).strip() for number in range(len(whole)))
        assert len(found) == sum(len(re.findall(re.escape(text), item, re.IGNORECASE)) for item in items)
        later = [line for line in found if line >= first]
        assert later == sorted(later)
        parts = [
            (place.line, place.nth, document.line(number)[place.begin : place.end])
            for number in range(len(document))
            for place in document.occurrences_on(number, text)
        ]
        assert sorted({begins for begins, _, _ in parts}) == sorted(set(found)), "a search goes where places are"
        for begins, nth, _ in parts:
            shown = "".join(part for *occurrence, part in parts if occurrence == [begins, nth])
            assert shown.casefold() == text.casefold()


def test_a_search_in_lines_of_plain_text() -> None:
    document = Document("one\ttwo\nTHREE one\n\nfour").lay_out()
    assert [line for line in document.occurrences("ONE", 1) if line is not None] == [1, 0]
    assert [line for line in document.occurrences("one two", 0) if line is not None] == [0]
    assert [line for line in document.occurrences("e  t", 0) if line is not None] == []
    assert [line for line in document.occurrences("r", 3) if line is not None] == [3, 1]
