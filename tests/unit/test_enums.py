"""Open enumerations: known members in Graph's order, unknown ones kept apart and never refused for being new."""

from __future__ import annotations

import pytest

from runtui.domain.properties import EXECUTION_TYPE, PROCESSING_STATUS, SENTINEL, OpenEnum

SEED_STATUSES = ("queued", "inProgress", "completed", "completedWithErrors", "canceled", "failed")
NEWER_STATUSES = ("canceling", "quarantined")
SEED_TYPES = ("scheduled", "onDemand")
NEWER_TYPES = ("activatedWithScope", "preview", "extensibilityOnDemand")


@pytest.mark.parametrize(
    ("enum", "names"),
    [
        (PROCESSING_STATUS, (*SEED_STATUSES, *NEWER_STATUSES, SENTINEL)),
        (EXECUTION_TYPE, (*SEED_TYPES, *NEWER_TYPES, SENTINEL)),
    ],
)
def test_every_member_of_the_page_and_of_the_metadata_is_offered_with_the_sentinel_last(
    enum: OpenEnum, names: tuple[str, ...]
) -> None:
    assert enum.names == names
    assert enum.names[-1] == "unknownFutureValue"


@pytest.mark.parametrize("enum", [PROCESSING_STATUS, EXECUTION_TYPE])
def test_every_member_has_a_meaning_of_its_own(enum: OpenEnum) -> None:
    meanings = [enum.meaning(name) for name in enum.names]
    assert all(meanings)
    assert len(set(meanings)) == len(meanings)
    assert not any(len(meaning) > 40 for meaning in meanings), "a dropdown of 80 columns has no room for more"


@pytest.mark.parametrize("value", ["paused", "", "Failed", "FAILED", " failed", "[/x]", "\x1b[2J", "cancelled"])
def test_a_value_that_is_no_member_letter_by_letter_is_unknown_and_says_so(value: str) -> None:
    assert not PROCESSING_STATUS.is_known(value)
    assert "not known to this version" in PROCESSING_STATUS.meaning(value)
