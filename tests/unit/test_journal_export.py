"""Exports of the journal, in which foreign text stays text."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from runtui.domain.report import Outcome
from runtui.services.records.journal_query import EXPORT_COLUMNS, entry_object, export
from tests.unit.entries import an_entry

NASTY = "a|b `c` <b>x</b> [l](http://x) @ann #1 ``` \n# title\n| - | - |\r\x1b[31m\u202e https://evil.example *e*"
NASTY_ENTRY = an_entry(
    7, run_id=NASTY, workflow_name=NASTY, who=NASTY, words=NASTY, body=NASTY, url=NASTY,
    before={"processingStatus": NASTY}, after={"processingStatus": NASTY, NASTY: None}, outcome=Outcome.UNKNOWN,
)  # fmt: skip


def test_every_format_tells_every_column() -> None:
    entry = an_entry(7, undoes=5, undone_by=9, words="Slow.")
    for name, value in entry_object(entry).items():
        text = json.dumps(value)
        assert text in next(export([entry], "jsonl"))
        assert json.loads("\n".join(export([entry], "json")))[0][name] == value
        page = "\n".join(export([entry], "md"))
        for part in value.values() if isinstance(value, dict) else [value]:
            assert str(part) in page
    header, line = csv.reader(io.StringIO("\n".join(export([entry], "csv"))))
    assert header == list(EXPORT_COLUMNS)
    told = dict(zip(header, line, strict=True))
    assert (told["number"], told["before"], told["undoneBy"]) == ("7", '{"processingStatus": "failed"}', "9")
    assert told["openedAt"] == "2026-11-20T10:00:00.000Z"


@pytest.mark.parametrize("count", [0, 1, 3])
def test_json_is_one_array_and_a_line_an_entry(count: int) -> None:
    entries = [an_entry(number) for number in range(count)]
    assert [item["number"] for item in json.loads("\n".join(export(entries, "json")))] == list(range(count))
    assert len(list(export(entries, "jsonl"))) == count


def test_a_report_lists_what_is_known_and_tells_changes_and_body_apart() -> None:
    lines = list(export([an_entry(7)], "md"))
    listed = [line[2:].partition(":")[0] for line in lines if line.startswith("- ")]
    assert listed == [
        *("openedAt", "endedAt", "knownBy", "who", "profile", "tenant", "root", "workflow", "workflowId", "runId"),
        *("method", "url", "status", "requestId", "clientRequestId", "`processingStatus`"),
    ]
    assert [line for line in lines if line.endswith(":")] == ["What changed:", "The body that was sent:"]


def test_an_entry_without_an_outcome_is_open() -> None:
    facts = json.loads(next(export([an_entry(outcome=None, ended_at=None, status=None)], "jsonl")))
    assert (facts["outcome"], facts["endedAt"], facts["status"]) == ("open", None, None)


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_json_is_ascii_and_whole(form: str) -> None:
    text = "\n".join(export([NASTY_ENTRY], form))  # type: ignore[arg-type]
    assert text.isascii()
    assert "\x1b" not in text
    found = json.loads(text)
    assert (found[0] if form == "json" else found)["runId"] == NASTY


@pytest.mark.parametrize("form", ["csv", "md"])
def test_nothing_in_it_acts_on_a_terminal(form: str) -> None:
    text = "\n".join(export([NASTY_ENTRY], form))  # type: ignore[arg-type]
    assert not any(letter in text for letter in "\x1b\u202e\r")


def test_a_cell_is_never_a_formula() -> None:
    entry = an_entry(who="=cmd|' /C calc'!A0")
    _, line = csv.reader(io.StringIO("\n".join(export([entry], "csv"))))
    assert line[list(EXPORT_COLUMNS).index("who")] == "'=cmd|' /C calc'!A0"


def tokens_of(text: str) -> list[Token]:
    """Return the Markdown tokens of the report of an entry that has `text` wherever foreign text can be."""
    entry = an_entry(who=text, words=text, body=text, before={"x": text}, after={"x": text, f"{text}!": 1})
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse("\n".join(export([entry], "md")))


def outside_of_code(tokens: list[Token]) -> list[tuple[str, str]]:
    """Return the structure, and the words that are not code."""
    inner = [child for token in tokens for child in token.children or ()]
    return [(token.type, "") for token in tokens] + [
        (child.type, child.content if child.type != "code_inline" else "") for child in inner
    ]


@example(NASTY)
@example("`")
@example(" ")
@example("``` \n```")
@given(st.text(st.sampled_from("`|\\*_<>[]()#@~ \n\r\t-=&;:/.aé!") | st.characters(), min_size=1, max_size=40))
def test_markdown_holds_foreign_text_as_code_alone(text: str) -> None:
    assert outside_of_code(tokens_of(text)) == outside_of_code(tokens_of("harmless"))
