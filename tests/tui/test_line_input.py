"""Typing faster than the screen is drawn, as over a slow line: keys act in the order in which they were pressed."""

from __future__ import annotations

import pytest
from textual import events
from textual.app import App, ComposeResult
from textual.message import Message

from runtui.tui.keys import KeyQueue, is_from_terminal
from runtui.tui.widgets.inputs import LineInput
from tests.keys import drained


class Bare(App[None]):
    """An app that routes its keys as runtui does."""

    def __init__(self) -> None:
        self.keys = KeyQueue(self, super().post_message)
        super().__init__()

    def compose(self) -> ComposeResult:
        yield LineInput(id="box")

    def post_message(self, message: Message) -> bool:
        if is_from_terminal(message):
            self.keys.put(message)
            return True
        return super().post_message(message)


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        (["a", "b", "backspace", "c"], "ac"),
        (["a", "ctrl+u", "b", "c"], "bc"),
        (["a", "b", "left", "c"], "acb"),
        (["a", "-", "b", "alt+backspace", "c"], "a-c"),
        (["a", "-", "b", "ctrl+backspace", "c"], "a-c"),
        (["a", "b", "home", "c"], "cab"),
        (["a", "b", "home", "delete", "c"], "cb"),
        (["a", "b", "home", "ctrl+k", "c"], "c"),
    ],
)
async def test_keys_typed_ahead_act_in_their_order(keys: list[str], text: str) -> None:
    app = Bare()
    async with app.run_test() as pilot:
        app.query_one(LineInput).focus()
        await pilot.pause()
        for key in keys:
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        await drained(app.keys)
        assert app.query_one(LineInput).value == text
