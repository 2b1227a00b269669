"""The entry point of `runtui` and of `python -m runtui`.

Invariant: printing the version, showing the snapshot and starting a demo's server do not load the command line.
"""

import gc
import os
import sys

from runtui import __version__


def main() -> int:
    """Run one command line and return the exit code."""
    if sys.argv[1:] == ["--version"]:
        try:
            os.write(1, f"runtui {__version__}\n".encode())
        except OSError as error:
            from runtui.private_files import NO_ROOM

            if error.errno in NO_ROOM:
                why = f"Standard output cannot be written: {error.strerror}."
                sys.stderr.write(f"runtui: The output is incomplete. {why}\n")
                return 1
        return 0
    gc.disable()  # nothing loaded at the start is garbage
    try:
        if sys.argv[1:2] == ["demo"] and not {"-h", "--help"}.intersection(sys.argv):
            from contextlib import suppress

            from runtui.demo import loading_sandbox

            with suppress(OSError):  # the command meets it again, and tells it
                loading_sandbox()
        if sys.argv[1:2] and not sys.argv[1].startswith("-"):
            from runtui.cli import main

            return main()
        return _screen()
    except KeyboardInterrupt:  # while it loads
        return 1
    finally:
        gc.freeze()  # the process ends, so do not search for garbage


def _screen() -> int:
    """Run a command line without a command; show its snapshot while the rest is loaded."""
    from runtui.prelude.snapshot import SNAPSHOT
    from runtui.prelude.terminal import TAKEOVER

    try:
        SNAPSHOT.show()
        from runtui.cli import main

        return main()
    finally:
        TAKEOVER.give_back()


if __name__ == "__main__":
    raise SystemExit(main())
