"""The terminal UI: the only place with Textual.

Invariant: Textual is loaded without what nothing of ours uses: its command palette, with the widgets that it alone
shows, the folders of a desktop and tables of colours. Whoever imports one of those later gets it whole.
"""

import sys
from types import ModuleType
from typing import Final

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
