"""What a screen may know of a sandbox that can misbehave: in which ways, which one is in force, and how to change it.

Invariant: only a demo has one; on a real server there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

WELL_BEHAVED: Final = "none"
"""The name of the scenario in which everything works."""


class SandboxControl(Protocol):
    """The sandbox beside a demo."""

    @property
    def scenarios(self) -> Mapping[str, str]:
        """The name and the summary of each scenario, in the order in which they are shown."""

    @property
    def scenario(self) -> str:
        """The name of the one in force."""

    @property
    def authority(self) -> str:
        """Where the sandbox's own sign-in can be opened in a browser; empty where it has none."""

    async def use_scenario(self, name: str) -> None:
        """Behave like this from the next request on; returns once that is so.

        Raises:
            RuntuiError: there is no such scenario, or no sandbox any more.
        """


def sandbox_badge(sandbox: SandboxControl | None) -> str:
    """The word in the first line that says that this is a sandbox, and how it misbehaves."""
    if sandbox is None or sandbox.scenario == WELL_BEHAVED:
        return "SANDBOX"
    return f"SANDBOX: {sandbox.scenario}"
