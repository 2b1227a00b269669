"""The protocol of a write without I/O: which effects it yields, in which order, and how it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from runtui.domain.report import Outcome
from runtui.errors import RuntuiError
from runtui.graph.client import Answer
from runtui.headless.changes import message_of
from runtui.services.writing.write import (
    Effect,
    Identify,
    OutdatedError,
    Pause,
    Read,
    Recall,
    Record,
    Recorded,
    RenewToken,
    Save,
    Send,
    Sender,
    Settle,
    Step,
    UpdateStore,
    write,
)
from tests import there
from tests.unit.entries import an_entry
from tests.unit.fake_writer import RUN, answered, fault
from tests.unit.saves_bench import ROOT, draft, refused

WRITTEN: Final = {**RUN, "processingStatus": "failed"}
FULL_DISK: Final = RuntuiError("The disk is full", "There is no room.", "Make room.")
SENDER: Final = Sender("anna@contoso.com", "prod", "Contoso", ROOT, "Onboard", "PATCH", f"{ROOT}/runs/r1", "request-1")
USUAL: Final[Mapping[type[Effect[Any]], object]] = {
    Read: answered(RUN), Identify: SENDER, Record: 1, Send: answered(WRITTEN, method="PATCH"), Recall: None,
    Settle: None, UpdateStore: True, RenewToken: False, Pause: None,
}  # fmt: skip
"""The reply to each effect if all goes well."""

SENT: Final = [Read, Identify, Record, Send]


def play(replies: Mapping[type[Effect[Any]], Sequence[object]]) -> tuple[list[Effect[Any]], Save]:
    """Drive one write. The last reply to an effect is repeated; an error is thrown into the write."""
    left = {kind: list(given) for kind, given in replies.items()}
    some = draft()
    writing = write(Save(1, some))
    effects: list[Effect[Any]] = []
    try:
        effect = next(writing)
        while True:
            effects.append(effect)
            given = left.get(type(effect)) or [USUAL[type(effect)]]
            reply = given.pop(0) if len(given) > 1 else given[0]
            effect = writing.throw(reply) if isinstance(reply, Exception) else writing.send(reply)
    except StopIteration as end:
        ended: Save = end.value
    return effects, ended


UNKNOWN: Final = answered(None, outcome=Outcome.UNKNOWN, method="PATCH")
"""The connection broke after the request was sent."""

CASES: Final[dict[str, tuple[dict[type[Effect[Any]], list[object]], list[type[Effect[Any]]], Outcome, str]]] = {
    # the differences from a write that goes well; the effects in order; the outcome, and how it is known
    "all goes well": ({}, [*SENT, Settle, UpdateStore], Outcome.DONE, "answer"),
    "the run cannot be read": (
        {Read: [answered(None, outcome=Outcome.NOT_DONE)]}, [Read], Outcome.NOT_DONE, ""),
    "the reading lacks what is changed": ({Read: [answered({"id": "r1"})]}, [Read], Outcome.NOT_DONE, ""),
    "the reading lacks the time of the last change": (
        {Read: [answered({name: value for name, value in RUN.items() if name != "lastUpdatedDateTime"})]},
        [*SENT, Settle, UpdateStore], Outcome.DONE, "answer"),
    "somebody else changed it": (
        {Read: [answered({**RUN, "processingStatus": "canceled"})]}, [Read, UpdateStore], Outcome.NOT_DONE, ""),
    "nobody can say who writes": ({Identify: [FULL_DISK]}, [Read, Identify], Outcome.NOT_DONE, ""),
    "the intent cannot be recorded": ({Record: [FULL_DISK]}, SENT[:3], Outcome.NOT_DONE, ""),
    "another runtui has written the run since it was read": (
        {Record: [None, 1]}, [*SENT[:3], *SENT, Settle, UpdateStore], Outcome.DONE, "answer"),
    "it waited before it was sent": (
        {Send: [OutdatedError(), answered(WRITTEN, method="PATCH")]},
        [*SENT, Settle, *SENT, Settle, UpdateStore], Outcome.DONE, "answer"),
    "no body, and the run shows it": (
        {Send: [answered(method="PATCH")], Read: [answered(RUN), answered(WRITTEN)]},
        [*SENT, Read, Settle, UpdateStore], Outcome.DONE, "answer"),
    "no body, and the run cannot be read": (
        {Send: [answered(method="PATCH")], Read: [answered(RUN), answered(None, outcome=Outcome.NOT_DONE)]},
        [*SENT, Read, Settle], Outcome.UNKNOWN, ""),
    "refused": ({Send: [refused(400)]}, [*SENT, Settle, UpdateStore], Outcome.NOT_DONE, ""),
    "refused for a copy, and the run has other values": (
        {Send: [refused(409)]}, [*SENT, Read, Settle, UpdateStore], Outcome.NOT_DONE, ""),
    "refused for a copy, and the run has the values": (
        {Send: [refused(409)], Read: [answered(RUN), answered(WRITTEN)],
         Recall: [Recorded(an_entry(1, before=RUN, after={"processingStatus": "failed"}, body="{}"), ())]},
        [*SENT, Read, Recall, Settle, UpdateStore], Outcome.DONE, "read-back"),
    "cut off, and the run shows it": (
        {Send: [UNKNOWN], Read: [answered(RUN), answered(WRITTEN)],
         Recall: [Recorded(an_entry(1, before=RUN, after={"processingStatus": "failed"}, body="{}"), ())]},
        [*SENT, Read, Recall, Settle, UpdateStore], Outcome.DONE, "read-back"),
    "cut off, and the journal is gone": (
        {Send: [UNKNOWN], Read: [answered(RUN), answered(WRITTEN)]},
        [*SENT, Read, Recall, Settle, UpdateStore], Outcome.UNKNOWN, ""),
    "cut off, and the run cannot be read": (
        {Send: [UNKNOWN], Read: [answered(RUN), answered(None, outcome=Outcome.NOT_DONE)]},
        [*SENT, Read, Settle], Outcome.UNKNOWN, ""),
    "throttled once": (
        {Send: [refused(429, wait="7"), answered(WRITTEN, method="PATCH")]},
        [*SENT, Settle, Pause, *SENT, Settle, UpdateStore], Outcome.DONE, "answer"),
    "throttled while it was read": (
        {Read: [refused(429, wait="7", method="GET"), answered(RUN)]},
        [Read, Pause, *SENT, Settle, UpdateStore], Outcome.DONE, "answer"),
    "the token was refused, and there is another one": (
        {Send: [refused(401), answered(WRITTEN, method="PATCH")], RenewToken: [True]},
        [*SENT, Settle, RenewToken, *SENT, Settle, UpdateStore], Outcome.DONE, "answer"),
    "the token was refused, and there is no other": (
        {Send: [refused(401)]}, [*SENT, Settle, RenewToken, UpdateStore], Outcome.NOT_DONE, ""),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_write_yields_the_effects_that_its_replies_require(case: str) -> None:
    replies, kinds, outcome, known_by = CASES[case]
    effects, ended = play(replies)
    assert [type(effect) for effect in effects] == kinds
    assert (ended.outcome, ended.step) == (outcome, Step.ENDED)
    assert ended.known_by == known_by
    assert ended.row_is_stale is (Send in kinds and UpdateStore not in kinds)
    recorded = "" if outcome is Outcome.UNKNOWN else known_by or "answer"
    assert [effect.settlement.known_by for effect in effects if isinstance(effect, Settle)][-1:] in ([], [recorded])


@pytest.mark.parametrize("case", CASES)
def test_an_interrupted_write_never_claims_more_than_happened(case: str) -> None:
    """Nothing counts as done before it was sent, and nothing that was sent counts as not done before its answer."""
    effects, _ = play(CASES[case][0])
    answers = 0
    for effect in effects:
        known = effect.save.outcome_so_far
        if isinstance(effect, Read | Identify | Record) and effect.save.step is not Step.SETTLING:
            assert known is Outcome.NOT_DONE
        if isinstance(effect, Send):
            assert known is Outcome.UNKNOWN
            assert effect.save.intent == effect.intent, "what is sent is what was recorded"
            answers += 1
        if isinstance(effect, Pause):
            assert known is Outcome.NOT_DONE
        if isinstance(effect, Settle):
            assert known is effect.settlement.outcome
        assert answers or known is Outcome.NOT_DONE


def test_a_pause_shows_its_end_and_a_longer_requested_wait() -> None:
    throttled = refused(429, wait="7")
    (pause,) = (effect for effect in play({Send: [throttled, UNKNOWN]})[0] if isinstance(effect, Pause))
    assert (pause.seconds, pause.save.step) == (7.0, Step.PAUSED)
    assert there(pause.save.wait)[1:] == (7.0, throttled.exchange.ended_at + timedelta(seconds=7), None)
    (pause,) = (effect for effect in play({Send: [refused(429, wait="9000"), UNKNOWN]})[0] if isinstance(effect, Pause))
    assert pause.seconds < 9000 == there(pause.save.wait).retry_after


@pytest.mark.parametrize("refused_at", [Read, Send])
def test_a_sign_in_is_a_step_of_its_own_in_which_nothing_is_on_its_way(refused_at: type[Effect[Any]]) -> None:
    (renewal,) = (effect for effect in play({refused_at: [refused(401)]})[0] if isinstance(effect, RenewToken))
    assert (renewal.save.step, renewal.save.may_be_stopped) == (Step.SIGNING_IN, True)
    assert renewal.save.outcome_so_far is Outcome.NOT_DONE


def test_a_failure_to_record_or_store_is_reported_and_hides_nothing() -> None:
    _, ended = play({Settle: [FULL_DISK], UpdateStore: [False]})
    assert (ended.outcome, bool(ended.unrecorded), ended.row_is_stale) == (Outcome.DONE, True, True)


def named(answer: Answer) -> Answer:
    """Return the answer with the id of its request."""
    headers = (("client-request-id", "a"),)
    return answer._replace(exchange=replace(answer.exchange, request_headers=headers, response_headers=headers))


def test_an_answer_that_names_no_request_proves_nothing_where_the_reading_named_its_own() -> None:
    effects, ended = play({Read: [named(answered(RUN)), answered(None, outcome=Outcome.NOT_DONE)]})
    assert ended.outcome is Outcome.UNKNOWN
    assert [type(effect) for effect in effects] == [*SENT, Read, Settle]
    assert "does not name this request" in there(ended.fault).message


def test_a_refusal_that_names_no_request_is_one_nevertheless() -> None:
    _, ended = play({Read: [named(answered(RUN))], Send: [refused(400)]})
    assert (ended.outcome, there(ended.fault).status) == (Outcome.NOT_DONE, 400)


def test_only_what_is_lacking_or_refused_of_the_service_is_its_fault() -> None:
    _, ended = play({Send: [Answer(answered(method="PATCH").exchange, None, fault(Outcome.NOT_DONE))]})
    assert (ended.outcome, ended.fault) == (Outcome.NOT_DONE, fault(Outcome.NOT_DONE))


@pytest.mark.parametrize(("outcome", "is_said"), [(Outcome.NOT_DONE, True), (Outcome.UNKNOWN, False)])
def test_only_a_refusal_of_graphs_own_may_be_that_of_a_second_copy(outcome: Outcome, is_said: bool) -> None:
    """A 409 in a gateway's words, or for another request, does not tell how Graph treats a copy."""
    _, ended = play({Send: [refused(409, outcome)], Read: [answered(RUN), answered(outcome=Outcome.NOT_DONE)]})
    assert ended.outcome is Outcome.UNKNOWN
    assert ("sends a change twice" in there(ended.fault).message) is is_said


# The words about a save


@pytest.mark.parametrize("outcome", Outcome)
def test_the_outcome_of_an_ended_save_does_not_change(outcome: Outcome) -> None:
    ended = Save(1, draft(), step=Step.ENDED, outcome=outcome, fault=fault(Outcome.UNKNOWN))
    assert ended.outcome_so_far is outcome


def test_the_answer_to_the_reading_is_not_told_as_that_to_the_change() -> None:
    _, ended = play({Read: [refused(403, method="GET")]})
    assert (ended.sent, ended.report.heading) == (None, "Not done")
    _, ended = play({Send: [refused(403)]})
    assert (ended.sent, ended.report.heading) == (ended.exchange, "#1 not done (403)")


def test_each_detail_of_a_refusal_is_reported() -> None:
    details = (("failedTasksCount", "It is larger than the total."), ("", "Ask an administrator."))
    answer = refused(400)
    _, ended = play({Send: [answer._replace(fault=there(answer.fault)._replace(details=details))]})
    told = message_of(ended)
    assert "failedTasksCount: It is larger than the total. Ask an administrator." in told


@pytest.mark.parametrize("is_stored", [True, False])
def test_a_conflict_says_whether_the_list_shows_it(is_stored: bool) -> None:
    moved = answered({**RUN, "processingStatus": "canceled"})
    _, ended = play({Read: [moved], UpdateStore: [is_stored]})
    assert (len(ended.conflicts), ended.row_is_stale) == (1, not is_stored)
