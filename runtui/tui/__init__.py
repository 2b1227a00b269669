"""The terminal UI, the only package that imports Textual; it does so here, without the modules in `LEFT_OUT`.

Imported code takes most of the start's time and memory, so functions import what only few keys need.
"""

from runtui.left_out import without_left_out

with without_left_out("textual"):
    import textual.app  # noqa: F401 - imported for its effect on sys.modules
