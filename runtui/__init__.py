"""runtui: triage Microsoft Entra lifecycle-workflow runs from the keyboard, over SSH.

Importing the package loads nothing else, so that the command line starts in milliseconds.
"""

__version__ = "0.1.0"
