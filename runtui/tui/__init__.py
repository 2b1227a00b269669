"""The terminal UI: the only place with Textual.

Invariant: Textual is loaded without what nothing of ours uses: its command palette, with the widgets that it alone
shows, the folders of a desktop and tables of colours. Whoever imports one of those later gets it whole.
Code is most of what a start takes, and of the memory: what few keys need is loaded `Later`.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any, Final


class Later:
    """Stands for a module that is loaded when something of it is first used. It is declared beside the imports:

        if TYPE_CHECKING:
            from runtui.tui.words import pages
        else:
            pages = Later("runtui.tui.words.pages")

    In a class body, a default or a decorator a name of it would be looked up at once.
    """

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._module), name)


LEFT_OUT: Final = {
    "platformdirs": ("user_downloads_path",),
    "rich.table": ("Table",),
    "textual.command": (
        "CommandListItem",
        "CommandPalette",
        "DiscoveryHit",
        "Hit",
        "Hits",
        "Provider",
        "SimpleProvider",
    ),
}
"""Modules that Textual 8.2.8 imports at its start, and what it takes of each, for functions that nobody calls here."""


def _load_textual() -> None:
    absent = [name for name in LEFT_OUT if name not in sys.modules]
    for name in absent:
        module = sys.modules[name] = ModuleType(name)
        vars(module).update({part: type(part, (), {}) for part in LEFT_OUT[name]})
    try:
        import textual.app  # noqa: F401 - what it imports is the point
    finally:
        for name in absent:
            del sys.modules[name]


_load_textual()
