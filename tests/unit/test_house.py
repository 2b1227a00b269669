"""The code of `runtui/`: which modules an import loads, how large things may be, and that everything is used.

import-linter reads the import statements. This test looks at `sys.modules`, because each loaded module costs time at
every start, and an import inside a function loads nothing until it runs.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from tests.house import rules

ROOT: Final = Path(__file__).parents[2]

ALLOWED: Final = {
    "files": 226,
    "lines": 47_450,
}
"""Rules that do not hold yet: name -> figure, which may shrink, but not grow. A rule that holds leaves this table."""

FACE: Final = {"textual", "rich"}
WIRE: Final = {"httpx", "httpcore", "truststore"}
SIGN_IN: Final = {"msal", "requests", "cryptography"}
SERVER: Final = {"starlette", "uvicorn"}
RULES: Final = {"pydantic", "pydantic_core"}
STORE: Final = {"sqlite3"}
INPUT_AND_OUTPUT: Final = {"asyncio", "socket", "ssl", "subprocess"}
EVERYTHING: Final = FACE | WIRE | SIGN_IN | SERVER | RULES | STORE

NOT_LOADED: Final[dict[str, tuple[set[str], str]]] = {
    "the first rows": (EVERYTHING | INPUT_AND_OUTPUT | {"argparse", "pathlib", "json"}, "prelude.snapshot"),
    "what is pure": (
        EVERYTHING | INPUT_AND_OUTPUT,
        "cli errors redact settings options config command_line log keys.actions keys.keymap profiles domain.draft "
        "domain.properties domain.filters domain.rows domain.results auth.clouds auth.claims",
    ),
    "what asks the service": (
        EVERYTHING,
        "demo auth.tokens auth.signin auth.msal_client auth.token_store graph.sign_in_http graph.network graph.client "
        "graph.transport",
    ),
    "what stores": (
        EVERYTHING - STORE,
        "services.workspace services.store.store services.writing.saves services.refresh prelude.first_paint session",
    ),
    "the terminal UI": (EVERYTHING - FACE - STORE, "tui.app"),
    "the sandbox": (FACE | WIRE | SIGN_IN | {"click", "multiprocessing"}, "sandbox.server"),
}
"""The top-level packages that none of some modules may load when they are the first imports of a process."""

MODULES_AT_THE_START: Final = 77
"""The number of runtui's modules that the first screen may load."""

MODULES_BEFORE_THE_ROWS: Final = 50
"""The number of runtui's modules that the first paint may load."""


def contracts() -> list[dict[str, Any]]:
    """The import-linter contracts of pyproject.toml."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    declared: list[dict[str, Any]] = project["tool"]["importlinter"]["contracts"]
    return declared


NOT_NEEDED: Final = {
    "runs": {"keys.actions", "auth.signin", "services.records.journal"},
    "bulk": {"services.refresh", "services.preferences", "services.writing.bulk", "services.records.journal_query"},
    "triage.lists": {"headless.runs", "services.records.journal"},
    "sign_in": {"services.store.store", "domain.draft", "sqlite3"},
    "journal": {"services.workspace", "services.store.store"},
}


@pytest.mark.parametrize("room", NOT_LOADED)
def test_an_import_loads_no_more_than_its_room_needs(room: str) -> None:
    not_loaded, modules = NOT_LOADED[room]
    names = ", ".join(f"runtui.{module}" for module in modules.split())
    code = f"import sys, {names}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not_loaded.isdisjoint(loaded.split())


def test_the_first_rows_wait_for_no_more_than_they_need() -> None:
    code = "import sys, runtui.cli, runtui.session; print(*(name for name in sys.modules if name[:6] == 'runtui'))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = ran.stdout.split()
    assert not [name for name in loaded if "journal" in name or "drafts" in name or "exchange" in name]
    assert len(loaded) <= MODULES_BEFORE_THE_ROWS


def test_the_first_screen_loads_no_place_but_the_list_and_no_feature_that_can_wait() -> None:
    code = "import sys, runtui.session, runtui.tui.app; print(*(name for name in sys.modules if name[:7] == 'runtui.'))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = ran.stdout.split()
    features = {name.rpartition(".")[2] for name in loaded if ".features." in name}
    assert features == {"feature", "leaving", "listing"}
    assert {name.rpartition(".")[2] for name in loaded if ".screens." in name} == {"frame", "panel", "runs", "view"}
    assert {name for name in loaded if name.startswith(("runtui.graph.", "runtui.tui.words"))} == {"runtui.graph.root"}
    assert len(loaded) <= MODULES_AT_THE_START


@pytest.mark.parametrize("command", NOT_NEEDED)
def test_a_command_with_a_token_loads_no_more_than_it_needs(command: str) -> None:
    code = f"import sys, runtui.headless.{command}; print(*(name.removeprefix('runtui.') for name in sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert NOT_NEEDED[command].isdisjoint(ran.stdout.split())


def test_a_sandbox_without_a_sign_in_loads_none() -> None:
    code = "import sys; from runtui.sandbox.app import create_app as c; c(runs=3); print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not [name for name in ran.stdout.split() if name.startswith("runtui.sandbox.authority")]


def test_every_room_has_its_place_in_the_layers() -> None:
    (layers,) = (contract["layers"] for contract in contracts() if contract["type"] == "layers")
    named = {name.strip() for layer in layers for name in layer.split("|")}
    rooms = {f"runtui.{path.stem}" for path in (ROOT / "runtui").iterdir() if path.name[0] not in "_."}
    # The sandbox is outside the layers and has its own contract.
    assert rooms - {"runtui.sandbox", "runtui.py"} <= named


def test_the_rules_of_the_house() -> None:
    broken = [rule for rule in rules() if rule.figure > ALLOWED.get(rule.name, rule.limit)]
    assert not broken, "\n\n".join("\n".join([f"{rule.name}: {rule.figure}", *rule.breaches]) for rule in broken)
