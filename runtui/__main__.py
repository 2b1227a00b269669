"""Where the program begins; `python -m runtui` is the same as `runtui`.

Invariant: the version is told without loading the command line.
"""

import sys

from runtui import __version__


def main() -> int:
    """Run one command of the command line; the process's exit code."""
    if sys.argv[1:] == ["--version"]:
        print(f"runtui {__version__}")
        return 0
    from runtui.cli import main

    return main()


if __name__ == "__main__":
    raise SystemExit(main())
