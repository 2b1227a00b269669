"""Foreign text as Textual content: literal, safe, and of the requested width."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import ControlType, Segment
from rich.style import Style
from textual.color import Color
from textual.content import Content
from textual.fuzzy import Matcher

from runtui.domain.text import UNSAFE, visible
from runtui.tui.text import ControlFilter, content, fit, highlighted, in_lines, middle

BLACK = Color(0, 0, 0)
any_text = st.text(alphabet=st.characters(exclude_categories=()))


@pytest.mark.parametrize("text", ["[/x]", "[@click=app.quit]go[/]", "[b]bold", "$var [a eq 'b']", "\\[x]", ":smile:"])
def test_content_is_never_markup(text: str) -> None:
    assert content(text).plain == text
    assert content(text).spans == []
    assert content(text, "bold").plain == text


def test_content_and_visible_show_what_would_act() -> None:
    assert content("a\x1b[2J", "bold").plain == visible("a\x1b[2J") == "a␛[2J"
    assert content("a\nb", newlines=True).plain == "a\nb"


def test_text_in_the_palette_is_literal() -> None:
    shown = highlighted(Matcher("go"), "[b]go \x1b on")
    assert shown.plain == "[b]go ␛ on"
    assert [(span.start, span.end) for span in shown.spans] == [(3, 4), (4, 5)]
    assert highlighted(Matcher("zz"), "[/x]").spans == []


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("failed", 8, "failed  "),
        ("failed", 6, "failed"),
        ("completed", 6, "compl…"),
        ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日 …"),
        ("x", 0, ""),
        ("xy", 1, "…"),
        (12, 4, "12  "),
        (None, 2, "  "),
        ("a\x1b[2J", 7, "a␛[2J  "),
        ("\u202e", 4, "⟨U+…"),
    ],
)
def test_fit(text: object, width: int, shown: str) -> None:
    assert fit(text, width) == shown


def test_fit_to_the_right() -> None:
    assert fit(7, 4, align="right") == "   7"


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("short", 9, "short"),
        ("6513b2a1_6393fe20", 9, "6513…fe20"),
        ("6513b2a1_6393fe20", 10, "6513b…fe20"),
        ("6513", 3, "6…3"),
        ("6513", 2, "6…"),
        ("6513", 0, ""),
        ("a\x1b[2J-and-more", 7, "a␛[…ore"),
    ],
)
def test_middle(text: str, width: int, shown: str) -> None:
    assert middle(text, width) == shown


@given(any_text, st.integers(0, 40))
def test_widths_hold_for_any_text(text: str, width: int) -> None:
    assert cell_len(fit(text, width)) == width
    assert cell_len(fit(text, width, align="right")) == width
    assert cell_len(middle(text, width)) <= width


@given(st.lists(any_text))
def test_the_second_wall_keeps_widths_and_lets_nothing_through(texts: list[str]) -> None:
    segments = [Segment(text, Style(bold=True)) for text in texts]
    painted = ControlFilter().apply(segments, BLACK)
    assert not any(UNSAFE.search(segment.text) for segment in painted)
    assert [cell_len(segment.text) for segment in painted] == [cell_len(text) for text in texts]


def test_the_second_wall_leaves_harmless_lines_as_they_are() -> None:
    segments = [Segment("│ Onboard 日本 "), Segment("e\u0301", Style(link="https://example.com"))]
    assert ControlFilter().apply(segments, BLACK) is segments


def test_the_second_wall_takes_commands_and_hostile_links_out() -> None:
    command = Segment("\x1b[2J", None, [(ControlType.CLEAR,)])
    link = Segment("go", Style(bold=True, link="https://x\x1b\\\x1b]0;owned\x07"))
    (painted,) = ControlFilter().apply([command, link], BLACK)
    assert painted.text == "go"
    assert painted.style == Style(bold=True)


@pytest.mark.parametrize(("text", "told"), [("one two", "one two"), ("one two three four", "one\ntwo …")])
def test_text_with_too_many_lines_ends_in_a_mark(text: str, told: str) -> None:
    assert in_lines(Content(text), 5, 2).plain.rstrip() == told
