"""Switching to another profile: which flags still apply, and what is never carried over."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtui.config import Config, read_config
from runtui.errors import UsageError
from runtui.profiles import Profiles, read_profile
from tests import canary

FILE = """\
[profiles.prod]
root = "https://prod.example/beta"
read-only = true

[profiles.same]
root = "https://prod.example/beta"

[profiles.other]
root = "https://other.example/beta"

[profiles.broken]
root = "http://other.example/beta"

[profiles.person]
tenant-id = "contoso.com"
client-id = "11111111"
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "config.toml"
    path.write_text(FILE)
    return read_config(path)


def profiles(config: Config, flags: dict[str, object] | None = None, **environ: str) -> Profiles:
    return Profiles(config, flags or {}, {"RUNTUI_STATE": "/state", "RUNTUI_TOKEN": canary.TOKEN, **environ})


def test_each_profile_says_where_it_leads_or_why_nowhere(config: Config) -> None:
    found = {profile.name: profile for profile in profiles(config)}
    assert list(found) == ["prod", "same", "other", "broken", "person"]
    assert found["broken"].settings is None
    assert "line 12: A token sent to other.example" in found["broken"].problem
    assert (found["prod"].settings and found["prod"].settings.read_only) is True


def test_the_write_flag_applies_only_to_the_profile_it_was_given_with(config: Config) -> None:
    present = next(iter(profiles(config))).settings
    assert present is not None
    opened = profiles(config, {"read-only": False, "theme": "light", "root": "https://x.example/beta"})
    onward = opened.next_profile("prod", present)
    assert (onward.read_only, onward.theme, onward.root) == (True, "light", "https://prod.example/beta")
    assert profiles(config, {"read-only": True}).next_profile("same", present).read_only is True


def test_a_token_by_hand_goes_to_no_other_root(config: Config) -> None:
    opened = profiles(config)
    present = next(iter(opened)).settings
    assert present is not None
    assert opened.next_profile("same", present).profile == "same"
    assert opened.next_profile("person", present).sign_in is not None
    with pytest.raises(UsageError, match=r"RUNTUI_TOKEN, which was given for https://prod\.example/beta"):
        opened.next_profile("other", present)


def test_a_profile_alone_ignores_flags_and_variables(config: Config) -> None:
    profile = read_profile(config, "same", {"RUNTUI_READ_ONLY": "true", "HTTPS_PROXY": "http://p:99999"})
    assert profile.settings is not None
    assert profile.settings.read_only is False
