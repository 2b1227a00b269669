"""The command line: the table of commands, and the program that parses and runs them."""

from runtui.cli.program import command_parser, main

__all__ = ["command_parser", "main"]
