"""The fault list: everything that can go wrong with a change between the key and the journal, by number.

Invariant: `CASES` is the only list of them. `case` and `covers` put a number and its words into the id of a test, and
remember that there is one.
"""

from __future__ import annotations

from typing import Final

import pytest

CASES: Final = {
    # Before the send: not done, and it may be tried again.
    1: "DNS failure",
    2: "refused",
    3: "TLS unknown CA",
    4: "TLS wrong host",
    5: "TLS expired",
    6: "TLS not yet valid",
    7: "handshake silent",
    8: "plain http on https port",
    9: "pool exhausted",
    10: "proxy 407",
    11: "no token and refresh fails",
    12: "foreign host guard",
    13: "bad id",
    14: "SOCKS, missing CA file, bad port",
    # Around the send: unknown, unless reading back shows the change.
    15: "reset right after accept",
    16: "reset after headers",
    17: "reset after whole request",
    18: "clean close",
    19: "cut in response headers",
    20: "cut in body",
    21: "reset in body",
    22: "read timeout",
    23: "read timeout, never read",
    24: "write timeout on a big body",
    25: "kept connection reset as PATCH arrives",
    26: "early 413 with unread body",
    27: "cancelled or quit in flight",
    28: "kill -9 in flight",
    29: "laptop sleep or SSH drop",
    30: "first write lands late",
    # Answers.
    31: "200 right body",
    32: "200 wrong id",
    33: "200 HTML",
    34: "200 empty",
    35: "200 half JSON without length",
    36: "204",
    37: "202",
    38: "200 but read-back differs",
    39: "redirect to other host",
    40: "400",
    41: "403",
    42: "404, 405",
    43: "409, 412, 423",
    44: "401 CAE once",
    45: "401 for ever",
    46: "401 midway in bulk",
    47: "429 Retry-After seconds",
    48: "429 Retry-After date",
    49: "429 Retry-After absent",
    50: "429 Retry-After absurd",
    51: "503",
    52: "502 or 504 from a proxy",
    53: "slow drip past the deadline",
    54: "gzip bomb",
    55: "poisoned extra response",
    56: "ESC in error message",
    57: "NaN or duplicate keys",
    58: "error JSON of odd shape",
    # Around the run.
    59: "token expires between items",
    60: "clock 2 h wrong",
    61: "refresh token dies in bulk",
    62: "sign-in 503 while the cached token is good",
    63: "account switched in another process",
    64: "signed out elsewhere",
    65: "two runtui on the same item",
    66: "journal cannot be written",
    67: "torn journal",
    68: "cache corrupt",
    69: "colleague edits between read and write",
    70: "item vanishes",
    71: "same id twice",
}

TESTED: Final[set[int]] = set()
"""The numbers that the imported test modules of this package test."""


def case(number: int, *values: object, note: str = "") -> object:
    """Return the parameters of a test of a case; `note` distinguishes it from other tests of the same case."""
    TESTED.add(number)
    words = f"{number}-{CASES[number]}"
    return pytest.param(*values, id=f"{words} ({note})" if note else words)


def covers(number: int, note: str = "") -> pytest.MarkDecorator:
    """Mark a test as the test of a case."""
    return pytest.mark.parametrize((), [case(number, note=note)])
