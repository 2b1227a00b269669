"""What is on the terminal before Textual is loaded: the list as it was last, then the rows of the store.

Importing the package loads nothing else.
"""
