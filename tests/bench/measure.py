"""How a program on a terminal is timed: bytes are exact, times are only compared within one run."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.terminal.pty_probe import PtyProbe

HERE = Path(__file__).resolve().parents[2]
STOCK = (sys.executable, "-m", "tests.bench.stock_app")
RUNTUI = (sys.executable, "-m", "runtui")


@dataclass(frozen=True)
class KeyCost:
    """What one key press cost: bytes until the screen was quiet, milliseconds until the last of them."""

    bytes: int
    milliseconds: float


class Stopwatch(PtyProbe):
    """A terminal that notes when the last byte came."""

    def __init__(self, command: Sequence[str], *, columns: int = 120, rows: int = 40, timeout: float = 180.0) -> None:
        self.last_byte = time.perf_counter()
        self.started = time.perf_counter()
        env = {"PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": None}
        super().__init__(command, columns=columns, rows=rows, env=env, timeout=timeout)

    def _pump(self, seconds: float) -> bool:
        came = super()._pump(seconds)
        if came:
            self.last_byte = time.perf_counter()
        return came

    def milliseconds_until(self, pattern: str) -> float:
        """From the start of the program until the pattern stands on the screen."""
        self.wait_for(pattern)
        return (time.perf_counter() - self.started) * 1000

    def cost_of(self, key: str) -> KeyCost:
        """Press a key and wait until the screen is quiet."""
        self.wait_until_quiet()
        before, pressed = len(self.received), time.perf_counter()
        self.press(key)
        self.wait_until_quiet()
        return KeyCost(len(self.received) - before, max(0.0, self.last_byte - pressed) * 1000)

    def median_cost(self, key: str, presses: int) -> KeyCost:
        """The median of several presses of one key."""
        costs = [self.cost_of(key) for _ in range(presses)]
        return KeyCost(int(median(c.bytes for c in costs)), median(c.milliseconds for c in costs))
