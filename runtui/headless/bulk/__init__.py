"""Many changes by one command."""
