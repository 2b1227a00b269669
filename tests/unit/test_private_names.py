"""Private names of libraries: where they are used, each by name, and that it still exists in the version in use."""

from __future__ import annotations

import ast
import asyncio
import importlib
import importlib.util
import inspect
import os
import pkgutil
import subprocess
import sys
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from textual._animator import Animator
from textual._compositor import Compositor
from textual.app import App
from textual.drivers._writer_thread import WriterThread
from textual.drivers.linux_driver import LinuxDriver
from textual.message_pump import MessagePump
from textual.screen import Screen
from textual.strip import Strip

import runtui.tui
from runtui.unused_modules import UNUSED_MODULES

RUNTUI: Final = Path(__file__).parents[2] / "runtui"
LIBRARIES: Final = {"textual", "rich", "msal", "httpx", "uvicorn", "starlette"}

MODULES: Final[dict[str, set[str]]] = {
    "tui/output.py": {
        "textual._compositor.ChopsUpdate",
        "textual._compositor.Compositor",
        "textual._compositor.LayoutUpdate",
        "textual._compositor.ReflowResult",
        "textual.drivers._writer_thread.WriterThread",
    },
    "tui/terminal.py": {"textual._xterm_parser.XTermParser"},
}
"""The names that are imported from private modules."""

ATTRIBUTES: Final[dict[str, set[str]]] = {
    "tui/keys.py": {
        "_animations",
        "_dom_ready",
        "_is_mounted",
        "_message_queue",
        "_next_callbacks",
        "_pending_message",
        "_registry",
        "_running",
        "_waiters",
    },
    "tui/output.py": {
        "_background_screens",
        "_batch_count",
        "_callbacks",
        "_compositor",
        "_compositor_refresh",
        "_context",
        "_dirty_regions",
        "_display",
        "_divide_cache",
        "_exit",
        "_handle_exception",
        "_layout_required",
        "_queue",
        "_scroll_required",
    },
    "tui/terminal.py": {"_background_screens", "_compositor_refresh", "_layout_required", "_refresh_layout"},
}
"""The private attributes of other objects."""

INHERITED: Final[dict[str, set[str]]] = {
    "tui/output.py": {
        "_batch_count",
        "_callbacks",
        "_closed",
        "_compositor",
        "_display",
        "_driver",
        "_layout_required",
        "_regions_to_spans",
        "_render_chops",
        "_repaint_required",
        "_on_timer_update",
        "_scroll_required",
        "_sync_available",
        "_update_timer",
    },
    "tui/terminal.py": {
        "_app",
        "_background_screens",
        "_close_messages_no_wait",
        "_disable_notifications",
        "_disable_tooltips",
        "_driver",
        "_exception",
        "_fatal_error",
        "_file",
        "_get_terminal_size",
        "_loop",
        "_mouse",
        "_register",
        "_run_input_thread",
    },
}
"""The private names that a class of ours inherits from Textual, and uses or replaces."""

OURS: Final = {"tui/features/feature.py": {"_listener"}}
"""Names that belong to a class of the same module."""


def sources() -> list[Path]:
    return sorted(RUNTUI.rglob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(RUNTUI))


def is_private(name: str) -> bool:
    """Return whether a name is private to its class; `_replace` is public in every named tuple."""
    return name.startswith("_") and not name.startswith("__") and name not in {"_replace", "_asdict"}


def private_imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                whole = f"{module}.{alias.name}".strip(".")
                if whole.partition(".")[0] in LIBRARIES and any(map(is_private, whole.split("."))):
                    yield whole


def private_attributes(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr) and ast.unparse(node.value) not in {"self", "cls"}:
            yield node.attr


def test_private_names_are_used_where_they_are_listed() -> None:
    for path in sources():
        name, tree = name_of(path), ast.parse(path.read_text("utf-8"))
        assert set(private_imports(tree)) == MODULES.get(name, set()), name
        if name.startswith(("tui/", "auth/")):
            used, listed = set(private_attributes(tree)), ATTRIBUTES.get(name, set())
            assert listed <= used <= listed | OURS.get(name, set()), name


def classes_of_the_face() -> Iterator[type]:
    for found in pkgutil.walk_packages(runtui.tui.__path__, "runtui.tui."):
        for _, kind in inspect.getmembers(importlib.import_module(found.name), inspect.isclass):
            if kind.__module__ == found.name:
                yield kind


def inherited(kind: type) -> set[str]:
    """Return the private names of a class that its Textual ancestors have too."""
    textual = [base for base in kind.__mro__ if base.__module__.partition(".")[0] == "textual"]
    theirs = {
        name for base in textual for name in (*vars(base), *getattr(base, "__annotations__", ()), *assigned(base))
    }
    return {name for name in used_by(kind) if name in theirs}


@cache
def assigned(kind: type) -> set[str]:
    """Return the private attributes that a class sets on itself."""
    return {
        node.attr
        for node in ast.walk(tree_of(kind))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_private(node.attr)
    }


def used_by(kind: type) -> set[str]:
    """Return the private names that a class defines or reads on itself."""
    tree = tree_of(kind)
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    used |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    return {name for name in used if is_private(name)}


def tree_of(kind: type) -> ast.Module:
    return ast.parse(inspect.cleandoc("\n" + inspect.getsource(kind)))


def test_no_class_takes_a_private_name_of_textual() -> None:
    """A class may not do so on purpose, nor by accident."""
    for kind in classes_of_the_face():
        path = name_of(Path(inspect.getfile(kind)))
        found = inherited(kind) - ATTRIBUTES.get(path, set())
        assert found <= INHERITED.get(path, set()), kind


def has(owner: Any, name: str) -> bool:
    return hasattr(owner, name) or any(name in assigned(base) for base in owner.__mro__ if base is not object)


PRIVATE_NAMES: Final = (
    *((App, name) for name in ("_registry", "_dom_ready", "_context", "_handle_exception", "_batch_count", "_closed")),
    *((App, name) for name in ("_display", "_driver", "_exit", "_sync_available")),
    *((App, name) for name in ("_close_messages_no_wait", "_exception", "_fatal_error", "_register")),
    *((LinuxDriver, name) for name in ("_app", "_debug", "_get_terminal_size", "_loop", "_mouse", "_run_input_thread")),
    *((Screen, name) for name in ("_layout_required", "_scroll_required", "_callbacks", "_compositor_refresh")),
    *((Screen, name) for name in ("_compositor", "_on_timer_update", "_update_timer")),
    *((Compositor, name) for name in ("_dirty_regions", "_regions_to_spans", "_render_chops")),
    *((MessagePump, name) for name in ("_message_queue", "_pending_message", "_next_callbacks", "_running")),
    (MessagePump, "_is_mounted"),
    (Animator, "_animations"),
    (Strip, "_divide_cache"),
    (WriterThread, "_queue"),
    (asyncio.Event, "_waiters"),
)  # fmt: skip
"""A class of Textual or asyncio, and a private name of it that runtui uses or replaces."""


def test_each_private_name_still_exists() -> None:
    assert [(owner, name) for owner, name in PRIVATE_NAMES if not has(owner, name)] == []


def test_each_private_module_still_exists() -> None:
    for whole in {name for names in MODULES.values() for name in names}:
        module, _, name = whole.rpartition(".")
        assert hasattr(importlib.import_module(module), name), whole


def loaded_after(code: str) -> list[str]:
    """Return the names of all modules that a process has loaded after some code."""
    code = f"import sys; {code}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=RUNTUI.parent, capture_output=True, text=True, check=True)
    return ran.stdout.split()


def taken_by(name: str, wanted: Collection[str]) -> Iterator[tuple[bool, tuple[str, str]]]:
    """Yield what a module takes from some other modules: whether at its import, and (module, name)."""
    module = importlib.import_module(name)
    tree = ast.parse(Path(str(module.__file__)).read_text("utf-8-sig"))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    later = {node for function in functions for node in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (whole := ast.unparse(node.value)) in wanted:
            yield node not in later, (whole, node.attr)
        if isinstance(node, ast.ImportFrom) and node not in later:
            whole = importlib.util.resolve_name("." * node.level + (node.module or ""), module.__package__)
            yield from ((True, (whole, alias.name)) for alias in node.names if whole in wanted)


LOADED_BY: Final = {
    "asyncio": ("import runtui.session", ("asyncio",)),
    "httpx": ("from runtui.graph.network import load_httpx; load_httpx()", ("httpx", "httpcore")),
    "msal": ("from runtui.auth.token_store import load_msal; load_msal()", ("msal",)),
    "textual": ("import runtui.tui.app", ("textual", "rich")),
    "uvicorn": ("import runtui.sandbox.server", ("starlette", "uvicorn")),
    "pydantic_core": (
        "from runtui.domain.properties import EDITABLE_BY_NAME as known; known['totalUsersCount'].problem(1)",
        ("pydantic_core",),
    ),
}
"""For each library that is loaded without some of its modules: the code that loads it, and the packages whose imports
count."""


@pytest.mark.parametrize("library", UNUSED_MODULES)
def test_a_library_is_loaded_without_the_left_out_modules_and_imports_only_the_listed_names(library: str) -> None:
    left_out, (code, packages) = UNUSED_MODULES[library], LOADED_BY[library]
    loaded = loaded_after(code)
    assert left_out.keys().isdisjoint(loaded)
    sources = (name for name in loaded if name.partition(".")[0] in packages and Path(file_of(name)).suffix == ".py")
    needed = {name: names.split() for name, names in left_out.items() if names is not None}
    taken = {use for name in sources for use in taken_by(name, needed)}
    listed = {(name, part) for name, parts in needed.items() for part in parts}
    assert {pair for at_import, pair in taken if at_import} <= listed <= {pair for _, pair in taken}


def file_of(name: str) -> str:
    return str(getattr(importlib.import_module(name), "__file__", ""))


@pytest.mark.parametrize("library", UNUSED_MODULES)
def test_a_module_left_out_can_be_imported_in_full_later(library: str) -> None:
    names = ", ".join(UNUSED_MODULES[library])
    assert UNUSED_MODULES[library].keys() <= set(loaded_after(f"{LOADED_BY[library][0]}; import {names}"))


def test_runtui_imports_no_module_that_another_thread_may_have_replaced() -> None:
    replaced = {name for names in UNUSED_MODULES.values() for name, parts in names.items() if parts is not None}
    importers = {
        (path.relative_to(RUNTUI).as_posix(), name)
        for path in RUNTUI.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        for name in imports_of(node)
        if name in replaced
    }
    assert importers == {("graph/network.py", "urllib.request")}  # under the lock, as the next test proves


def imports_of(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom) and node.module:
        yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))


PROXY_DURING_IMPORT: Final = """
import threading
from concurrent.futures import ThreadPoolExecutor
from runtui.graph import network
from runtui.unused_modules import IMPORT_LOCK, without_unused

reached = threading.Event()

class Lock:
    def __enter__(self):
        reached.set()
        IMPORT_LOCK.acquire()
    def __exit__(self, *_):
        IMPORT_LOCK.release()

network.IMPORT_LOCK = Lock()
with ThreadPoolExecutor() as pool:
    with without_unused("httpx"):
        found = pool.submit(network.proxy_of, "https://graph.example/beta")
        found.add_done_callback(lambda _: reached.set())
        reached.wait()
    print(found.result().place)
"""


def test_a_proxy_is_looked_up_while_another_thread_imports_httpx() -> None:
    env = {**os.environ, "https_proxy": "http://proxy.example:8080"}
    ran = subprocess.run(
        [sys.executable, "-c", PROXY_DURING_IMPORT], check=False, env=env, capture_output=True, text=True
    )
    assert ran.stdout.strip() == "proxy.example:8080", ran.stderr
