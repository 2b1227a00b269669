"""The input from a terminal: its tokens, and that no input breaks the grammar."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual._xterm_parser import XTermParser
from textual.message import Message

from runtui.prelude.terminal import MAX_CELLS
from runtui.tui.input import (
    ESCAPE_SECONDS,
    MAX_PASTED,
    MAX_TYPED,
    OVERDUE_SECONDS,
    PASTE_SECONDS,
    SEQUENCE_SECONDS,
    InputLexer,
    Piece,
)
from runtui.tui.terminal import InputParser

NOTHING: list[str] = []
PASTE, END = b"\x1b[200~", b"\x1b[201~"


def shown(pieces: Iterable[Piece]) -> list[str]:
    """Return the pieces as short strings. Characters typed in a row form one string, wherever the reads were split."""
    told: list[str] = []
    was_typed = False
    for kind, text in pieces:
        if kind == "typed" and was_typed:
            told[-1] += text
        else:
            told.append(f"{kind} {text[1:] if kind == 'sequence' else text}")
        was_typed = kind == "typed"
    return told


def test_enter_that_was_typed_before_the_terminal_was_raw_is_enter() -> None:
    assert cut(b"e\n\x1b[B\n") == ["typed e\r", "sequence [B", "typed \r"]
    assert cut(PASTE + b"a\nb" + END) == ["pasted a\nb"]


def patience(lexer: InputLexer) -> float | None:
    """Return the seconds that the lexer waits at this point."""
    return lexer.patience


def cut(*reads: bytes | None) -> list[str]:
    """Feed bytes; None is a silence for as long as the lexer waits."""
    lexer = InputLexer()
    return shown(piece for data in reads for piece in (lexer.silence() if data is None else lexer.feed(data)))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"jk", ["typed jk"]),
        ("é€\U0001f600".encode(), ["typed é€\U0001f600"]),
        (b"\xe9q", ["typed \ufffdq"]),
        (b"\x9bq", ["typed \ufffdq"]),
        ("\x9bq".encode(), ["typed q"]),
        (b"\xe2\x82\x1b[Aq", ["typed \ufffd", "sequence [A", "typed q"]),
        (b"\x1bj\x1b\x1b[A", ["typed \x1bj\x1b", "sequence [A"]),
        (b"\x1bb\x1b\x7f\x1b\t\x1by", ["sequence b", "sequence \x7f", "sequence \t", "typed \x1by"]),
        (b"\x1b2\x1b[[A\x1b[3$\x1bOPq", ["typed \x1b2", "sequence [[A", "sequence [3$", "sequence OP", "typed q"]),
        (b"\x1b[M \xa1\xa1q", ["typed q"]),
        (b"\x1b[M !\x1b[Aq", ["sequence [A", "typed q"]),
        (b"\x1b[32;10;20Mq", ["sequence [32;10;20M", "typed q"]),
        (b"\x1b[<0;5;7Mq", ["sequence [<0;5;7M", "typed q"]),
        (b"\x1b[<0;0;7Mq", ["typed q"]),
        (b"\x1b[<0;99999999999;-7Mq", ["typed q"]),
        (b"\x1b[<128;5;7Mq", ["typed q"]),
        (b"\x1b[48;40;120;800;960tq", ["sequence [48;40;120;800;960t", "typed q"]),
        (b"\x1b[48;40;120;0;0tq", ["sequence [48;40;120;40;120t", "typed q"]),
        (b"\x1b[48;40:1;120:2;0;0tq", ["sequence [48;40;120;40;120t", "typed q"]),
        (b"\x1b[48;0;120;0;0tq", ["typed q"]),
        (b"\x1b[48;99999999;120;1;1tq", ["typed q"]),
        (b"\x1b[97uq", ["sequence [97u", "typed q"]),
        (b"\x1b[97:65:113;2:1;65uq", ["sequence [97;2;65u", "typed q"]),
        (b"\x1b[97;;229uq", ["sequence [97;;229u", "typed q"]),
        (b"\x1b[97;1:2uq", ["sequence [97;1u", "typed q"]),
        (b"\x1b[97;1:3uq", ["typed q"]),
        (b"\x1b[57441;1:3uq", ["typed q"]),
        (b"\x1b[1;2:3Aq", ["typed q"]),
        (b"\x1b[1;2:3:4uq", ["typed q"]),
        (b"\x1b[1114112uq", ["typed q"]),
        (b"\x1b[55296uq", ["typed q"]),
        (b"\x1b[97;;27uq", ["typed q"]),
        (b"\x1b[97;99999uq", ["typed q"]),
        (b"\x1b[99999999999999999999uq", ["typed q"]),
        (b"\x1b[12;40Rq", ["typed q"]),
        (b"\x1b[?2026;2$yq", ["sequence [?2026;2$y", "typed q"]),
        (b"\x1b]11;rgb:ffff/eeee/dddd\x1b\\q", ["typed q"]),
        (b"\x1b]52;c;cXk=\x07q", ["typed q"]),
        (b"\x1bP>|xterm(390)\x1b\\q", ["typed q"]),
        (b"\x1b_Gi=1;OK\x1b\\q", ["typed q"]),
        (b"\x1b[" + b"1;" * 5000 + b"Rq", ["typed q"]),
        (PASTE + b"y\x1b[Aq\x13" + END + b"q", ["pasted y\x1b[Aq\x13", "typed q"]),
        (PASTE + END + b"q", ["typed q"]),
        (END + b"q", ["sequence [201~", "typed q"]),
    ],
)
def test_input_is_cut_alike_however_it_arrives(data: bytes, expected: list[str]) -> None:
    assert cut(data) == expected
    assert cut(*(bytes([byte]) for byte in data)) == expected
    assert cut(data[:5], data[5:]) == expected


@pytest.mark.parametrize(
    ("begun", "seconds", "after_silence"),
    [
        (b"\x1b", ESCAPE_SECONDS, ["typed \x1b"]),
        (b"\x1b[", ESCAPE_SECONDS, ["typed \x1b["]),
        (b"\x1b]2", ESCAPE_SECONDS, ["typed \x1b]2"]),
        (b"\x1bP", ESCAPE_SECONDS, ["typed \x1bP"]),
        (b"\x1bO", ESCAPE_SECONDS, ["typed \x1bO"]),
        (b"\x1b[1;", SEQUENCE_SECONDS, NOTHING),
        (b"\x1b[M ", SEQUENCE_SECONDS, NOTHING),
        (b"\x1b[<0;1", SEQUENCE_SECONDS, NOTHING),
        (b"\x1b]11;rgb:y", SEQUENCE_SECONDS, NOTHING),
        (b"\x1bP>|y", SEQUENCE_SECONDS, NOTHING),
        (b"\x1b[" + b"1;" * 5000, SEQUENCE_SECONDS, NOTHING),
    ],
)
def test_the_start_of_a_sequence_is_keys_only_if_a_person_may_have_typed_it(
    begun: bytes, seconds: float, after_silence: list[str]
) -> None:
    lexer = InputLexer()
    assert list(lexer.feed(begun)) == []
    assert patience(lexer) == seconds
    assert shown(lexer.silence()) == after_silence
    assert patience(lexer) is None
    assert shown(lexer.feed(b"q")) == ["typed q"]


@pytest.mark.parametrize("key", [b"\x11", b"\x03", b"\x1b[113;5u", b"\x1b[A"])
def test_keys_get_out_of_a_paste_without_an_end(key: bytes) -> None:
    lexer = InputLexer()
    assert list(lexer.feed(PASTE + b"one ")) == []
    assert patience(lexer) == PASTE_SECONDS
    assert shown(lexer.silence()) == ["pasted one "]
    assert shown(lexer.feed(b"two q")) == ["pasted two q"], "the line may have stalled: this may be the rest"
    assert all(told.startswith(("typed", "sequence")) for told in shown(lexer.feed(key)))
    assert shown(lexer.feed(b"q")) == ["typed q"]


def test_escape_gets_out_of_a_paste_without_an_end() -> None:
    assert cut(PASTE + b"one", None, b"\x1b", None, b"q") == ["pasted one", "typed \x1bq"]


def test_a_paste_that_stalls_stays_a_paste() -> None:
    assert cut(PASTE + b"one", None, b" two", END + b"q") == ["pasted one", "pasted  two", "typed q"]
    assert cut(PASTE + b"one\x1b[20", b"1~q") == ["pasted one", "typed q"]


def test_a_paste_without_an_end_is_over_some_time() -> None:
    lexer = InputLexer()
    list(lexer.feed(PASTE + b"one"))
    list(lexer.silence())
    assert patience(lexer) == OVERDUE_SECONDS
    assert list(lexer.silence()) == []
    assert patience(lexer) is None
    assert shown(lexer.feed(b"q")) == ["typed q"]


def test_only_the_start_of_a_huge_paste_is_kept_and_nothing_is_typed() -> None:
    reads = [PASTE, *[b"y" * 4096] * 100, END, b"q"]
    assert cut(*reads) == ["pasted " + "y" * MAX_PASTED, "typed q"]


def test_input_too_long_to_be_typed_at_once_is_a_paste() -> None:
    """The terminal does not mark pastes; the keys that a person holds down while the line stalls are fewer."""
    assert cut(b"y" * (MAX_TYPED - 1)) == ["typed " + "y" * (MAX_TYPED - 1)]
    assert cut(b"y" * 4096, b"y" * 100, None, b"\x11") == ["pasted " + "y" * 4196, "typed \x11"]
    in_colour = "\x1b[31mfailed\x1b[0m yes\r\n" * 100
    assert cut(in_colour.encode(), b"y", None) == ["pasted " + in_colour + "y"]
    assert cut(b"\x1b[B" * 1000) == ["sequence [B"] * 1000
    assert cut(PASTE + b"y" * 2000 + END + b"q") == ["pasted " + "y" * 2000, "typed q"]


@given(st.lists(st.binary(max_size=12) | st.sampled_from([b"\x1b", b"\x1b[", PASTE, END, b"\x1b]0;", b"\x1bP1$r"])))
def test_the_boundaries_of_reads_make_no_difference(parts: list[bytes]) -> None:
    data = b"".join(parts)
    assert cut(*parts) == cut(data) == cut(*(bytes([byte]) for byte in data))


def messages(parser: InputParser, *reads: bytes) -> list[Message]:
    return [message for data in reads for message in parser.feed(data)]


def keys(parser: InputParser, *reads: bytes) -> list[str]:
    return [message.key for message in messages(parser, *reads) if isinstance(message, events.Key)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x1b[A\x1bOA\x1b[1;2B\x1b[5~\x1b[Z", ["up", "up", "shift+down", "pageup", "shift+tab"]),
        (b"\x1b[13u\x1b[27u\x1b[97;5u\x1b[97;;97u", ["enter", "escape", "ctrl+a", "a"]),
        (b"\x11\r\t\x7f\x00 ?", ["ctrl+q", "enter", "tab", "backspace", "ctrl+@", "space", "question_mark"]),
        (b"\x1bj\x1bb\x1b\t\x1bOP\x1b[[B", ["escape", "j", "ctrl+left", "shift+tab", "f1", "f2"]),
        ("é\u4e2d".encode(), ["é", "中"]),
        (b"\x1b[?9;9;9c\x1b[1;2;3;4;5q\x1b[8;24;80t\x1b[999zq", ["q"]),
    ],
)
def test_keys_are_textuals(data: bytes, expected: list[str]) -> None:
    assert keys(InputParser(), data) == expected


def test_a_click_without_known_pixels_lands_on_its_cell() -> None:
    parser = InputParser()
    (size, click) = messages(parser, b"\x1b[48;40;120;0;0t", b"\x1b[<0;120;40M")
    assert isinstance(size, events.Resize)
    assert size.size == (120, 40)
    assert isinstance(click, events.MouseDown)
    assert (click.x, click.y) == (119, 39)
    assert keys(parser, b"\x1b[999zq") == ["q"]
    (_, again) = messages(parser, b"\x1b[48;40;120;400;1200t", b"\x1b[<0;11;21M")
    assert isinstance(again, events.MouseDown)
    assert (int(again.x), int(again.y)) == (1, 2), "what is known of the terminal outlives a sequence it cannot read"


@pytest.mark.parametrize("error", [ValueError, OverflowError, ZeroDivisionError, KeyError])
def test_a_sequence_that_textual_fails_on_is_no_input(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_parser: XTermParser, _code: str) -> None:
        raise error

    monkeypatch.setattr(XTermParser, "parse_mouse_code", fail)
    assert keys(InputParser(), b"a\x1b[<0;5;5Mq") == ["a", "q"]


def test_the_status_of_a_terminal_is_an_answer_and_no_key() -> None:
    answers: list[str] = []
    parser = InputParser(answered=lambda: answers.append("all is well"))
    assert keys(parser, b"a\x1b[0nq\x1b[") == ["a", "q"]
    assert keys(parser, b"0nz") == ["z"]
    assert len(answers) == 2


FRAGMENTS = [
    b"\x1b", b"\x1b[", b"\x1b[<", b"\x1b[M", b"\x1b[?", b"\x1bO", b"\x1b]", b"\x1b]11;", b"\x1bP", b"\x1bP>|",
    b"\x1b_G", b"\x1b\\", b"\x07", PASTE, END, b"\x1b[I", b"\x1b[O", b"\x1b[48;", b"\x1b[57441;1:3u", b"\x1b[1;2:3:4u",
    b";", b":", b"1", b"9999999999", b"0;", b"-", b"u", b"~", b"t", b"M", b"m", b"R", b"A", b"$y",
    b"?2048;2$y", b"?2026;2$y",
    b"\xe9", b"\x9b", b"\xf0\x9f", b"\xed\xa0\x80", b"\x00", b"\x11", b"\x18", b"\r", b"q", b"y",
]  # fmt: skip


def noise(size: int, seed: int) -> bytes:
    """Return random bytes and pieces of escape sequences."""
    random = Random(seed)
    data = bytearray()
    while len(data) < size:
        data += random.choice(FRAGMENTS) if random.random() < 0.7 else random.randbytes(random.randrange(1, 9))
    return bytes(data[:size])


def reads(data: bytes, random: Random) -> Iterable[bytes]:
    while data:
        size = random.choice([1, 2, 3, 7, 64, 4096])
        yield data[:size]
        data = data[size:]


@pytest.mark.parametrize("seed", range(4))
def test_after_any_noise_a_key_is_a_key(seed: int) -> None:
    parser, random = InputParser(), Random(seed)
    for data in reads(noise(50_000, seed), random):
        got = list(parser.feed(data))
        if parser.patience and random.random() < 0.1:
            got += parser.silence()
        for message in got:
            if isinstance(message, events.Key):
                assert message.character is None or not 0xD800 <= ord(message.character[0]) <= 0xDFFF
            elif isinstance(message, events.Resize):
                assert 0 < message.size.width <= MAX_CELLS
                assert 0 < message.size.height <= MAX_CELLS
    while parser.patience is not None:
        list(parser.silence())
    assert keys(parser, b"q\x1b[A") == ["q", "up"]
