"""A bearer token by hand: taken as people paste it, refused in words, never printed."""

from __future__ import annotations

import pytest

from runtui.auth.tokens import StaticToken, environment_token
from runtui.errors import ExitCode, UsageError
from runtui.redact import MARK, redact

TOKEN = "eyJ0eXAi.payload-of-the-token.signature_1"


@pytest.mark.parametrize(
    "pasted",
    [
        TOKEN,
        f" {TOKEN}\n",
        f"Bearer {TOKEN}",
        f"bearer {TOKEN}",
        f"  BEARER \t{TOKEN}\r\n",
    ],
)
async def test_a_token_is_taken_as_people_paste_it(pasted: str) -> None:
    assert await StaticToken(pasted)() == TOKEN


async def test_the_word_bearer_inside_a_token_is_part_of_it() -> None:
    assert await StaticToken("bearerish.token")() == "bearerish.token"


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("Bearer ", "empty"),
        ("two words", "one word"),
        ("forbearer token", "one word"),
        (f"{TOKEN}\r\nHost: evil.example", "one word"),
        ("tökén-with-letters", "one word"),
        ("token\x00", "one word"),
    ],
)
def test_what_would_corrupt_a_header_is_refused_and_not_repeated(value: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        StaticToken(value)
    assert says in refused.value.message
    assert "RUNTUI_TOKEN" in refused.value.hint
    assert not value.strip() or value.strip() not in str(refused.value)


def test_a_token_cannot_be_printed_by_accident() -> None:
    token = StaticToken("opaque-and-secret-1234")
    for shown in (repr(token), str(token), f"{token}", f"{[token]}", f"{token!a}"):
        assert "opaque-and-secret" not in shown
    assert redact("the server echoed opaque-and-secret-1234 back") == f"the server echoed {MARK} back"


async def test_the_environment_gives_the_token() -> None:
    assert await environment_token({"RUNTUI_TOKEN": f"Bearer {TOKEN}"})() == TOKEN


@pytest.mark.parametrize(("environ", "title"), [({}, "No token"), ({"RUNTUI_TOKEN": ""}, "That token cannot be used")])
def test_without_a_token_the_next_step_is_named(environ: dict[str, str], title: str) -> None:
    with pytest.raises(UsageError) as refused:
        environment_token(environ)
    assert refused.value.title == title
    assert refused.value.exit_code is ExitCode.USAGE
    assert refused.value.hint
