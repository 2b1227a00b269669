"""What a person needs who starts without a server: the app registration and the profile, word by word.

Invariant: the README shows the same text; nobody has to guess a permission, a switch or a place.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from runtui.auth.claims import READ_PERMISSION, WRITE_PERMISSION

REGISTRATION: Final = f"""\
Name                       runtui, or what you like
Supported account types    this organizational directory only (single tenant)
Redirect URI               Mobile and desktop applications: http://localhost
Allow public client flows  Yes (on the page Authentication)
API permissions            Microsoft Graph, delegated, with admin consent:
                             {READ_PERMISSION}
                             {WRITE_PERMISSION} (changes)"""
"""The app registration, as the Entra admin center names its fields."""

CONFIG: Final = """\
default-profile = "prod"

[profiles.prod]
tenant-id = "contoso.onmicrosoft.com"
client-id = "00000000-0000-0000-0000-000000000000"
read-only = true"""
"""A first config.toml."""


def welcome(path: Path) -> str:
    """The page for a terminal.

    Args:
        path: Where config.toml belongs.
    """
    return "\n".join(
        (
            "runtui does not know a server yet. For a tenant of yours:",
            "",
            "1. In the Entra admin center, under App registrations, register an app:",
            "",
            _indented(REGISTRATION),
            "",
            f"2. Write its ids to {path}:",
            "",
            _indented(CONFIG),
            "",
            "3. runtui           opens the list and signs you in; a read-only profile asks",
            "                    for no permission to change anything.",
            "   runtui doctor    says what is still missing.",
            "",
            "With a bearer token by hand:",
            "   RUNTUI_TOKEN=... runtui --root https://graph.microsoft.com/beta",
            "",
            "To try it first, with nothing to set up and nothing that leaves this machine:",
            "   runtui demo",
        )
    )


def _indented(text: str) -> str:
    return "\n".join(f"   {line}".rstrip() for line in text.splitlines())
