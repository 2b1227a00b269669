"""`python -m tests.bench.actions`: the bytes that each action sends to the terminal, beside the cells that it changes.

Each key is pressed where its action applies, in a new program that draws nothing else. A frame is the output between
two marks of synchronised output. The panel follows the cursor in a second frame, so some keys draw twice.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import pyte

from runtui.keys.actions import ACTIONS, Action, Scope
from runtui.keys.names import key_text
from runtui.sandbox.scenarios import summaries
from runtui.tui.screens.view import RELOAD_SECONDS
from tests.bench.terminal import FOLLOWED_SECONDS, RUNTUI, bytes_of_change
from tests.seen import seen
from tests.terminal.pty_probe import PtyProbe

MAX_RATIO: Final = 1.15
"""The greatest ratio of the bytes that an action sends to those that the changed cells need."""

LITTLE: Final = 24
"""The bytes that an action may always send beyond those: they move the terminal's cursor."""

_FRAME: Final = re.compile(r"\x1b\[\?2026h(.*?)\x1b\[\?2026l", re.DOTALL)
"""A frame; between two of them stands what changes no cell, such as output for the clipboard."""

_CHANGE: Final = "e enter c enter ctrl+s y"
_BULK: Final = f"space space {_CHANGE}"


def _simulate(scenario: str, ask: str = "M") -> str:
    """Return the keys that choose a scenario of the sandbox; `ask` opens the list of them."""
    return " ".join((ask, *["down"] * list(summaries()).index(scenario), "enter"))


_CONFLICT: Final = f"{_simulate('412')} {_CHANGE}"
_UNKNOWN: Final = f"{_simulate('reset-before')} {_CHANGE} J"
_BUSY: Final = _simulate("429-absurd", ask=f"ctrl+p {' '.join('simulate')} enter")  # in the review, M is held

REACH: Final[Mapping[Scope, str]] = {
    "table": "", "rows": "", "row": "", "wide": "", "run": "", "runs": "", "app": "", "panel": "",
    "users": "enter", "opened": "enter", "tasks": "enter enter", "causes": "c", "people": "@", "person": "@ a d enter",
    "filter": "/", "edit": "e", "values": "e enter", "conflict": _CONFLICT, "review": "e enter c enter ctrl+s",
    "journal": f"{_CHANGE} J", "overview": "o", "results": _BULK, "text": ">", "search": "> /", "question": "S",
    "picker": "S", "copies": "y", "page": "y t", "columns": "C", "line": "m", "help": "?", "sign_in": "A",
}  # fmt: skip
"""The keys that lead from the list to a screen where the actions of a scope apply."""

BEFORE: Final[Mapping[str, str]] = {
    "cursor_up": "j j", "page_up": "pagedown", "first_row": "G", "clear_marks": "space space",
    "previous_columns": "right", "undo": _CHANGE, "mark_range": "space j j", "clear": "x", "previous_tab": "]",
    "view_5": "G",
    "keep_filter": "/ o n", "complete": "/ s t", "complete_back": "/ s t tab", "clear_filter": "/ o n",
    "earlier_filter": "/ o n enter / backspace backspace", "later_filter": "/ o n enter / backspace backspace up",
    "person_up": "@ down",
    "revert": "e enter c enter", "discard": "e enter c enter", "review": "e enter c enter", "later_day": "o left left",
    "next_match": "> / a enter", "previous_match": "> / a enter n", "leave_panel": ">", "keep_search": "> / a",
    "clear_search": "> / a", "focus_left": ">", "column_up": "C down down", "automatic": "C space",
    "keep_columns": "C space", "keep_line": "m x", "bulk": f"{_BULK} esc",
    "choose": "S down", "new_run": "a enter y", "check": _UNKNOWN, "decide": _UNKNOWN, "ours": f"{_CONFLICT} left",
    "stop_waiting": f"e enter c enter ctrl+s {_BUSY} y",
    "stop_bulk": f"space space e enter c enter ctrl+s {_BUSY} y",
}  # fmt: skip
"""The keys to press before an action, in place of those of its scope."""

LEFT_OUT: Final[Mapping[str, str]] = {
    **dict.fromkeys(("use_method", "copy_code", "sign_out", "leave_sign_in", "sign_in"), "nobody signs in to the demo"),
    **dict.fromkeys(("suspend", "quit"), "gives the terminal back"),
    "redraw": "sends the whole screen on purpose",
    "new_workflow_run": "needs a run that was started",
    "profiles": "the demo has one profile",
}
"""Actions that are not measured, and why."""

FOLLOWED_BY_PANEL: Final = frozenset({
    "cursor_up", "cursor_down", "page_up", "page_down", "first_row", "last_row", "mark", "view_3", "view_4", "view_5",
    "leave_view", "next_problem", "handled", "open_persons_run", "cause_runs", "workflow_runs", "keep_line", "bulk",
    "new_run",
})  # fmt: skip
"""Actions that move the cursor: the panel follows by a timer, in a frame of its own."""

ANSWERED_LATER: Final[Mapping[str, str]] = {
    "send": "the server answers",
    **dict.fromkeys(("causes", "people"), "results are read from the server"),
    "choose_person": "the person's tasks are read from the server",
    "check": "the run is read",
    **dict.fromkeys(("result_run", "new_run"), "the users of the run are read"),
    "open_persons_run": "users are named by the directory",
}
"""Actions that draw a first frame at once, and the answer of the server that makes a second one; of several answers the
first and the last make a frame, and those between them one in `RELOAD_SECONDS`."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The output of one action until the screen did not change."""

    action: str
    seconds: float
    """The time until then."""
    frames: int
    bytes: int
    floor: int
    """The bytes that the cells changed by each frame need, see `bytes_of_change`."""

    @property
    def is_over(self) -> bool:
        """The action sent too many bytes for its changes, or too many frames for its events."""
        events = 1 + (self.action in FOLLOWED_BY_PANEL)
        if self.action in ANSWERED_LATER:
            events += 2 + int(self.seconds / RELOAD_SECONDS)
        return self.bytes > max(MAX_RATIO * self.floor, self.floor + LITTLE) or self.frames > events


@contextmanager
def at_rest(columns: int, rows: int) -> Iterator[PtyProbe]:
    """Open the list of the demo without auto-refresh; yield its terminal when the list is complete."""
    command = (*RUNTUI, "demo", "--runs", "240", "--refresh", "0")
    with PtyProbe(command, columns=columns, rows=rows, timeout=60, is_forked=True) as terminal:
        terminal.wait_for(r"240 runs.*as of")
        terminal.wait_until_quiet(1.5)
        yield terminal


def sent_by(terminal: PtyProbe, action: Action, keys: str | None = None) -> Sent:
    """Press `keys` (None: those that lead from the list to where the action applies), then the key of the action."""
    for key in (BEFORE.get(action.id, REACH[action.scope]) if keys is None else keys).split():
        terminal.press(key)
        terminal.wait_until_quiet(0.3)
    terminal.wait_until_quiet(FOLLOWED_SECONDS)
    before, screen, pressed = len(terminal.received), terminal.copy_of_screen(), time.perf_counter()
    terminal.press(key_text(action.keys[0]))
    terminal.wait_for_bytes(before)
    terminal.wait_until_quiet(FOLLOWED_SECONDS)
    seconds = time.perf_counter() - pressed - FOLLOWED_SECONDS
    sizes = list(sizes_of(screen, _FRAME.findall(terminal.received[before:].decode())))
    return Sent(action.id, seconds, len(sizes), sum(size for size, _ in sizes), sum(floor for _, floor in sizes))


def sizes_of(screen: pyte.Screen, frames: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Draw frames on a screen; yield the bytes of each, and those that the cells that it changes need."""
    stream, before = pyte.Stream(screen), seen(screen)
    for frame in frames:
        stream.feed(frame)
        after = seen(screen)
        yield len(frame.encode()), bytes_of_change(before, after)
        before = after


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.actions", description=__doc__)
    parser.add_argument("--only", default="", metavar="IDS", help="only these actions, with commas between them")
    parser.add_argument("--size", default="120x40", metavar="COLUMNSxROWS")
    options = parser.parse_args()
    columns, rows = map(int, options.size.split("x"))
    wanted = set(filter(None, options.only.split(",")))
    print("| Action | Where | Frames | Bytes | Floor | Ratio |", "|---|---|--:|--:|--:|--:|", sep="\n", flush=True)
    for action in ACTIONS:
        if action.id in LEFT_OUT or (wanted and action.id not in wanted):
            continue
        try:
            with at_rest(columns, rows) as terminal:
                sent = sent_by(terminal, action)
        except AssertionError as error:
            print(f"| {action.id} | {error!s:.60} |", flush=True)
            continue
        ratio = f"{sent.bytes / sent.floor:.2f}" if sent.floor else "–"
        mark = " ✗" if sent.is_over else ""
        line = (action.id, action.scope, sent.frames, f"{sent.bytes:,}", f"{sent.floor:,}", f"{ratio}{mark}")
        print("|", " | ".join(map(str, line)), "|", flush=True)


if __name__ == "__main__":
    main()
