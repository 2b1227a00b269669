"""Switching to another profile: which flags still apply, and what is never carried over."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtui.config import Config, read_config
from runtui.profiles import Profile, Profiles, read_profile
from runtui.settings import Settings
from tests import canary, there

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


def present(config: Config) -> Settings:
    """Return the settings of a session on the profile "prod"."""
    return there(read_profile(config, "prod", {"RUNTUI_STATE": "/state"}).settings)


def seen(opened: Profiles, config: Config, name: str) -> Profile:
    return next(profile for profile in opened.seen_from(present(config)) if profile.name == name)


def test_each_profile_says_where_it_leads_or_why_nowhere(config: Config) -> None:
    found = {profile.name: profile for profile in profiles(config).seen_from(present(config))}
    assert list(found) == ["prod", "same", "other", "broken", "person"]
    assert found["broken"].settings is None
    assert "line 12: A token sent to other.example" in found["broken"].problem
    assert (found["prod"].settings and found["prod"].settings.read_only) is True


def test_the_write_flag_applies_only_to_the_profile_it_was_given_with(config: Config) -> None:
    opened = profiles(config, {"read-only": False, "theme": "light", "root": "https://x.example/beta"})
    onward = there(seen(opened, config, "prod").settings)
    assert (onward.read_only, onward.theme, onward.root) == (True, "light", "https://prod.example/beta")
    same = there(seen(profiles(config, {"read-only": True}), config, "same").settings)
    assert same.read_only is True


def test_a_token_by_hand_goes_to_no_other_root(config: Config) -> None:
    problems = {profile.name: profile.problem for profile in profiles(config).seen_from(present(config))}
    assert (problems["same"], problems["person"]) == ("", "")
    assert "RUNTUI_TOKEN, which was given for https://prod.example/beta" in problems["other"]


def test_a_profile_alone_ignores_flags_and_variables(config: Config) -> None:
    profile = read_profile(config, "same", {"RUNTUI_READ_ONLY": "true", "HTTPS_PROXY": "http://p:99999"})
    assert there(profile.settings).read_only is False
