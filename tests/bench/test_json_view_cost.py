"""What a large body costs in the side panel, beside a TextArea with the same text in the same process."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from textual.app import App, ComposeResult
from textual.widgets import TextArea

from runtui.tui.widgets.json_view import FIRST_LINES, JsonView

pytestmark = pytest.mark.bench

BODY = json.dumps(
    {"value": [{"id": f"6513_{n}", "processingStatus": "completedWithErrors", "n": n} for n in range(46_000)]}
)


class Both(App[None]):
    """The view and its stock counterpart."""

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
