"""The model of a run: its properties, rows, filters, drafts and values. Pure: no I/O, HTTP or terminal."""
