"""The cost of a large body in the side panel, beside a TextArea with the same text in the same process."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from textual.app import App, ComposeResult
from textual.widgets import TextArea

from runtui.tui.widgets.inputs import LineInput
from runtui.tui.widgets.json_view import FIRST_LINES, JsonView
from runtui.tui.widgets.search_bar import SearchBar

pytestmark = pytest.mark.bench

BODY = json.dumps(
    {"value": [{"id": f"6513_{n}", "processingStatus": "completedWithErrors", "n": n} for n in range(46_000)]}
)


class Both(App[None]):
    """The view, and Textual's TextArea as its reference."""

    CSS = "JsonView, TextArea { height: 12; }"

    def compose(self) -> ComposeResult:
        yield JsonView()
        yield TextArea()


async def test_three_megabytes() -> None:
    app = Both()
    async with app.run_test(size=(100, 24)) as pilot:
        view, area = app.query_one(JsonView), app.query_one(TextArea)
        start = time.perf_counter()
        view.show_text(BODY)
        while view.line_count < FIRST_LINES:  # noqa: ASYNC110
            await asyncio.sleep(0)  # the pilot's own pause waits until the thread is done
        first = time.perf_counter() - start
        await app.workers.wait_for_complete()
        await pilot.pause()
        whole = time.perf_counter() - start
        start = time.perf_counter()
        area.text = json.dumps(json.loads(BODY), indent=2)
        await pilot.pause()
        stock = time.perf_counter() - start
        print(
            f"\n{len(BODY) / 1e6:.1f} MB of JSON, {view.line_count} lines: first lines {first:.2f} s,"
            f" all {whole:.2f} s; TextArea {stock:.2f} s"
        )
        assert view.line_count == 3 + 46_000 * 5 + 1


class Searched(App[None]):
    """A large body and its search."""

    def compose(self) -> ComposeResult:
        yield JsonView()
        yield SearchBar(lambda: self.query_one(JsonView))


async def test_a_search_in_300_000_lines() -> None:
    """Compare the search with one scan of the whole text, for which a key would otherwise have to wait."""
    body = json.dumps({"value": [{"id": f"6513_{n}", "status": "completedWithErrors", "n": n} for n in range(60_000)]})
    app = Searched()
    async with app.run_test(size=(100, 24)) as pilot:
        view, bar = app.query_one(JsonView), app.query_one(SearchBar)
        view.show_text(body)
        await app.workers.wait_for_complete()
        bar.open()
        await pilot.pause()
        for text in ("no such text", "6513_59999", "e"):
            longest, start = 0.0, time.perf_counter()
            app.query_one(LineInput).value = text
            last = start
            await asyncio.sleep(0)
            while any(not worker.is_finished for worker in app.workers) or last == start:
                now = time.perf_counter()
                longest, last = max(longest, now - last), now
                await asyncio.sleep(0)
            whole = time.perf_counter() - start
            print(
                f"\n{view.line_count} lines, {text!r}: {whole * 1000:.0f} ms,"
                f" the loop kept for {longest * 1000:.1f} ms at most"
            )
            assert longest < 0.1
        start = time.perf_counter()
        lines = sum("no such text" in view._document.line(number) for number in range(view.line_count))
        print(f"line by line: {(time.perf_counter() - start) * 1000:.0f} ms, {lines} found")
