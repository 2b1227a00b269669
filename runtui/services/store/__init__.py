"""The runs of a tenant and the results read for them, in one SQLite file."""
