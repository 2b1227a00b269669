"""The terminal UI on a sandbox with a sign-in: unmodified MSAL, and the authority in memory.

Invariant: every token and secret code that the authority issued is recorded, and occurs only where it belongs.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from runtui.auth.msal_client import HttpAnswer, MsalClient
from runtui.auth.signin import SignIn
from runtui.sandbox.app import create_app
from runtui.services.workspace import Workspace
from runtui.settings import Settings
from runtui.tui.app import RuntuiApp
from runtui.tui.features.signing_in import SigningIn, SignInView
from tests.contract.scripted_authority import ScriptedAuthority
from tests.contract.signing_in import ROOT as GRAPH
from tests.contract.signing_in import Gate, GatedHttp, settings_for
from tests.tui.conftest import ROOT, Session

_SECRETS: Final = ("access_token", "refresh_token", "id_token", "device_code")


class NotingHttp(GatedHttp):
    """Records the secrets that must not appear anywhere."""

    def __init__(self, authority: ScriptedAuthority, gate: Gate, noted: set[str]) -> None:
        super().__init__(authority, gate)
        self._noted = noted

    def send(self, method: str, url: str, options: Mapping[str, Any]) -> HttpAnswer:
        answer = super().send(method, url, options)
        given = json.loads(answer.text) if answer.text.startswith("{") else {}
        self._noted.update(given[name] for name in _SECRETS if name in given)
        return answer


class Polls:
    """Replaces `asyncio.sleep` between two polls: a test decides when the next poll comes."""

    def __init__(self) -> None:
        self._next = asyncio.Semaphore(0)

    async def __call__(self, _seconds: float) -> None:
        await self._next.acquire()

    def go_on(self) -> None:
        self._next.release()


@dataclass
class Desk:
    """A session, and the authority behind it."""

    session: Session
    authority: ScriptedAuthority
    sign_in: SignIn
    polls: Polls
    gate: Gate
    secrets: set[str] = field(default_factory=set)

    @property
    def view(self) -> SignInView:
        return self.session.find(SignInView)

    @property
    def status(self) -> str:
        return self.session.status.text

    @property
    def words(self) -> str:
        """The left pane as running text, without the line breaks of wrapping."""
        return " ".join(self.session.inside(self.session.left).split())

    @property
    def awaits_person(self) -> bool:
        """True while the view shows a code or an address."""
        return self.view.copied[1] in ("Code", "Address")

    async def sees_sign_in(self) -> None:
        await self.session.until(lambda: self.session.view == "sign_in")
        await self.session.until(lambda: "Device code" in self.session.text() or self.awaits_person)

    async def ask_for_code(self) -> str:
        """Begin a sign-in by device code; return the code."""
        await self.session.press("enter")
        await self.session.until(lambda: self.awaits_person)
        return self.authority.pending[-1]

    async def sign_in_by_code(self, **account: Any) -> None:
        """Sign in by device code: from the sign-in methods back to the screen before."""
        code = await self.ask_for_code()
        self.authority.approve(code, **account)
        self.polls.go_on()
        await self.session.until(lambda: self.session.view != "sign_in")

    def seen_secrets(self, folder: Path) -> list[str]:
        """Return the secrets that are on the screen, in the clipboard, in the log or in a file."""
        app, workspace = self.session.app, self.session.workspace
        places = {"screen": self.session.text(), "clipboard": app.clipboard, "exchanges": repr(workspace.exchanges)}
        seen = "".join(places.values()).replace("\n", "").encode()
        seen += b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
        return [secret for secret in self.secrets if secret.encode() in seen]


@asynccontextmanager
async def open_desk(
    folder: Path,
    *,
    authority: ScriptedAuthority | None = None,
    size: tuple[int, int] = (80, 24),
    demo: str = "",
    prepare: Callable[[SignIn, ScriptedAuthority], Any] | None = None,
    **choices: Any,
) -> AsyncIterator[Desk]:
    """Open the terminal UI with nobody signed in; `prepare` is awaited before that."""
    authority = authority or ScriptedAuthority()
    server = create_app(runs=40, authority=authority)
    polls, gate, secrets = Polls(), Gate(), set[str]()
    sign_in_settings = settings_for(authority, token_cache="memory", **choices)
    sign_in = SignIn(
        MsalClient(
            sign_in_settings,
            root=GRAPH,
            state_folder=folder,
            http=lambda: NotingHttp(authority, gate, secrets),
        ),
        pause=polls,
    )
    settings = Settings(root=ROOT, tenant="Contoso", refresh_seconds=0.0, state_folder=folder, sign_in=sign_in_settings)
    workspace = Workspace(settings, folder / "runs.db", sign_in, wire=httpx.ASGITransport(server))
    workspace.connect(ROOT)
    app = RuntuiApp(workspace)
    try:
        if prepare is not None:
            await prepare(sign_in, authority)
        workspace.refresh.start()
        async with app.run_test(size=size, notifications=True) as pilot:
            session = Session(pilot, workspace, server)
            session.app.feature[SigningIn].demo_authority = demo
            desk = Desk(session, authority, sign_in, polls, gate, secrets)
            yield desk
            assert desk.seen_secrets(folder) == []
    finally:
        gate.open()
        await workspace.close()
        await sign_in.aclose()


async def is_in(sign_in: SignIn, authority: ScriptedAuthority) -> None:
    """Sign in before the screen opens."""

    def approve(code: Any) -> None:
        authority.approve(code.user_code)
        pause = sign_in._pause
        assert isinstance(pause, Polls)
        pause.go_on()

    await sign_in.device_code(approve)


async def listed(desk: Desk) -> None:
    """Wait until runs are listed and the form is prepared."""
    await desk.session.until(lambda: desk.session.workspace.refresh.progress.finished_at is not None)
    await desk.session.until(lambda: desk.session.runs.table.total > 0)
