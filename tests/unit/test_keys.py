"""The events that the queue of keys takes from Textual, and when it waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from textual import events
from textual.app import App, ComposeResult
from textual.message import Message
from textual.widgets import Input, Static

from runtui.services import foreground
from runtui.services.foreground import Foreground
from runtui.tui import keys
from runtui.tui.keys import KeyQueue, blocks_keys, is_from_terminal
from tests import PATIENCE
from tests.keys import drained


class Slow(Static, can_focus=True):
    """Handles a key for as long as a test wants."""

    def __init__(self, name: str) -> None:
        super().__init__(name, id=name)
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.got: list[str] = []

    async def on_key(self, event: events.Key) -> None:
        self.got.append(event.key)
        await self.may_end.wait()
        if event.key == "n":
            self.screen.focus_next()


class Desk(App[None]):
    """Two widgets and an input; events from the terminal wait for their turn."""

    def __init__(self) -> None:
        super().__init__()
        self.foreground = Foreground()
        self.keys = KeyQueue(self, super().post_message, foreground=self.foreground, quitting={"f10"})

    def post_message(self, message: Message) -> bool:
        if is_from_terminal(message):
            self.foreground.note_input()
            self.keys.put(message)
            return True
        return super().post_message(message)

    def compose(self) -> ComposeResult:
        yield Slow("first")
        yield Slow("second")
        yield Input()

    def press(self, *pressed: str) -> None:
        for key in pressed:
            self.post_message(events.Key(key, key if len(key) == 1 else None))

    def got(self) -> list[list[str]]:
        return [widget.got for widget in self.query(Slow)]


@contextmanager
def stuck(widget: Slow) -> Iterator[None]:
    """Within this context, the widget does not finish handling a key."""
    widget.may_end.clear()
    try:
        yield
    finally:
        widget.may_end.set()


async def until(holds: Callable[[], object]) -> None:
    while not holds():  # noqa: ASYNC110 - the test's own time limit ends a wait in vain
        await asyncio.sleep(0)


async def test_a_key_waits_until_the_one_before_has_been_handled() -> None:
    app = Desk()
    async with app.run_test():
        first = app.query_one("#first", Slow)
        with stuck(first):
            app.press("n", "b")
            await until(lambda: first.got)
            routed: list[int] = []
            app.keys.call_when_routed(lambda: routed.append(len(app.keys)))
            await asyncio.sleep(0.05)
            assert (len(app.keys), routed) == (1, [])
        await drained(app.keys)
        assert app.got() == [["n"], ["b"]]
        assert routed == [0]


async def test_work_that_waits_goes_on_once_a_key_is_handled_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAX_SECONDS", "_LATELY_SECONDS"):
        monkeypatch.setattr(foreground, name, PATIENCE)
    app = Desk()
    async with app.run_test():
        first = app.query_one("#first", Slow)
        with stuck(first):
            await app.foreground.yield_to_input()
            app.press("b")
            await until(lambda: first.got)
            work = asyncio.create_task(app.foreground.yield_to_input())
            done, _ = await asyncio.wait([work], timeout=3 * keys.WATCH_SECONDS)
            assert not done
        await asyncio.wait_for(work, PATIENCE)


async def test_keys_from_before_the_first_screen_wait_for_it() -> None:
    app = Desk()
    app.press("a", "n", "b")
    async with app.run_test():
        await drained(app.keys)
        assert app.got() == [["a", "n"], ["b"]]


async def test_a_handler_that_does_not_end_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Desk()
    async with app.run_test():
        await drained(app.keys)
        first, second = app.query(Slow)
        with stuck(first):
            with monkeypatch.context() as patch:
                patch.setattr(keys, "MAX_CHECKS", 30)
                app.press("a")
                await drained(app.keys)
            assert app.keys.timed_out == {first}
            second.focus()
            await drained(app.keys)
            app.press("n", "x")
            await drained(app.keys)
            assert second.got == ["n"]
            assert app.query_one(Input).value == "x"
        while app.keys.timed_out:
            await asyncio.sleep(0)
            await drained(app.keys)


async def test_keys_wait_for_the_workers_that_say_so_and_for_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Desk()
    async with app.run_test():
        done, never = asyncio.Event(), asyncio.Event()
        app.run_worker(never.wait(), group="network")
        app.run_worker(done.wait(), group=blocks_keys("edit", to_its_end=True))
        monkeypatch.setattr(keys, "MAX_CHECKS", 30)
        app.press("a")
        for _ in range(10 * keys.MAX_CHECKS):
            await asyncio.sleep(0)
        assert (app.got()[0], app.keys.timed_out) == ([], set())
        done.set()
        await drained(app.keys)
        assert app.got()[0] == ["a"]


async def test_a_key_that_quits_does_not_wait_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Desk()
    async with app.run_test():
        done = asyncio.Event()
        app.run_worker(done.wait(), group=blocks_keys("edit", to_its_end=True))
        monkeypatch.setattr(keys, "MAX_CHECKS", 30)
        called: list[int] = []
        app.press("a")
        app.keys.call_when_routed(lambda: called.append(len(app.got()[0])))
        app.press("f10")
        for _ in range(10 * keys.MAX_CHECKS):
            await asyncio.sleep(0)
        assert (app.got()[0], called) == (["f10"], [])
        app.press("b")
        done.set()
        await drained(app.keys)
        assert (app.got()[0], called) == (["f10", "b"], [1])


async def test_a_long_run_of_letters_does_not_wait_for_what_each_letter_causes() -> None:
    app = Desk()
    async with app.run_test():
        app.query_one(Input).focus()
        await drained(app.keys)
        done = asyncio.Event()
        app.press("a")
        await drained(app.keys)
        app.run_worker(done.wait(), group=blocks_keys("counting"))
        app.press("b", "c")
        await until(lambda: app.query_one(Input).value == "abc")
        app.press("tab")
        await asyncio.sleep(0.05)
        assert len(app.keys) == 1
        done.set()
        await drained(app.keys)
        assert app.focused is app.query_one("#first")


async def test_unrouted_keys_are_returned_when_the_queue_closes() -> None:
    app = Desk()
    async with app.run_test():
        first = app.query_one("#first", Slow)
        with stuck(first):
            app.press("a", "b", "c")
            await until(lambda: first.got)
            told: list[str] = []
            app.keys.call_when_routed(lambda: told.append("before"))
            left = app.keys.close()
            app.press("d")
            app.keys.call_when_routed(lambda: told.append("after"))
            assert told == ["before", "after"]
            assert [event.key for event in left if isinstance(event, events.Key)] == ["b", "c"]
        await asyncio.sleep(0.02)
        assert first.got == ["a"]


async def test_a_drag_keeps_its_place_between_keys() -> None:
    app = Desk()
    async with app.run_test():
        second = app.query_one("#second", Slow)
        x, y = second.region.offset
        app.press("a")
        for kind in (events.MouseMove, events.MouseDown, events.MouseUp):
            app.post_message(kind(None, x, y, 0, 0, 1, False, False, False, x, y))
        app.press("b")
        await drained(app.keys)
        assert app.got() == [["a"], ["b"]]
