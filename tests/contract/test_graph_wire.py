"""The transport against servers that break the protocol: the reported fault, and when it claims "not sent"."""

from __future__ import annotations

import asyncio
import gzip
import logging
import os
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from runtui.domain.report import Outcome
from runtui.errors import RuntuiError
from runtui.graph.exchange import Exchange, FailureKind
from runtui.graph.faults import fault_of
from runtui.graph.network import tls_context
from runtui.graph.transport import Transport
from tests import PATIENCE, there
from tests.contract.raw_server import Connection, RawServer, Reply, answer

TOKEN = "canary.token-that-must-not-show-0123456789"
RUN = b'{"id": "r1", "processingStatus": "failed"}'


async def token() -> str:
    return TOKEN


@pytest.fixture(scope="module", autouse=True)
def _client_code_is_loaded() -> None:
    """Import the client's code first, so that short deadlines measure the connection and not the imports."""
    asyncio.run(patch_against(answer(RUN)))


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


async def patch(root: str, *, timeout_seconds: float = PATIENCE, max_bytes: int = 100_000) -> Exchange:
    """Send one PATCH with a new client."""
    with pytest.MonkeyPatch.context() as limits:
        limits.setattr("runtui.graph.transport.REQUEST_SECONDS", timeout_seconds)
        limits.setattr("runtui.graph.transport.MAX_BYTES", max_bytes)
        async with Transport(root, token=token) as wire:
            return await wire.send("PATCH", "/workflowBase/runs/r1", purpose="update run", json_body='{"a": 1}')


async def patch_against(reply: Reply, *, timeout_seconds: float = PATIENCE, max_bytes: int = 100_000) -> Exchange:
    async with RawServer([reply]) as server:
        exchange = await patch(server.root, timeout_seconds=timeout_seconds, max_bytes=max_bytes)
        assert len(server.requests) == 1, "sent once, never repeated by itself"
        return exchange


async def reset(connection: Connection) -> None:
    connection.reset()


async def reset_in_body(connection: Connection) -> None:
    connection.write(answer(RUN, length=5_000))
    await connection.writer.drain()
    connection.reset()


async def silent(connection: Connection) -> None:
    await connection.until_closed()


async def drip(connection: Connection) -> None:
    """Send a byte every few milliseconds, so that no single read waits long."""
    connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    gone = asyncio.create_task(connection.until_closed())
    while not gone.done():
        connection.write(b" ")
        await asyncio.wait([gone], timeout=0.005)


async def endless(connection: Connection) -> None:
    connection.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[")
    gone = asyncio.create_task(connection.until_closed())
    while not gone.done() and not connection.writer.is_closing():
        connection.write(b"1," * 10_000)
        await asyncio.wait([gone], timeout=0.001)


def gzipped(data: bytes, *, encoding: str = "gzip") -> bytes:
    return answer(data, headers=f"Content-Encoding: {encoding}\r\n")


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

AFTER_SENDING: list[tuple[str, Reply, FailureKind]] = [
    ("closed without a word", b"", FailureKind.CUT),
    ("reset", reset, FailureKind.CUT),
    ("cut in the status line", b"HTTP/1.1 20", FailureKind.CUT),
    ("cut in the headers", b"HTTP/1.1 200 OK\r\nContent-Ty", FailureKind.CUT),
    ("cut in the body", answer(RUN, length=5_000), FailureKind.CUT),
    ("reset in the body", reset_in_body, FailureKind.CUT),
    ("cut in a chunk", CHUNKED + b"5\r\n{}", FailureKind.CUT),
    ("no last chunk", CHUNKED + b"2\r\n{}\r\n", FailureKind.CUT),
    ("a chunk size that is no number", CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n", FailureKind.PROTOCOL),
    ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", FailureKind.PROTOCOL),
    ("not HTTP", b"SSH-2.0-OpenSSH_9.2\r\n\r\n", FailureKind.PROTOCOL),
    ("endless headers", b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 300_000, FailureKind.HEAD),
    ("endless body", endless, FailureKind.TOO_LARGE),
    ("too large", answer(b" " * 100_001), FailureKind.TOO_LARGE),
    ("gzip that is none", gzipped(RUN), FailureKind.ENCODING),
    ("gzip cut", gzipped(gzip.compress(RUN * 50)[:-12]), FailureKind.CUT),
    ("gzip of nothing", gzipped(b""), FailureKind.CUT),
    ("gzip twice", gzipped(gzip.compress(gzip.compress(RUN)), encoding="gzip, gzip"), FailureKind.ENCODING),
    ("gzip and something more", gzipped(gzip.compress(RUN) + b"more"), FailureKind.ENCODING),
    ("gzip bomb", gzipped(gzip.compress(bytes(50_000_000))), FailureKind.TOO_LARGE),
    ("brotli", gzipped(RUN, encoding="br"), FailureKind.ENCODING),
]


@pytest.mark.parametrize(("reply", "kind"), [pytest.param(*case[1:], id=case[0]) for case in AFTER_SENDING])
async def test_a_write_that_left_and_was_not_answered_whole_is_unknown(reply: Reply, kind: FailureKind) -> None:
    exchange = await patch_against(reply)
    assert exchange.failure is not None
    assert (exchange.failure.kind, exchange.failure.sent) == (kind, "maybe")
    fault = there(fault_of(exchange, writing=True))
    assert fault.outcome is Outcome.UNKNOWN
    assert len(exchange.response_body) <= 100_000


async def test_a_failed_read_is_not_done_and_needs_no_read_back() -> None:
    async with RawServer([b""]) as server, Transport(server.root, token=token) as wire:
        exchange = await wire.send("GET", "/runs", purpose="list runs")
    fault = there(fault_of(exchange, writing=False))
    assert fault.outcome is Outcome.NOT_DONE


@pytest.mark.parametrize("reply", [silent, drip])
async def test_the_deadline_covers_the_whole_answer(reply: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time runs out once the answer has begun, however long the machine takes until then."""
    deadline = asyncio.timeout(None)

    def the_deadline(seconds: float) -> asyncio.Timeout:
        assert seconds == PATIENCE
        return deadline

    async def answer_late(connection: Connection) -> None:
        deadline.reschedule(asyncio.get_running_loop().time() + 0.05)
        await reply(connection)  # type: ignore[operator]

    monkeypatch.setattr(asyncio, "timeout", the_deadline)
    exchange = await patch_against(answer_late)
    assert exchange.failure is not None
    assert (exchange.failure.kind, exchange.failure.sent) == (FailureKind.TIMEOUT, "maybe")


async def test_the_part_of_an_answer_before_the_cut_is_kept() -> None:
    exchange = await patch_against(answer(RUN, status="200 Fine", headers="Request-Id: q1\r\n", length=5_000))
    assert (exchange.status, exchange.reason, exchange.request_id) == (200, "Fine", "q1")
    assert exchange.response_body == RUN
    assert ("Request-Id", "q1") in exchange.response_headers


async def test_a_body_over_the_limit_is_truncated_and_marked_so() -> None:
    exchange = await patch_against(answer(b"x" * 200), max_bytes=100)
    assert exchange.response_body == b"x" * 100
    assert exchange.truncated
    at_the_limit = await patch_against(answer(b"x" * 100), max_bytes=100)
    assert not at_the_limit.truncated
    assert at_the_limit.failure is None


@pytest.mark.parametrize("level", [0, 9])
async def test_gzip_is_unpacked(level: int) -> None:
    body = b'{"id": "r1", "text": "' + b"ab" * 40_000 + b'"}'
    exchange = await patch_against(gzipped(gzip.compress(body, level)))
    assert exchange.failure is None
    assert exchange.response_body == body


async def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        root = f"http://127.0.0.1:{free.getsockname()[1]}/beta"
        exchange = await patch(root)
    assert exchange.failure is not None
    assert (exchange.failure.kind, exchange.failure.sent) == (FailureKind.CONNECTION_REFUSED, "no")
    fault = there(fault_of(exchange, writing=True))
    assert fault.outcome is Outcome.NOT_DONE
    assert "port" in fault.hint


async def test_a_name_without_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*_args: object, **_kwargs: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    exchange = await patch("https://graph.example/beta")
    assert exchange.failure is not None
    assert (exchange.failure.kind, exchange.failure.sent) == (FailureKind.NAME, "no")


async def test_a_server_that_cannot_speak_tls_was_sent_nothing() -> None:
    received: list[bytes] = []

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read(1_000))
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server:
        exchange = await patch(f"https://localhost:{server.sockets[0].getsockname()[1]}/beta")
    assert exchange.failure is not None
    assert (exchange.failure.kind, exchange.failure.sent) == (FailureKind.TLS, "no")
    assert TOKEN.encode() not in b"".join(received)


async def test_an_invalid_ca_file_ends_before_any_connection(tmp_path: Path) -> None:
    no_pem = tmp_path / "ca.pem"
    no_pem.write_text("not a certificate")
    for ca_file in (no_pem, tmp_path / "missing.pem"):
        async with Transport("https://localhost:1/beta", token=token, ca_file=ca_file) as wire:
            exchange = await wire.send("GET", "/runs", purpose="list runs")
        assert exchange.failure is not None
        assert (exchange.failure.kind, exchange.failure.sent) == (FailureKind.SETUP, "no")


async def test_proxies_are_never_asked_about_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    exchange = await patch_against(answer(RUN))
    assert exchange.status == 200


async def test_a_proxy_that_refuses_the_tunnel_proves_that_nothing_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async with RawServer([b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://someone:hidden-password@127.0.0.1:{proxy.port}")
        exchange = await patch("https://graph.example/beta")
    assert exchange.failure is not None
    assert (exchange.failure.kind, exchange.failure.sent) == (FailureKind.PROXY, "no")
    assert proxy.requests[0].startswith(b"CONNECT graph.example:443")
    assert TOKEN.encode() not in proxy.requests[0]
    assert "hidden-password" not in repr(exchange)


@pytest.mark.parametrize("reply", [b"", b"SSH-2.0-x\r\n"])
async def test_a_proxy_that_opens_no_tunnel_is_blamed_and_nothing_was_sent(
    reply: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with RawServer([reply]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        exchange = await patch("https://graph.example/beta")
    assert exchange.failure is not None
    assert (exchange.failure.kind, exchange.failure.sent) == (FailureKind.PROXY, "no")
    assert f"The proxy 127.0.0.1:{proxy.port} did not connect to the server: " in exchange.failure.message
    assert exchange.failure.hint == "Check HTTPS_PROXY."


async def test_a_deadline_before_the_first_byte_proves_that_nothing_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtui.graph.transport.REQUEST_SECONDS", 0.05)

    async def never() -> str:
        await asyncio.Event().wait()
        return TOKEN

    async with Transport("http://127.0.0.1:9/beta", token=never) as wire:
        exchange = await wire.send("PATCH", "/runs/r1", purpose="update run", json_body="{}")
    assert exchange.failure is not None
    assert (exchange.failure.kind, exchange.failure.sent) == (FailureKind.TIMEOUT, "no")


@pytest.mark.parametrize("bad", ["", "two words of secret", "line\nbreak-secret", "ünicode-secret", "tab\tsecret"])
async def test_a_bad_token_is_refused_unseen(bad: str) -> None:
    async def bad_token() -> str:
        return bad

    async with RawServer([answer(RUN)]) as server, Transport(server.root, token=bad_token) as wire:
        exchange = await wire.send("GET", "/runs", purpose="list runs")
        assert server.requests == []
    assert exchange.failure is not None
    assert (exchange.failure.kind, exchange.failure.sent) == (FailureKind.TOKEN, "no")
    assert "secret" not in repr(exchange)


async def test_no_token_says_why() -> None:
    async def none() -> str:
        raise RuntuiError("Signed out", "Nobody is signed in.", "Sign in.")

    async with Transport("http://127.0.0.1:9/beta", token=none) as wire:
        exchange = await wire.send("GET", "/runs", purpose="list runs")
    assert exchange.failure is not None
    assert (exchange.failure.kind, exchange.failure.message) == (FailureKind.TOKEN, "Nobody is signed in.")


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("", "The header If-Match is empty."),
        ("a\nb", "The header If-Match would hold characters that no header can carry."),
    ],
)
async def test_a_header_that_cannot_be_sent_is_named_once(value: str, what: str) -> None:
    async with Transport("http://127.0.0.1:9/beta", token=token) as wire:
        exchange = await wire.send("GET", "/runs", purpose="list runs", headers=[("If-Match", value)])
    assert exchange.failure is not None
    assert (exchange.failure.kind, exchange.failure.message) == (FailureKind.HEADER, what)


async def test_cancelling_is_reported_as_unknown_and_raised() -> None:
    told: list[Exchange] = []
    arrived = asyncio.Event()

    async def hold(connection: Connection) -> None:
        arrived.set()
        await connection.until_closed()

    async with RawServer([hold]) as server, Transport(server.root, token=token, on_exchange=told.append) as wire:
        task = asyncio.create_task(wire.send("PATCH", "/runs/r1", purpose="update run", json_body="{}"))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert [exchange.failure and exchange.failure.kind for exchange in told] == [FailureKind.CANCELLED]
    fault = there(fault_of(told[0], writing=True))
    assert fault.outcome is Outcome.UNKNOWN


async def test_a_token_that_the_server_echoes_is_in_nothing_we_keep(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def echo(connection: Connection) -> None:
        body = f'{{"error": {{"code": "x", "message": "bad token {TOKEN}"}}}}'.encode()
        headers = f"X-Echo: {TOKEN}\r\n{TOKEN}: 1\r\nSet-Cookie: session=s3cret\r\nX-Is: Bearer\r\nX-Long-Name: 7\r\n"
        connection.write(answer(body, status=f"400 {TOKEN}", headers=headers))

    exchange = await patch_against(echo)
    kept = f"{exchange!r} {fault_of(exchange, writing=True)!r} {caplog.text}"
    assert exchange.status == 400
    assert TOKEN not in kept
    assert "s3cret" not in kept
    assert {("X-Is", "Bearer"), ("X-Long-Name", "7")} <= {*exchange.response_headers}, "each is read by itself"


async def test_an_answer_that_breaks_off_in_an_echo_shows_no_half_of_the_token() -> None:
    half = f"Authorization: {TOKEN[: len(TOKEN) // 2]}".encode()
    exchange = await patch_against(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 999\r\n\r\n" + half)
    assert there(exchange.failure).kind is FailureKind.CUT
    assert exchange.body_text == "Authorization: [redacted]"


async def test_what_is_sent() -> None:
    body = '{ "failedTasksCount":  1,\n"note": "é" }'
    told: list[Exchange] = []
    async with (
        RawServer([answer(RUN)], keep_open=True) as server,
        Transport(server.root, token=token, on_exchange=told.append) as wire,
    ):
        for _ in range(2):
            await wire.send(
                "PATCH", "/workflowBase/runs/r1", purpose="update run", json_body=body, headers=[("Prefer", "x")]
            )
        first, second = server.requests
    head, _, sent = first.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "PATCH /beta/workflowBase/runs/r1 HTTP/1.1"
    assert sent == body.encode(), "byte for byte"
    for line in (f"Authorization: Bearer {TOKEN}", "Content-Type: application/json", "Prefer: x"):
        assert line in lines
    assert [exchange.number for exchange in told] == [1, 2]
    ids = {exchange.client_request_id for exchange in told}
    assert len(ids) == 2
    assert f"client-request-id: {told[0].client_request_id}" in lines
    assert f"client-request-id: {told[1].client_request_id}".encode() in second
    assert told[0].seconds is not None
    assert told[0].started_at.utcoffset() is not None


async def test_one_client_serves_all_requests_even_when_they_start_together() -> None:
    async with RawServer([answer(RUN)]) as server, Transport(server.root, token=token) as wire:
        exchanges = await asyncio.gather(
            *(wire.send("GET", f"/runs/{number}", purpose="read run") for number in range(8))
        )
    assert [exchange.status for exchange in exchanges] == [200] * 8


async def test_the_trust_of_the_system_is_checked() -> None:
    context = tls_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    never_used = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    assert never_used.verify_mode is ssl.CERT_REQUIRED
    assert never_used.get_ca_certs() == []


def test_importing_the_wire_costs_no_httpx_and_a_date_of_a_server_no_email() -> None:
    code = """import sys, runtui.graph.client
runtui.graph.retry.http_date("Fri, 27 Nov 2026 15:23:14 GMT").timestamp()
print({"httpx", "pydantic", "truststore", "email.utils"} & sys.modules.keys())"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
