"""The input lexer: splits the bytes of a terminal into characters, control sequences and pastes.

It has no clock and imports no Textual.

Invariant: any bytes are accepted, none raises, and the buffer is bounded. A control sequence is taken whole or dropped:
no part of one becomes typed characters, unless a person may have typed it (escape and then `[`). Pasted text never
becomes typed characters either, even if the end of the paste is lost, or if it is long and the terminal marks no
pastes.

The grammar is that of ECMA-48 section 5.4 and of xterm's "Control Sequences"; the keyboard protocol is kitty's
(https://sw.kovidgoyal.net/kitty/keyboard-protocol/). Without that protocol the escape key sends the first byte of a
sequence. This file decides:

- Escape and a character are two keys, even in one packet, since tmux and SSH join what is typed fast. Alt with a
  character sends the same two bytes, so it is the same two keys, except for `_META_KEYS`.
- Escape and `[`, `]`, `O`, `P` or `_` may start a sequence. After `ESCAPE_SECONDS` of silence they are keys.
- A line feed is enter: the system makes one of the key until the terminal is raw.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Generator, Iterator
from typing import Final, Literal, NamedTuple

from runtui.prelude.terminal import MAX_CELLS

ESCAPE_SECONDS: Final = 0.1
"""Seconds of silence after which the start of a sequence counts as typed keys."""
SEQUENCE_SECONDS: Final = 1.0
"""Seconds of silence after which an unfinished sequence that nobody can have typed is dropped."""
PASTE_SECONDS: Final = 1.0
"""Seconds of silence after which a paste without an end is handed on as it is."""
OVERDUE_SECONDS: Final = 5.0
"""Seconds of silence after which the rest of such a paste is no longer expected."""
MAX_TYPED: Final = 1_000
"""The number of characters in one read from which on they count as a paste; a held key takes half a minute for them."""
MAX_PASTED: Final = 65_536
"""The most bytes of one paste to keep; no field takes as many."""

_MAX_HELD: Final = 256  # bytes of an unfinished sequence; the rest is dropped
_LONGEST: Final = 32  # characters; Textual's parser reads a longer sequence as keys

_ESC: Final = b"\x1b"
_PASTE_START: Final = b"\x1b[200~"
_PASTE_END: Final = b"\x1b[201~"

_META_KEYS: Final = rb"\x1b[bf\x7f\t]"
"""Alt with left, right and backspace as macOS sends them, and shift+tab as the Linux console sends it."""
_STRING: Final = rb"\x1b(?:\][0-9]+;|P[01]?[>!$+][|r]|_G)[^\x00-\x1f]*"
"""Terminals' answers in strings, without their end: OSC; DCS of XTVERSION, DA3, DECRQSS and XTGETTCAP; APC."""
_X10_BYTE: Final = rb"[\x00 -\xff]"

_WHOLE: Final = (
    rb"(?P<mouse>\x1b\[M" + _X10_BYTE + rb"{3})"
    rb"|(?P<string>" + _STRING + rb"(?:\x07|\x1b\\))"
    rb"|\x1b\[\[[A-E]|\x1b\[[0-9]{1,2}\$"  # the function keys of the Linux console and, shifted, of rxvt
    rb"|\x1b\[(?![M\[])[ -?]*[@-~]|\x1bO[0-9;]*[A-Za-z]|" + _META_KEYS
)
_UNFINISHED: Final = (
    rb"(?P<typed>\x1b(?:\[\[?|\][0-9]*|O|P[01]?|_)?)"
    rb"|\x1b\[[ -?]*|\x1b\[M" + _X10_BYTE + rb"{0,2}|\x1bO[0-9;]*|\x1bP[01]?[>!$+]|" + _STRING + rb"\x1b?"
)
_BROKEN: Final = rb"\x1b\[(?:[ -?]+|M" + _X10_BYTE + rb"{0,2})|\x1bO[0-9;]+|\x1bP[01]?[>!$+]|" + _STRING
"""The start of a sequence that is broken off by something else, such as another sequence."""
_NOT_TYPED: Final = _WHOLE + rb"|" + _BROKEN

_C1: Final = "[\x80-\x9f]+"
_MOUSE: Final = r"\x1b\[<(?P<button>\d{1,3});[1-9]\d{0,4};[1-9]\d{0,4}[Mm]"
_SIZE: Final = r"\x1b\[48" + 4 * r";(\d{1,9})(?::[\d:]*)?" + "t"
_KEY: Final = (
    r"\x1b\[(?P<code>\d*)(?::[\d:]*)?"
    r"(?:;(?P<modifiers>\d*)(?::(?P<event>\d*)[\d:]*)?(?:;(?P<text>[\d:]*))?)?(?P<end>[u~A-HP-S])"
)
_MAX_MODIFIERS: Final = 256  # one more than eight bits
_RELEASE: Final = "3"


class Piece(NamedTuple):
    """A piece of the input: characters, each of them a key; one whole sequence of a key, the mouse or the terminal
    itself; or pasted text, or a part of it."""

    kind: Literal["typed", "sequence", "pasted"]
    text: str


class InputLexer:
    """Splits the bytes of a terminal into pieces. The caller keeps the time and calls `silence`."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = b""
        self._paste: bytearray | None = None
        self._is_overdue = False  # the paste was handed on without its end

    @property
    def patience(self) -> float | None:
        """Seconds without input after which to call `silence`; None if no call is needed."""
        if self._paste is not None:
            if self._is_overdue:
                return ESCAPE_SECONDS if self._held else OVERDUE_SECONDS
            return OVERDUE_SECONDS if self._held else PASTE_SECONDS
        if not self._held:
            return None
        return ESCAPE_SECONDS if _typed_start(self._held) else SEQUENCE_SECONDS

    def feed(self, data: bytes) -> Iterator[Piece]:
        data, self._held = self._held + data, b""
        if self._paste is None and _is_flood(data):
            self._begin_paste()
        while data:
            data = yield from (self._cut(data) if self._paste is None else self._cut_paste(self._paste, data))

    def silence(self) -> Iterator[Piece]:
        """Decide what an unfinished sequence or paste is, after `patience` seconds without input."""
        held, self._held = self._held, b""
        if self._paste is not None and not self._is_overdue:
            yield from self._hand_on()
            self._is_overdue = True
            return
        self._paste = None
        if typed := _typed_start(held):
            yield Piece("typed", typed)

    def _cut(self, data: bytes) -> Generator[Piece, None, bytes]:
        """Yield the piece at the start of `data`; return the rest."""
        text, escape, _ = data.partition(_ESC)
        if typed := re.sub(_C1, "", self._decoder.decode(text, final=bool(escape))):
            yield Piece("typed", typed.replace("\n", "\r"))
        data = data[len(text) :]
        if whole := re.match(_WHOLE, data):
            if whole[0] == _PASTE_START:
                self._begin_paste()
            elif whole.lastgroup is None and (code := _accepted(whole[0].decode("ascii"))):
                yield Piece("sequence", code)
            return data[whole.end() :]
        if re.fullmatch(_UNFINISHED, data):
            self._held = data[:_MAX_HELD] + (_ESC if len(data) > _MAX_HELD and data.endswith(_ESC) else b"")
            return b""
        if broken := re.match(_BROKEN, data):
            return data[broken.end() :]
        if data:
            yield Piece("typed", "\x1b")
        return data[1:]

    def _cut_paste(self, paste: bytearray, data: bytes) -> Generator[Piece, None, bytes]:
        """Take pasted text from the start of `data`; return the rest once the paste has ended."""
        if self._is_overdue and not _may_be_pasted(data):
            self._paste = None
            return data
        text, end, rest = data.partition(_PASTE_END)
        if not end:
            begun = next(size for size in range(len(_PASTE_END) - 1, -1, -1) if text.endswith(_PASTE_END[:size]))
            text, self._held = text[: len(text) - begun], text[len(text) - begun :]
        paste += text[: MAX_PASTED - len(paste)]
        if end or self._is_overdue:
            yield from self._hand_on()
        if end:
            self._paste = None
        return rest

    def _begin_paste(self) -> None:
        self._paste, self._is_overdue = bytearray(), False

    def _hand_on(self) -> Iterator[Piece]:
        if self._paste:
            # Some terminals end a paste with NUL.
            yield Piece("pasted", self._paste.decode("utf-8", "replace").replace("\x00", ""))
            self._paste.clear()


def _is_flood(data: bytes) -> bool:
    """Return whether one read has more characters than a person types, such as log lines with colours."""
    return len(data) >= MAX_TYPED and _PASTE_START not in data and len(re.sub(_NOT_TYPED, b"", data)) >= MAX_TYPED


def _typed_start(held: bytes) -> str:
    """Return the keys that the start of a sequence may be; empty if nobody can have typed it."""
    unfinished = re.fullmatch(_UNFINISHED, held)
    return (unfinished["typed"] or b"").decode("ascii") if unfinished else ""


def _may_be_pasted(data: bytes) -> bool:
    """Return whether `data` may continue an overdue paste, and is no key such as escape or ctrl+q."""
    if data.startswith(_ESC):
        return data.startswith(_PASTE_END) or _PASTE_END.startswith(data)
    return data[0] >= 0x20 or data[:1] in b"\t\r\n"


def _accepted(code: str) -> str | None:
    """Return the sequence as Textual's parser accepts it; None to ignore it."""
    if code.startswith("\x1b[<"):
        mouse = re.fullmatch(_MOUSE, code)
        # Buttons from 128 on are such as "back"; Textual would read them as the first three.
        return code if mouse and int(mouse["button"]) < 128 else None
    if size := re.fullmatch(_SIZE, code):
        return _accepted_size(*map(int, size.groups()))
    if key := re.fullmatch(_KEY, code):
        return _accepted_key(key)
    return code if len(code) <= _LONGEST and ":" not in code else None


def _accepted_size(lines: int, columns: int, height: int, width: int) -> str | None:
    """Return a report of the window's size (mode 2048), in cells and pixels."""
    if not (0 < lines <= MAX_CELLS and 0 < columns <= MAX_CELLS):
        return None
    if not (0 < height < 100_000 and 0 < width < 100_000):
        height, width = lines, columns  # a terminal without pixels reports the mouse in cells
    return f"\x1b[48;{lines};{columns};{height};{width}t"


def _accepted_key(key: re.Match[str]) -> str | None:
    """Return a key of kitty's or xterm's protocol without alternate keys and event type; None to ignore it."""
    number, modifiers, text, end = key["code"], key["modifiers"] or "", key["text"] or "", key["end"]
    if key["event"] == _RELEASE or not _is_character(number or "1"):
        return None
    if end == "R" and modifiers:  # a report of the cursor's place, which nobody requested
        return None
    if len(modifiers) > 3 or int(modifiers or 0) > _MAX_MODIFIERS:
        return None
    if text and not all(_is_character(part) and int(part) >= 0x20 for part in text.split(":")):
        return None
    return f"\x1b[{number}" + (f";{modifiers}" if modifiers or text else "") + (f";{text}" if text else "") + end


def _is_character(number: str) -> bool:
    """Return whether a decimal number is a Unicode code point, but no surrogate."""
    return number != "" and len(number) <= 7 and int(number) <= 0x10FFFF and not 0xD800 <= int(number) <= 0xDFFF
