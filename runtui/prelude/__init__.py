"""The screen before Textual is loaded: the snapshot of the last list, then the rows of the store.

Importing the package loads nothing else.
"""
