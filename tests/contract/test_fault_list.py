"""The fault list is complete: each case has a test here or elsewhere, or a sentence on why it cannot occur."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

import pytest

from tests.contract.faults import test_answers, test_around_send, test_around_the_run, test_before_send
from tests.contract.faults.cases import CASES, TESTED

ROOT: Final = Path(__file__).parents[2]
MODULES: Final = (test_before_send, test_around_send, test_answers, test_around_the_run)

ELSEWHERE: Final = {
    28: (
        "tests/terminal/test_kill.py::test_after_a_kill_at_any_point_the_journal_says_what_the_service_did",
        "tests/terminal/test_kill.py::test_after_a_kill_at_any_moment_the_journal_says_what_the_service_did",
    ),
    29: ("tests/terminal/test_leaving.py::test_a_dropped_line_ends_the_program_in_order",),
    59: ("tests/contract/test_signin_save.py::test_many_changes_go_on_after_the_sign_in_that_they_took",),
    61: ("tests/contract/test_signin_save.py::test_many_changes_go_on_after_the_sign_in_that_they_took",),
    62: ("tests/contract/test_signin_again.py::test_a_service_that_is_down_is_no_reason_to_sign_in",),
    64: ("tests/contract/test_signin_again.py::test_a_revoked_person_has_to_sign_in_and_the_token_is_forgotten",),
    65: (
        "tests/contract/test_two_processes.py::test_the_second_of_two_processes_writing_one_run_sends_nothing_and_says_so",
    ),
    71: ("tests/tui/test_review.py::test_y_sends_once_however_often_it_is_pressed",),
}
"""The cases with tests elsewhere, which need a process to kill, a terminal to hang up, two processes or a keyboard."""

CANNOT_OCCUR: Final = {
    63: "An account belongs to the sign-in; each entry records who the token of its own request named."
}
"""Cases that cannot occur in a write, with the reason."""


def test_every_case_is_accounted_for_once() -> None:
    assert sorted(CASES) == list(range(1, 72))
    assert len(MODULES) == 4, "their import has filled TESTED"
    assert TESTED | ELSEWHERE.keys() | CANNOT_OCCUR.keys() == CASES.keys()
    assert (TESTED | ELSEWHERE.keys()).isdisjoint(CANNOT_OCCUR)


@pytest.mark.parametrize("test_id", [test_id for ids in ELSEWHERE.values() for test_id in ids])
def test_the_tests_named_as_elsewhere_exist(test_id: str) -> None:
    file, _, name = test_id.partition("::")
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
