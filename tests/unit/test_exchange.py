"""Strict JSON, and the facts that an exchange knows about its answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runtui.graph import exchange as module
from runtui.graph.batch import BatchItem, unanswered
from runtui.graph.exchange import AnswerError, Exchange, load_strict_json
from runtui.graph.faults import read_answer
from runtui.graph.pages import CollectionPage
from tests import canary, there


def exchange(**fields: Any) -> Exchange:
    values: dict[str, Any] = {
        "number": 1,
        "purpose": "update run",
        "method": "PATCH",
        "url": "https://graph.example/beta/workflowBase/runs/r1",
        "request_headers": (("Authorization", "Bearer [redacted]"), ("client-request-id", "c1")),
        "request_body": None,
        "started_at": datetime(2026, 11, 23, tzinfo=UTC),
    }
    return Exchange(**values | fields)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values, st.booleans())
def test_every_json_value_is_read_as_it_is(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    if ascii_only or not any("\ud800" <= character <= "\udfff" for character in text):
        assert load_strict_json(text.encode()) == json.loads(text)


odd_texts = st.sampled_from(("", "a", "{", "}", "},{", '"', "\\", "é", " "))
items = st.dictionaries(
    odd_texts, odd_texts | st.lists(st.dictionaries(odd_texts, odd_texts, max_size=2), max_size=2), max_size=2
)


@given(st.lists(st.tuples(items, st.sampled_from((",", ", ", " ,"))), min_size=1, max_size=4), odd_texts, st.booleans())
@example([({"a": "},{"}, ","), ({}, ", ")], "", True)
@example([({"a": [{}, {}]}, ","), ({}, ", ")], "", True)
def test_the_texts_of_items_mean_the_items(parts: list[tuple[Any, str]], link: str, ascii_only: bool) -> None:
    def text(value: Any) -> str:
        return json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":"))

    joined = "".join(joint + text(item) for item, joint in parts)[len(parts[0][1]) :]
    page = CollectionPage(
        tuple(item for item, _ in parts),
        exchange(response_body=f'{{"@odata.nextLink":{text(link)},"value":[{joined}]}}'.encode()),
    )
    texts = page.texts()
    if texts is not None:
        assert [json.loads(text) for text in texts] == list(page.items)
        assert "".join(texts).isascii()
        assert "\n" not in "".join(texts)


@pytest.mark.parametrize(
    ("body", "is_cut"),
    [
        (b'{"value":[{"id":"r1"},{"id":"r2"}]}', True),
        (b'\t{"value": [{"id": "r1"}], "@odata.nextLink": "https://graph/$skiptoken=},"} ', False),
        (b'{"value":[{"id":"r1","b":1.50,"a":{"a":{},"b":[]}},{"id":"r2"}],"@odata.nextLink":"x"}', True),
        (b'{"value":[{"id":"r1"}, {"id":"r2"}]}', False),
        (b'{"value":[{"id":"r1"},{"id":"}{"}]}', True),
        (b'{"a":{},"value":[{"id":"r1"},{"id":"r2"}]}', False),
        (b'{"value":[{"id":"r1"},{\n"id":"r2"}]}', False),
        (b'{"value":[{"id":"r1"},{"id":"\\u0072"}]}', False),
        ('{"value":[{"id":"r1"},{"id":"é"}]}'.encode(), False),
        (b'{"value":[]}', False),
    ],
)
def test_items_are_cut_out_of_a_simple_body(body: bytes, is_cut: bool) -> None:
    items = json.loads(body)["value"]
    texts = CollectionPage(tuple(items), exchange(response_body=body)).texts()
    assert (texts is not None) == is_cut
    assert texts is None or all(text.encode() in body for text in texts)
    assert texts is None or [json.loads(text) for text in texts] == items


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "empty"),
        (b" \r\n", "empty"),
        (b'{"a": 1, "b": 2, "a": 3}', "'a' twice"),
        (b'[{"x": {"b": 1, "b": 1}}]', "'b' twice"),
        (b"[NaN]", "NaN"),
        (b"[-Infinity]", "-Infinity"),
        (b"[1e999]", "too large"),
        (b'{"a": ', "ends too early"),
        (b'{"value": [{"id": "r1"}, {"id"', "ends too early"),
        (b"{'a': 1}", "line 1, column 2"),
        (b"<html></html>", "not JSON"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 101 + b"1" + b"}" * 101, "nested too deeply"),
        (b"[" * 101 + b"]" * 101, "nested too deeply"),
        (b"[" + b"9" * 5_000 + b"]", "too many digits"),
        (b'{"a": "\x1b"}', "not JSON"),
    ],
)
def test_what_is_not_strict_json_is_refused_with_a_sentence(body: bytes, says: str) -> None:
    with pytest.raises(AnswerError, match=r"\.$") as caught:
        load_strict_json(body)
    assert says in str(caught.value)


def test_a_doubled_name_is_found_in_one_pass_over_the_others() -> None:
    compared = 0

    class Name(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return str.__eq__(self, other)

    pairs: list[tuple[str, Any]] = [(Name(number), 0) for number in (*range(1_000), 999)]
    with pytest.raises(AnswerError, match="'999' twice"):
        module._object(pairs)
    assert compared < 10 * len(pairs)


def test_a_byte_order_mark_is_no_harm() -> None:
    assert load_strict_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r'"\ud83d\ude00"', "😀"),
        (r'"\uD83D\uDE00"', "😀"),
        (r'"cut \ud83d"', "cut \ufffd"),
        (r'"\ude00 tail"', "\ufffd tail"),
        (r'"\ud83d\ud83d\ude00"', "\ufffd😀"),
        (r'"\\ud83d"', r"\ud83d"),
        (r'"\\\ud83d"', "\\\ufffd"),
    ],
)
def test_a_surrogate_alone_becomes_a_replacement_character(written: str, read: str) -> None:
    assert load_strict_json(written.encode()) == read


def test_a_truncated_body_is_no_json_even_when_it_parses() -> None:
    with pytest.raises(AnswerError, match="larger than the limit"):
        exchange(response_body=b"{}", truncated=True).json()


def test_headers_are_found_whatever_their_case() -> None:
    answer = exchange(response_headers=(("Request-ID", "q1"), ("Content-Type", "Application/JSON; charset=utf-8")))
    assert (answer.request_id, answer.content_type, answer.client_request_id) == ("q1", "application/json", "c1")
    assert answer.response_header("retry-after") == ""


def test_a_masked_value_is_read_only_to_be_sent_back() -> None:
    body = f'{{"a": "{canary.TOKEN}"}}'.encode()
    echoed = exchange(response_body=b'{"a": "[redacted]"}', unredacted=body)
    assert echoed.json() == {"a": "[redacted]"}
    assert echoed.as_received(echoed.json()) == {"a": canary.TOKEN}
    assert not canary.holds_canary(f"{echoed!r}{echoed.body_text}".encode())
    plain = exchange(response_body=b'{"a": 1}')
    assert plain.as_received(plain.json()) == {"a": 1}


@pytest.mark.parametrize(
    ("date", "ahead"),
    [
        ("Mon, 23 Nov 2026 02:00:05 GMT", 7_203.5),
        ("Mon, 23 Nov 2026 02:00:05 -0000", 7_203.5),
        ("Sun, 22 Nov 2026 23:59:59 GMT", -2.5),
        ("Mon, 99 Nov 2026 00:00:00 GMT", None),
        ("soon", None),
        ("", None),
    ],
)
def test_how_far_the_servers_clock_is_ahead_is_reported_by_the_end_of_its_answer(
    date: str, ahead: float | None
) -> None:
    assert exchange(seconds=1.5, response_headers=(("Date", date),)).clock_ahead == ahead


@pytest.mark.parametrize("status", [200, 202, 204, 206, 207])
def test_a_batch_without_an_item_is_no_answer_to_its_change(status: int) -> None:
    """By itself a 204 would mean that the change was done."""
    item = BatchItem("PATCH", "/workflowBase/runs/r1", (), "{}")
    alone = unanswered(exchange(method="POST", status=status), "https://graph.example/beta", item)
    entity, fault = read_answer(alone, writing=True)
    assert entity is None
    assert there(fault).summary == "The response is incomplete. The batch has no answer to this request."


@pytest.mark.parametrize(("named", "kept"), [("batch", []), ("another", [("client-request-id", "another")])])
def test_what_a_refused_batch_asks_for_holds_for_each_change_but_its_name_is_the_batchs_own(
    named: str, kept: list[tuple[str, str]]
) -> None:
    item = BatchItem("PATCH", "/workflowBase/runs/r1", (("client-request-id", "mine"),), "{}")
    asked, answered = (("client-request-id", "batch"),), (("client-request-id", named), ("Retry-After", "7"))
    batch = exchange(method="POST", status=429, request_headers=asked, response_headers=answered)
    alone = unanswered(batch, "https://graph.example/beta", item)
    assert [*alone.response_headers] == [*kept, ("Retry-After", "7")]
