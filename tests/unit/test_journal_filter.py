"""The entries of the journal that a filter finds."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from runtui.domain.report import Outcome
from runtui.domain.times import parse_ticks
from runtui.errors import ExitCode, RuntuiError
from runtui.services.records.journal_query import entry_filter
from tests.unit.entries import an_entry

NOW = parse_ticks("2026-11-20T12:00:00Z")

ENTRIES = (
    an_entry(1, run_id="run-a", opened_at=datetime(2026, 11, 18, 12, tzinfo=UTC), outcome=Outcome.DONE),
    an_entry(2, run_id="run-b", opened_at=datetime(2026, 11, 19, 12, tzinfo=UTC), outcome=Outcome.UNKNOWN),
    an_entry(3, run_id="run-a", opened_at=datetime(2026, 11, 20, 11, tzinfo=UTC), outcome=Outcome.NOT_DONE, who="Zoë"),
    an_entry(4, run_id="run-c", opened_at=datetime(2026, 11, 20, 11, tzinfo=UTC), outcome=None, after={"x": 1}),
)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", [1, 2, 3, 4]),
        ("RUN-A", [1, 3]),
        ("zoË", [3]),
        ("processingStatus", [1, 2, 3]),
        ("outcome:unknown", [2]),
        ("outcome:not-done", [3]),
        ("outcome:open,unknown", [2, 4]),
        ("since:-24h", [2, 3, 4]),
        ("before:2026-11-20T00:00Z", [1, 2]),
        ("since:-24h before:-2h", [2]),
        ("#4", [4]),
        ("#04", [4]),
        pytest.param(f"#{'9' * 5_000}", [], id="more digits than Python reads"),
        ("run-a outcome:done", [1]),
        ("nobody", []),
        ("Outcome:Done", [1]),
        ('"processingStatus"', [1, 2, 3]),
        ('"outcome:done"', []),
        ("https://graph.example/beta", []),
        ("!run-a", [2, 4]),
        ("outcome:done or (run-c since:-2h)", [1, 4]),
        ("outcome!=done,open", [2, 3]),
    ],
)
def test_a_filter_has_the_language_of_all_lists(text: str, numbers: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtui.services.records.journal_query.now_ticks", lambda: NOW)
    wanted = entry_filter(text)
    assert [entry.number for entry in ENTRIES if wanted is None or wanted(entry)] == numbers


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("outcome:maybe", "There is no outcome 'maybe'. Possible: done, not-done, unknown, open, damaged."),
        ("outcome:", "A value for outcome is missing here."),
        ("foo:bar", "No field is called foo. Possible: outcome, since, before."),
        ("foo:bar", 'To look for the text itself, put it in "quotes".'),
        ("run-a outcom:done", "No field is called outcom. Did you mean outcome?"),
        ("since:soon", "since:soon: Type a date-time"),
        ("since>-2h", "since takes : or = or !=, not >."),
    ],
)
def test_an_invalid_term_is_refused_with_the_possible_ones(text: str, sentence: str) -> None:
    with pytest.raises(RuntuiError) as refused:
        entry_filter(text)
    assert sentence in str(refused.value)
    assert refused.value.exit_code is ExitCode.USAGE
