"""Modules that are loaded when something of them is first used: code is most of what a start takes, and of the memory.

Invariant: a name of such a module is looked up where it is used; in a class body, a default or a decorator it would be
looked up at once.
"""

from importlib import import_module
from typing import Any


class Later:
    """Stands for a module that few keys need. It is declared once, beside the imports:

    if TYPE_CHECKING:
        from runtui.tui.words import pages
    else:
        pages = Later("runtui.tui.words.pages")
    """

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._module), name)
