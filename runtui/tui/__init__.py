"""The terminal UI: the only place with Textual, which is loaded here, without what `LEFT_OUT` names."""

from runtui.left_out import without_left_out

with without_left_out("textual"):
    import textual.app  # noqa: F401 - what it imports is the point
