"""The terminal UI, the only package that imports Textual; it does so here, without the modules in `UNUSED_MODULES`.

Imported code takes most of the start's time and memory, so functions import what only few keys need.
"""

from runtui.unused_modules import without_unused

with without_unused("textual"):
    import textual.app  # noqa: F401 - imported for its effect on sys.modules
    from textual.widgets import Input  # noqa: F401 - and this too
