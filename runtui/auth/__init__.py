"""Sign-in, accounts and bearer tokens."""
