"""Why a run failed and for whom: causes, checklists, users, people and workflows.
Pure functions and values: no I/O, HTTP or terminal."""
