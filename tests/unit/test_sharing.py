"""Copies and hand-overs: commands that a shell runs as they are, and Markdown in which foreign text stays text."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from runtui.auth.clouds import CLOUD_BY_NAME
from runtui.domain.columns import Column, ListCell
from runtui.domain.report import Outcome
from runtui.domain.results import Cause, TaskResult
from runtui.domain.rows import RunRow
from runtui.domain.text import UNSAFE, visible
from runtui.domain.triage.memory import RunTriage
from runtui.domain.triage.service_actions import action_words
from runtui.domain.triage.standing import NOTE
from runtui.errors import RuntuiError
from runtui.redact import REDACTED, redact, redact_values, register_secret
from runtui.services.known_run import KnownRun
from runtui.services.records.journal_query import entry_object, export
from runtui.services.sharing.commands import azure_cli, curl, portal_link, powershell, request_of, shared_request
from runtui.services.sharing.formats import code_block, code_span, prose
from runtui.services.sharing.handoff import (
    NAMED_CAUSES,
    NAMED_PEOPLE,
    NAMED_REQUESTS,
    NAMED_WORDINGS,
    Handoff,
    Origin,
    handoff_markdown,
    handoff_of_cause,
    run_handoff,
)
from runtui.services.store.results import RunResults
from runtui.services.store.store import EVERY_RUN, StoredRun
from runtui.tui.words import copies
from tests.unit.entries import an_entry
from tests.unit.fake_lister import EXCHANGE

MARKDOWN: Final = MarkdownIt("gfm-like")
NASTY: Final = "a`b``c```\n```\n# t\n[l](http://e.example) ![i](http://e.example) @ann #1 <b>x</b> www.e.example\r\x1b"
URL: Final = "https://graph.microsoft.com/v1.0/identityGovernance/lifecycleWorkflows/workflows/w/runs/r"
BODY: Final = st.dictionaries(st.text(), st.text() | st.none() | st.integers(), max_size=3)
ORIGIN: Final = Origin(
    "lee@contoso.example", "prod", "Contoso", "https://graph.microsoft.com/v1.0", datetime(2026, 11, 26, 6, tzinfo=UTC)
)


def tokens(text: str) -> Iterator[Token]:
    for token in MARKDOWN.parse(text):
        yield token
        yield from token.children or ()


# Markdown


@given(st.text(alphabet="`ab\n\r# *[]()<>@\x1b\u202e") | st.text())
@example(NASTY)
def test_code_holds_whatever_is_in_it(text: str) -> None:
    page = "\n".join(["before", "", *code_block(text, "text"), "", f"- {code_span(text)}", "", "after"])
    found = list(tokens(page))
    (fence,) = [token for token in found if token.type == "fence"]
    assert fence.content == visible(text, newlines=True) + "\n"
    (span,) = [token for token in found if token.type == "code_inline"]
    assert span.content.strip() == visible(text).strip()
    assert [token.content for token in found if token.type == "text"] == ["before", "after"]
    assert {token.type for token in found} <= {
        "paragraph_open", "paragraph_close", "inline", "text", "fence", "code_inline",
        "bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close",
    }  # fmt: skip


@given(st.text(alphabet="ab1 .,:;()'-_*#@[]!<>&/\\wW") | st.text())
@example("www.e.example")
@example("1. x")
@example("_a_")
def test_prose_is_text_or_code(text: str) -> None:
    found = list(tokens(f"- {prose(text)}"))
    assert {token.type for token in found if token.type not in ("text", "code_inline", "inline")} <= {
        "paragraph_open", "paragraph_close", "bullet_list_open", "bullet_list_close", "list_item_open",
        "list_item_close",
    }  # fmt: skip


def test_a_plain_sentence_is_not_called_code() -> None:
    assert prose("2 users with a failed task.") == "2 users with a failed task."


# Commands


@given(body=BODY, tag=st.text())
@example(body={"a": "'; rm -rf ~; '"}, tag="'$(id)`id`")
@example(body={"\x7f": "\u2028\U0001f600\ud800"}, tag="\n\x1b")
def test_a_posix_shell_takes_a_command_as_its_words(body: dict[str, Any], tag: str) -> None:
    text = json.dumps(body, ensure_ascii=False, indent=2)
    request = shared_request("PATCH", URL, (("If-Match", tag), ("Authorization", "Bearer x"), ("Host", "y")), text)
    for command in (curl(request), azure_cli(request)):
        assert UNSAFE.search(command) is None
        words = shlex.split(command)
        assert words.count(URL) == 1
        sent = words[words.index("--data-raw" if words[0] == "curl" else "--body") + 1]
        assert json.loads(sent) == redact_values(body)
        assert not any("Bearer x" in word or word.startswith("Host") for word in words)
    headers = shlex.split(curl(request))
    assert f"If-Match: {visible(redact(tag))}" in headers
    assert headers.count("Content-Type: application/json") == 1


def test_the_token_of_a_curl_command_is_a_variable_and_the_shell_fills_it_in() -> None:
    command = curl(shared_request("GET", f"{URL}?$filter=id%20eq%20'1'"))
    assert '"Authorization: Bearer $TOKEN"' in command
    shell = shutil.which("sh")
    assert shell is not None
    script = command.replace("curl", "printf '%s\\n'", 1)
    shown = subprocess.run([shell, "-c", script], env={"TOKEN": "a b$c"}, capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "Authorization: Bearer a b$c"
    assert f"{URL}?$filter=id%20eq%20'1'" in shown.stdout.splitlines()


@given(body=BODY)
@example(body={"a": "‘’'‚‛"})
@example(body={"client_secret": 'pass"password=x"'})
def test_powershell_takes_a_body_as_one_text(body: dict[str, Any]) -> None:
    command = powershell(shared_request("PATCH", URL, (("If-Match", "’; rm"),), json.dumps(body, ensure_ascii=False)))
    text = command.partition("-Body '")[2].removesuffix("' -OutputType Json")
    assert "'" not in text.replace("''", "")
    assert json.loads(text.replace("''", "'")) == redact_values(body)
    assert "-Headers @{'If-Match' = '’’; rm'}" in command
    assert UNSAFE.search(command) is None


def test_no_command_holds_a_secret() -> None:
    register_secret("sUpErSeCrEt-0123456789")
    request = shared_request("PATCH", f"{URL}?x=sUpErSeCrEt-0123456789", (("Prefer", "sUpErSeCrEt-0123456789"),), "{}")
    for command in (curl(request), azure_cli(request), powershell(request)):
        assert "sUpErSeCrEt" not in command
        assert REDACTED in command


@pytest.mark.parametrize("cloud", CLOUD_BY_NAME.values(), ids=lambda cloud: cloud.name)
def test_a_link_leads_into_the_portal_of_its_cloud(cloud: Any) -> None:
    link = portal_link(cloud, "a b/<c>")
    assert urlsplit(link).hostname == urlsplit(cloud.portal).hostname
    assert link.endswith("/workflowId/a%20b%2F%3Cc%3E")


# The hand-over


def a_failure(number: int, reason: str = "", name: str = "") -> TaskResult:
    named = {"displayName": name or f"Ann Number{number}", "userPrincipalName": f"u{number}@c.example"}
    return TaskResult({
        "id": f"t{number}", "processingStatus": "failed", "failureReason": reason or f"No manager for {number}.",
        "subject": {"id": f"id-{number}", **named},
        "task": {"displayName": "Welcome", "taskDefinitionId": "70b29d51-b59a-4773-9280-8841dfd3f2ea"},
    })  # fmt: skip


def a_handoff(
    *failures: TaskResult,
    status: str = "completedWithErrors",
    name: str = "Onboard",
    origin: Origin = ORIGIN,
    **facts: Any,
) -> Handoff:
    run = {"id": "r-1", "processingStatus": status, "totalUsersCount": 3, "startedDateTime": "2026-11-25T10:00:00.5Z"}
    results = RunResults(tuple(failures), (), is_outdated=False) if failures else None
    choices = {key: facts.pop(key) for key in ("requests", "reduce_people") if key in facts}
    known = KnownRun("r-1", StoredRun("r-1", "w-1", name, run), results=results, **facts)
    return run_handoff(known, origin, **choices)


def test_a_hand_over_tells_what_happened_what_was_done_and_what_is_open() -> None:
    change = an_entry(
        12, run_id="r-1", outcome=Outcome.UNKNOWN, known_by="read-back", request_id="req-1", client_request_id="own-1"
    )
    page = handoff_markdown(a_handoff(a_failure(1), a_failure(2), entries=[change], has_draft=True))
    for words in (
        "# Hand-over: `Onboard`", "- run: `r-1`", "- users: `3 in all`", "- started: `2026-11-25 10:00:00 UTC`",
        "## Failed: `Welcome`, 2 users",
        "No manager for 1.", "No manager for 2.", "`Ann Number1`, `u1@c.example`, `id-1`",
        "The user has a mail address.",
        "2 users with a failed task.", "`#12` unknown (200), known by read-back", "sent: `2026-11-20 10:00:00 UTC`",
        "request-id: `req-1`", "client-request-id: `own-1`",
        "A draft of a change is kept", "by `lee@contoso.example`", "tenant: `Contoso`", "2026-11-26 06:00:00 UTC",
        "<https://entra.microsoft.com/#view/",
    ):  # fmt: skip
        assert words in page
    body = json.dumps({"scope": {"runs": [{"id": "r-1"}]}})
    action = an_entry(
        13, run_id="r-1", method="POST", url=f"{URL}/cancelProcessing", body=body, new_run="r-2", before={}, after={}
    )
    page = handoff_markdown(a_handoff(entries=[action]))
    assert f"- asked for: `{action_words('cancelProcessing', body)}`" in page
    assert "- new run: `r-2`" in page
    assert "known by" not in page
    told = a_handoff(a_failure(1), entries=[change])
    assert told["changes"][0]["requestId"] == "req-1"
    assert told["causes"][0]["people"][0]["userPrincipalName"] == "u1@c.example"


def test_failed_requests_are_named_before_other_ones() -> None:
    asked = [
        replace(EXCHANGE, status=status, request_headers=(("client-request-id", f"own-{number}"),))
        for number, status in enumerate([200] * NAMED_REQUESTS + [503])
    ]
    told = a_handoff(requests=asked)["requests"]
    assert [request["clientRequestId"] for request in told] == [f"own-{number}" for number in (5, 0, 1, 2, 3)]


def test_unread_results_are_named_as_such() -> None:
    assert "The results of its tasks were not read." in handoff_markdown(a_handoff())
    assert "The run is in progress." in handoff_markdown(a_handoff(a_failure(1), status="inProgress"))


def test_many_items_are_counted_instead_of_named() -> None:
    many = [a_failure(number, "The same.") for number in range(NAMED_PEOPLE + 5)]
    kinds = [a_failure(number, f"Reason {chr(97 + number)}.") for number in range(NAMED_CAUSES + 2)]
    page = handoff_markdown(a_handoff(*many, *kinds))
    assert f"{NAMED_PEOPLE + 5} users" in page
    assert "- and 5 more" in page
    assert "And 3 more causes." in page
    worded = handoff_markdown(a_handoff(*(a_failure(number) for number in range(NAMED_WORDINGS + 2))))
    assert "And 2 more wordings of this reason." in worded
    assert "more wording" not in page


def test_reduced_people_are_initials_and_ids_also_in_reasons() -> None:
    change = an_entry(3, why="Ann Number1 asked for it.", words="Ann Number1 is gone.", outcome=Outcome.DONE)
    failure = a_failure(1, "Ann Number1 (u1@c.example) has no manager; ask 'Lee Gu'.")
    values = {"status": "", "failedUsers": None, "failedTasks": None, "updated": None}
    noted = RunRow(1, "r-1", "w-1", "Onboard", values, RunTriage("r-1", note="Ann Number1 knows."))
    handoff = a_handoff(failure, entries=[change], row=noted, reduce_people=True)
    assert handoff["facts"][NOTE] == "'…' knows."
    for text in (handoff_markdown(handoff), json.dumps(handoff)):
        assert not any(name in text for name in ("Ann", "u1@c", "Lee Gu"))
        assert "A. N." in text
        assert "id-1" in text
        assert "has no manager" in text


def test_a_cause_of_which_no_failure_is_left_has_no_hand_over() -> None:
    workspace: Any = SimpleNamespace(store=SimpleNamespace(failures_of_cause=lambda *_: []))
    gone = Cause("key", "Welcome", "", "No mailbox.", 1, 1, None, None, ())
    with pytest.raises(RuntuiError, match="There is no such cause"):
        handoff_of_cause(workspace, ORIGIN, gone, EVERY_RUN)


@given(st.text())
@example(NASTY)
def test_foreign_text_in_a_hand_over_is_code(text: str) -> None:
    change = an_entry(
        7, run_id=text, workflow_name=text, who=text, words=text, body=text, url=text, request_id=text,
        before={"processingStatus": text}, after={"processingStatus": text, text: None}, outcome=Outcome.UNKNOWN,
    )  # fmt: skip
    origin = ORIGIN._replace(who=text, tenant=text, profile=text)
    ids = (("client-request-id", text),)
    request = replace(EXCHANGE, request_headers=ids, response_headers=(("request-id", text),))
    page = handoff_markdown(
        a_handoff(a_failure(1, text, text), name=text, status=text, entries=[change], origin=origin, requests=[request])
    )
    found = list(tokens(page))
    assert {token.type for token in found} <= {
        "heading_open", "heading_close", "paragraph_open", "paragraph_close", "inline", "text", "softbreak", "fence",
        "code_inline", "bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close",
        "link_open", "link_close",
    }  # fmt: skip
    hosts = {urlsplit(str(token.attrs["href"])).hostname for token in found if token.type == "link_open"}
    assert hosts == {"entra.microsoft.com", "learn.microsoft.com"}
    assert UNSAFE.search(page.replace("\n", "")) is None


def test_a_name_beyond_those_that_are_listed_is_reduced_too() -> None:
    many = [a_failure(number, "There is no manager for 'X'.") for number in range(NAMED_PEOPLE + 1)]
    last = a_failure(99, "There is no manager for Ann Number99.")  # the same cause
    assert "for Ann Number99" in handoff_markdown(a_handoff(*many, last))
    handoff = a_handoff(*many, last, reduce_people=True)
    for text in (handoff_markdown(handoff), json.dumps(handoff)):
        assert "Ann Number99" not in text


def test_what_the_service_says_of_a_waiting_task_is_reduced_too() -> None:
    waiting = [
        TaskResult({
            "id": f"t{number}", "processingStatus": "inProgress", "processingInfo": f"Waits for Ann Number{number}.",
            "subject": {"id": f"id-{number}", "displayName": f"Ann Number{number}"},
        })
        for number in range(2)
    ]  # fmt: skip
    assert "Waits for Ann Number1." in a_handoff(*waiting)["open"]
    assert a_handoff(*waiting, reduce_people=True)["open"][1:] == ["Waits for '…'."]


def test_times_of_a_hand_over_do_not_age() -> None:
    waiting = TaskResult({
        "id": "t1", "processingStatus": "inProgress", "startedDateTime": "2026-11-25T10:00:01Z",
        "subject": {"id": "u1"}, "processingInfo": "Waits for [a callback](http://e.example).",
    })  # fmt: skip
    page = handoff_markdown(a_handoff(waiting, status="inProgress"))
    assert "- 1 task not ended, the first begun 2026-11-25 10:00:01 UTC." in page
    assert "`Waits for [a callback](http://e.example).`" in page
    details = {"quarantineType": "countBasedThresholdExceeded", "quarantinedDateTime": "2026-11-25T09:00:00Z"}
    run = StoredRun("r-1", "w-1", "Onboard", {"processingStatus": "quarantined"})
    page = handoff_markdown(run_handoff(KnownRun("r-1", run, {"id": "w-1", "quarantineDetails": details}), ORIGIN))
    assert "in quarantine since 2026-11-25 09:00:00 UTC: it exceeded the limit on the number of users" in page
    assert " ago" not in page


# The copied texts


def everything_copied(text: str) -> list[str]:
    """Return the copies of things whose texts a server or a person can set."""
    change = an_entry(
        7, run_id=text, workflow_name=text, who=text, words=text, body=json.dumps({"a": text}), url=f"{URL}/{text}",
        request_id=text, before={"processingStatus": text}, after={"processingStatus": text}, response=text,
    )  # fmt: skip
    exchange = replace(
        EXCHANGE, request_headers=(("client-request-id", text), ("Prefer", text)),
        response_body=text.encode("utf-8", "replace"), response_headers=(("request-id", text),),
        url=f"{URL}/{text}", request_body=json.dumps({"a": text}),
    )  # fmt: skip
    row: Column[str] = Column("name", "name", 9, 0, lambda shown, _: ListCell(str(shown)))
    root = "https://graph.microsoft.com/beta"
    choices = [
        copies.id_choice("run", text), *copies.marked_choices([text, "r-2"]), *copies.reason_choices(text),
        copies.response_choice(text), copies.response_choice(json.dumps({"a": text})),
        *copies.row_choices([row], text, [text, text]), copies.json_choice({text: [text]}),
        copies.link_choice(root, text),
        copies.request_ids_choice([change], [exchange]), copies.json_choice(entry_object(change)),
        *copies.command_choices(shared_request("PATCH", change.url, (("If-Match", text),), change.body), root),
        *copies.command_choices(request_of(exchange), root),
    ]  # fmt: skip
    handoffs = [
        a_handoff(
            a_failure(1, text, text), name=text, status=text, entries=[change], requests=[exchange], reduce_people=fewer
        )
        for fewer in (False, True)
    ]
    handed = [*map(handoff_markdown, handoffs), json.dumps(handoffs[0])]
    return [*(choice.value.text for choice in choices), *(choice.about for choice in choices), *handed]


@pytest.mark.parametrize(
    "secret",
    [
        "eyJhbGciOiJub25lIn0.eyJhdWQiOiJncmFwaCJ9.c2lnbmF0dXJl",
        "Bearer q1w2e3r4t5y6u7i8",
        "client_secret=q1w2e3r4t5y6u7i8",
        "0.AXkAq1w2e3r4t5y6u7i8o9p0a1s2d3",
        "rEgIsTeReD-0123456789",
    ],
)
def test_no_copy_contains_text_like_a_token(secret: str) -> None:
    register_secret("rEgIsTeReD-0123456789")
    hidden = secret.removeprefix("Bearer ").removeprefix("client_secret=")
    for text in everything_copied(f"before {secret} after"):
        assert hidden not in text


@given(st.text(alphabet="a\n\r\t\x1b\x03;'\u202e\ud800`") | st.text())
def test_copied_text_stays_text_where_it_is_pasted(text: str) -> None:
    for copied in everything_copied(text):
        assert UNSAFE.search(copied.replace("\n", "")) is None
    for choice in (copies.id_choice("run", text), *copies.row_choices([], text)):
        assert "\n" not in choice.value.text, "a line end runs what stands before it"


def test_a_change_to_the_same_value_reads_alike_everywhere() -> None:
    entry = an_entry(4, before={"processingStatus": "canceled"}, after={"processingStatus": "canceled"})
    assert "  - `processingStatus`: already `canceled`" in handoff_markdown(a_handoff(a_failure(1), entries=[entry]))
    assert "- `processingStatus`: already `canceled`" in export([entry], "md")
    assert [*entry.change_words()] == ["processingStatus: already canceled"]
