"""What a run is: its properties, rows, filters and drafts, and the values in them. Pure: no I/O, HTTP or terminal."""
