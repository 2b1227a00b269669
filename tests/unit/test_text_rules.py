"""The first wall, checked by machine: nothing in runtui/tui can parse foreign text as markup.

Textual parses markup in every `str` unless it is told not to. So each call that takes one either has `markup=False` or
gets Content. These rules read the source and name every call that has neither.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

TUI: Final = Path(__file__).parents[2] / "runtui" / "tui"

PARSES_MARKUP: Final = {"from_markup", "from_text", "from_rich_text", "render_str", "highlight"}
"""Methods of Content, Text, Widget and of the palette's matcher that parse what they are given."""

TAKES_MARKUP_FLAG: Final = {"Static", "Label", "Tooltip", "OptionList", "RichLog", "notify"}
"""Calls that accept `markup=False`, and parse without it."""

TEXT_ARGUMENT: Final = {
    "Button": (0, "label"),
    "Checkbox": (0, "label"),
    "RadioButton": (0, "label"),
    "Option": (0, "prompt"),
    "Selection": (0, "prompt"),
    "Tab": (0, "label"),
    "TabPane": (0, "title"),
    "Collapsible": (None, "title"),
    "Tree": (0, "label"),
}
"""Calls that always parse -> the position and the name of the parsed argument."""

MARKUP_KEYWORDS: Final = {"tooltip", "border_title", "border_subtitle"}
"""Arguments and attributes of any widget that are parsed."""
LITERAL_ATTRIBUTES: Final = {"title", "sub_title"}
"""Attributes that Textual does not parse but draws as they are: made safe with `visible`."""

MAKES_CONTENT: Final = {
    "content",
    "Content",
    "Content.styled",
    "ActionText.assemble",
    "Content.assemble",
    "Text",
    "highlighted",
}
"""Calls whose result is drawn literally."""


def name_of(node: ast.expr) -> str:
    """Return `Content.styled` for that attribute, `super().__init__` for the function of that call."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    if isinstance(node, ast.Call):
        return f"{name_of(node.func)}()"
    return ""


def last_name(node: ast.expr) -> str:
    return name_of(node).rpartition(".")[2]


def is_named_str(annotation: ast.expr | None) -> bool:
    return isinstance(annotation, ast.Name) and annotation.id == "str"


def is_own_words(node: ast.expr) -> bool:
    """Return whether an expression is a literal of our source without a bracket, or a constant by its name."""
    if isinstance(node, ast.Constant):
        return node.value is None or (isinstance(node.value, str) and "[" not in node.value)
    return isinstance(node, ast.Name | ast.Attribute) and last_name(node).isupper()


def is_content(node: ast.expr) -> bool:
    """Return whether an expression is one that no markup parser reads."""
    if isinstance(node, ast.IfExp):
        return is_content(node.body) and is_content(node.orelse)
    if isinstance(node, ast.BinOp):
        return is_content(node.left) and is_content(node.right)
    if isinstance(node, ast.Call):
        return name_of(node.func) in MAKES_CONTENT or (last_name(node.func) == "join" and is_joined_content(node))
    return is_own_words(node)


def is_joined_content(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Attribute) and name_of(node.func.value).startswith("Content")


def is_plain(node: ast.expr) -> bool:
    if isinstance(node, ast.JoinedStr):
        return all(is_plain(part.value) for part in node.values if isinstance(part, ast.FormattedValue))
    if isinstance(node, ast.Call):
        return name_of(node.func) in {"plain", "fit", "middle"}
    return is_own_words(node)


def says_no_markup(call: ast.Call) -> bool:
    return any(
        keyword.arg == "markup" and isinstance(keyword.value, ast.Constant) and keyword.value.value is False
        for keyword in call.keywords
    )


def starts_with_content(call: ast.Call) -> bool:
    """Return whether a widget is made with Content. A literal is not enough: the next `update` may pass a string."""
    if last_name(call.func) == "notify" or not call.args:
        return False
    return is_content(call.args[0]) and not is_own_words(call.args[0])


def text_arguments(call: ast.Call) -> Iterator[ast.expr]:
    """Yield the arguments of `call` that Textual would parse."""
    position, name = TEXT_ARGUMENT.get(last_name(call.func), (None, None))
    if position is not None and len(call.args) > position:
        yield call.args[position]
    for keyword in call.keywords:
        if keyword.arg in MARKUP_KEYWORDS or (keyword.arg is not None and keyword.arg == name):
            yield keyword.value


def careless_classes(tree: ast.AST) -> Iterator[ast.ClassDef]:
    """Yield our subclasses of Static and similar widgets that do not pass `markup=False` to their parent's
    constructor."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and {last_name(base) for base in node.bases} & TAKES_MARKUP_FLAG:
            calls = (call for call in ast.walk(node) if isinstance(call, ast.Call))
            if not any(name_of(call.func) == "super().__init__" and says_no_markup(call) for call in calls):
                yield node


def violations(source: str) -> list[str]:
    """Return every place in `source` where a string could be parsed as markup or drawn unsafe, as `line: sentence`."""
    tree = ast.parse(source)
    found = [(own.lineno, f"{own.name} does not tell its parent markup=False") for own in careless_classes(tree)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            found += [(node.lineno, sentence) for sentence in call_violations(node)]
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets: list[ast.expr] = node.targets if isinstance(node, ast.Assign) else [node.target]
            found += [(node.lineno, sentence) for sentence in assignment_violations(targets, node.value)]
        elif isinstance(node, ast.FunctionDef) and node.name == "render" and is_named_str(node.returns):
            found.append((node.lineno, "render returns a str, which is parsed as markup"))
    return [f"{line}: {sentence}" for line, sentence in sorted(found)]


def call_violations(call: ast.Call) -> Iterator[str]:
    name = last_name(call.func)
    if name in PARSES_MARKUP:
        yield f"{name}() parses markup"
    if name in TAKES_MARKUP_FLAG and not says_no_markup(call) and not starts_with_content(call):
        yield f"{name}() without markup=False"
    for argument in text_arguments(call):
        if not is_content(argument):
            yield f"{name}() is given text that is not content(…)"


def assignment_violations(targets: list[ast.expr], value: ast.expr) -> Iterator[str]:
    for target in targets:
        if not isinstance(target, ast.Attribute):
            continue
        if target.attr in MARKUP_KEYWORDS and not is_content(value):
            yield f"{target.attr} is given text that is not content(…)"
        if target.attr in LITERAL_ATTRIBUTES and not is_plain(value):
            yield f"{target.attr} is given text that is not plain(…)"


@pytest.mark.parametrize("path", sorted(TUI.rglob("*.py")), ids=lambda path: str(path.relative_to(TUI)))
def test_no_string_is_parsed_as_markup(path: Path) -> None:
    assert violations(path.read_text("utf-8")) == []


BAD: Final = [
    "Content.from_markup(name)",
    "Content.from_text(name)",
    "Text.from_markup('[b]x')",
    "matcher.highlight(name)",
    "self.app.notify(name)",
    "self.notify(message, title='x', markup=True)",
    "Static(name)",
    "widgets.Label(f'{name}')",
    "Static('')",
    "Static(content(a) + name)",
    "Button(name)",
    "Button('[b]Send')",
    "Option(f'{name}')",
    "TabPane(run.id, child)",
    "Collapsible(child, title=name)",
    "Static(markup=False, tooltip=name)",
    "self.border_title = f'run {name}'",
    "self.border_title = plain(name)",
    "self.tooltip = name",
    "self.app.sub_title = name",
    "self.title = f'runs of {tenant}'",
    "class Note(Static): pass",
    "class Note(Static):\n  def __init__(self):\n    super().__init__(id='x')",
    "class Line(Widget):\n  def render(self) -> str:\n    return name",
]

GOOD: Final = [
    "Content(name)",
    "self.app.notify(name, title=plain(title), markup=False)",
    "Static(content(name))",
    "Static(Content('a ') + content(name))",
    "Static(name, markup=False)",
    "Static(id='x', markup=False)",
    "Button('Send')",
    "Button(content(name))",
    "Button(content(a) if a else Content('none'))",
    "Option(Text(plain(name)))",
    "self.border_title = content(name)",
    "self.border_title = None",
    "self.tooltip = Content.assemble('a', content(name))",
    "self.app.sub_title = plain(name)",
    "self.title = f'runs of {plain(tenant)}'",
    "self.title = TITLE",
    "Option(highlighted(matcher, x))",
    "class Note(Static):\n  def __init__(self):\n    super().__init__(id='x', markup=False)\nNote(name)",
    "class Line(Widget):\n  def render(self) -> Content:\n    return Content(name)",
]


@pytest.mark.parametrize("source", BAD)
def test_the_rules_see_what_is_wrong(source: str) -> None:
    assert any(re.match(r"\d+: ", violation) for violation in violations(source))


@pytest.mark.parametrize("source", GOOD)
def test_the_rules_accept_what_is_right(source: str) -> None:
    assert violations(source) == []
