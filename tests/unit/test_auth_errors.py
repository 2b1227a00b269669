"""The errors of the sign-in service, in words that tell a person what to do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtui.auth.errors import SignInError, from_oauth_error, unreachable
from runtui.options import SignInMethod
from runtui.redact import REDACTED
from runtui.settings import SignInSettings
from tests.canary import SECRET, TOKEN
from tests.contract.entra_programs import ALL_AADSTS, aadsts

SCOPES = ("https://graph.microsoft.com/LifecycleWorkflows.Read.All",)
PERSON = SignInSettings(
    method="device-code", tenant_id="tenant-1", client_id="client-1", authority="https://login.test"
)


def answer(number: int) -> dict[str, Any]:
    return aadsts(number).body(now=0, trace_id="trace-1", correlation_id="correlation-1", base="https://x")


@pytest.mark.parametrize(
    ("number", "says", "person"),
    [
        (700082, "sign-in has expired", True),
        (50173, "sign-in has expired", True),
        (70043, "sign-in has expired", True),
        (53003, "access policy blocked", True),
        (530032, "access policy blocked", True),
        (530036, "blocks sign-in by device code", True),
        (50076, "more verification", True),
        (50079, "more verification", True),
        (50158, "more verification", True),
        (65001, "needs consent", True),
        (90094, "needs consent", True),
        (700016, "does not know this application", False),
        (90002, "does not know this application", False),
        (7000218, "does not allow this kind", False),
        (7000215, "secret is wrong", False),
        (7000222, "secret has expired", False),
        (700024, "was rejected", False),
        (700027, "was rejected", False),
        (50105, "account cannot sign in", True),
        (50020, "account cannot sign in", True),
        (50034, "account cannot sign in", True),
        (50057, "account cannot sign in", True),
        (50053, "account cannot sign in", True),
        (70011, "does not know these permissions", False),
        (500011, "does not know these permissions", False),
        (70020, "code has expired", True),
    ],
)
def test_each_refusal_has_its_words(number: int, says: str, person: bool) -> None:
    error = from_oauth_error(answer(number), PERSON, SCOPES)
    assert says in error.title
    assert error.message
    assert error.hint or error.needs_person, "each user interface adds how to sign in"
    assert error.needs_person is person
    assert not error.is_transient
    assert f"AADSTS{number}" in error.message
    assert "Trace ID" not in error.message
    assert error.reference == ("Correlation ID: correlation-1", "Trace ID: trace-1", "Timestamp: 0001-01-01 00:00:00Z")


@pytest.mark.parametrize("number", ALL_AADSTS)
def test_every_refusal_of_the_authority_can_be_acted_on(number: int) -> None:
    error = from_oauth_error(answer(number), PERSON)
    assert error.title
    assert error.hint or error.needs_person, "each user interface adds how to sign in"


@pytest.mark.parametrize(
    ("method", "says"),
    [
        ("secret", "The client secret was rejected"),
        ("certificate", "The certificate or federated token was rejected"),
        ("federated", "The certificate or federated token was rejected"),
        ("device-code", "The application's credential was rejected"),
    ],
)
def test_a_credential_without_a_number_is_named_by_the_method(method: SignInMethod, says: str) -> None:
    assert from_oauth_error({"error": "invalid_client"}, PERSON._replace(method=method)).title == says
    numbered = from_oauth_error(answer(7000215), PERSON._replace(method="certificate"))
    assert numbered.title == "The client secret is wrong", "a number tells more"


@pytest.mark.parametrize(
    ("given_", "says"),
    [
        ({"error": "invalid_grant"}, "expired"),
        ({"error": "invalid_grant", "suberror": "consent_required"}, "needs consent"),
        ({"error": "interaction_required", "suberror": "basic_action"}, "more verification"),
        ({"error": "authorization_declined"}, "was declined"),
        ({"error": "access_denied"}, "was declined"),
        ({"error": "expired_token"}, "code has expired"),
        ({"error": "brand_new"}, "refused: brand_new"),
        ({}, "no reason given"),
        ({"error": "invalid_grant", "error_codes": [99999999]}, "expired"),
    ],
)
def test_without_a_number_the_word_decides(given_: dict[str, Any], says: str) -> None:
    assert says in from_oauth_error(given_, PERSON).title


def test_the_number_may_stand_in_the_text_alone() -> None:
    text = "AADSTS530036: blocked.\r\nTrace ID: t1\r\nCorrelation ID: c1\r\nTimestamp: 2026-01-02 03:04:05Z"
    error = from_oauth_error({"error": "invalid_grant", "error_description": text}, PERSON)
    assert "device code" in error.title
    assert "browser" in error.hint
    assert error.reference == ("Correlation ID: c1", "Trace ID: t1", "Timestamp: 2026-01-02 03:04:05Z")


def test_an_administrator_is_reported_what_to_allow() -> None:
    error = from_oauth_error(answer(65001), PERSON, SCOPES)
    assert "https://login.test/tenant-1/adminconsent?client_id=client-1 (LifecycleWorkflows.Read.All)" in error.hint
    assert "read-only" not in error.hint
    write = from_oauth_error(answer(65001), PERSON, ("https://g/LifecycleWorkflows.ReadWrite.All",))
    assert "read-only" in write.hint


def test_a_wrong_id_is_named_as_it_was_sent() -> None:
    error = from_oauth_error(answer(90002), PERSON, SCOPES)
    assert error.hint == "Compare with the app registration: tenant-id tenant-1, client-id client-1."


def test_the_claims_for_the_next_sign_in_are_kept() -> None:
    assert from_oauth_error({"error": "interaction_required", "claims": '{"a":1}'}, PERSON).claims == '{"a":1}'
    assert from_oauth_error({"error": "interaction_required", "claims": 5}, PERSON).claims == ""


def test_foreign_text_is_redacted_and_bounded() -> None:
    secret = f"refresh_token={TOKEN} client_secret={SECRET}"
    told = dict.fromkeys(("error", "error_description", "trace_id", "correlation_id"), f"{secret} {'x' * 5000}")
    error = from_oauth_error(told, PERSON)
    for text in (str(error), str(error.reference), str(unreachable(secret))):
        assert TOKEN not in text
        assert SECRET not in text
        assert REDACTED in text
        assert len(text) < 3000


@given(
    st.dictionaries(
        st.sampled_from(["error", "suberror", "error_description", "error_codes", "claims"]),
        st.none() | st.integers() | st.text() | st.lists(st.integers() | st.text()),
    )
)
def test_no_answer_breaks_the_words(given_: dict[str, Any]) -> None:
    assert isinstance(from_oauth_error(given_, PERSON), SignInError)
