"""The terminal UI: the only place with Textual, which is loaded here, without what `LEFT_OUT` names.

Code is most of what a start takes, and of the memory: what few keys need is imported in the function that needs it.
"""

from runtui.left_out import without_left_out

with without_left_out("textual"):
    import textual.app  # noqa: F401 - what it imports is the point
