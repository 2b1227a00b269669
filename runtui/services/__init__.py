"""The work, without a screen: the store, the listing and the write path."""
