"""The editor of a field: keys move and delete as in every input, and the cursor is drawn where it acts."""

from __future__ import annotations

import pytest
from rich.style import Style

from runtui.domain.properties import PROCESSING_STATUS
from runtui.tui.widgets.field_edit import ChoiceMenu, EditLook, LineEdit

LOOK = EditLook(Style(bold=True), Style(underline=True), Style(reverse=True), Style(dim=True))


def line_after(text: str, *keys: str) -> LineEdit:
    """Return a line with the cursor after its text, after some keys; a single character is typed."""
    line = LineEdit(text)
    line.press("end")
    for key in keys:
        if len(key) == 1:
            line.insert(key)
        else:
            line.press(key)
    return line


def marked(line: LineEdit, width: int) -> str:
    """Return a window of the line: the selection in brackets, the cursor before a bar."""
    shown = ""
    for text, style, _ in line.strip(width, LOOK):
        assert style is not None
        shown += f"[{text}]" if style.underline and not style.reverse else f"|{text}" if style.reverse else text
    return shown


@pytest.mark.parametrize(
    ("text", "keys", "result"),
    [
        ("ab", ["left", "c"], "ac|b"),
        ("ab", ["home", "c"], "c|ab"),
        ("ab", ["left", "left", "left", "right", "delete"], "a|"),
        ("one two", ["ctrl+left", "x"], "one x|two"),
        ("one two", ["ctrl+w", "x"], "one x|"),
        ("one two", ["home", "ctrl+right", "ctrl+k"], "one |"),
        ("one two", ["ctrl+backspace", "x"], "one x|"),
        ("one two", ["alt+backspace", "x"], "one x|"),
        ("one two", ["ctrl+left", "ctrl+u"], "|two"),
        ("one", ["shift+left", "shift+left"], "o|n[e]"),
        ("one", ["shift+home", "x"], "x|"),
        ("one", ["shift+left", "left"], "on|e"),
        ("one", ["shift+home", "right"], "one|"),
        ("one two", ["ctrl+shift+left", "backspace"], "one |"),
        ("one", ["ctrl+shift+a"], "[one]|"),
        ("入社日", ["left", "left", "x"], "入x|社日"),
        ("cafe\u0301s", ["left", "left"], "caf|e\u0301s"),
        ("cafe\u0301", ["backspace"], "caf|"),
    ],
)
def test_keys_do_what_they_do_in_an_input_and_in_other_programs(text: str, keys: list[str], result: str) -> None:
    assert marked(line_after(text, *keys), 20).rstrip() == result


def test_a_text_that_is_shown_is_selected_and_typing_replaces_it() -> None:
    line = LineEdit()
    line.show("2026")
    assert line.selected == "2026"
    line.insert("n")
    assert line.text == "n"


def test_a_paste_is_one_line_and_every_character_of_it_is_seen() -> None:
    line = line_after("")
    line.paste("first\n second\x1b[2J\u202e")
    assert line.text == "first second␛[2J⟨U+202E⟩"


def test_a_window_follows_the_cursor_and_no_further() -> None:
    line = line_after("0123456789")
    assert marked(line, 5) == "6789| "
    line.press("left")
    assert marked(line, 5) == "678|9 "
    line.press("home")
    assert marked(line, 5) == "|01234"
    line.point(3)
    assert line.cursor == 3
    line.press("end")
    line.cursor_cell(5)
    line.point(1)
    line.point(3, selects=True)
    assert line.selected == "78"


def test_a_shorter_text_starts_at_the_left_edge_of_the_window() -> None:
    line = line_after("a" * 5_000)
    line.strip(5, LOOK)
    line.show("0")
    assert marked(line, 5).rstrip() == "[0]|"
    line.insert("now")
    assert marked(line, 5).rstrip() == "now|"


def test_a_line_without_the_focus_marks_where_it_is_cut() -> None:
    assert LineEdit("a long reason").strip(7, LOOK, has_keys=False).text == "a long…"
    assert LineEdit("入社入社").strip(6, LOOK, has_keys=False).text == "入社 …"


def test_a_wide_letter_at_the_edge_of_a_window_does_not_move_what_is_around() -> None:
    line = line_after("入社入社入社")
    for _ in range(7):
        assert line.strip(5, LOOK).cell_length == 5
        line.press("left")


def test_a_menu_has_the_value_as_received_and_goes_round() -> None:
    menu = ChoiceMenu(PROCESSING_STATUS, "pausedByPolicy", "failed", ("", ""))
    assert menu.values[0] == "pausedByPolicy"
    assert menu.value == "failed"
    menu.move("home")
    menu.move("up")
    assert menu.value == PROCESSING_STATUS.names[-1]
    menu.move("down")
    assert menu.value == "pausedByPolicy"
    for letter in "quar":
        menu.insert(letter)
    assert menu.value == "quarantined"
    menu.insert("x")
    assert menu.value == "quarantined", "what no value has moves nothing"
    for letter in "once":
        menu.insert(letter)
    assert menu.value == "quarantined", "a word of a meaning finds it too"
    assert {
        line.index(PROCESSING_STATUS.meaning(value)) for value, line in zip(menu.values, menu.lines, strict=True)
    } == {21}
