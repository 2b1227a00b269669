"""The rules for the code of `runtui/`: a figure for each rule, and every line that breaks one.

`python tests/house.py` prints both. The rules read the source, and import it to know what a class inherits from
Textual, pydantic or MSAL. A use in `tests/` does not count as a use.
"""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from types import FunctionType
from typing import Final

from runtui.keys.actions import ACTION_BY_ID

ROOT: Final = Path(__file__).parents[1]
HOUSE: Final = ROOT / "runtui"

SMALL_FILE: Final = 60
"""A file with fewer lines than this needs at least two files that import it."""

CALLED_BY_A_LIBRARY: Final = {
    "HttpAnswer.raise_for_status": "MSAL",
    "_MsalHttp.post": "MSAL",
    "_Stored.modify": "MSAL's token cache",
    "_Stored.update_rt": "MSAL's token cache",
    "FederatedCredential.subject": "dataclass equality",
    "FederatedCredential.audience": "dataclass equality",
}
"""Members that a library calls although no base class of that library has them: member -> the library."""

_CALLED_BY_TEXTUAL: Final = re.compile(r"(_?on|check_action|watch|validate|compute|key|render|get)(_\w+)?|compose")
_SAYS_NOTHING_OF_USE: Final = {
    "property", "cached_property", "staticmethod", "classmethod", "overload", "override", "abstractmethod",
    "contextmanager", "asynccontextmanager", "dataclass", "cache", "lru_cache", "setter", "final", "total_ordering",
    "runtime_checkable", "wraps", "unique",
}  # fmt: skip
"""Decorators that do not register a definition; a definition with any other decorator counts as used."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Rule:
    """One rule: its figure, the limit of that, and the lines that break it."""

    name: str
    figure: int
    limit: int
    breaches: list[str] = field(default_factory=list)


class Module:
    """One file of `runtui/`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.place = str(path.relative_to(ROOT))
        parts = path.relative_to(ROOT).with_suffix("").parts
        self.is_package = parts[-1] == "__init__"
        self.name = ".".join(parts[:-1] if self.is_package else parts)
        self.text = path.read_text("utf-8")
        self.lines = self.text.count("\n")
        self.tree = ast.parse(self.text)

    @property
    def room(self) -> str:
        return "sandbox" if self.name.startswith("runtui.sandbox") else "house"

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @cached_property
    def definitions(self) -> dict[str, ast.stmt]:
        """The classes, functions, constants and types at the top level of the file, by name."""
        found: dict[str, ast.stmt] = {}
        for node in _statements(self.tree.body):
            if isinstance(node, ast.ClassDef | Function):
                found.setdefault(node.name, node)
            elif isinstance(node, ast.Assign):
                for name in (name for target in node.targets for name in ast.walk(target)):
                    if isinstance(name, ast.Name):
                        found.setdefault(name.id, node)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found.setdefault(node.target.id, node)
        return found

    @cached_property
    def imported(self) -> dict[str, str]:
        """The imported names of this file, each with its full dotted name; imports inside functions count too."""
        names: dict[str, str] = {}
        for node in self.nodes:
            if isinstance(node, ast.ImportFrom) and node.module is not None and not node.level:
                names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Import):
                names |= {alias.asname or alias.name.split(".")[0]: alias.name for alias in node.names}
        return names

    @cached_property
    def imports(self) -> set[str]:
        """Every dotted name that is imported, or that a string names for a later import."""
        names = set(self.imported.values())
        names |= {name.rpartition(".")[0] for name in names}
        words = (node.value for node in self.nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))
        return names | {word.replace(":", ".") for word in words if re.fullmatch(r"runtui[\w.]*(:\w+)?", word)}


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try):
            yield from _statements([*node.body, *node.orelse])


@cache
def modules() -> dict[str, Module]:
    """Return every file of `runtui/` by its module name."""
    found = (Module(path) for path in sorted(HOUSE.rglob("*.py")))
    return {module.name: module for module in found}


@cache
def classes() -> dict[type, Module]:
    """Import every file; return every class that one defines, nested ones too, with its file."""
    found: dict[type, Module] = {}
    for module in modules().values():
        if not module.name.endswith("__main__"):
            queue = list(vars(importlib.import_module(module.name)).values())
            while queue:
                item = queue.pop()
                if isinstance(item, type) and item.__module__ == module.name and item not in found:
                    found[item] = module
                    queue += vars(item).values()
    return found


def is_ours(owner: type) -> bool:
    return owner.__module__.partition(".")[0] == "runtui"


def methods(owner: type) -> int:
    """Return the number of functions and properties that a class and its bases in `runtui/` have; a function with a
    second name counts twice."""
    return sum(len(_functions(base)) + len(_second_names(base)) for base in owner.__mro__ if is_ours(base))


def _second_names(owner: type) -> list[str]:
    """Return the attributes that the body of a class sets to a function, such as `on_leave = on_blur`."""
    targets = (target for item in _body(owner) if isinstance(item, ast.Assign) for target in item.targets)
    names = (target.id for target in targets if isinstance(target, ast.Name))
    return [name for name in names if isinstance(vars(owner).get(name), FunctionType | property | staticmethod)]


def _functions(owner: type) -> dict[str, Function]:
    return {item.name: item for item in _body(owner) if isinstance(item, Function)}


@cache
def _body(owner: type) -> list[ast.stmt]:
    """Return the statements of a class; empty for a class that a call made."""
    body = modules()[owner.__module__].tree.body
    for name in owner.__qualname__.split("."):
        body = next((node.body for node in _statements(body) if getattr(node, "name", "") == name), [])  # type: ignore[attr-defined]
    return body


def depth(owner: type) -> int:
    """Return the length of the longest chain of classes of `runtui/` that ends with this class."""
    return 1 + max(map(depth, owner.__bases__)) if is_ours(owner) else 0


def circles() -> list[list[str]]:
    """Return the groups of files that import each other, be it at the top, in a function, or only for types."""
    house = modules()
    edges = {name: module.imports.intersection(house) - {name} for name, module in house.items()}
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in edges[name]:
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            group = [stack.pop()]
            while group[-1] != name:
                group.append(stack.pop())
            if len(group) > 1:
                found.append(sorted(group))

    for name in edges:
        if name not in index:
            visit(name)
    return found


def importers(name: str) -> list[str]:
    return [module.place for module in modules().values() if module.name != name and name in module.imports]


def lines_of_functions() -> Iterator[tuple[int, str]]:
    for module in modules().values():
        for node in module.nodes:
            if isinstance(node, Function):
                yield (node.end_lineno or node.lineno) - node.lineno + 1, f"{module.place}:{node.lineno} {node.name}"


def is_public(name: str) -> bool:
    return not name.startswith("_")


def _inside(node: ast.AST) -> set[ast.AST]:
    return set(ast.walk(node))


@cache
def _attributes() -> dict[str, list[tuple[Module, ast.AST]]]:
    """Return, for each name, where it is used as an attribute or looked up by a call such as `getattr`."""
    found: dict[str, list[tuple[Module, ast.AST]]] = defaultdict(list)
    for module in modules().values():
        for node in module.nodes:
            if isinstance(node, ast.Attribute):
                found[node.attr].append((module, node))
            elif isinstance(node, ast.Call) and _called(node) in ("getattr", "attrgetter", "methodcaller", "hasattr"):
                for word in node.args:
                    if isinstance(word, ast.Constant) and isinstance(word.value, str):
                        found[word.value].append((module, node))
            elif isinstance(node, ast.MatchClass):
                by_place = _matched_by_place(_called(node.cls))[: len(node.patterns)]
                for name in (*node.kwd_attrs, *by_place):
                    found[name].append((module, node))
    return found


def _matched_by_place(name: str) -> list[str]:
    return [word for owner in classes() if owner.__name__ == name for word in getattr(owner, "__match_args__", ())]


def _called(node: ast.expr) -> str:
    """Return the last name of a called function or of a decorator."""
    function = node.func if isinstance(node, ast.Call) else node
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _is_handed_on(node: ast.AST) -> bool:
    return any(_called(item) not in _SAYS_NOTHING_OF_USE for item in getattr(node, "decorator_list", ()))


def _is_found(definition: ast.AST) -> bool:
    """Return whether a definition is a feature, which `tui.features.feature` finds by its file."""
    return any(_called(base) == "Feature" for base in getattr(definition, "bases", ()))


def unused_definitions() -> Iterator[str]:
    """Yield the public classes, functions and constants that nothing in `runtui/` uses outside their definition."""
    for module in modules().values():
        for name, definition in module.definitions.items():
            if not is_public(name) or _is_handed_on(definition) or _is_found(definition):
                continue
            if not _is_used_at_home(module, name, definition) and not _is_used_elsewhere(module, name):
                yield f"{module.place}:{definition.lineno} {name}"


def _is_used_at_home(module: Module, name: str, definition: ast.AST) -> bool:
    own = _inside(definition)
    for node in module.nodes:
        if node not in own:
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load):
                return True
            if isinstance(node, ast.Constant) and node.value == name:
                return True
    return False


def _is_used_elsewhere(module: Module, name: str) -> bool:
    full = f"{module.name}.{name}"
    others = [other for other in modules().values() if other is not module]
    if any(full in other.imports and _uses_import(other, full) for other in others):
        return True
    by_module = [other for other in others if module.name in other.imported.values()]
    by_string = [other for other in others if full in other.imports - set(other.imported.values())]
    looked_up = {user for user, _ in _attributes()[name]}
    return bool(by_string) or bool(looked_up.intersection(by_module))


def _uses_import(user: Module, full: str) -> bool:
    names = {name for name, meant in user.imported.items() if meant == full}
    if user.is_package or any(isinstance(node, ast.Name) and node.id in names for node in user.nodes):
        return True
    return any(isinstance(node, ast.Constant) and node.value in names for node in user.nodes)


def unused_members() -> Iterator[str]:
    """Yield the public methods and properties whose name is no attribute anywhere outside the method itself."""
    for owner, module in classes().items():
        for name, function in _functions(owner).items():
            if not is_public(name) or _is_handed_on(function) or _is_called_by_a_library(owner, name):
                continue
            if name.removeprefix("action_") in ACTION_BY_ID:  # ViewScreen.action_perform looks it up
                continue
            own = _inside(function)
            if all(use in own for _, use in _attributes()[name]):
                yield f"{module.place}:{function.lineno} {owner.__qualname__}.{name}"


def unread_fields() -> Iterator[str]:
    """Yield the public fields of dataclasses and named tuples that nothing reads by name."""
    for owner, module in classes().items():
        is_record = hasattr(owner, "__dataclass_fields__") or hasattr(owner, "_fields")
        for item in _body(owner) if is_record else ():
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                name = item.target.id
                uses = [use for _, use in _attributes()[name]]
                is_read = any(not isinstance(use, ast.Attribute) or isinstance(use.ctx, ast.Load) for use in uses)
                if is_public(name) and not is_read and not _is_called_by_a_library(owner, name):
                    yield f"{module.place}:{item.lineno} {owner.__qualname__}.{name}"


def _is_called_by_a_library(owner: type, name: str) -> bool:
    if f"{owner.__qualname__}.{name}" in CALLED_BY_A_LIBRARY or _is_inherited(owner, name):
        return True
    if name.startswith("action_") and name.removeprefix("action_") in _words():
        return True
    is_of_textual = any(base.__module__.partition(".")[0] == "textual" for base in owner.__mro__)
    return is_of_textual and _CALLED_BY_TEXTUAL.fullmatch(name) is not None


@cache
def _words() -> set[str]:
    """Return the strings of the terminal UI. The ids of all actions are among them; Textual calls `action_ID`."""
    nodes = (
        node
        for module in modules().values()
        if module.name.startswith(("runtui.tui", "runtui.keys.actions"))
        for node in module.nodes
    )
    words = (node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return {word.partition("(")[0].rpartition(".")[2] for word in words}


def _is_inherited(owner: type, name: str) -> bool:
    """Return whether a base class of a library has a member of that name, and so may call it."""
    return any(name in vars(base) for base in owner.__mro__ if not is_ours(base) and base is not object)


def twice_named() -> Iterator[str]:
    """Yield the public classes, types and constants of the same name in two files, in the sandbox or outside it."""
    homes: dict[tuple[str, str], list[str]] = defaultdict(list)
    for module in modules().values():
        for name, node in module.definitions.items():
            if is_public(name) and not isinstance(node, Function) and not name.islower():
                homes[name, module.room].append(module.place)
    for (name, _), places in homes.items():
        if len(places) > 1:
            yield f"{name}: {', '.join(places)}"


def rules() -> list[Rule]:
    """Return every rule with its figure and its breaches."""
    house = list(modules().values())
    ours = [(f"{home.place} {owner.__qualname__}", owner) for owner, home in classes().items()]
    folders = Counter(str(module.path.parent.relative_to(ROOT)) for module in house)
    small = [
        f"{module.place}: {module.lines} lines, used by {', '.join(users) or 'nobody'}"
        for module in house
        if module.lines < SMALL_FILE and module.path.name not in ("__init__.py", "__main__.py")
        for users in [importers(module.name)]
        if len(users) < 2
    ]
    return [
        Rule("files", len(house), 135),
        Rule("lines", sum(module.lines for module in house), 24_000),
        _largest("lines of a file", ((module.lines, module.place) for module in house), 600),
        _largest("lines of a function", lines_of_functions(), 50),
        _largest("files of a folder", ((count, folder) for folder, count in folders.items()), 15),
        _largest("methods of a class, with its bases of ours", ((methods(owner), name) for name, owner in ours), 35),
        _largest("classes of ours above each other", ((depth(owner), name) for name, owner in ours), 2),
        _none("small files without a second user", small),
        _none("circles of imports", (" <-> ".join(group) for group in circles())),
        _none("public names in two files", twice_named()),
        _none("public definitions without a user", unused_definitions()),
        _none("public methods without a user", unused_members()),
        _none("fields that nothing reads", unread_fields()),
    ]


def _largest(name: str, measured: Iterable[tuple[int, str]], limit: int) -> Rule:
    found = sorted(measured, reverse=True)
    return Rule(name, found[0][0], limit, [f"{what}: {figure}" for figure, what in found if figure > limit])


def _none(name: str, breaches: Iterable[str]) -> Rule:
    found = list(breaches)
    return Rule(name, len(found), 0, found)


def main() -> None:
    """Print the figure of each rule, then every breach."""
    found = rules()
    for rule in found:
        print(f"{'  ' if rule.figure <= rule.limit else '✗ '}{rule.figure:>6}  at most {rule.limit:>6}  {rule.name}")
    for rule in found:
        if rule.breaches:
            print(f"\n{rule.name}:")
            print(*(f"  {breach}" for breach in rule.breaches), sep="\n")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
