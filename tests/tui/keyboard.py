"""Keys as a terminal sends them: bytes, through Textual's own parser, as many at once as one packet of SSH holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, Literal

from textual import events
from textual._xterm_parser import XTermParser

from tests.terminal.pty_probe import KEYS
from tests.tui.conftest import Session

Manner = Literal["slowly", "in pairs", "in one packet"]
MANNERS: Final[tuple[Manner, ...]] = ("slowly", "in pairs", "in one packet")
_AT_ONCE: Final[dict[Manner, int]] = {"slowly": 1, "in pairs": 2, "in one packet": 100_000}

_SENT: Final = {
    **KEYS, "escape": "\x1b[27u", "f6": "\x1b[17~", "f7": "\x1b[18~", "f8": "\x1b[19~", "f9": "\x1b[20~",
    "f10": "\x1b[21~", "f11": "\x1b[23~", "f12": "\x1b[24~", "shift+f2": "\x1b[1;2Q", "shift+f3": "\x1b[13;2~",
    "shift+f4": "\x1b[1;2S", "shift+f8": "\x1b[19;2~", "shift+f9": "\x1b[20;2~", "question_mark": "?", "slash": "/",
    "colon": ":", "plus": "+", "minus": "-", "left_square_bracket": "[", "right_square_bracket": "]",
    "less_than_sign": "<", "greater_than_sign": ">", "at": "@", "number_sign": "#", "asterisk": "*",
    "shift+f7": "\x1b[18;2~", "shift+f12": "\x1b[24;2~", "ctrl+f5": "\x1b[15;5~",
    "shift+up": "\x1b[1;2A", "shift+down": "\x1b[1;2B",
}  # fmt: skip
"""The characters that a terminal with kitty's keyboard protocol sends, where they differ from other terminals."""


def sent(key: str) -> str:
    """Return the characters that a terminal sends for a key, given by Textual's name or as a character."""
    if key.startswith("ctrl+") and key not in _SENT:
        return chr(ord(key[-1].upper()) & 0x1F)
    return _SENT.get(key, key)


def parsed(keys: Iterable[str]) -> Iterator[events.Event]:
    """Yield the events of one packet that contains these keys."""
    for event in XTermParser(False).feed("".join(map(sent, keys))):
        assert isinstance(event, events.Event)
        yield event


async def type_keys(session: Session, keys: Sequence[str], manner: Manner) -> None:
    """Type keys; wait until the last of each packet has taken effect."""
    left = iter(keys)
    while packet := tuple(islice(left, _AT_ONCE[manner])):
        for event in parsed(packet):
            session.app.post_message(event)
        await session.settled()
