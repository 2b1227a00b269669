"""The outcome that follows from an answer, and words for it that tell a person what to do."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtui.domain.report import Outcome
from runtui.graph.exchange import Exchange, Failure, FailureKind
from runtui.graph.faults import LONGEST_MESSAGE, MAX_DETAILS, Fault, fault_of, mismatch, read_answer
from runtui.redact import REDACTED
from tests import there

JSON = (("Content-Type", "application/json"), ("request-id", "q1"))
HTML = (("Content-Type", "text/html; charset=utf-8"),)


def answered(
    status: int, body: object = b"", headers: tuple[tuple[str, str], ...] = JSON, failure: Failure | None = None
) -> Exchange:
    return Exchange(
        number=1,
        purpose="update run",
        method="PATCH",
        url="https://graph.example/beta/workflowBase/runs/r1",
        request_headers=(("client-request-id", "C1"),),
        request_body="{}",
        started_at=datetime(2026, 11, 23, tzinfo=UTC),
        status=status or None,
        response_headers=headers,
        response_body=body if isinstance(body, bytes) else json.dumps(body).encode(),
        failure=failure,
    )


def graph_error(code: str = "BadRequest", message: object = "No.", **more: object) -> dict[str, object]:
    return {"error": {"code": code, "message": message, **more}}


def written(exchange: Exchange) -> Fault:
    return there(fault_of(exchange, writing=True))


GRAPH_STATUSES = (400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 422, 423, 429)


@pytest.mark.parametrize("status", GRAPH_STATUSES)
def test_a_refusal_in_graphs_own_words_is_not_done(status: int) -> None:
    fault = written(answered(status, graph_error()))
    assert fault.outcome is Outcome.NOT_DONE
    assert "No." in fault.message
    assert fault.title
    assert fault.hint
    assert (fault.status, fault.code) == (status, "BadRequest")


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        *((status, b"<html><title>Gateway</title></html>", HTML) for status in GRAPH_STATUSES),
        *((status, b"", JSON) for status in (400, 403, 404, 502)),
        *((status, graph_error(), JSON) for status in (500, 502, 503, 504, 507, 408, 424)),
        (400, {"error": "invalid_request"}, JSON),
        (403, {"error": {}}, JSON),
        (403, {"error": {"code": 403, "message": "A gateway counts its errors.", "status": "FORBIDDEN"}}, JSON),
        (407, graph_error(), JSON),
        (413, b"<html><title>413 Request Entity Too Large</title>", HTML),
        (501, graph_error(), JSON),
        (400, [1, 2], JSON),
        (302, b"", (("Location", "https://login.example/"),)),
        (307, b"", JSON),
        (200, b"<html><title>Sign in</title></html>", HTML),
        (200, b'{"id": "r1", "proc', JSON),
        (200, b'{"id": "r1", "id": "r2"}', JSON),
        (200, [{"id": "r1"}], JSON),
        (200, b'"done"', JSON),
        (200, graph_error(), JSON),
        (202, b"", JSON),
        (200, {"id": "r1"}, (*JSON, ("client-request-id", "another"))),
        (400, graph_error(), (*JSON, ("client-request-id", "another"))),
        (101, b"", JSON),
    ],
)
def test_a_write_without_a_proof_is_unknown(status: int, body: object, headers: tuple[tuple[str, str], ...]) -> None:
    exchange = answered(status, body, headers)
    fault = written(exchange)
    assert fault.outcome is Outcome.UNKNOWN
    reading = there(fault_of(exchange, writing=False))
    assert reading.outcome is Outcome.NOT_DONE


def test_success() -> None:
    echoed = (*JSON, ("client-request-id", "c1"))
    assert read_answer(answered(200, {"id": "r1"}, echoed), writing=True) == ({"id": "r1"}, None)
    assert read_answer(answered(204), writing=True) == (None, None)
    assert read_answer(answered(200, b" \n"), writing=True) == (None, None)


def test_a_reading_without_a_body_is_a_fault() -> None:
    entity, fault = read_answer(answered(204), writing=False)
    assert entity is None
    assert "empty" in there(fault).message


@pytest.mark.parametrize("kind", list(FailureKind))
@pytest.mark.parametrize(("sent", "outcome"), [("no", Outcome.NOT_DONE), ("maybe", Outcome.UNKNOWN)])
def test_each_failure_has_its_words(kind: FailureKind, sent: Any, outcome: Outcome) -> None:
    fault = written(answered(0, failure=Failure(kind, sent, "What happened.")))
    assert (fault.message, fault.outcome, fault.status) == ("What happened.", outcome, None)
    assert fault.title
    assert fault.hint


def test_a_broken_answer_is_unknown_whatever_its_status() -> None:
    cut = Failure(FailureKind.CUT, "maybe", "Cut.")
    assert written(answered(400, graph_error(), failure=cut)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "Resource not found for the segment 'workflowBase'."),
        (404, "Resource not found for the segment 'workflowBase'."),
        (405, "Specified HTTP method is not allowed for the request target."),
    ],
)
def test_a_change_that_the_service_does_not_offer_is_called_that(status: int, message: str) -> None:
    fault = written(answered(status, graph_error(message=message)))
    assert fault.title == "This service does not offer this change"
    assert fault.outcome is Outcome.NOT_DONE
    assert message in fault.message
    for word in ("cancelProcessing", "activateWithScope", "runtui cancel", "runtui reprocess"):
        assert word in fault.hint
    reading = there(fault_of(answered(status, graph_error(message=message)), writing=False))
    assert "change" not in reading.title
    assert reading.hint == "Check the path of the root, such as https://graph.microsoft.com/beta."


FOREIGN: Final = (*JSON, ("client-request-id", "another"))


@pytest.mark.parametrize("status", [200, 204, 400, 401, 403, 404, 412, 500])
def test_the_answer_to_another_request_proves_nothing_about_a_write(status: int) -> None:
    fault = written(answered(status, graph_error() if status >= 400 else {"id": "r1"}, FOREIGN))
    assert fault.title == "The response belongs to another request"
    assert fault.outcome is Outcome.UNKNOWN
    assert "No." not in fault.message
    assert fault.code == ""


@pytest.mark.parametrize(("status", "outcome"), [(429, Outcome.NOT_DONE), (503, Outcome.UNKNOWN)])
def test_a_busy_service_may_name_another_request(status: int, outcome: Outcome) -> None:
    """Gateways and mocks, such as Microsoft's Dev Proxy, put their own request id there."""
    exchange = answered(status, graph_error(), FOREIGN)
    assert written(exchange) == written(replace(exchange, response_headers=JSON))
    assert written(exchange).outcome is outcome


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 429, 500, 503])
def test_the_answer_to_a_reading_counts_whatever_it_names(status: int) -> None:
    body = graph_error() if status >= 400 else {"id": "r1"}
    foreign, nameless = (replace(answered(status, body, headers), method="GET") for headers in (FOREIGN, JSON))
    assert read_answer(foreign, writing=False) == read_answer(nameless, writing=False)


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [(405, b"<html>Blocked by the firewall</html>", HTML), (501, graph_error(), JSON), (405, b"", JSON)],
)
def test_only_graph_itself_can_say_that_it_does_not_offer_a_change(
    status: int, body: object, headers: tuple[tuple[str, str], ...]
) -> None:
    fault = written(answered(status, body, headers))
    assert fault.outcome is Outcome.UNKNOWN
    assert "this change" not in fault.title
    assert "cancelProcessing" not in fault.hint


def test_only_who_is_not_known_is_told_to_sign_in() -> None:
    hints = {
        status: written(replace(answered(status, graph_error()), token_hint="Sign in (A).")).hint
        for status in GRAPH_STATUSES
    }
    assert [status for status, hint in hints.items() if hint == "Sign in (A)."] == [401]


def test_each_status_has_its_own_title() -> None:
    titles = {written(answered(status, graph_error())).title for status in (400, 401, 403, 404, 405, 406, 409, 412)}
    assert len(titles) == 8


@pytest.mark.parametrize(
    ("error", "message", "details"),
    [
        ({"message": {"lang": "en", "value": " Said. "}}, "Said.", ()),
        ({"message": ["One.", 2, "Two."]}, "One. Two.", ()),
        ({"message": None, "code": "Resource not found"}, "Resource not found.", ()),
        ({"message": 5, "details": "none"}, "The request is malformed, or one of its values is invalid.", ()),
        ({}, "The request is malformed, or one of its values is invalid.", ()),
        (
            {"code": "", "message": "", "details": [None, {"target": "a", "message": "Bad."}, {"code": "Odd"}, {}]},
            "Bad.",
            (("a", "Bad."), ("", "Odd")),
        ),
        ({"message": "Bad.", "target": "failedTasksCount"}, "Bad.", (("failedTasksCount", "Bad."),)),
    ],
)
def test_odd_error_bodies(error: dict[str, object], message: str, details: tuple[tuple[str, str], ...]) -> None:
    fault = written(answered(400, {"error": error}))
    assert (fault.message, fault.details) == (message, details)


def test_a_detail_that_repeats_the_message_is_left_out() -> None:
    said = "Invalid value for property 'totalUsersCount'."
    details = [{"target": target, "message": said} for target in ("totalUsersCount", "id")]
    fault = written(answered(400, graph_error(message=said, details=details)))
    assert (fault.message, fault.details) == (said, (("id", said),))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "code", "details", "target", "innerError", "value", "request-id"]),
            inner,
        )
    ),
    max_leaves=12,
)


@given(st.sampled_from([200, 204, 301, 400, 405, 500, 503]), json_values, st.booleans())
def test_no_body_breaks_the_reading_of_it(status: int, body: Any, writing: bool) -> None:
    fault = fault_of(answered(status, {"error": body}), writing=writing)
    if fault is not None:
        texts = [fault.title, fault.message, fault.hint, fault.code, *sum(fault.details, ())]
        assert all(isinstance(text, str) for text in texts)
        assert fault.title
        assert fault.message


@pytest.mark.parametrize("headers", [HTML, (), (("Content-Type", "text/plain"),)])
def test_a_web_page_is_called_one_with_its_title(headers: tuple[tuple[str, str], ...]) -> None:
    page = b"\n<!DOCTYPE html><html><head><title>\n Sign in\n to Contoso </title>"
    fault = written(answered(200, page, headers))
    assert 'web page titled "Sign in to Contoso"' in fault.message
    assert "root" in fault.hint


def test_a_half_answer_says_that_it_ends_too_early() -> None:
    assert "ends too early" in written(answered(200, b'{"id": "r1", "proc')).message


def test_a_redirect_says_where_it_points() -> None:
    fault = written(answered(302, b"<html>", (*HTML, ("Location", "https://login.example/x"))))
    assert "https://login.example/x" in fault.message


def test_the_wait_that_a_server_asks_for_is_reported() -> None:
    assert "41s" in written(answered(429, graph_error(), (*JSON, ("Retry-After", "41")))).hint
    assert written(answered(429, graph_error(), (*JSON, ("Retry-After", "soon")))).hint == "Wait before trying again."
    assert "115d 17h" in written(answered(429, graph_error(), (*JSON, ("Retry-After", "9999999")))).hint
    dated = (*JSON, ("Date", "Mon, 23 Nov 2026 10:00:00 GMT"), ("Retry-After", "Mon, 23 Nov 2026 10:00:41 GMT"))
    assert "41s" in written(answered(503, graph_error(), dated)).hint
    assert "0s" not in written(answered(429, graph_error(), (*JSON, ("Retry-After", "0")))).hint


def test_texts_are_bounded_and_hold_no_token() -> None:
    said = "Bearer abcdefghijkl was refused. " + "x" * 5_000
    fault = written(answered(401, graph_error(code="Bearer abcdefghijkl", message=said)))
    assert len(fault.message) <= LONGEST_MESSAGE + len(REDACTED)
    assert "abcdefghijkl" not in repr(fault)


def test_a_token_is_not_cut_in_half_and_left_standing() -> None:
    token = "eyJ0eXAiOiJKV1QifQ.eyJ1cG4iOiJhZGEifQ.c2lnbmF0dXJl"
    for padding in range(LONGEST_MESSAGE - len(token) - 5, LONGEST_MESSAGE + 1):
        assert "eyJ0eXA" not in written(answered(400, graph_error(message="x " * (padding // 2) + token))).message


def test_an_endless_error_is_bounded_in_every_part() -> None:
    long = "eyJ-" * 5_000
    error = graph_error(long, long, target=long, details=[{"target": long, "message": long}] * 200)
    fault = written(answered(400, error | {"innerError": {"request-id": long}}))
    texts = [fault.message, fault.code, *sum(fault.details, ())]
    assert all(len(text) <= LONGEST_MESSAGE + len(REDACTED) for text in texts)
    assert len(fault.details) <= MAX_DETAILS


@pytest.mark.parametrize(
    "answer",
    [
        answered(302, headers=(("Location", "x" * 90_000),)),
        answered(200, b"?", (("Content-Type", "x" * 90_000),)),
        answered(200, json.dumps({"x" * 90_000: 1})[:-1].encode() + b"," + json.dumps({"x" * 90_000: 1})[1:].encode()),
        answered(0, failure=Failure(FailureKind.ENCODING, "maybe", "x" * 90_000)),
    ],
    ids=["address", "type", "name", "failure"],
)
def test_a_sentence_that_quotes_the_server_is_bounded(answer: Exchange) -> None:
    message = written(answer).message
    assert len(message) <= LONGEST_MESSAGE + 1
    assert "…" in message


def test_an_answer_for_a_copy_that_nobody_has_is_no_redirect() -> None:
    fault = written(answered(304))
    assert (fault.title, fault.outcome) == ("This is not a response from Graph", Outcome.UNKNOWN)


def test_a_mismatched_answer_leaves_only_a_write_unknown() -> None:
    assert mismatch(answered(200), "Wrong.", writing=True).outcome is Outcome.UNKNOWN
    assert mismatch(answered(200), "Wrong.", writing=False).outcome is Outcome.NOT_DONE


def test_the_next_step_of_a_mismatched_listing_does_not_need_its_response() -> None:
    assert mismatch(answered(200), "Wrong.", writing=True).hint == "Read the full response."
    assert "response" not in mismatch(answered(200), "Wrong.", writing=False).hint, "no tab shows a successful listing"
