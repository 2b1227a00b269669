"""Whatever keys are pressed in a read-only session, nothing is written, nothing breaks, and `q` quits."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

import httpx
import pytest

from runtui.keys.actions import ACTIONS
from runtui.sandbox.app import create_app
from tests.tui.conftest import Opener, Session

QUITTING = {"q", "f10", "ctrl+q"}
KEYS = sorted({key for action in ACTIONS for key in action.keys} - QUITTING)
MOVING = ["tab", "shift+tab", "enter", "up", "down", "left", "right", "backspace", "delete"]
TEXT = ["failed", "7", "-2h", "yes", "is:problem", "(", "\x1b[2J", "ü", "[/b]", "outcome:done", " "]


class Counting(httpx.AsyncBaseTransport):
    """A transport to the sandbox that counts the requests that would change something."""

    def __init__(self) -> None:
        self._inner = httpx.ASGITransport(create_app(runs=40, hostile=True))
        self.writes: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method != "GET" and not reads_alone(request):
            self.writes.append(f"{request.method} {request.url}")
        return await self._inner.handle_async_request(request)


def reads_alone(request: httpx.Request) -> bool:
    """Return whether a request is a batch of GETs."""
    if not request.url.path.endswith("/$batch"):
        return False
    return {part["method"] for part in json.loads(request.content)["requests"]} == {"GET"}


def walk(seed: int, steps: int) -> Iterator[tuple[str, str]]:
    """Yield the steps of a walk: keys by name, or text to type."""
    chance = random.Random(seed)
    for _ in range(steps):
        kind = chance.random()
        if kind < 0.15:
            yield "text", chance.choice(TEXT)
        else:
            yield "key", chance.choice(MOVING if kind < 0.3 else KEYS)


@pytest.mark.parametrize("begins", [True, False], ids=["started so", "by key"])
@pytest.mark.parametrize(("seed", "steps"), [(1, 100), pytest.param(2, 1_000, marks=pytest.mark.slow)])
async def test_no_key_writes_in_a_read_only_session(open_session: Opener, seed: int, steps: int, begins: bool) -> None:
    wire = Counting()
    async with open_session(wire=wire, read_only=begins, size=(80, 24)) as session:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(session.app, "action_quit", stay)  # the palette offers it too
            await take(session, seed, steps, begins=begins)
        assert session.workspace.read_only
        assert wire.writes == []
        assert session.workspace.journal.entries() == []
        for _ in range(6):
            await session.press("escape")
        await session.press("less_than_sign", "q")
        assert session.app.return_code == 0


async def stay() -> None:
    """Replace the action that quits."""


async def take(session: Session, seed: int, steps: int, *, begins: bool) -> None:
    """Take the walk in a session that is read-only from the start, or made read-only by a key first."""
    if not begins:
        await session.press("ctrl+r")
    for kind, what in walk(seed, steps):
        if kind == "text":
            await session.type(what)
        elif begins or what != "ctrl+r":
            await session.press(what)
        session.draw()
        assert session.app.return_code is None, what
