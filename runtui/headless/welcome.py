"""The first steps: the app registration and the profile that runtui needs.

Invariant: the README has the same text, with every permission, switch and path.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import indent
from typing import Final

from runtui.auth.claims import READ_PERMISSION, WRITE_PERMISSION

REGISTRATION: Final = f"""\
Name                       runtui, or any other
Supported account types    this organizational directory only (single tenant)
Redirect URI               Mobile and desktop applications: http://localhost
Allow public client flows  Yes (on the page Authentication)
API permissions            Microsoft Graph, delegated, with admin consent:
                             {READ_PERMISSION}
                             {WRITE_PERMISSION} (changes)"""
"""The app registration, with the names of its fields in the Entra admin center."""

CONFIG: Final = """\
default-profile = "prod"

[profiles.prod]
tenant-id = "contoso.onmicrosoft.com"
client-id = "00000000-0000-0000-0000-000000000000"
read-only = true"""
"""A first config.toml."""


def welcome(path: Path) -> str:
    """Return the first steps for a terminal; `path` is the place of config.toml."""
    return f"""\
No server is set up yet. To use your tenant:

1. In the Entra admin center, under App registrations, register an app:

{indent(REGISTRATION, "   ")}

2. Write its ids to {path}:

{indent(CONFIG, "   ")}

3. runtui           opens the list and signs you in; a read-only profile
                    requests no permission to change anything.
   runtui doctor    shows what is still missing.

Or use a bearer token that you already have:
   RUNTUI_TOKEN=... runtui --root https://graph.microsoft.com/beta

To try runtui first, without any set-up and without leaving this machine:
   runtui demo"""
