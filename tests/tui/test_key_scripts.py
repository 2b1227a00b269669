"""Random keys on every screen: typed slowly, in pairs or in one packet, they lead to the same state."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, Final

import httpx
import pytest

from runtui.auth.msal_client import MsalClient
from runtui.auth.signin import SignIn
from runtui.config import read_config
from runtui.domain.draft import Draft
from runtui.domain.times import UNIX_EPOCH_TICKS, now_ticks
from runtui.profiles import Profiles
from runtui.sandbox.app import create_app
from runtui.services.store.store import EVERY_RUN
from runtui.tui.features.signing_in import SignInView
from runtui.tui.features.triage.explaining import CausesView
from tests import canary, there
from tests.contract.scripted_authority import ScriptedAuthority
from tests.contract.signing_in import ROOT as GRAPH
from tests.contract.signing_in import Gate, GatedHttp, settings_for
from tests.tui.conftest import Opener, Session
from tests.tui.keyboard import MANNERS, Manner, type_keys
from tests.tui.sign_in_desk import Polls, is_in
from tests.tui.test_profiles import FILE
from tests.tui.test_scenarios import Sandbox
from tests.tui.wires import Held

PHRASES: Final = {
    "list": "j|k|G|g|pagedown|space|s|I|x|u|enter|e|U|escape|r|/ f a i l enter|/ i d : 0 enter|/ ( escape"
    "|/ o n enter j e|/ s t a t tab f tab enter|/ w o tab tab tab enter j|/ up up down enter|/ x down / up down down j"
    "|>|]|[|z|<|?|J|M|P|A|T|p|w|1|2 j|3|4|5|6|1 1|S|C|v|right|left|right right|c|@|y|y y|y t escape",
    "copy": "j|k|enter|y|t|t escape j|escape|j j y|G t|y y y|j j j enter J",
    "sort": "j|G|enter|j j enter|escape|S|pagedown enter",
    "columns": "j|space|plus|minus|0|enter|escape|j space enter|G space enter right|plus plus enter|C",
    "views": "j|enter|G enter|escape|v|G enter n e w enter|G enter escape|j j enter 6",
    "form": "tab|shift+tab|up|down|7|backspace|tab 7|home 1|enter down enter|enter c enter|enter end enter|enter escape"
    "|space up up space|f8|ctrl+t|ctrl+s|ctrl+s y|ctrl+s n|tab tab n o w|tab tab tab - 2 h enter 5|escape e|shift+f8"
    "|> ] <|f1 escape|escape j e",
    "overview": "j|k|left|left left|right|escape|enter|enter escape|/ o n enter|s|I|G|o|space|U",
    "review": "y|n|enter|tab enter|escape|> G <|J escape",
    "journal": "j|k|enter|u|n|d|d down enter|l|a|E enter|E escape|/ d o n e enter"
    "|/ o tab tab enter|/ up enter|escape|G|y|y enter|y j j y",
    "help": "pagedown|end|pageup|escape|q|j|enter|j j enter|/ s o r t enter enter|/ j o u r n a l enter enter"
    "|/ z z escape|/ f o r m down j enter",
    "panel": "j|G|]|[|escape|z|enter|<|/ i d enter n n N j|/ e escape|/ z z z enter n|/ a ] n"
    "|] ] / l i s t down n enter|y|y y|] ] ] y y",
    "simulate": "j|G|enter|escape|M|pagedown",
    "profiles": "j|k|escape|P",
    "sign_in": "j|k|enter|y|escape|O|O O|enter escape|j enter|A A",
    "conflict": "left|right|space|j|enter|e|escape|D|ctrl+s",
    "causes": "j|k|enter|space|U|s|I|c|escape|enter escape|space enter|/ t a p enter|/ l o g enter enter|enter e",
    "people": "a|backspace|down|up|enter|escape|down enter|a n enter|enter enter|> <|f1 escape",
    "users": "enter|enter enter|j enter|/ f a i l e d enter|/ o enter enter|s|I|space j space|U|e|u|escape|G|x|>|J|y y",
    "tasks": "j|enter|enter escape|/ t a s k enter|s s|space|escape|escape escape|e escape|z",
    "bulk": "ctrl+a|V|j j V|asterisk|U|space j j space e|e escape e|enter down enter|tab tab - 2 h|ctrl+s|ctrl+s y"
    "|3 0 enter|ctrl+s 3 0 enter|ctrl+s escape|shift+f8 shift+f8|X|R|u|B|B j enter|escape e",
    "palette": "ctrl+p h e l p enter|ctrl+p escape|ctrl+p down down enter|: f i l t e r enter|ctrl+p z z z escape",
}
"""The keys for each screen: phrases separated by |, each of some keys separated by blanks."""

WAYS: Final = {
    "list": "", "form": "e", "review": "e enter down enter ctrl+s", "journal": "J", "help": "?", "panel": ">",
    "simulate": "M", "profiles": "P", "sign_in": "A", "conflict": "G e", "palette": "",
    "overview": "o", "sort": "S", "columns": "C", "views": "v", "causes": "c", "people": "@",
    "users": "enter", "tasks": "enter enter", "bulk": "ctrl+a e enter down down enter", "copy": "y",
}  # fmt: skip
"""The keys from the list to each screen."""

_NOW: Final = now_ticks()

_PASSING: Final = re.compile(
    r"[0-9a-f]{8}-[0-9a-f-]{27}|localhost:\d+|\d\d:\d\d(:\d\d)?(\.\d+)?|\s*\d+ ms|\s+…|\s*(in )?\d+[smhd]( ago)?"
    r"|\d[\d.T]{5,}Z?|([A-Z\d]  ){8}[A-Z\d]|\d+Z(?=\.jsonl)"
)
"""Text that differs each time: clocks, durations, request ids, file names, the code to sign in with, and the number of
blanks before truncated text."""

_IN_BACKGROUND: Final = re.compile(r"[^│\n]*\bPOST +no answer[^│\n]*| +(?=│)")
"""In the log, the requests that no key caused, because their number depends on timing; and the blanks before an edge,
which such a line moves."""

_ADDRESS: Final = re.compile(r"https://login\.fake\.test/\S*(\n\S+)*")
"""The address to sign in at, over several lines: its port, state and challenge are random."""


def script(seed: int) -> list[str]:
    """Return random keys: those that lead to a screen, then keys of that screen and of others."""
    chance = Random(seed)
    screen = list(WAYS)[seed % len(WAYS)]
    phrases = [WAYS[screen]]
    for _ in range(chance.randint(3, 8)):
        place = screen if chance.random() < 0.6 else chance.choice(list(PHRASES))
        phrases.append(chance.choice(PHRASES[place].split("|")))
    return " ".join(phrases).split()


@dataclass(frozen=True)
class End:
    """The state of the screen after the keys."""

    view: str
    screen: tuple[str, ...]
    focus: tuple[str, ...]
    cursor: str | None
    draft: Any
    drafts: Any
    journal: Any
    written: Any


def overtake(session: Session) -> None:
    """Leave a draft on the last run, for a value that somebody else has changed since."""
    store = session.workspace.store
    last = store.window(session.runs.shown, store.count(EVERY_RUN) - 1, 1)[0]
    stored = there(store.get(last.id))
    before = {**stored.raw, "totalUsersCount": stored.raw["totalUsersCount"] + 1}
    session.workspace.drafts.keep(Draft(last.id, stored.workflow_id, before).typed("totalUsersCount", "9999", _NOW))
    session.runs.table.flags_changed(last.id)  # the form would have drawn the flag


async def read_results(session: Session) -> None:
    """Put the results of the first runs into the store, as an earlier session does."""
    for row in session.workspace.store.window(session.runs.shown, 0, 4):
        await session.workspace.results.read_run(row.workflow_id, row.id)


def screen_of(session: Session) -> tuple[str, ...]:
    """Return the text of the screen, without the first line, which has the time."""
    text = _IN_BACKGROUND.sub("", _ADDRESS.sub("…", session.text()))
    return tuple(_PASSING.sub("…", text).splitlines()[1:])


async def rested(session: Session) -> None:
    """Wait until the screen stays the same while the network is held."""
    if session.view == "causes":  # it draws only after a pause between keys
        drawing = session.find(CausesView).drawing
        await session.until(lambda: not (drawing._is_due or drawing._is_resting))
    last, same = screen_of(session), 0
    while same < 3:
        await session.pilot.pause(0.02)
        await session.settled()
        last, same = screen_of(session), (same + 1 if screen_of(session) == last else 0)


async def end_of(desk: Desk) -> End:
    session, workspace = desk.session, desk.session.workspace
    await rested(session)
    await session.panel_rested()
    focused, form = session.app.focused, session.draft
    view, screen = session.view, screen_of(session)
    focus = tuple(f"{node.__class__.__name__}#{node.id}" for node in focused.ancestors_with_self) if focused else ()
    desk.release()
    await session.until(lambda: not workspace.saves.active())
    await session.until(lambda: not workspace.refresh.progress.listing)
    kept = [draft for run_id in workspace.drafts if (draft := workspace.drafts.get(run_id)) is not None]
    entries = [(entry.run_id, entry.after, entry.outcome) for entry in workspace.journal.entries()]
    return End(
        view,
        screen,
        focus,
        session.runs.table.cursor_id,
        form and texts_of(form),
        sorted(map(texts_of, kept)),
        [_PASSING.sub("…", str(entry)) for entry in entries],
        [_PASSING.sub("…", str(write)) for write in desk.server.state.applied],
    )


def texts_of(draft: Draft) -> Any:
    return draft.run_id, draft.mode, sorted((name, edit.text) for name, edit in draft.edits.items())


def profiles_in(folder: Path) -> Profiles:
    folder.mkdir()
    config = folder / "config.toml"
    config.write_text(FILE)
    return Profiles(read_config(config), {}, {"RUNTUI_STATE": str(folder), "RUNTUI_TOKEN": canary.TOKEN})


@dataclass(frozen=True)
class Desk:
    """A session of a signed-in person, and the services that it uses."""

    session: Session
    wire: Held
    gate: Gate
    server: Any

    async def see_code(self) -> None:
        """Begin another sign-in, up to the display of the code."""
        await self.session.press("A", "enter")
        await self.session.until(lambda: self.session.find(SignInView).copied[1] == "Code")

    def hold(self) -> None:
        """Delay all answers of Graph and of the sign-in service."""
        self.wire.hold()
        self.gate.close()

    def release(self) -> None:
        self.wire.release()
        self.gate.open()


@asynccontextmanager
async def a_desk(open_session: Opener, folder: Path, size: tuple[int, int]) -> AsyncIterator[Desk]:
    """A list of 30 runs; the last has a draft that is in conflict with somebody else's change."""
    profiles = profiles_in(folder)
    authority, gate = ScriptedAuthority(), Gate()
    server = create_app(runs=30, clock=lambda: _NOW, authority=authority)
    wire = Held(httpx.ASGITransport(server))
    sign_in_settings = settings_for(authority, token_cache="memory")
    sign_in = SignIn(
        MsalClient(sign_in_settings, root=GRAPH, state_folder=folder, http=lambda: GatedHttp(authority, gate)),
        pause=Polls(),
    )
    await is_in(sign_in, authority)
    try:
        async with open_session(
            wire=wire,
            size=size,
            sandbox=Sandbox(),
            profiles=profiles,
            profile="prod",
            state_folder=folder,
            body_mode="full",
            access=sign_in,
            sign_in=sign_in_settings,
            ahead=True,
        ) as session:
            await read_results(session)
            overtake(session)
            await session.settled()
            await session.panel_rested()
            yield Desk(session, wire, gate, server)
    finally:
        gate.open()
        await sign_in.aclose()


async def end_after(open_session: Opener, folder: Path, keys: list[str], manner: Manner, size: tuple[int, int]) -> End:
    async with a_desk(open_session, folder, size) as desk:
        if keys[0] == "A" and len(keys) % 2:
            await desk.see_code()
            keys = keys[1:]
        desk.hold()
        await type_keys(desk.session, keys, manner)
        return await end_of(desk)


async def compare(open_session: Opener, folder: Path, seed: int) -> None:
    keys, size = script(seed), ((80, 24), (120, 40))[seed // 7 % 2]
    ends = []
    for manner in MANNERS:
        # All use the same folder in turn, because the screen shows its path.
        ends.append(await end_after(open_session, folder / "state", keys, manner, size))
        (folder / "state").rename(folder / manner)
    slowly, *others = ends
    for manner, end in zip(MANNERS[1:], others, strict=True):
        differing = [pair for pair in zip(slowly.screen, end.screen, strict=False) if pair[0] != pair[1]]
        assert end == slowly, f"{manner}: {' '.join(keys)}: {differing}"


@pytest.fixture(autouse=True)
def nothing_depends_on_the_time_that_keys_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine they may take longer than a request may, than a sentence stays, or than until the next run of a
    workflow is overdue.
    """
    held = SimpleNamespace(time_ns=lambda: (_NOW - UNIX_EPOCH_TICKS) * 100)
    monkeypatch.setattr("runtui.domain.times.time", held)
    monkeypatch.setattr("runtui.graph.transport.REQUEST_SECONDS", 3_600.0)
    monkeypatch.setattr("runtui.tui.screens.frame.READING_SECONDS", 3_600.0)


QUICK: Final = (1, 8, 18, 19)
"""The form, the sign-in, the tasks of a user, and the copy dialog."""


@pytest.mark.parametrize("seed", QUICK)
async def test_random_keys_come_to_the_same_end(open_session: Opener, tmp_path: Path, seed: int) -> None:
    await compare(open_session, tmp_path, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [seed for seed in range(500) if seed not in QUICK])
async def test_500_random_scripts_come_to_the_same_end(open_session: Opener, tmp_path: Path, seed: int) -> None:
    await compare(open_session, tmp_path, seed)
