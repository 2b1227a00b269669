"""The screen's words for a sign-in, and when they change only because time passes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from runtui.auth.accounts import Account
from runtui.auth.errors import not_signed_in
from runtui.auth.flows import has_browser
from runtui.auth.signin import SignInState
from runtui.services.workspace import Workspace
from runtui.settings import SignInSettings
from runtui.tui.words.sign_in_words import available_methods, short_name, who
from runtui.tui.words.write_words import sent_from

NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)
NOBODY = Account(username="", tenant_id="")
LEE = Account(username="lee.admin@contoso.example", tenant_id="t")


def state(seconds: float) -> SignInState:
    return SignInState(account=LEE, expires_at=NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (3600, "lee.admin"),
        (600, "lee.admin"),
        (599, "lee.admin · token 9 min"),
        (240, "lee.admin · token 4 min"),
        (59, "lee.admin · token under 1 min"),
        (0, "lee.admin · token expired"),
        (-9, "lee.admin · token expired"),
    ],
)
def test_the_time_of_a_token_is_reported_below_ten_minutes(seconds: float, words: str) -> None:
    assert who(state(seconds), NOW) == words


def test_who_is_signed_in() -> None:
    assert who(SignInState(), NOW) == "", "not known yet"
    assert who(SignInState(error=not_signed_in()), NOW) == "signed out"
    assert who(SignInState(account=LEE, error=not_signed_in()), NOW) == "lee.admin: sign in again"
    assert who(SignInState(account=NOBODY), NOW) == ""
    assert who(SignInState(account=NOBODY, error=not_signed_in()), NOW) == "sign in again"
    assert who(SignInState(account=NOBODY, expires_at=NOW), NOW) == "token expired"
    long = Account(username="x" * 50 + "@contoso.example", tenant_id="t")
    assert len(short_name(long)) == 20


def test_a_browser_of_this_machine_is_offered_only_where_there_is_one() -> None:
    settings = SignInSettings(method="browser", tenant_id="t", client_id="c", authority="https://login.fake.test")
    local, remote = {"DISPLAY": ":0"}, {"DISPLAY": ":10", "SSH_CONNECTION": "192.0.2.1 1 192.0.2.2 22"}
    assert available_methods(settings, local) == ("browser", "device-code", "interactive")
    assert available_methods(settings, remote) == ("browser", "device-code")
    assert has_browser(local)
    assert not has_browser(remote)


def test_an_account_that_the_authority_does_not_name_leaves_no_gap() -> None:
    of_token = SimpleNamespace(settings=SimpleNamespace(tenant="Lab"), sign_in=SimpleNamespace(state=SignInState()))
    for account, named in ((NOBODY, ()), (LEE, (("account", LEE.username),))):
        of_token.sign_in.state = SignInState(account=account)
        assert sent_from(cast(Workspace, of_token)) == (("tenant", "Lab"), *named)
    assert str(NOBODY) == "an account without a name"
    assert str(LEE) == "lee.admin@contoso.example, tenant t"
    assert str(Account(username="lee", tenant_id="")) == "lee"
