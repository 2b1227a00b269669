"""`python -m runtui` is the same as `runtui`."""

from runtui.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
