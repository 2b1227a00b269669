"""A sign-in with unmodified MSAL at the sandbox's authority, in memory, with pauses that take no time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from runtui.auth.flows import DeviceCode
from runtui.auth.msal_client import HttpAnswer, MsalClient
from runtui.auth.signin import SignIn
from runtui.sandbox.authority.directory import DEMO_ADMIN, DEMO_APPLICATION, User
from runtui.settings import SignInSettings
from tests import PATIENCE
from tests.contract.scripted_authority import MemoryHttp, ScriptedAuthority

ROOT: Final = "https://graph.fake.test/beta"


def now() -> float:
    """Return the time of the clock that a test may move; it is looked up at each call."""
    return time.time()


class Gate:
    """Lets the requests of MSAL pass, or holds them until it is opened."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._open.set()
        self.waiting = threading.Semaphore(0)
        """Released by each request that arrives while the gate is closed."""

    def close(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    def pass_through(self) -> None:
        if not self._open.is_set():
            self.waiting.release()
            assert self._open.wait(PATIENCE)

    async def somebody_waits(self) -> None:
        assert await asyncio.to_thread(self.waiting.acquire, timeout=PATIENCE)


class GatedHttp(MemoryHttp):
    """The authority in memory, behind a gate. A request gets its answer first and then waits, as on a slow network."""

    def __init__(self, authority: ScriptedAuthority, gate: Gate) -> None:
        super().__init__(authority)
        self._gate = gate

    def send(self, method: str, url: str, options: Mapping[str, Any]) -> HttpAnswer:
        answer = super().send(method, url, options)
        if method == "POST":
            self._gate.pass_through()
        return answer


class Pauses:
    """Replaces `asyncio.sleep`: records the seconds and lets other tasks run."""

    def __init__(self, then: Callable[[int], None] = lambda _count: None) -> None:
        self.seconds: list[float] = []
        self._then = then

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self._then(len(self.seconds))
        await asyncio.sleep(0)


def settings_for(authority: ScriptedAuthority, **choices: Any) -> SignInSettings:
    chosen: dict[str, Any] = {
        "method": "device-code",
        "tenant_id": authority.directory.tenant_id,
        "client_id": DEMO_APPLICATION.client_id,
        "authority": authority.base,
        **choices,
    }
    return SignInSettings(**chosen)


@asynccontextmanager
async def signing_in(
    authority: ScriptedAuthority,
    folder: Path,
    *,
    gate: Gate | None = None,
    pause: Pauses | None = None,
    **choices: Any,
) -> AsyncIterator[SignIn]:
    """Yield a SignIn on a state folder; close it at the end."""
    sign_in = SignIn(
        MsalClient(
            settings_for(authority, **choices),
            root=ROOT,
            state_folder=folder,
            http=lambda: GatedHttp(authority, gate or Gate()),
            clock=now,
        ),
        pause=pause or Pauses(),
    )
    try:
        yield sign_in
    finally:
        await sign_in.aclose()


async def by_device_code(sign_in: SignIn, authority: ScriptedAuthority, account: User = DEMO_ADMIN) -> DeviceCode:
    """Sign in as a person who types the code at once."""
    shown: list[DeviceCode] = []

    def show(code: DeviceCode) -> None:
        shown.append(code)
        authority.approve(code.user_code, account)

    await sign_in.device_code(show)
    return shown[0]


def left_in(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def cache_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("tokens-*.json"))
