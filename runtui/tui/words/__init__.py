"""The words and pages of the screen, as pure functions of values; no widget is used here."""
