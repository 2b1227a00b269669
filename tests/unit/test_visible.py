"""Text on the screen never acts on the terminal and hides nothing; ordinary names stay as they are."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtui.domain.text import COMBINING_LIMIT, UNSAFE, visible

any_text = st.text(alphabet=st.characters(exclude_categories=()))
hostile_text = st.lists(
    st.one_of(
        st.sampled_from(["\x1b]0;x\x07", "\x1b[2J", "\x9b", "\u202e", "\u200b", "\U000e0041", "\ud800", "\u0301" * 12]),
        st.text(max_size=5),
    )
).map("".join)


@pytest.mark.parametrize(
    "text",
    [
        "Onboard pre-hire employee",
        "[/x] [@click=app.quit] :smile: $v",
        "日本語ワークフロー",
        "Zoë Müller, İstanbul, Łódź",
        "e\u0301 and n\u0303",  # decomposed letters
        "नमस्ते",
        "שָׁלוֹם",
        "مرحبا",
        "ภาษาไทย",
        "🚀 Onboard 🇩🇪",
        "葛\U000e0100城",  # a kanji with its registered variant
        "a\u00a0b\u3000c",
        "",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07", "␛]0;title␇"),
        ("\x1b[2J", "␛[2J"),
        ("a\tb\r\nc", "a␉b␍␊c"),
        ("\x00\x7f", "␀␡"),
        ("\x9b2J", "⟨U+009B⟩2J"),
        ("invoice\u202efdp", "invoice⟨U+202E⟩fdp"),
        ("pay\u200bpal", "pay⟨U+200B⟩pal"),
        ("soft\u00adhyphen", "soft⟨U+00AD⟩hyphen"),
        ("x\U000e0041", "x⟨U+E0041⟩"),
        ("\u2028\u2029", "⟨U+2028⟩⟨U+2029⟩"),
        ("\ufeffid", "⟨U+FEFF⟩id"),
        ("\ud83d", "⟨U+D83D⟩"),
        ("\u3164", "⟨U+3164⟩"),
        ("\ue000", "⟨U+E000⟩"),
        ("👩\u200d💻", "👩⟨U+200D⟩💻"),
        ("👍🏽", "👍⟨U+1F3FD⟩"),
        ("⚠\ufe0f late", "⚠ late"),
        ("\u0301x", "◌\u0301x"),
        ("z" + "\u0301" * 20 + "!", "z" + "\u0301" * COMBINING_LIMIT + "⟨+12 marks⟩!"),
        (None, ""),
        (12, "12"),
        (["\x1b"], "['\\x1b']"),
    ],
)
def test_characters_that_would_act_or_hide_are_shown(text: object, shown: str) -> None:
    assert visible(text) == shown


def test_a_number_with_too_many_digits_is_named_by_its_type() -> None:
    assert visible(10**5000) == "⟨int⟩"  # beyond the digits that Python converts


def test_newlines_stay_when_asked_for() -> None:
    assert visible("one\ntwo\r\n\u0301three", newlines=True) == "one\ntwo␍\n◌\u0301three"


@given(st.one_of(any_text, hostile_text), st.booleans())
def test_nothing_unsafe_is_left_and_twice_is_once(text: str, newlines: bool) -> None:
    shown = visible(text, newlines=newlines)
    assert not UNSAFE.search(shown.replace("\n", "") if newlines else shown)
    assert visible(shown, newlines=newlines) == shown
    shown.encode()  # a terminal takes UTF-8, so a lone surrogate must not get here


@given(st.one_of(any_text, hostile_text))
def test_no_character_outlives_its_limit_of_combining_marks(text: str) -> None:
    categories = "".join("M" if unicodedata.category(character)[0] == "M" else "." for character in visible(text))
    assert not re.search(f"^M|M{{{COMBINING_LIMIT + 1}}}", categories)


@given(any_text)
def test_safe_characters_all_arrive_in_order(text: str) -> None:
    """Nothing is lost: without the marks, all harmless characters are there in order."""
    harmless = [c for c in text if not UNSAFE.match(c) and unicodedata.category(c)[0] != "M"]
    remaining = iter(visible(text))
    assert all(character in remaining for character in harmless)
    unsafe = sum(1 for c in text if UNSAFE.match(c) and c not in "\ufe0e\ufe0f")
    assert len(re.findall(r"⟨U\+[0-9A-F]{4,6}⟩|[\u2400-\u2421]", visible(text))) >= unsafe


@pytest.mark.parametrize("category", ["Cc", "Cf", "Cs", "Zl", "Zp", "Co"])
def test_every_character_of_the_invisible_categories_is_marked(category: str) -> None:
    """The table of characters is written by hand; Unicode's own categories check it."""
    drawn = {
        0x110BD,
        0x110CD,
        0x06DD,
        0x070F,
        0x0890,
        0x0891,
        0x08E2,
        *range(0x600, 0x606),
    }  # signs that belong to numbers
    missed = [
        f"U+{code:04X}"
        for code in range(0x110000)
        if unicodedata.category(chr(code)) == category and code not in drawn and not UNSAFE.match(chr(code))
    ]
    assert missed == []
