"""The terminal UI: the only place with Textual, which is loaded here, without what `LEFT_OUT` names.

Code is most of what a start takes, and of the memory: what few keys need is loaded `Later`.
"""

from importlib import import_module
from typing import Any

from runtui.left_out import without_left_out

with without_left_out("textual"):
    import textual.app  # noqa: F401 - what it imports is the point


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
