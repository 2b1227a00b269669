"""Who asks: bearer tokens."""
