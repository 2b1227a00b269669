"""Decompression within a limit: a false claim about the size of a body costs no memory."""

from __future__ import annotations

import gzip
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtui.graph.exchange import FailureKind
from runtui.graph.network import BodyError, BoundedBody


@given(st.binary(max_size=2_000), st.integers(1, 400), st.sampled_from(["", "identity", "gzip", " X-GZIP "]))
def test_a_body_comes_out_as_it_went_in_however_it_is_cut_into_chunks(data: bytes, size: int, encoding: str) -> None:
    sent = gzip.compress(data) if "gzip" in encoding.lower() else data
    body = BoundedBody(encoding, limit=len(data))
    for start in range(0, len(sent), size):
        body.feed(sent[start : start + size])
    body.finish()
    assert (body.data, body.truncated) == (data, False)


def test_a_bomb_is_unpacked_no_further_than_the_limit() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    body = BoundedBody("gzip", limit=100_000)
    tracemalloc.start()
    try:
        with pytest.raises(BodyError) as caught:
            body.feed(bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.kind is FailureKind.TOO_LARGE
    assert (len(body.data), body.truncated) == (100_000, True)
    assert peak < 2_000_000
