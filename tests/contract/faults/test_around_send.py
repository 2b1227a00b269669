"""Trouble once a change may be on its way: the outcome is unknown, and done only if reading the run back shows it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import pytest

from runtui.graph.network import new_wire
from tests.contract.faults.cases import case, covers
from tests.contract.faults.judge import COUNT, DONE, UNKNOWN, Trial
from tests.contract.faults.meddling import HEAD_END, Call, Meddling, honest
from tests.contract.faults.replies import Reply, applied, close_it, cut_after, reset_it, says, swallowed
from tests.contract.raw_server import Connection

ONE_HOUR: Final = 3_600.0
BIG: Final = 600_000
"""More bytes than a connection with a small buffer takes while nobody reads them."""


def deadline_passes(trial: Trial) -> Reply:
    """Send no byte of an answer until runtui gives up."""

    async def reply(call: Call, _answer: bytes) -> None:
        trial.time.forward()
        await call.connection.until_closed()

    return reply


def sleeps(trial: Trial) -> Reply:
    """Suspend the laptop during the request; when it wakes up, the connection is dead."""

    async def reply(call: Call, _answer: bytes) -> None:
        trial.time.forward(8 * ONE_HOUR)
        call.connection.reset()

    return reply


def always(reply: Reply) -> Callable[[Trial], Reply]:
    return lambda _trial: reply


LOST_ANSWERS: Final = [
    case(17, always(reset_it)),
    case(18, always(close_it)),
    case(19, always(cut_after(0.0, in_body=False)), note="not a byte"),
    case(19, always(cut_after(0.05, in_body=False)), note="in the status line"),
    case(19, always(cut_after(0.8, in_body=False))),
    case(20, always(cut_after(0.0, in_body=True)), note="at its start"),
    case(20, always(cut_after(0.5, in_body=True))),
    case(21, always(cut_after(0.5, in_body=True, reset=True))),
    case(22, deadline_passes),
    case(29, sleeps, note="laptop sleep"),
]


@pytest.mark.parametrize("is_applied", [True, False], ids=["applied", "not applied"])
@pytest.mark.parametrize("make_reply", LOST_ANSWERS)
async def test_a_change_whose_answer_is_lost_is_done_where_the_run_shows_it_and_else_unknown(
    make_reply: Callable[[Trial], Reply], is_applied: bool, trial: Trial
) -> None:
    trial.line.at_write = [(applied if is_applied else swallowed)(make_reply(trial)), honest]
    save = await trial.save()
    assert (save.known_by == "read-back") is is_applied
    await trial.judge(save, DONE if is_applied else UNKNOWN)


async def reset_after_head(call: Call) -> None:
    call.connection.reset()


async def never_read(trial: Trial, connection: Connection) -> None:
    await connection.reader.readexactly(1)
    trial.time.forward()
    await connection.until_closed()


async def reset_at_once(_trial: Trial, connection: Connection) -> None:
    connection.reset()


@pytest.mark.parametrize("treat", [case(15, reset_at_once), case(23, never_read)])
async def test_a_connection_that_accepts_no_data_leaves_the_change_unknown(
    treat: Callable[[Trial, Connection], Awaitable[None]], trial: Trial
) -> None:
    trial.line.parts_after_reads = True

    async def take(connection: Connection) -> None:
        trial.line.at_accept = None
        await treat(trial, connection)

    async def arm() -> None:
        trial.line.at_accept = take

    trial.token.before_write = arm
    await trial.judge(await trial.save(), UNKNOWN, patches=0)


@pytest.mark.parametrize("is_fresh", [case(16, True), case(25, False)])
async def test_a_reset_before_the_body_is_read_leaves_the_change_unknown(is_fresh: bool, trial: Trial) -> None:
    trial.line.parts_after_reads = is_fresh
    trial.line.at_write = [reset_after_head, honest]
    await trial.judge(await trial.save(), UNKNOWN)


@covers(25, note="closed long before")
async def test_a_kept_connection_that_was_closed_long_before_is_replaced_and_the_change_is_made_once(
    trial: Trial,
) -> None:
    async def close_behind(call: Call) -> None:
        await honest(call)
        call.connection.writer.close()

    trial.line.at_read = close_behind
    await trial.judge(await trial.save(), DONE)


def padded(size: int) -> Meddling:
    """Let reads contain an enum member with a very long name, which must go back as it was received."""

    async def meddle(call: Call) -> None:
        head, _, body = (await call.apply()).partition(HEAD_END)
        body = body.replace(b'"scheduled"', b'"' + b"x" * size + b'"')
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
        await call.answer(b"\r\n".join([*lines, b"Content-Length: %d" % len(body)]) + HEAD_END + body)

    return meddle


async def too_large(call: Call) -> None:
    """Refuse like a gateway: after the head, closing the connection with most of the body unread."""
    await says("413 Content Too Large", "<title>413 Request Entity Too Large</title>")(call, b"")
    call.connection.reset()


@pytest.mark.parametrize("number", [case(24, 24), case(26, 26)])
async def test_a_big_body_that_is_not_fully_read_leaves_the_change_unknown(number: int, trial: Trial) -> None:
    async def unread(call: Call) -> None:
        await trial.time.settle_down()
        trial.time.forward()
        await call.connection.writer.wait_closed()

    little = [(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)]
    trial.monkeypatch.setattr("runtui.graph.transport.new_wire", partial(new_wire, socket_options=little))
    trial.line.at_read = padded(BIG)
    trial.line.at_write = [unread if number == 24 else too_large, honest]
    draft = trial.draft()
    save = await trial.save(draft.rebased({**draft.received, "workflowExecutionType": "x" * BIG}))
    await trial.judge(save, UNKNOWN)


@pytest.mark.parametrize("is_applied", [True, False], ids=["applied", "not applied"])
@covers(27)
async def test_leaving_with_a_change_in_flight_says_unknown_and_the_next_session_finds_out(
    is_applied: bool, trial: Trial
) -> None:
    arrived = asyncio.Event()

    async def hold(call: Call, _answer: bytes) -> None:
        arrived.set()
        await call.connection.until_closed()

    trial.line.at_write = [(applied if is_applied else swallowed)(hold)]
    number = trial.submit()
    await arrived.wait()
    await trial.workspace.saves.abandon()
    save = trial.told(number)
    assert save.row_is_stale
    await trial.judge(save, UNKNOWN)
    await trial.close()
    trial.connect()
    await trial.workspace.reconciler.check_all()
    assert [entry.outcome for entry in trial.entries()] == [DONE if is_applied else UNKNOWN]


@covers(30)
async def test_a_change_that_arrives_after_it_was_called_unknown_is_detected(trial: Trial) -> None:
    trial.line.at_write = [swallowed(deadline_passes(trial)), honest]
    await trial.judge(await trial.save(), UNKNOWN)
    await trial.line.writes[0].apply()
    await trial.workspace.reconciler.check_all()
    assert trial.contradictions() == []
    assert [entry.outcome for entry in trial.entries()] == [DONE]


@covers(30, note="over a newer one")
async def test_a_change_that_arrives_after_a_newer_one_of_ours_is_detected(trial: Trial) -> None:
    trial.line.at_write = [swallowed(deadline_passes(trial)), honest]
    await trial.judge(await trial.save(trial.draft(**{COUNT: 1_001})), UNKNOWN)
    newer = await trial.save(trial.draft(**{COUNT: 1_002}))
    await trial.judge(newer, DONE, patches=2, entries=(UNKNOWN, DONE))
    await trial.line.writes[0].apply()
    await trial.workspace.reconciler.check_all()
    assert trial.contradictions() == []
    assert trial.truth()[COUNT] == 1_001
    assert [entry.outcome for entry in trial.entries()] == [DONE, DONE]


@covers(30, note="never, and somebody repeats it")
async def test_repeating_a_change_proves_nothing_about_the_first_one(trial: Trial) -> None:
    trial.line.at_write = [swallowed(deadline_passes(trial)), honest]
    draft = trial.draft()
    await trial.judge(await trial.save(draft), UNKNOWN)
    await trial.judge(await trial.save(draft), DONE, patches=2, entries=(UNKNOWN, DONE))
    assert [entry.outcome for entry in trial.entries()] == [UNKNOWN, DONE]


@covers(30, note="under an ETag")
async def test_under_an_etag_nothing_is_sent_again_either(trial: Trial) -> None:
    """A service that sends ETags need not honour them, and then both copies would be applied."""
    trial.app.state.scenario.use("etag")
    trial.line.at_write = [swallowed(deadline_passes(trial)), honest]
    await trial.judge(await trial.save(), UNKNOWN)
    await trial.line.writes[0].apply()
    await trial.workspace.reconciler.check_all()
    assert [entry.outcome for entry in trial.entries()] == [DONE]
    assert trial.applied().total() == 1
