"""Every kind of answer of the sandbox matches the service's declaration of its types."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Final

import pytest

from runtui.sandbox.app import ROUTES
from runtui.sandbox.writes import ACTIONS
from tests.contract.conftest import NEWER_MEMBERS, WORKFLOWS, Sandbox
from tests.contract.schema import DECLARED_ACTIONS, deviations

READS: Final = sorted({route.path for route in ROUTES if route.method == "GET"})

TYPES: Final = {
    "workflows": "workflow",
    "runs": "run",
    "reprocessedRuns": "run",
    "userProcessingResults": "userProcessingResult",
    "taskProcessingResults": "taskProcessingResult",
    "customTaskExtensions": "customTaskExtension",
    "users": "graph.user",
}
"""The entity types of the collections, by the last segment of their paths."""


def expected(template: str) -> tuple[str, bool]:
    """Return the type of the answer at a path, and whether it is a collection."""
    *front, last = template.strip("/").split("/")
    return (TYPES[last], True) if last in TYPES else (TYPES[front[-1]], False)


async def filled(sandbox: Sandbox, template: str) -> list[str]:
    """Yield the paths of a template: one for each workflow, with the keys of entities that are found on the way."""
    paths = [""]
    for segment in template.strip("/").split("/"):
        if not segment.startswith("{"):
            paths = [f"{path}/{segment}" for path in paths]
        elif paths[0] == "/users":
            everybody = sandbox.app.state.database.people
            paths = [f"{path}/{everybody.person(number).id}" for path in paths for number in (1, 3_200, 3_700)]
        else:
            paths = [f"{path}/{key}" for path in paths for key in await keys(sandbox, path)]
    return paths


async def keys(sandbox: Sandbox, path: str) -> list[str]:
    """Return the keys of some entities: workflows of every kind, runs in every state, a few of everything else."""
    listed = (await sandbox.get(path))["value"]
    if path == WORKFLOWS:
        kinds = ("Onboard contractor", "Offboard last day", "HR feed: unmatched accounts")
        listed = [item for item in listed if item["displayName"] in kinds]
    elif path.endswith("/runs"):
        listed = list({item["processingStatus"]: item for item in reversed(listed)}.values())
    elif len(listed) > 3:
        failed = [item for item in listed if item.get("processingStatus") == "failed"]
        listed = [listed[0], listed[-1], *failed[:8]]
    return [item["id"] for item in listed]


@pytest.mark.parametrize("template", READS)
async def test_an_answer_is_as_the_service_declares_it(sandbox: Sandbox, template: str) -> None:
    type_name, is_collection = expected(template)
    found: list[str] = []
    seen: Counter[bool] = Counter()
    for path in dict.fromkeys(await filled(sandbox, template)):
        for newer in (True, False):
            answer = await sandbox.get(path, headers=NEWER_MEMBERS if newer else {"Prefer": "odata.maxpagesize=999"})
            assert "/$metadata#" in answer.pop("@odata.context")
            values = answer["value"] if is_collection else [answer]
            seen[newer] += len(values)
            for value in values:
                found += deviations(value, type_name, newer=newer, at=path)
    assert found == []
    assert min(seen[True], seen[False]) > 0, "nothing was judged"


EXPANDED: Final = [
    (WORKFLOWS + "/{key}/userProcessingResults", "userProcessingResult"),
    (WORKFLOWS + "/{key}/runs/{key}/taskProcessingResults", "taskProcessingResult"),
]


@pytest.mark.parametrize(("template", "type_name"), EXPANDED)
async def test_expanded_users_match_the_declaration(sandbox: Sandbox, template: str, type_name: str) -> None:
    found: list[str] = []
    seen: list[Any] = []
    for path in await filled(sandbox, template):
        for value in (await sandbox.get(path, expand="subject"))["value"]:
            seen += [value["subject"]] if "subject" in value else []
            found += deviations(value, type_name, newer=True, at=path)
    assert found == []
    assert any(len(item) > 1 for item in seen)


def test_actions_are_those_of_the_service_with_its_parameters() -> None:
    assert [action.name for action in ACTIONS] == [*DECLARED_ACTIONS]
    for action in ACTIONS:
        declared = DECLARED_ACTIONS[action.name]
        bound = {route.path.split("/")[-3] for route in ROUTES if route.path.endswith(f"/{{key}}/{action.name}")}
        assert {TYPES[name] for name in bound} == {declared["binding"]}
        assert [*action.parameters] == [*declared.get("parameters", ())]


async def test_the_check_finds_every_deviation_from_the_declaration(sandbox: Sandbox) -> None:
    workflow = (await sandbox.get(WORKFLOWS))["value"][0]
    run = (await sandbox.get(f"{WORKFLOWS}/{workflow['id']}/runs"))["value"][0]
    wrong: list[tuple[dict[str, Any], str]] = [
        ({**run, "processingStatus": "pausedByPolicy"}, "no member of lifecycleWorkflowProcessingStatus"),
        ({**run, "changeTicket": "CHG0031877"}, "run does not declare"),
        ({**run, "totalUsersCount": None}, "cannot be"),
        ({**run, "scheduledDateTime": "yesterday"}, "no DateTimeOffset"),
        ({key: run[key] for key in run if key != "failedTasksCount"}, "lacks failedTasksCount"),
        ({**run, "activatedOnScope": {"userScope": "allUsers"}}, "abstract type activationScope"),
    ]
    for value, words in wrong:
        (sentence,) = (text for text in deviations(value, "run", newer=True) if words in text)
        assert re.search(words, sentence)
    assert any("lacks settings" in text for text in deviations({"id": "x"}, "workflow", newer=True))
    assert [*deviations("mover", "lifecycleWorkflowCategory", newer=False)]
