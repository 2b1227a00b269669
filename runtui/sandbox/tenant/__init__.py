"""The tenant that the sandbox serves: its people, its workflows, and two weeks of runs.

Invariant: everything follows from (runs, seed, the present); nothing here knows of a request.
"""
