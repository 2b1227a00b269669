"""Libraries that are imported without those of their modules that nothing here uses and that cost the most.

Invariant: a module is absent while its library is imported, and whoever imports it later gets it whole. What the
library takes of it by name is there as an empty class, nothing else is: a version that takes more fails at its import.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Final

LEFT_OUT: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    # Its command palette with the widgets that it alone shows, the folders of a desktop, tables of colours.
    "textual": {
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
    },
    # Its command line, made of click and of processes: 20 ms.
    "uvicorn": {"uvicorn.main": ("Server", "main", "run")},
    # The types of its schemas, 84 TypedDicts: four times as long as all else in it; dictionaries do without.
    "pydantic_core": {"pydantic_core.core_schema": ("CoreConfig", "CoreSchema", "CoreSchemaType", "ErrorType")},
}
"""Of each library: the modules that it imports at its start, and the names that it takes of each."""


@contextmanager
def without_left_out(library: str) -> Iterator[None]:
    """Have a library of `LEFT_OUT` imported without them; what is loaded already stays."""
    absent = {name: parts for name, parts in LEFT_OUT[library].items() if name not in sys.modules}
    for name, parts in absent.items():
        module = sys.modules[name] = ModuleType(name)
        vars(module).update({part: type(part, (), {}) for part in parts})
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
