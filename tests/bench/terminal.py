"""Measures a program on a terminal. Bytes are exact; times may be compared only within one run."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple

from pyte.screens import Char

from tests.terminal.pty_probe import PtyProbe

HERE = Path(__file__).resolve().parents[2]
STOCK = (sys.executable, "-m", "tests.bench.stock_app")
RUNTUI = (sys.executable, "-m", "runtui")
COMPILED = {"PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": None}
"""Changes to the environment: Python may keep compiled modules, as in an installed program."""

BURST_SECONDS = 0.05
"""If no byte comes for this time, a key has drawn everything but the panel, which follows after twice the time."""

FOLLOWED_SECONDS = 0.6
"""If no byte comes for this time, the panel is drawn too."""

DELAY_SECONDS = 0.04
BYTES_PER_SECOND = 256_000 / 8
"""A slow line: its delay each way, and its rate from the program to the person."""

HELD_KEYS, HELD_SECONDS = 45, 1 / 30
"""The number of presses of a held key, and the time between two of them."""


@dataclass(frozen=True)
class KeyCost:
    """The cost of one key press: the bytes until the screen is quiet, and the milliseconds until the last byte."""

    bytes: int
    milliseconds: float


class Stopwatch(PtyProbe):
    """A terminal that records the time of the last byte."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        columns: int = 120,
        rows: int = 40,
        env: Mapping[str, str | None] | None = None,
        timeout: float = 180.0,
    ) -> None:
        self.last_byte = time.perf_counter()
        self.started = time.perf_counter()
        self.line_is_free = 0.0
        """The time at which the slow line has delivered the last byte."""
        self._is_slow = False
        """The program is on the slow line: its questions are answered after the time that both ways take."""
        self._asked = 0
        self._answers: list[float] = []
        super().__init__(command, columns=columns, rows=rows, env={**COMPILED, **(env or {})}, timeout=timeout)

    def _draw(self, text: str) -> None:
        """Record the time before drawing: the time of the emulated screen is not the program's time."""
        self.last_byte = time.perf_counter()
        self.line_is_free = max(self.line_is_free, self.last_byte) + len(text.encode()) / BYTES_PER_SECOND
        self._answers += [self.line_is_free + 2 * DELAY_SECONDS] * self._asked
        self._asked = 0
        super()._draw(text)

    def _tell_status(self) -> None:
        if self._is_slow:
            self._asked += 1
        else:
            super()._tell_status()

    def _pump(self, seconds: float) -> bool:
        end = time.perf_counter() + seconds
        while True:
            now = time.perf_counter()
            while self._answers and self._answers[0] <= now:
                del self._answers[0]
                super()._tell_status()
            due = min([end, *self._answers[:1]])
            if super()._pump(max(0.0, due - now)):
                return True
            if self._closed or time.perf_counter() >= end:
                return False

    @property
    def cpu_milliseconds(self) -> float:
        """The CPU time of the program so far, of all its threads (Linux)."""
        return time.clock_gettime(~self.process.pid << 3 | 2) * 1000

    @property
    def peak_mebibytes(self) -> float:
        """The peak memory of the program so far (Linux)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024

    def milliseconds_until(self, pattern: str) -> float:
        """Return the milliseconds from the start of the program until the pattern is on the screen."""
        self.wait_for(pattern)
        return (self.last_byte - self.started) * 1000

    def milliseconds_to(self, pattern: str, *keys: str) -> float:
        """Press keys and return the milliseconds from the first until the pattern is on the screen."""
        pressed = time.perf_counter()
        self.press(*keys)
        self.wait_for(pattern)
        return (self.last_byte - pressed) * 1000

    def cost_of(self, key: str) -> KeyCost:
        """Press a key and return its cost without the panel that follows."""
        self.wait_until_quiet(FOLLOWED_SECONDS)
        before, pressed = len(self.received), time.perf_counter()
        self.press(key)
        self.wait_for_bytes(before)
        self.wait_until_quiet(BURST_SECONDS)
        return KeyCost(len(self.received) - before, max(0.0, self.last_byte - pressed) * 1000)

    def lag_of_held(self, key: str, columns: int) -> float:
        """Hold a key over the slow line. Return the milliseconds from its last press until the first columns show it.

        The output of the program is read at once, as a server's buffers do; the delay of the line is calculated.
        """
        self.wait_until_quiet(FOLLOWED_SECONDS)
        self._is_slow = True
        due = time.perf_counter()
        for _ in range(HELD_KEYS):
            while (left := due - time.perf_counter()) > 0:
                self._pump(left)
            reached = time.perf_counter()
            self.press(key)
            due += HELD_SECONDS
        shown, is_there = self._first_columns(columns), reached
        while self._pump(FOLLOWED_SECONDS):
            if (now := self._first_columns(columns)) != shown:
                shown, is_there = now, self.line_is_free
        self._is_slow = False
        time.sleep(max(0.0, self.line_is_free - time.perf_counter()))
        return (is_there - reached + 2 * DELAY_SECONDS) * 1000

    def _first_columns(self, columns: int) -> list[list[Char]]:
        return [line[:columns] for line in self.cells()]

    def cpu_of(self, key: str) -> float:
        """Press a key and return its CPU time in milliseconds, panel included."""
        self.wait_until_quiet(FOLLOWED_SECONDS)
        before, seen = self.cpu_milliseconds, len(self.received)
        self.press(key)
        self.wait_for_bytes(seen)
        self.wait_until_quiet(FOLLOWED_SECONDS)
        return self.cpu_milliseconds - before

    def cost_with_panel(self, key: str) -> tuple[int, int]:
        """Press a key and return its bytes, panel included, and the bytes that the changed cells need."""
        self.wait_until_quiet(FOLLOWED_SECONDS)
        before, screen = len(self.received), self.cells()
        self.press(key)
        self.wait_until_quiet(FOLLOWED_SECONDS)
        return len(self.received) - before, bytes_of_change(screen, self.cells())

    def median_cost(self, key: str, presses: int) -> KeyCost:
        """Return the median cost of several presses of one key."""
        costs = [self.cost_of(key) for _ in range(presses)]
        return KeyCost(int(median(c.bytes for c in costs)), median(c.milliseconds for c in costs))


def bytes_of_change(before: list[list[Char]], after: list[list[Char]]) -> int:
    """Return the bytes of the cells that look different on two screens. Each counts with its place and the change of
    its look, unless these follow from the cell before."""
    size, pen, place = 0, _Look(), (-1, -1)
    for y, (old, new) in enumerate(zip(before, after, strict=True)):
        for x, (was, cell) in enumerate(zip(old, new, strict=True)):
            if not cell.data or cell == was:
                continue
            look = _look(cell)
            if (cell.data, look) == (was.data, _look(was)):
                continue
            if place != (y, x):
                gap = new[place[1] : x] if place[0] == y else []
                ways = [len(f"\x1b[{y + 1};{x + 1}H"), *([len(f"\x1b[{len(gap)}C")] if gap else [])]
                if gap and all(_look(each, pen) == pen for each in gap):  # they may be sent again
                    ways.append(len("".join(each.data for each in gap).encode()))
                size += min(ways)
            look = _look(cell, pen)
            if look != pen:
                size += look.bytes_after(pen)
                pen = look
            size += len(cell.data.encode())
            place = (y, x + 1)
    return size


class _Look(NamedTuple):
    """The SGR parameters of a cell."""

    marks: frozenset[str] = frozenset()
    fore: str = ""
    back: str = ""

    def bytes_after(self, pen: _Look) -> int:
        """Return the bytes of the shortest sequence that changes the look `pen` to this one."""
        anew = ["0", *self.marks, *filter(None, self[1:])]
        more = [*(self.marks - pen.marks), *(mine for mine, its in zip(self[1:], pen[1:], strict=True) if mine != its)]
        is_more = self.marks >= pen.marks
        return min(len(f"\x1b[{';'.join(words)}m") for words in ([more, anew] if is_more else [anew]))


_BARE = _Look()


def _look(cell: Char, pen: _Look = _BARE) -> _Look:
    """Return the look of a cell; a blank has the letters of `pen`, since it shows none."""
    marks = frozenset(filter(None, ("4" * cell.underscore, "7" * cell.reverse)))
    back = _colour("48", cell.bg)
    if cell.data == " " and not marks:
        return _Look(pen.marks - {"4", "7"}, pen.fore, back)
    return _Look(marks | frozenset(filter(None, ("1" * cell.bold, "3" * cell.italics))), _colour("38", cell.fg), back)


def _colour(kind: str, name: str) -> str:
    if len(name) == 6 and all(letter in "0123456789abcdef" for letter in name):
        return f"{kind};2;{int(name[:2], 16)};{int(name[2:4], 16)};{int(name[4:], 16)}"
    return "39" if name == "default" else "31"
