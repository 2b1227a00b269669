"""Which sign-in service belongs to which Graph."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtui.auth.clouds import CLOUD_BY_NAME, check_pair, cloud_of_authority, cloud_of_root, parse_authority
from runtui.errors import UsageError
from runtui.graph.root import parse_root


@pytest.mark.parametrize("name", CLOUD_BY_NAME)
def test_each_cloud_goes_with_itself(name: str) -> None:
    cloud = CLOUD_BY_NAME[name]
    root = parse_root(f"{cloud.graph.upper()}/beta/")
    assert cloud_of_root(root) is cloud
    assert cloud_of_root(cloud.graph) is cloud
    for authority in (cloud.authority, *cloud.older_authorities):
        assert parse_authority(authority) == authority
        check_pair(root, authority)


def test_no_cloud_goes_with_the_sign_in_service_of_another() -> None:
    for cloud in CLOUD_BY_NAME.values():
        for other in CLOUD_BY_NAME.values():
            if other.authority != cloud.authority:
                with pytest.raises(UsageError, match="belong to different clouds") as refused:
                    check_pair(f"{cloud.graph}/beta", other.authority)
                assert cloud.authority in refused.value.message
    assert CLOUD_BY_NAME["usgov"].authority == CLOUD_BY_NAME["dod"].authority
    assert cloud_of_authority("https://login.chinacloudapi.cn") is CLOUD_BY_NAME["china"]
    assert cloud_of_authority("https://login.example") is None


@pytest.mark.parametrize(
    "root",
    [
        "https://graph.microsoft.com.evil.example/beta",
        "https://graph.microsoft.com:8443/beta",
        "https://graph.microsoft.comm/beta",
        "https://graph.example/beta",
        "http://127.0.0.1:8080/beta",
    ],
)
def test_a_root_that_is_not_microsofts_gets_no_token_of_microsofts(root: str) -> None:
    assert cloud_of_root(root) is None
    with pytest.raises(UsageError, match="not one of Microsoft's clouds"):
        check_pair(root, CLOUD_BY_NAME["global"].authority)
    check_pair(root, CLOUD_BY_NAME["global"].authority, unsafe=True)


@pytest.mark.parametrize("authority", ["https://127.0.0.1:4433", "https://localhost:4433", "https://login.fake.test"])
def test_this_machine_and_the_demo_go_together(authority: str) -> None:
    for root in ("http://127.0.0.1:8080/beta", "https://localhost/beta", "https://graph.fake.test/beta"):
        check_pair(root, authority)
    with pytest.raises(UsageError):
        check_pair("https://graph.microsoft.com/beta", authority)


@pytest.mark.parametrize(
    ("given_", "authority"),
    [
        ("login.microsoftonline.com", "https://login.microsoftonline.com"),
        (" https://Login.MicrosoftOnline.US/ ", "https://login.microsoftonline.us"),
        ("https://127.0.0.1:4433", "https://127.0.0.1:4433"),
        ("https://[::1]:4433", "https://[::1]:4433"),
        ("https://login.microsoftonline.com:443", "https://login.microsoftonline.com"),
    ],
)
def test_an_authority_as_people_write_it(given_: str, authority: str) -> None:
    assert parse_authority(given_) == authority
    assert parse_authority(authority) == authority


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://login.microsoftonline.com",
        "https://login.microsoftonline.com/common",
        "https://a@login.microsoftonline.com",
        "https://login.microsoftonline.com?x",
        "https://login.microsoftonline.com#x",
        "https://login.microsoftonline.com:99999",
        "https://login.microsoftonline.com\\@evil",
        "https://lоgin.microsoftonline.com",
        "https://",
        "https://-",
        "https://login microsoftonline.com",
        "ftp://login.microsoftonline.com",
        "https://[",
    ],
)
def test_an_invalid_authority(text: str) -> None:
    with pytest.raises(UsageError):
        parse_authority(text)


def test_a_password_in_an_authority_is_not_repeated() -> None:
    with pytest.raises(UsageError) as refused:
        parse_authority("https://me:hidden-word@login.microsoftonline.com")
    assert "hidden-word" not in str(refused.value)


@given(st.text() | st.text().map(lambda text: f"https://{text}"))
def test_no_text_breaks_the_reading_of_an_authority(text: str) -> None:
    try:
        authority = parse_authority(text)
    except UsageError:
        return
    assert authority.startswith("https://")
    assert authority.isascii()
    assert parse_authority(authority) == authority
