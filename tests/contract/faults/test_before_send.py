"""Trouble before the first byte of a change leaves: it is reported as not done and may be tried again."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import pytest
import trustme

from runtui.errors import RuntuiError
from runtui.graph.exchange import FailureKind
from runtui.graph.transport import CONNECT_SECONDS, MAX_CONNECTIONS
from tests import canary, there
from tests.contract.faults.cases import case, covers
from tests.contract.faults.judge import COUNT, DONE, NOT_DONE, Trial
from tests.contract.faults.meddling import Call, MeddlingProxy
from tests.contract.raw_server import Connection

FOREIGN_ROOT: Final = "https://graph.example/beta"
"""A root on another machine, which only a proxy can reach."""

YEAR: Final = timedelta(days=365)

Trouble = Callable[[Trial], AbstractAsyncContextManager[object]]


@cache
def authority() -> trustme.CA:
    """The certificate authority that this test trusts."""
    return trustme.CA()


def certify(line: MeddlingProxy, *names: str, by: trustme.CA | None = None, **validity: Any) -> None:
    """Let the proxy present a certificate for these names."""
    line.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (by or authority()).issue_cert(*names, **validity).configure_cert(line.tls)


@pytest.fixture
def ca_file(tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    authority().cert_pem.write_to_path(str(path))
    return path


def certified(*names: str, stranger: bool = False, **validity: datetime) -> Trouble:
    """Return a trouble: the proxy presents another certificate."""

    @asynccontextmanager
    async def trouble(trial: Trial) -> AsyncIterator[None]:
        certify(trial.line, *names, by=trustme.CA() if stranger else None, **validity)
        yield
        certify(trial.line, "localhost")

    return trouble


@asynccontextmanager
async def no_address(trial: Trial) -> AsyncIterator[None]:
    async def unknown(*_args: object, **_kwargs: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with trial.monkeypatch.context() as patch:
        patch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
        yield


@asynccontextmanager
async def nobody_listens(trial: Trial) -> AsyncIterator[None]:
    await trial.line.stop_listening()
    yield
    await trial.line.listen_again()


def accepted(treatment: Callable[[Trial, Connection], Awaitable[None]]) -> Trouble:
    """Return a trouble: a new connection meets something other than TLS."""

    @asynccontextmanager
    async def trouble(trial: Trial) -> AsyncIterator[None]:
        trial.line.at_accept = partial(treatment, trial)
        yield
        trial.line.at_accept = None

    return trouble


async def silence(trial: Trial, connection: Connection) -> None:
    await connection.reader.readexactly(1)
    trial.time.forward(CONNECT_SECONDS + 1)
    await connection.until_closed()


async def plain_http(_trial: Trial, connection: Connection) -> None:
    assert canary.TOKEN.encode() not in await connection.reader.read(1_000)
    connection.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


@asynccontextmanager
async def all_connections_busy(trial: Trial) -> AsyncIterator[None]:
    """Hold every possible connection with reads that are not answered."""
    arrived, over = asyncio.Semaphore(0), asyncio.Event()

    async def hold(_call: Call) -> None:
        arrived.release()
        await over.wait()

    trial.line.at_read, read, parts = hold, trial.line.at_read, trial.line.parts_after_reads
    trial.line.parts_after_reads = False
    readings = [
        asyncio.create_task(trial.workspace.client.run(trial.workflow_id, trial.run_id)) for _ in range(MAX_CONNECTIONS)
    ]
    for _ in readings:
        await arrived.acquire()

    async def give_up() -> None:
        await trial.time.settle_down()  # by now the request waits for a connection
        trial.time.forward()

    waiting = asyncio.create_task(give_up())
    yield
    over.set()
    await asyncio.gather(waiting, *readings)
    trial.line.at_read, trial.line.parts_after_reads = read, parts


@asynccontextmanager
async def signed_out(trial: Trial) -> AsyncIterator[None]:
    trial.token.fault = RuntuiError("Signed out", "Nobody is signed in, and there is no way to sign in.")
    yield
    trial.token.fault = None


@pytest.mark.parametrize(
    ("days", "step"),
    [
        ((-730, -365), "A certificate has expired, its own or one above it: check the clock of this machine"),
        ((365, 730), "Its certificate is not valid yet: check the clock of this machine"),
    ],
    ids=["expired", "not yet valid"],
)
@covers(5, note="words")
@covers(6, note="words")
async def test_an_expired_certificate_is_not_called_interception(
    days: tuple[int, int], step: str, trial: Trial, ca_file: Path
) -> None:
    begin, end = (datetime.now(UTC) + timedelta(days=number) for number in days)
    certify(trial.line, "localhost", not_before=begin, not_after=end)
    trial.connect(secure=True, ca_file=ca_file)
    save = await trial.save()
    assert save.fault is not None
    assert step in save.fault.hint
    assert "inspects" not in save.fault.hint


@covers(3, note="words")
@covers(4, note="words")
@covers(8, note="words")
async def test_an_untrusted_certificate_another_name_and_no_tls_have_different_next_steps(
    trial: Trial, ca_file: Path
) -> None:
    trial.connect(secure=True, ca_file=ca_file)
    hints: list[str] = []
    for trouble in (certified("localhost", stranger=True), certified("elsewhere.example"), accepted(plain_http)):
        certify(trial.line, "localhost")
        async with trouble(trial):
            save = await trial.save()
        hints.append(there(save.fault).hint)
    assert "--ca-file" in hints[0]
    assert "belongs to another server: check the host of the root" in hints[1]
    assert "Check scheme and port of the root" in hints[2]


TROUBLES: Final = [
    case(1, no_address, FailureKind.NAME),
    case(2, nobody_listens, FailureKind.CONNECTION_REFUSED),
    case(3, certified("localhost", stranger=True), FailureKind.TLS),
    case(4, certified("elsewhere.example"), FailureKind.TLS),
    case(
        5,
        certified("localhost", not_before=datetime.now(UTC) - 2 * YEAR, not_after=datetime.now(UTC) - YEAR),
        FailureKind.TLS,
    ),
    case(
        6,
        certified("localhost", not_before=datetime.now(UTC) + YEAR, not_after=datetime.now(UTC) + 2 * YEAR),
        FailureKind.TLS,
    ),
    case(7, accepted(silence), FailureKind.TIMEOUT),
    case(8, accepted(plain_http), FailureKind.TLS),
    case(9, all_connections_busy, FailureKind.TIMEOUT),
    case(11, signed_out, FailureKind.TOKEN),
]


@pytest.mark.parametrize("from_start", [True, False], ids=["from the start", "between read and write"])
@pytest.mark.parametrize(("trouble", "kind"), TROUBLES)
async def test_a_change_that_never_left_is_not_done_and_may_be_tried_again(
    trouble: Trouble, kind: FailureKind, from_start: bool, trial: Trial, ca_file: Path
) -> None:
    certify(trial.line, "localhost")
    trial.line.parts_after_reads = True
    trial.connect(secure=True, ca_file=ca_file)
    async with AsyncExitStack() as stack:
        if from_start:
            await stack.enter_async_context(trouble(trial))
        else:
            trial.token.before_write = partial(_enter, stack, trouble(trial))
        save = await trial.save()
        assert save.exchange is not None
        assert save.exchange.failure is not None
        assert (save.exchange.failure.kind, save.exchange.failure.sent) == (kind, "no")
        assert save.exchange.method == ("GET" if from_start else "PATCH")
        await trial.judge(save, NOT_DONE, patches=0, entries=() if from_start else (NOT_DONE,))
    again = await trial.save()
    await trial.judge(again, DONE, entries=(DONE,) if from_start else (NOT_DONE, DONE))


async def _enter(stack: AsyncExitStack, trouble: AbstractAsyncContextManager[object]) -> None:
    await stack.enter_async_context(trouble)


async def tunnel(call: Call) -> None:
    """Answer a CONNECT as a proxy that opens the tunnel."""
    assert call.head.startswith(b"CONNECT graph.example:443")
    await call.answer(b"HTTP/1.1 200 Connection established\r\n\r\n")


async def refuse_tunnel(call: Call) -> None:
    assert canary.TOKEN.encode() not in call.head
    await call.answer(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
    call.connection.writer.close()


@pytest.mark.parametrize("from_start", [True, False], ids=["from the start", "between read and write"])
@covers(10)
async def test_a_proxy_that_refuses_the_tunnel_has_seen_nothing_of_the_change(
    from_start: bool, trial: Trial, ca_file: Path
) -> None:
    certify(trial.line, "graph.example")
    trial.line.at_connect = refuse_tunnel if from_start else tunnel
    trial.line.parts_after_reads = True
    trial.monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{trial.line.port}")
    trial.connect(root=FOREIGN_ROOT, ca_file=ca_file)

    async def refuse() -> None:
        trial.line.at_connect = refuse_tunnel

    if not from_start:
        trial.token.before_write = refuse
    save = await trial.save()
    assert there(save.fault).title == "The proxy rejects the request"
    await trial.judge(save, NOT_DONE, patches=0, entries=() if from_start else (NOT_DONE,))
    trial.line.at_connect = tunnel
    await trial.judge(await trial.save(), DONE, entries=(DONE,) if from_start else (NOT_DONE, DONE))


@pytest.mark.parametrize("path", ["//graph.example/{runId}", "/../{runId}", "/workflowBase/%2e%2e/{runId}"])
@covers(12)
async def test_an_address_outside_the_root_is_given_no_byte(path: str, trial: Trial) -> None:
    trial.connect(choices={"patch_path": path})
    save = await trial.save()
    assert there(save.fault).title == "The address is refused"
    await trial.judge(save, NOT_DONE, patches=0)


@pytest.mark.parametrize("bad_id", ["", "..", "a/b", "a\\b", "a\r\nb", "%2e%2e", "a?b"])
@covers(13)
async def test_an_id_that_could_change_the_address_is_sent_nowhere(bad_id: str, trial: Trial) -> None:
    draft = trial.draft()._replace(run_id=bad_id)
    await trial.judge(await trial.save(draft), NOT_DONE, patches=0, entries=())


BAD_SETUPS: Final = [
    case(14, {"ALL_PROXY": "socks5://127.0.0.1:9"}, "", note="SOCKS"),
    case(14, {}, "missing.pem", note="missing CA file"),
    case(14, {}, "no.pem", note="CA file that is none"),
    case(14, {"HTTPS_PROXY": "http://127.0.0.1:99999"}, "", note="bad port"),
    case(14, {"ALL_PROXY": "127.0.0.1:99999"}, "", note="bad port, no scheme"),
    case(14, {"HTTPS_PROXY": "nonsense://127.0.0.1:9"}, "", note="unknown kind of proxy"),
]


@pytest.mark.parametrize(("environ", "ca_name"), BAD_SETUPS)
async def test_a_client_that_cannot_be_built_sends_nothing(
    environ: dict[str, str], ca_name: str, trial: Trial, tmp_path: Path
) -> None:
    (tmp_path / "no.pem").write_text("not a certificate")
    for name, value in environ.items():
        trial.monkeypatch.setenv(name, value)
    trial.connect(root=FOREIGN_ROOT, ca_file=tmp_path / ca_name if ca_name else None)
    save = await trial.save(trial.draft(**{COUNT: 12}))
    assert there(save.fault).title == "The connection cannot be set up"
    await trial.judge(save, NOT_DONE, patches=0, entries=())
