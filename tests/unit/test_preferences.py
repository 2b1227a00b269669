"""The preferences for the next start: read as written, never lost without a message, never an obstacle to the start."""

from __future__ import annotations

import json
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from runtui.domain.views import ListSettings, View
from runtui.errors import RuntuiError
from runtui.services.preferences import (
    LONGEST_FILTER,
    MAX_FILE_BYTES,
    MAX_FILTERS,
    Preferences,
    StoredPreferences,
    preferences_path,
)
from tests import PATIENCE

SHOWN = ListSettings("status:failed", "users", False, ("workflow", "id"))
OWN = (View("入社", SHOWN), View("plain", ListSettings()))


def opened(folder: Path, profile: str = "prod", root: str = "https://graph.microsoft.com/beta") -> Preferences:
    return Preferences(folder, profile, root)


def keep(folder: Path, **choices: Any) -> None:
    preferences = opened(folder)
    preferences.keep(**choices)
    preferences.close()


def the_file(folder: Path) -> Path:
    return preferences_path(folder, "prod", "")


def test_a_restart_finds_everything_again_in_a_private_file(tmp_path: Path) -> None:
    keep(tmp_path / "state", runs=SHOWN, views=OWN, theme="runtui-light")
    again = opened(tmp_path / "state")
    assert again.kept == StoredPreferences(SHOWN, OWN, "runtui-light")
    assert again.fault is None
    assert stat.S_IMODE(the_file(tmp_path / "state").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "state").iterdir()] == [the_file(tmp_path).name]


def test_the_latest_earlier_filters_are_kept_within_the_bounds_of_the_file(tmp_path: Path) -> None:
    filters = [f"id:{number}" for number in range(MAX_FILTERS + 5)]
    long = "入" * LONGEST_FILTER
    preferences = opened(tmp_path)
    preferences.keep(filters=StoredPreferences().with_filters([*filters, long + "x", *[long] * 3]).filters)
    preferences.close()
    assert opened(tmp_path).kept.filters == (*filters[8:], long, long, long)
    assert len(json.dumps([long] * MAX_FILTERS)) < MAX_FILE_BYTES / 2


def test_each_profile_and_without_one_each_root_has_its_own(tmp_path: Path) -> None:
    places = [("prod", "https://a"), ("test", "https://a"), ("", "https://a"), ("", "https://b"), ("", "")]
    assert len({preferences_path(tmp_path, *place) for place in places}) == len(places)
    assert preferences_path(tmp_path, "prod", "https://a") == preferences_path(tmp_path, "prod", "https://b")
    keep(tmp_path, runs=SHOWN)
    assert opened(tmp_path, "test").kept == StoredPreferences()


def test_unchanged_preferences_are_not_written(tmp_path: Path) -> None:
    keep(tmp_path, runs=ListSettings())
    assert list(tmp_path.iterdir()) == []


def test_a_choice_after_the_end_is_neither_kept_nor_an_error(tmp_path: Path) -> None:
    preferences = opened(tmp_path)
    preferences.keep(theme="first")
    preferences.close()
    preferences.keep(theme="late")
    assert (preferences.kept.theme, opened(tmp_path).kept.theme) == ("first", "first")


def test_many_choices_are_written_once_the_last_one_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr("runtui.services.preferences.replace_private", lambda _path, _new, text: written.append(text))
    monkeypatch.setattr("runtui.services.preferences.QUIET_SECONDS", PATIENCE)
    preferences = opened(tmp_path)
    for number in range(50):
        preferences.keep(runs=ListSettings(f"id:{number}"))
    preferences.close()
    assert [json.loads(text)["runs"]["filter"] for text in written] == ["id:49"]


def test_two_programs_leave_a_whole_file_of_one_of_them(tmp_path: Path) -> None:
    both = [opened(tmp_path), opened(tmp_path)]
    for number, preferences in enumerate(both):
        preferences.keep(runs=ListSettings(f"id:{number}"), theme="x" * number)
    threads = [threading.Thread(target=preferences.close) for preferences in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened(tmp_path).kept in [preferences.kept for preferences in both]


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", '{"theme": 1}', "\x00" * 9, '{"theme": "", "runs": {"filter": 3}, "views": []}',
        "[" * 30_000, "9" * 70_000,
    ],
)  # fmt: skip
def test_a_damaged_file_is_set_aside_and_said(tmp_path: Path, text: str) -> None:
    the_file(tmp_path).write_text(text)
    preferences = opened(tmp_path)
    assert preferences.kept == StoredPreferences()
    assert "set aside" in str(preferences.fault)
    assert the_file(tmp_path).with_name(the_file(tmp_path).name + ".aside").read_text() == text
    preferences.keep(runs=SHOWN)
    preferences.close()
    assert opened(tmp_path).kept == StoredPreferences(SHOWN)


def test_a_column_that_this_version_does_not_know_is_left_out(tmp_path: Path) -> None:
    keep(tmp_path, runs=SHOWN)
    found = json.loads(the_file(tmp_path).read_text())
    found["runs"] |= {"sort": "tomorrow", "columns": ["tomorrow", "id", "id", "workflow"]}
    the_file(tmp_path).write_text(json.dumps(found))
    assert opened(tmp_path).kept.runs == ListSettings("status:failed", "status", True, ("id", "workflow"))


def test_text_that_no_file_and_no_database_can_hold_becomes_text(tmp_path: Path) -> None:
    """JSON may contain a lone surrogate."""
    keep(tmp_path, runs=ListSettings("id:x\ud800"))
    assert opened(tmp_path).kept.runs.filter == "id:x?"


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("mine")
    the_file(tmp_path).symlink_to(tmp_path / "elsewhere")
    preferences = opened(tmp_path)
    assert "symbolic link" in str(preferences.fault)
    preferences.keep(runs=SHOWN)
    preferences.close()
    assert (tmp_path / "elsewhere").read_text() == "mine"


def test_a_full_disk_is_reported_once(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no folder")
    preferences = opened(tmp_path / "state")
    told: list[RuntuiError] = []
    preferences.fault = None
    preferences.failed.subscribe(told.append)
    preferences.keep(runs=SHOWN)
    preferences.close()
    assert preferences.kept.runs == SHOWN
    assert len(told) == 1
