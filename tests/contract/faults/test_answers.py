"""The answers of a server: the outcome depends on what an answer proves, and no change is repeated on a guess."""

from __future__ import annotations

import asyncio
import gzip
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Final

import pytest

from runtui.domain.text import visible
from runtui.graph.retry import BACK_OFF_SECONDS, JITTER, LONGEST_WAIT
from runtui.headless.changes import message_of
from runtui.services.writing.undo import draft_to_undo
from runtui.services.writing.write import Step
from tests.contract.faults.cases import case, covers
from tests.contract.faults.judge import COUNT, DEADLINE, DONE, NOT_DONE, UNKNOWN, Trial
from tests.contract.faults.meddling import HEAD_END, Call, honest
from tests.contract.faults.replies import Reply, applied, close_it, refuses, says, swallowed
from tests.contract.raw_server import RawServer, answer

GATEWAY: Final = "<title>Bad Gateway</title>"
SIGN_IN: Final = "<!DOCTYPE html><title>Sign in to the network</title>"
RUN_OF_NOBODY: Final = {"id": "another", COUNT: 4_711}


@covers(31)
async def test_the_run_as_answered_is_proof_enough(trial: Trial) -> None:
    await trial.judge(await trial.save(), DONE)


async def half_without_length(call: Call, whole: bytes) -> None:
    body = whole.partition(HEAD_END)[2]
    await call.answer(b"HTTP/1.1 200 OK\r\nContent-Type: application/json" + HEAD_END + body[: len(body) // 2])
    call.connection.writer.close()


NO_PROOF: Final = [
    case(32, says("200 OK", RUN_OF_NOBODY)),
    case(33, says("200 OK", SIGN_IN)),
    case(34, says("200 OK")),
    case(35, half_without_length),
    case(36, says("204 No Content")),
    case(37, says("202 Accepted")),
    case(40, says("400 Bad Request", GATEWAY), note="of a gateway"),
    case(41, says("403 Forbidden", GATEWAY), note="of a gateway"),
    case(42, says("404 Not Found", GATEWAY), note="404 of a gateway"),
    case(43, says("412 Precondition Failed", b'{"error": "gateway"}'), note="412 of a gateway"),
    case(47, says("429 Too Many", GATEWAY, "Retry-After: 1\r\n"), note="of a gateway"),
    case(51, refuses(503), note="without Retry-After"),
    case(51, refuses(503, headers="Retry-After: 1\r\n"), note="with Retry-After"),
    case(52, says("502 Bad Gateway", GATEWAY), note="502"),
    case(52, says("504 Gateway Time-out", GATEWAY), note="504"),
    case(52, refuses(504), note="504 in Graph's words"),
    case(54, says("200 OK", gzip.compress(bytes(20_000_000)), "Content-Encoding: gzip\r\n")),
    case(55, says("200 OK", RUN_OF_NOBODY, "client-request-id: 6f0c\r\n"), note="the answer to another request"),
    case(55, refuses(400, headers="client-request-id: 6f0c\r\n"), note="the refusal of another request"),
    case(57, says("200 OK", b'{"id": "x", "failedTasksCount": NaN}'), note="NaN"),
    case(57, says("200 OK", b'{"id": "x", "id": "x"}'), note="duplicate keys"),
    case(57, says("400 Bad Request", b'{"error": {"code": "x", "code": "y"}}'), note="duplicate keys in an error"),
    case(58, refuses(400, code=["BadRequest"]), note="the code is a list"),
    case(58, says("400 Bad Request", {"error": "No."}), note="the error is a text"),
    case(58, says("400 Bad Request", b"[" * 100_000), note="nested without end"),
]


@pytest.mark.parametrize("is_applied", [True, False], ids=["applied", "not applied"])
@pytest.mark.parametrize("reply", NO_PROOF)
async def test_an_answer_that_proves_nothing_is_read_back(reply: Reply, is_applied: bool, trial: Trial) -> None:
    trial.line.at_write = [(applied if is_applied else swallowed)(reply), honest]
    await trial.judge(await trial.save(), DONE if is_applied else UNKNOWN)


REFUSALS: Final = [
    case(40, refuses(400)),
    case(41, refuses(403, code="Authorization_RequestDenied"), note="missing scope"),
    case(41, refuses(403, code="Forbidden"), note="missing role"),
    case(42, refuses(404), note="404"),
    case(42, refuses(405), note="405"),
    case(43, refuses(409), note="409"),
    case(43, refuses(412), note="412"),
    case(43, refuses(423), note="423"),
    case(58, refuses(400, [["No."], {"why": None}]), note="the message is a list"),
    case(58, refuses(400, {"lang": "en", "value": "No."}), note="the message is an object"),
    case(58, refuses(400, None, code=""), note="no message and an empty code"),
]


@pytest.mark.parametrize("reply", REFUSALS)
async def test_a_refusal_in_graphs_own_words_is_not_done(reply: Reply, trial: Trial) -> None:
    trial.line.at_write = [swallowed(reply), honest]
    save = await trial.save()
    assert trial.time.slept == []
    await trial.judge(save, NOT_DONE)


async def arrives_twice(call: Call) -> None:
    """Let a gateway lose the first answer and send the request again."""
    await call.apply()
    await honest(call)


@covers(43, note="412 to the second copy of a request")
async def test_a_change_that_a_gateway_sent_twice_is_found_out_and_can_be_undone(trial: Trial) -> None:
    trial.app.state.scenario.use("etag")
    before = trial.truth()[COUNT]
    trial.line.at_write = [arrives_twice, honest]
    save = await trial.save()
    assert save.exchange is not None
    assert (save.exchange.status, save.known_by) == (412, "read-back")
    await trial.judge(save, DONE)
    undo = await draft_to_undo(trial.entries()[0], trial.workspace.client)
    assert (await trial.save(undo)).outcome is DONE
    assert trial.truth()[COUNT] == before


@covers(43, note="412 to the second copy, and nothing can be read")
async def test_a_refused_copy_is_unknown_until_the_run_is_read(trial: Trial) -> None:
    trial.app.state.scenario.use("etag")

    async def then_break(call: Call) -> None:
        trial.line.at_read = unreadable
        await arrives_twice(call)

    trial.line.at_write = [then_break]
    save = await trial.save()
    trial.line.at_read = honest
    await trial.judge(save, UNKNOWN)
    assert [entry.outcome for entry in trial.entries()] == [DONE]


@covers(51, note="with Retry-After, under an ETag")
async def test_a_service_that_asks_to_wait_is_not_sent_the_change_again(trial: Trial) -> None:
    trial.app.state.scenario.use("etag")
    trial.line.at_write = [swallowed(refuses(503, headers="Retry-After: 2\r\n"))]
    await trial.judge(await trial.save(), UNKNOWN)


@covers(56)
async def test_a_message_that_attacks_the_terminal_is_reported_as_signs(trial: Trial) -> None:
    trial.line.at_write = [swallowed(refuses(400, "\x1b]52;c;cm0=\x07\x1b[2J\u202egone"))]
    save = await trial.save()
    told = visible(message_of(save))
    assert "\x1b" in message_of(save), "it is kept as it came"
    assert not {"\x1b", "\x07", "\u202e"} & set(told)
    await trial.judge(save, NOT_DONE)


ALMOST_PROOFS: Final = [
    case(32, "200 OK", {"id": "another"}, note="with our values"),
    case(37, "202 Accepted", {}, note="with our values"),
    case(51, "503 Unavailable", {}, note="with our values"),
]


@pytest.mark.parametrize(("status", "other"), ALMOST_PROOFS)
async def test_our_values_in_an_answer_that_is_no_confirmation_prove_nothing(
    status: str, other: dict[str, str], trial: Trial
) -> None:
    run = {**trial.truth(), COUNT: 4_711, **other}
    trial.line.at_write = [swallowed(says(status, run)), honest]
    await trial.judge(await trial.save(), UNKNOWN)


@covers(37, note="and applied later")
async def test_a_change_accepted_now_and_applied_later_is_detected(trial: Trial) -> None:
    trial.line.at_write = [swallowed(says("202 Accepted")), honest]
    await trial.judge(await trial.save(), UNKNOWN)
    await trial.line.writes[0].apply()
    await trial.workspace.reconciler.check_all()
    assert [entry.outcome for entry in trial.entries()] == [DONE]
    assert trial.contradictions() == []


@covers(38)
async def test_a_property_that_the_service_kept_is_named(trial: Trial) -> None:
    trial.app.state.scenario.use("ignored")
    save = await trial.save(trial.draft(processingStatus="failed", **{COUNT: 12}))
    assert len(save.ignored) == 1
    await trial.judge(save, DONE)


@pytest.mark.parametrize("status", ["200 OK", "204 No Content"])
@covers(38, note="nothing of it was taken")
async def test_a_success_that_the_run_does_not_show_is_unknown(status: str, trial: Trial) -> None:
    body = trial.truth() if status.startswith("200") else b""
    trial.line.at_write = [swallowed(says(status, body)), honest]
    await trial.judge(await trial.save(), UNKNOWN)


async def unreadable(call: Call) -> None:
    """Reset the connection of a read."""
    call.connection.reset()


EMPTY_SUCCESSES: Final = [
    case(34, "200 OK", False, note="and nothing can be read"),
    case(36, "204 No Content", False, note="and nothing can be read"),
    case(34, "200 OK", True, note="but for the id, and nothing can be read"),
]


@pytest.mark.parametrize("echoes_ids", [True, False], ids=["ids echoed", "no ids"])
@pytest.mark.parametrize("is_applied", [True, False], ids=["applied", "not applied"])
@pytest.mark.parametrize(("status", "has_id"), EMPTY_SUCCESSES)
async def test_a_success_without_the_run_is_unknown_until_the_run_is_read(
    status: str, has_id: bool, is_applied: bool, echoes_ids: bool, trial: Trial
) -> None:
    trial.line.echoes_ids = echoes_ids

    async def then_break(call: Call, _answer: bytes) -> None:
        trial.line.at_read = unreadable
        echo = f"client-request-id: {call.client_request_id}\r\n" if echoes_ids else ""
        await says(status, {"id": trial.run_id} if has_id else b"", echo)(call, b"")

    trial.line.at_write = [(applied if is_applied else swallowed)(then_break)]
    save = await trial.save()
    assert save.row_is_stale
    assert save.fault is not None
    assert await trial.workspace.reconciler.check_all() == trial.entries(), "it cannot be read yet"
    trial.line.at_read = honest
    await trial.judge(save, UNKNOWN)


@pytest.mark.parametrize("status", [302, 307, 308])
@covers(39)
async def test_a_redirect_is_not_followed(status: int, trial: Trial) -> None:
    async with RawServer([answer(b"{}")]) as elsewhere:
        location = f"Location: {elsewhere.root}/workflowBase/runs/{trial.run_id}\r\n"
        trial.line.at_write = [swallowed(says(f"{status} Elsewhere", headers=location)), honest]
        await trial.judge(await trial.save(), UNKNOWN)
        assert elsewhere.requests == []


@covers(44)
async def test_a_revoked_token_is_renewed_and_the_same_change_goes_out_once_more(trial: Trial) -> None:
    trial.app.state.scenario.use("401-once")
    trial.token.others = 1
    await trial.judge(await trial.save(), DONE, patches=2, entries=(NOT_DONE, DONE))


@pytest.mark.parametrize(("others", "patches"), [(0, 1), (9, 2)], ids=["no other token", "any number of tokens"])
@covers(45)
async def test_a_token_that_is_refused_for_ever_is_tried_twice_at_most(others: int, patches: int, trial: Trial) -> None:
    trial.app.state.scenario.use("401-always")
    trial.token.others = others
    await trial.judge(await trial.save(), NOT_DONE, patches=patches, entries=(NOT_DONE,) * patches)


@covers(46, note="a single one")
async def test_a_token_refused_at_the_read_is_renewed_and_the_save_goes_on(trial: Trial) -> None:
    async def refuse_once(call: Call) -> None:
        trial.line.at_read = honest
        await refuses(401, code="InvalidAuthenticationToken")(call, b"")

    trial.line.at_read = refuse_once
    trial.token.others = 1
    await trial.judge(await trial.save(), DONE)


def throttled(retry_after: str) -> Reply:
    return refuses(429, headers=f"Retry-After: {retry_after}\r\n" if retry_after else "")


NO_WORD: Final = (BACK_OFF_SECONDS, BACK_OFF_SECONDS * (1 + JITTER))
WAITS: Final = [
    case(47, "7", 7, 7),
    case(49, "", *NO_WORD),
    case(50, "9999999", LONGEST_WAIT, LONGEST_WAIT, note="115 days"),
    case(50, "9" * 5_000, LONGEST_WAIT, LONGEST_WAIT, note="beyond all numbers"),
    case(50, "-5", *NO_WORD, note="negative"),
    case(50, "soon", *NO_WORD, note="garbage"),
    case(50, "Wed, 99 Foo 2026 77:00:00 GMT", *NO_WORD, note="a date that is none"),
]


@pytest.mark.parametrize(("retry_after", "least", "most"), WAITS)
async def test_a_throttled_change_waits_and_starts_again(
    retry_after: str, least: float, most: float, trial: Trial
) -> None:
    trial.line.at_write = [swallowed(throttled(retry_after)), honest]
    save = await trial.save()
    (slept,) = trial.time.slept
    assert least <= slept <= most
    (paused,) = [news for news in trial.news if news.step is Step.PAUSED]
    assert paused.wait is not None, "a countdown can be shown"
    await trial.judge(save, DONE, patches=2, entries=(NOT_DONE, DONE))


DEV_PROXY: Final = "client-request-id: 8c1f0d3e-0000-4000-8000-00000000beef\r\n"
"""The header with the request id that Microsoft's Dev Proxy puts on the answers that it makes up."""


@covers(47, note="under another id")
async def test_a_throttled_change_that_names_another_request_waits_and_starts_again(trial: Trial) -> None:
    trial.line.at_write = [swallowed(refuses(429, headers=f"Retry-After: 7\r\n{DEV_PROXY}")), honest]
    save = await trial.save()
    assert trial.time.slept == [7.0]
    await trial.judge(save, DONE, patches=2, entries=(NOT_DONE, DONE))


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@covers(51, note="of the read")
async def test_a_read_that_fails_three_times_is_made_a_fourth_time(status: int, trial: Trial) -> None:
    left = [1, 2, 3]

    async def fail(call: Call) -> None:
        left.pop()
        trial.line.at_read = fail if left else honest
        await refuses(status, headers=f"Retry-After: 2\r\n{DEV_PROXY}")(call, b"")

    trial.line.at_read = fail
    save = await trial.save()
    assert trial.time.slept == [2.0] * 3
    await trial.judge(save, DONE)


@pytest.mark.parametrize(
    "skew", [case(48, 0), case(60, 7_200, note="ours is slow"), case(60, -7_200, note="ours is fast")]
)
async def test_a_date_to_wait_for_is_read_by_the_servers_own_clock(skew: float, trial: Trial) -> None:
    now = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=skew)
    until = now + timedelta(seconds=9)
    headers = f"Date: {format_datetime(now, usegmt=True)}\r\nRetry-After: {format_datetime(until, usegmt=True)}\r\n"
    trial.line.at_write = [swallowed(refuses(429, headers=headers)), honest]
    save = await trial.save()
    assert trial.time.slept == [9.0]
    await trial.judge(save, DONE, patches=2, entries=(NOT_DONE, DONE))


@covers(47, note="of the read")
async def test_a_read_that_is_throttled_is_made_again_before_anything_is_sent(trial: Trial) -> None:
    trial.app.state.scenario.use("429-seconds")
    save = await trial.save()
    assert trial.time.slept == [2.0] * 4, "two for the read, two for the change"
    await trial.judge(save, DONE, patches=3, entries=(NOT_DONE, NOT_DONE, DONE))


@covers(49, note="for ever")
async def test_a_service_that_throttles_for_ever_is_given_up(trial: Trial) -> None:
    trial.line.at_write = [swallowed(throttled(""))]
    await trial.judge(await trial.save(), NOT_DONE, patches=5, entries=(NOT_DONE,) * 5)


@pytest.mark.parametrize("is_applied", [True, False], ids=["applied", "not applied"])
@covers(53)
async def test_an_answer_that_drips_past_the_deadline_is_read_back(is_applied: bool, trial: Trial) -> None:
    async def drip(call: Call, whole: bytes) -> None:
        """Send a byte every five seconds, so that no single read waits long."""
        gone = asyncio.ensure_future(call.connection.until_closed())
        for byte in whole:
            if gone.done() or call.connection.writer.is_closing():
                break
            call.connection.write(bytes([byte]))
            await trial.time.settle_down()
            trial.time.forward(DEADLINE / 6)
        await gone

    trial.line.at_write = [(applied if is_applied else swallowed)(drip), honest]
    await trial.judge(await trial.save(), DONE if is_applied else UNKNOWN)


@pytest.mark.parametrize("is_applied", [True, False], ids=["applied", "not applied"])
@covers(55, note="an answer too many, before the right one")
async def test_a_surplus_answer_is_not_taken_for_the_next_one(is_applied: bool, trial: Trial) -> None:
    """The second answer stays on the connection, where the read-back would find it."""
    other = answer(b'{"id": "another"}', headers="client-request-id: 6f0c\r\n")

    async def twice(call: Call, whole: bytes) -> None:
        await call.answer(other + whole)

    trial.line.at_write = [(applied if is_applied else swallowed)(twice), honest]
    save = await trial.save()
    # The connection decides whether the read-back meets the leftover answer, but that answer is never believed.
    assert save.outcome is UNKNOWN or (is_applied and save.outcome is DONE)
    assert trial.contradictions() == trial.slips_of(save) == []
    assert len(trial.line.writes) == 1


@pytest.mark.parametrize("echoes_ids", [True, False], ids=["ids echoed", "no ids"])
@pytest.mark.parametrize(
    "values", [case(55, {}, note="before the change"), case(55, {COUNT: 4_711}, note="our values")]
)
@pytest.mark.parametrize("reply", [says("204 No Content"), says("200 OK"), close_it])
async def test_an_answer_that_nobody_asked_for_is_not_taken_for_one(
    reply: Reply, values: dict[str, int], echoes_ids: bool, trial: Trial
) -> None:
    """The unrequested answer follows a read on a kept connection, and the service then drops the change."""
    trial.line.echoes_ids = echoes_ids
    run = {**trial.truth(), **values}

    async def and_one_more(call: Call) -> None:
        trial.line.at_read = honest
        await call.answer(await call.apply() + answer(json.dumps(run).encode()))

    trial.line.at_read = and_one_more
    trial.line.at_write = [swallowed(reply)]
    await trial.judge(await trial.save(), UNKNOWN)
