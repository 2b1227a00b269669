"""The pictures of the README: the main job from start to end; each step is compared with its file in screenshots/.

The test compares the text of the screen, line by line; colours may change without a new picture. To write new pictures:

    RUNTUI_WRITE_SCREENSHOTS=1 python -m pytest tests/tui/test_screenshots.py
"""

from __future__ import annotations

import itertools
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from difflib import unified_diff
from html import escape, unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Final, Self
from uuid import UUID
from xml.etree import ElementTree

import httpx
import pytest
from rich.cells import cell_len

from runtui.domain.plots import tenant_counts
from runtui.domain.triage.causes import cause_rows
from runtui.tui.features.opening import Opening
from runtui.tui.features.triage.explaining import Explaining
from tests import living_in
from tests.tui import conftest
from tests.tui.conftest import Opener, Session

FOLDER: Final = Path(__file__).parents[2] / "screenshots"
WRITE: Final = "RUNTUI_WRITE_SCREENSHOTS"
HOW: Final = f"{WRITE}=1 python -m pytest tests/tui/test_screenshots.py"

NOW: Final = datetime(2026, 11, 20, 9, 15, 3, tzinfo=UTC)
REQUEST_SECONDS: Final = 0.042
CELL_WIDTH: Final = 12.2
"""The width of one cell in Rich's pictures."""
REQUEST_ID: Final = UUID("6f0c2b1e-52d7-4c86-9d0f-3a1f5f7b8c11")
CLIENT_REQUEST_ID: Final = UUID("9a4e5d0c-1f63-4b7a-8a25-c0d1b6e8f342")
ROOT: Final = "http://127.0.0.1:8080/beta"

WIDE: Final = (124, 34)

_FONT_FACE: Final = re.compile(r"@font-face\s*\{.*?\}", re.DOTALL)
_FONTS: Final = "ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, monospace"
_TEXT: Final = re.compile(
    r'<text class="(?P<class>[^"]*)" x="(?P<x>[^"]*)" y="(?P<y>[^"]*)" textLength="[^"]*"'
    r"(?P<rest>[^>]*)>(?P<text>[^<]*)</text>"
)
_SVG: Final = "{http://www.w3.org/2000/svg}"


class StoppedClock(datetime):
    """A datetime class whose `now` is always `NOW`."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls.fromtimestamp(NOW.timestamp(), tz)


@pytest.fixture(autouse=True)
def _everything_that_varies_stands_still(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fix everything that varies: clocks, time zone, ids, durations and the port."""
    nanoseconds = int(NOW.timestamp()) * 1_000_000_000
    ticking = itertools.count()
    monkeypatch.setattr("runtui.domain.times.time", SimpleNamespace(time_ns=lambda: nanoseconds))
    for module in (
        "services.refresh",
        "services.records.journal",
        "services.records.drafts",
        "tui.features.changes.editing",
    ):
        monkeypatch.setattr(f"runtui.{module}.datetime", StoppedClock)
    monkeypatch.setattr("runtui.sandbox.exchange.uuid4", lambda: REQUEST_ID)
    monkeypatch.setattr("runtui.graph.transport.uuid4", lambda: CLIENT_REQUEST_ID)
    client_request_ids = itertools.count(CLIENT_REQUEST_ID.int)
    monkeypatch.setattr("runtui.services.writing.drive.uuid4", lambda: UUID(int=next(client_request_ids)))
    monkeypatch.setattr(
        "runtui.graph.transport.time", SimpleNamespace(perf_counter=lambda: next(ticking) * REQUEST_SECONDS)
    )
    monkeypatch.setattr(conftest, "ROOT", ROOT)
    with living_in("UTC"):
        yield


async def test_the_main_job_in_pictures(open_session: Opener) -> None:
    async with open_session(size=WIDE, theme="runtui-dark") as session:
        # The cursor would be on whichever run came in first.
        await session.press("g")
        await picture(session, "list")

        await session.press("slash")
        await session.type("status:failed started>-7d")
        await picture(session, "filter")

        await session.press("enter", "e")
        await session.until(lambda: session.view == "edit")
        await session.press("enter", "up", "enter", *["down"] * 6, "end", "backspace")
        await session.type("7")
        await session.until(lambda: session.draft is not None and len(session.draft.changes()) == 2)
        await picture(session, "form")

        await session.press("ctrl+s")
        await session.until(lambda: session.view == "review")
        await picture(session, "review")

        await session.press("y")
        await session.until(lambda: not session.workspace.saves.active() and "200 OK" in session.text())
        await picture(session, "response")


async def test_why_runs_failed_in_pictures(open_session: Opener) -> None:
    async with open_session(size=WIDE, theme="runtui-dark") as session:
        await session.press("1", "enter")
        await session.until(lambda: session.app.feature[Opening].users.list.rows)
        await picture(session, "run")
        await session.press("enter")
        await session.until(lambda: session.view == "tasks" and session.app.feature[Opening].tasks.list.rows)
        await picture(session, "task")

        await session.press("escape", "escape", "c")
        results, causes = session.workspace.results, session.app.feature[Explaining].view
        await session.until(lambda: results.progress.total and results.progress.read == results.progress.total)
        await session.until(lambda: list(causes.list.rows) == cause_rows(results.causes(causes.shown)))
        await session.until(lambda: "Users" in session.text())
        await session.until(lambda: "Return of assets" in session.text())  # the extensions are shown by name
        await session.until(lambda: "reasons of" not in session.text())  # the last ones are grouped
        await picture(session, "causes")

        await session.press("escape", "o", "j", "j", "j", *["left"] * 4)
        await session.until(lambda: session.view == "overview")
        await picture(session, "overview")


async def test_acting_in_pictures(open_session: Opener) -> None:
    async with open_session(size=WIDE, theme="runtui-dark") as session:
        await session.press("g", "a")
        await session.until(lambda: session.view == "picker")
        await picture(session, "actions")

        await session.press("escape", "2", "ctrl+a", "e")
        await session.until(lambda: session.draft is not None)
        await session.press("enter", "up", "enter", "ctrl+s")
        await session.until(lambda: session.view == "review")
        await picture(session, "many")


async def test_the_outcomes_of_changes_in_pictures(open_session: Opener) -> None:
    async with open_session(size=WIDE, theme="runtui-dark") as session:
        assert session.server is not None
        session.workspace.reconciler.start()
        await session.press("slash")
        await session.type("failed>0 started>-4d")
        await session.press("enter", "s", "s")  # newest first, so that a row keeps its place when its status changes
        for scenario in ("none", "403", "html-200"):
            session.server.state.scenario.use(scenario)
            await draft_a_change(session)
            await send(session)
            await session.press("down")
        await session.press("up")
        await session.until(lambda: "1 unknown" in session.text() and "#3 unknown" in session.text())
        await picture(session, "unknown")

        session.server.state.scenario.use("none")
        await session.press("g", "u")
        await session.until(lambda: session.view == "review")
        await session.press("y")
        await session.until(lambda: not session.workspace.saves.active() and "undone" in session.text())
        await session.press("J")
        await session.until(lambda: "? unknown" in session.text())
        await session.press("down", "enter")
        await picture(session, "journal")


async def test_a_run_that_changed_under_a_draft_in_a_picture(open_session: Opener) -> None:
    async with open_session(size=WIDE, theme="runtui-dark") as session:
        await session.press("x", "down", "down", "down")
        await draft_a_change(session)
        await edit_as_a_colleague(session, processingStatus="quarantined", totalUnprocessedTasksCount=0)
        await send(session)
        await session.until(lambda: session.view == "conflict")
        await picture(session, "conflict")


async def test_the_list_in_the_light_theme(open_session: Opener) -> None:
    async with open_session(size=WIDE, theme="runtui-light") as session:
        await session.press("x", "g")
        await picture(session, "light")


async def test_the_list_in_sixteen_colours(open_session: Opener) -> None:
    async with open_session(size=WIDE, theme="ansi-dark") as session:
        await session.press("x", "g")
        await picture(session, "sixteen-colours")


async def test_the_form_at_80_by_24(open_session: Opener) -> None:
    async with open_session(size=(80, 24), theme="runtui-dark") as session:
        await session.press("slash")
        await session.type("status:failed")
        await session.press("enter", "e")
        await session.until(lambda: session.view == "edit")
        await session.press("enter", "up", "enter")
        await session.until(lambda: session.draft is not None and session.draft.changes())
        await picture(session, "narrow")


def test_no_picture_is_left_over_or_loads_anything() -> None:
    pictures = sorted(FOLDER.glob("*"))
    readme = (FOLDER.parent / "README.md").read_text("utf-8")
    assert [path.name for path in pictures if f"screenshots/{path.name}" not in readme] == []
    for path in pictures:
        assert re.search(r"url\((?!#)|href=|@import|<script|<image", path.read_text("utf-8")) is None


async def draft_a_change(session: Session) -> None:
    """Choose canceled for the run under the cursor."""
    await session.press("e")
    await session.until(lambda: session.view == "edit")
    await session.press("enter")
    await session.type("canceled")
    await session.press("enter")
    await session.until(lambda: session.draft is not None and session.draft.changes())


async def send(session: Session) -> None:
    """Review the draft in the form, send it, and wait for its end."""
    await session.press("ctrl+s")
    await session.until(lambda: session.view == "review")
    await session.press("y")
    await session.until(lambda: not session.workspace.saves.active() and session.view != "review")


async def edit_as_a_colleague(session: Session, **values: object) -> None:
    """Change the run under the cursor as another client would."""
    assert session.server is not None
    address = f"{ROOT}/workflowBase/runs/{session.runs.table.cursor_id}"
    body = {"@odata.type": "#microsoft.graph.identityGovernance.run", **values}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(session.server)) as colleague:
        answer = await colleague.patch(address, json=body, headers={"Authorization": "Bearer a-colleague"})
        assert answer.status_code == 200, answer.text


async def picture(session: Session, name: str) -> None:
    """Write screenshots/NAME.svg if asked to; else assert that its text is what the screen shows."""
    await session.panel_rested()
    await session.until(lambda: "Reading its task results" not in session.text())
    totals = session.workspace.store.totals()
    counts = tuple(tenant_counts(totals.by_status, totals.stuck))
    await session.until(lambda: session.app.chrome.problems.counts == counts)
    svg = self_contained(session.app.export_screenshot(title="runtui", simplify=False))
    path = FOLDER / f"{name}.svg"
    if os.environ.get(WRITE) == "1":
        path.write_text(svg, "utf-8")
    assert path.exists(), f"{path.name} is missing; make it: {HOW}"
    difference = unified_diff(drawn_lines(path.read_text("utf-8")), drawn_lines(svg), path.name, "today", lineterm="")
    words = "\n".join(difference)
    assert not words, f"{path.name} is not what runtui looks like today; make it anew: {HOW}\n{words}"


def self_contained(svg: str) -> str:
    """Return a picture without the fonts that Rich has a browser download, and with the right width for wide
    characters."""
    return _TEXT.sub(_placed, _FONT_FACE.sub("", svg).replace("Fira Code, monospace", _FONTS))


def _placed(text: re.Match[str]) -> str:
    """Split one text into several, so that narrow and wide characters each get the width of their cells."""
    x, placed = float(text["x"]), ""
    for _, letters in itertools.groupby(unescape(text["text"]), cell_len):
        run = "".join(letters)
        width = cell_len(run) * CELL_WIDTH
        placed += f'<text class="{text["class"]}" x="{x:g}" y="{text["y"]}" textLength="{width:g}"{text["rest"]}>'
        placed += f"{escape(run, quote=False)}</text>"
        x += width
    return placed


def drawn_lines(svg: str) -> list[str]:
    """Return the text of a picture, line by line, each piece at its place in the line."""
    lines: dict[float, dict[float, str]] = defaultdict(dict)
    for element in ElementTree.fromstring(svg).iter(f"{_SVG}text"):
        if "clip-path" in element.attrib:
            lines[float(element.attrib["y"])][float(element.attrib["x"])] = element.text or ""
    drawn = []
    for _, texts in sorted(lines.items()):
        line = ""
        for x, text in sorted(texts.items()):
            line = line.ljust(round(x / CELL_WIDTH)) + text.replace("\xa0", " ")
        drawn.append(line.rstrip())
    return drawn
