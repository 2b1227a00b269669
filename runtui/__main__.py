"""Where the program begins; `python -m runtui` is the same as `runtui`.

Invariant: the version is told, the last list is shown, and the server of a demo is begun, without loading the command
line.
"""

import gc
import sys

from runtui import __version__


def main() -> int:
    """Run one command of the command line; the process's exit code."""
    if sys.argv[1:] == ["--version"]:
        print(f"runtui {__version__}")
        return 0
    gc.disable()  # what is loaded is no garbage
    try:
        if sys.argv[1:2] == ["demo"] and not {"-h", "--help"}.intersection(sys.argv):
            from runtui.demo import loading_sandbox

            loading_sandbox()
        if sys.argv[1:2] and not sys.argv[1].startswith("-"):
            from runtui.cli import main

            return main()
        return _screen()
    finally:
        gc.freeze()  # the process ends: garbage that is left in it need not be found


def _screen() -> int:
    """Run a command line without a command; its last list is in sight while all else is loaded."""
    from runtui.prelude.snapshot import SNAPSHOT
    from runtui.prelude.terminal import TAKEOVER

    try:
        SNAPSHOT.show()
        from runtui.cli import main

        return main()
    except KeyboardInterrupt:
        return 1
    finally:
        TAKEOVER.give_back()


if __name__ == "__main__":
    raise SystemExit(main())
