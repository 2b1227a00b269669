"""The house at run time: what an import really loads, and how large anything may grow.

import-linter reads the import statements; this looks at `sys.modules`, because what is loaded costs time at every
start, and an import inside a function is no import until it runs.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[2]
SOURCES: Final = sorted((ROOT / "runtui").rglob("*.py"))

MAX_FILE_LINES: Final = 600
MAX_CLASS_METHODS: Final = 35
MAX_FUNCTION_LINES: Final = 50

FACE: Final = {"textual", "rich"}
WIRE: Final = {"httpx", "httpcore", "truststore"}
SIGN_IN: Final = {"msal", "requests", "cryptography"}
SERVER: Final = {"starlette", "uvicorn", "odata_query"}
RULES: Final = {"pydantic"}
STORE: Final = {"sqlite3"}
INPUT_AND_OUTPUT: Final = {"asyncio", "socket", "ssl", "subprocess"}
EVERYTHING: Final = FACE | WIRE | SIGN_IN | SERVER | RULES | STORE

NOT_LOADED: Final[dict[str, set[str]]] = {
    "runtui.cli": EVERYTHING | INPUT_AND_OUTPUT,
    "runtui.errors": EVERYTHING | INPUT_AND_OUTPUT,
    "runtui.redact": EVERYTHING | INPUT_AND_OUTPUT,
    "runtui.settings": EVERYTHING | INPUT_AND_OUTPUT,
    "runtui.options": EVERYTHING | INPUT_AND_OUTPUT,
    "runtui.config": EVERYTHING | INPUT_AND_OUTPUT,
    "runtui.session_settings": EVERYTHING | INPUT_AND_OUTPUT,
    "runtui.profiles": EVERYTHING | INPUT_AND_OUTPUT,
    "runtui.demo": EVERYTHING,
    "runtui.domain.draft": EVERYTHING | INPUT_AND_OUTPUT,
    "runtui.domain.properties": EVERYTHING | INPUT_AND_OUTPUT,
    "runtui.domain.filters": EVERYTHING | INPUT_AND_OUTPUT,
    "runtui.domain.rows": EVERYTHING | INPUT_AND_OUTPUT,
    "runtui.domain.results": EVERYTHING | INPUT_AND_OUTPUT,
    "runtui.auth.tokens": EVERYTHING,
    "runtui.auth.signin": EVERYTHING,
    "runtui.auth.msal_client": EVERYTHING,
    "runtui.auth.token_store": EVERYTHING,
    "runtui.auth.clouds": EVERYTHING | INPUT_AND_OUTPUT,
    "runtui.auth.claims": EVERYTHING | INPUT_AND_OUTPUT,
    "runtui.graph.sign_in_http": EVERYTHING,
    "runtui.graph.network": EVERYTHING,
    "runtui.graph.client": EVERYTHING,
    "runtui.graph.transport": EVERYTHING,
    "runtui.services.workspace": EVERYTHING - STORE,
    "runtui.services.store": EVERYTHING - STORE,
    "runtui.services.saves": EVERYTHING - STORE,
    "runtui.services.refresh": EVERYTHING - STORE,
    "runtui.tui.app": EVERYTHING - FACE - STORE,
    "runtui.prelude": EVERYTHING - STORE,
    "runtui.session": EVERYTHING - STORE,
    "runtui.sandbox.server": FACE | WIRE | SIGN_IN,
}
"""For a module: the top-level packages that importing it, alone and first, must not load."""

CONTRACTS: Final = (
    ("runtui.domain", "textual"),
    ("runtui.domain", "httpx"),
    ("runtui.domain", "sqlite3"),
    ("runtui.services", "textual"),
    ("runtui.services", "httpx"),
    ("runtui.tui", "httpx"),
    ("runtui.tui", "starlette"),
    ("runtui.graph", "textual"),
    ("runtui.graph", "starlette"),
    ("runtui.sandbox", "textual"),
    ("runtui.sandbox", "httpx"),
    ("runtui.sandbox", "runtui.graph"),
)
"""Who may never import what, not even inside a function: import-linter has to forbid it."""


def contracts() -> list[dict[str, Any]]:
    """The import-linter contracts of pyproject.toml."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    declared: list[dict[str, Any]] = project["tool"]["importlinter"]["contracts"]
    return declared


@pytest.mark.parametrize("module", NOT_LOADED)
def test_an_import_loads_no_more_than_its_room_needs(module: str) -> None:
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert NOT_LOADED[module].isdisjoint(loaded.split())


@pytest.mark.parametrize(("source", "forbidden"), CONTRACTS)
def test_import_linter_forbids_the_same_inside_functions(source: str, forbidden: str) -> None:
    contracts: list[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"][
        "importlinter"
    ]["contracts"]
    assert any(
        source in contract.get("source_modules", ()) and forbidden in contract.get("forbidden_modules", ())
        for contract in contracts
    )


def test_every_room_has_its_place_in_the_layers() -> None:
    (layers,) = (contract["layers"] for contract in contracts() if contract["type"] == "layers")
    named = {name.strip() for layer in layers for name in layer.split("|")}
    rooms = {f"runtui.{path.stem}" for path in (ROOT / "runtui").iterdir() if path.name[0] not in "_."}
    # The sandbox stands beside the layers and has a contract of its own.
    assert rooms - {"runtui.sandbox", "runtui.py"} <= named


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_class_or_function_grows_too_large(path: Path) -> None:
    text = path.read_text("utf-8")
    too_large = [] if text.count("\n") <= MAX_FILE_LINES else [f"the file: {text.count(chr(10))} lines"]
    too_large += _too_large(ast.parse(text))
    assert too_large == []


def _too_large(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            methods = sum(isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef) for item in node.body)
            if methods > MAX_CLASS_METHODS:
                yield f"class {node.name}: {methods} methods"
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                yield f"{node.name}: {lines} lines"
