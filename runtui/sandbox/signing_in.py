"""What the sandbox's scenarios do to sign-ins.

Invariant: codes are decided by the sandbox itself, as if somebody had typed them in on another device.
"""

from __future__ import annotations

from typing import Final

from runtui.sandbox.authority import Authority
from runtui.sandbox.authority_device import LIFETIME_SECONDS
from runtui.sandbox.authority_directory import DEMO_ADMIN
from runtui.sandbox.scenarios import CODE_SECONDS, Codes

POLL_SECONDS: Final = 2
"""How often a program asks whether its code was typed in."""

POLLS: Final = 4
"""The poll at which the sandbox decides about a code by itself."""


def treat_codes(authority: Authority, codes: Codes) -> None:
    """Decide what becomes of codes that nobody types in."""
    waits_in_vain = codes is Codes.EXPIRED
    authority.set_polling(POLL_SECONDS)
    authority.set_code_lifetime(CODE_SECONDS if waits_in_vain else LIFETIME_SECONDS)
    account = DEMO_ADMIN if codes is Codes.APPROVED else None
    authority.auto_approve(account, polls=None if waits_in_vain else POLLS)


def revoke_sign_ins(authority: Authority) -> None:
    """End the sessions of everybody: their next request is challenged."""
    for account in authority.directory.accounts:
        authority.revoke(account)
