"""The output leaves the terminal with the wanted screen, as the emulator pyte confirms."""

from __future__ import annotations

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyte.screens import Char

from runtui.tui.screen_diff import BLANK, Pen, Row, ScreenDiff, blank_pen, cells, cursor_to, find_scroll, sgr
from tests.seen import seen

WIDTH, HEIGHT = 24, 10
RED, BOLD, BOLD_RED = Pen("31"), Pen(attributes=frozenset("1")), Pen("31", attributes=frozenset("1"))
FAINT_BOLD_RED = Pen("31", attributes=frozenset("12"))
UNDERLINED = Pen(attributes=frozenset("4"))
OVERLINED = Pen(attributes=frozenset({"53"}))
ON_BLUE = Pen(background="48;2;0;0;128")
LINK = Pen(link="id=1;https://example.org/")

pens = st.builds(
    Pen,
    st.sampled_from(["", "31", "97", "38;5;208", "38;2;1;20;255"]),
    st.sampled_from(["", "44", "48;2;16;16;32"]),
    st.frozensets(st.sampled_from(["1", "2", "3", "4", "7", "9"]), max_size=2),
    st.just(""),
)
texts = st.text("ab  \u2500\u258féü漢字한🎉e\u0301\x07", max_size=WIDTH + 4)


class Terminal:
    """A terminal as Textual leaves it: no wrapping at the right edge."""

    def __init__(self) -> None:
        self.screen = pyte.Screen(WIDTH, HEIGHT)
        self._stream = pyte.Stream(self.screen)
        self.feed("\x1b[?7l")

    def feed(self, sent: str) -> None:
        self._stream.feed(sent)

    def seen(self) -> list[list[Char]]:
        return seen(self.screen)


def cell_by_cell(screen: ScreenDiff) -> Terminal:
    """Return a terminal to which every cell was sent separately after a full reset, so that none can be left over."""
    terminal = Terminal()
    for y, row in enumerate(screen.wanted):
        for x, (text, (foreground, background, attributes, _)) in enumerate(row):
            parameters = ";".join(filter(None, ["0", *attributes, foreground, background]))
            terminal.feed(f"\x1b[{y + 1};{x + 1}H\x1b[{parameters}m{text}")
    return terminal


@st.composite
def frames(draw: st.DrawFn) -> list[tuple[str, list[tuple[int, int, str, Pen]], int]]:
    writes = st.lists(
        st.tuples(st.integers(-1, HEIGHT), st.integers(-1, WIDTH), texts, pens), min_size=0, max_size=HEIGHT
    )
    kinds = st.sampled_from(["write", "write", "move", "forget", "clear"])
    return draw(st.lists(st.tuples(kinds, writes, st.integers(-3, 3)), max_size=6))


def change(screen: ScreenDiff, terminal: Terminal, kind: str, by: int) -> None:
    if kind == "move":
        screen.wanted = screen.wanted[:1] + screen.wanted[1:-1][by:] + screen.wanted[1:-1][:by] + screen.wanted[-1:]
    elif kind == "clear":
        screen.wanted = [[BLANK] * WIDTH for _ in range(HEIGHT)]
    elif kind == "forget":
        terminal.feed("\x1b[41m\x1b[3;3H漢 garbage of another program\x1b[m")
        screen.forget()


@given(st.lists(st.tuples(texts, pens), min_size=HEIGHT, max_size=HEIGHT), frames())
def test_after_any_frames_the_terminal_shows_the_last(
    start: list[tuple[str, Pen]], steps: list[tuple[str, list[tuple[int, int, str, Pen]], int]]
) -> None:
    screen, terminal = ScreenDiff(WIDTH, HEIGHT), Terminal()
    for y, (text, pen) in enumerate(start):
        screen.put(y, 0, cells(text, pen))
    for kind, writes, by in [("write", [], 0), *steps]:
        change(screen, terminal, kind, by)
        for y, x, text, pen in writes:
            screen.put(y, x, cells(text, pen))
        cursor = (by % HEIGHT, by % WIDTH)
        terminal.feed(screen.paint(cursor))
        assert terminal.seen() == cell_by_cell(screen).seen()
        assert (terminal.screen.cursor.y, terminal.screen.cursor.x) == cursor
        assert terminal.screen.cursor.attrs == terminal.screen.default_char
        assert terminal.screen.margins is None
        assert screen.paint(cursor) == ""


@given(pens, pens)
def test_a_pen_change_is_never_longer_than_a_reset(before: Pen, after: Pen) -> None:
    terminal = Terminal()
    terminal.feed(sgr(Pen(), before) + sgr(before, after) + "x")
    reset = Terminal()
    reset.feed(sgr(Pen(), after) + "x")
    assert terminal.seen() == reset.seen()
    whole = ";".join(filter(None, ["0", *after.attributes, after.foreground, after.background]))
    assert len(sgr(before, after)) <= len(f"\x1b[{whole}m")


@pytest.mark.parametrize(
    ("before", "after", "sent"),
    [
        (Pen(), Pen(), ""),
        (Pen(), BOLD_RED, "\x1b[1;31m"),
        (BOLD_RED, BOLD, "\x1b[39m"),
        (BOLD_RED, RED, "\x1b[22m"),
        (BOLD_RED, Pen(), "\x1b[m"),
        (FAINT_BOLD_RED, BOLD_RED, "\x1b[22;1m"),  # 22 turns both off
        (OVERLINED, RED, "\x1b[0;31m"),  # nothing turns off 53 alone on every terminal
        (Pen(), LINK, "\x1b]8;id=1;https://example.org/\x1b\\"),
        (LINK, Pen(), "\x1b]8;;\x1b\\"),
        (LINK, RED, "\x1b]8;;\x1b\\\x1b[31m"),
    ],
)
def test_pen_changes(before: Pen, after: Pen, sent: str) -> None:
    assert sgr(before, after) == sent


@pytest.mark.parametrize(
    ("y", "x", "at_y", "at_x", "sent"),
    [
        (4, 7, 4, 7, ""),
        (0, 0, None, None, "\x1b[H"),
        (4, 0, None, None, "\x1b[5H"),
        (4, 7, None, None, "\x1b[5;8H"),
        (4, 8, 4, 7, "\x1b[C"),
        (4, 6, 4, 7, "\x1b[D"),
        (4, 107, 4, 101, "\x1b[6C"),
        (4, 7, 4, None, "\x1b[8G"),
        (4, 0, 4, 7, "\r"),
        (5, 0, 4, 7, "\r\n"),
        (5, 7, 4, 7, "\x1b[B"),
        (3, 7, 4, 7, "\x1b[A"),
        (9, 7, 4, 7, "\x1b[5B"),
    ],
)
def test_the_cheapest_way(y: int, x: int, at_y: int | None, at_x: int | None, sent: str) -> None:
    assert cursor_to(y, x, at_y, at_x) == sent


def shown(*lines: str, width: int = 12) -> ScreenDiff:
    screen = ScreenDiff(width, len(lines))
    for y, line in enumerate(lines):
        screen.put(y, 0, cells(line.ljust(width), Pen()))
    screen.paint((0, 0))
    return screen


def changes(before: list[Row], screen: ScreenDiff) -> dict[int, list[int]]:
    lines = enumerate(zip(before, screen.wanted, strict=True))
    return {y: [x for x in range(screen.width) if old[x] != new[x]] for y, (old, new) in lines if old != new}


def test_a_list_that_scrolls_costs_one_line() -> None:
    screen = shown("title", "run one", "run two", "my third", "your fourth", "fifth run", "hints")
    for y, line in enumerate(["run two", "my third", "your fourth", "fifth run", "six"], 1):
        screen.put(y, 0, cells(line.ljust(12), Pen()))
    assert screen.paint((0, 0)) == "\x1b[2;6r\x1b[2H\x1b[M\x1b[r\x1b[6Hsix\x1b[H"


def test_a_move_is_found_beside_a_panel_that_stays() -> None:
    screen = shown("one   | p", "two   | q", "three | r", "four  | s")
    before = [row.copy() for row in screen.wanted]
    for y, line in enumerate(["zero", "one", "two", "three"]):
        screen.put(y, 0, cells(line.ljust(5), Pen()))
    assert find_scroll(before, screen.wanted, changes(before, screen)) == (0, 4, -1)


def test_lines_that_look_alike_are_no_move() -> None:
    screen = shown("same", "same", "same", "same", "other")
    before = [row.copy() for row in screen.wanted]
    for y in range(5):
        screen.put(y, 0, cells("same" if y else "other", Pen()))
    assert find_scroll(before, screen.wanted, changes(before, screen)) is None


@pytest.mark.parametrize(
    ("line", "at", "new", "sent"),
    [
        ("status ok", 7, "no", "\x1b[1;8Hno"),
        ("abcdef", 0, "Abcdef", "\x1b[HA"),
        ("abcdefghijkl", 0, "AbCdefghijkL", "\x1b[HAbC\x1b[8CL"),  # one cell is sent again, eight are skipped
        ("abcdefghijkl", 2, " " * 10, "\x1b[1;3H\x1b[K"),
    ],
)
def test_the_bytes_of_one_line(line: str, at: int, new: str, sent: str) -> None:
    screen = shown(line)
    screen.put(0, at, cells(new, Pen()))
    assert screen.paint((0, 0)) == f"{sent}\r"


def test_a_blank_tail_is_erased_only_where_it_has_no_colour() -> None:
    screen = shown("x" * 12)
    screen.put(0, 1, cells(" " * 11, ON_BLUE))
    assert "\x1b[K" not in screen.paint((0, 0))


def test_spaces_need_no_pen_of_their_own() -> None:
    screen = ScreenDiff(12, 1)
    screen.put(0, 0, cells("a b", BOLD_RED) + cells("  ", RED) + cells("c", BOLD_RED))
    assert "\x1b[1;31ma b  c" in screen.paint((0, 0))


def test_a_space_on_another_colour_keeps_the_pen_of_the_letters() -> None:
    screen, red_on_blue = ScreenDiff(12, 1), Pen("31", "44")
    screen.put(0, 0, cells("a", red_on_blue) + cells(" ", Pen("", "42")) + cells("b", Pen("31", "42")))
    assert "\x1b[31;44ma\x1b[42m b" in screen.paint((0, 0))


@pytest.mark.parametrize("pen", [UNDERLINED, LINK, Pen("31", "", frozenset("7"))])
def test_a_pen_that_is_seen_on_spaces_stays_whole(pen: Pen) -> None:
    assert blank_pen(pen) == pen


def test_nothing_that_acts_on_a_terminal_becomes_a_cell() -> None:
    assert "".join(text for text, _ in cells("a\x1b[2J\x9b\nb", Pen())) == "a[2Jb"


@pytest.mark.parametrize("grapheme", ["👨\u200d👩\u200d👧", "❤\ufe0f", "🎉", "e\u0301", "🇯🇵", "🌡"])
def test_after_a_grapheme_of_doubtful_width_the_place_is_reported(grapheme: str) -> None:
    screen = ScreenDiff(12, 1)
    screen.put(0, 0, cells(grapheme + "after", Pen()))
    column = len(cells(grapheme, Pen())) + 1
    assert f"{grapheme}\x1b[{column}Gafter" in screen.paint((0, 0))


def test_a_line_with_a_doubtful_width_is_sent_to_its_end() -> None:
    screen = shown("a🎉bcd")
    screen.put(0, 0, cells("A", Pen()))
    assert "bcd" in screen.paint((0, 0))


def test_a_line_that_had_a_doubtful_width_is_sent_to_its_end() -> None:
    screen = shown("🎉bcd")
    screen.put(0, 0, cells("no", Pen()))
    assert "nobcd" in screen.paint((0, 0))


def test_half_a_wide_grapheme_is_a_space() -> None:
    screen = shown("漢字かな", width=8)
    screen.put(0, 1, cells("xy", Pen()))
    screen.put(0, 7, cells("漢", Pen()))
    assert "".join(text for text, _ in screen.wanted[0]) == " xy か  "
