"""What the screen says: pure words and pages from values; no widget is touched here."""
