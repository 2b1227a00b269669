"""The things that a person can do, one feature per file, with the screen that only it opens."""
