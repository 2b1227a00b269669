"""`runtui demo --sign-in` on a real terminal: a whole sign-in by code, then a save that requires another sign-in."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

from tests import there
from tests.terminal.pty_probe import PtyProbe
from tests.terminal.test_session import runtui

CODE = r"(?m)^ +((?:[B-Z2-9]  ){8}[B-Z2-9]) *$"


def code_on(terminal: PtyProbe) -> str:
    """Wait for a code on the screen and return it."""
    shown = there(terminal.wait_for(CODE))
    return shown[1].replace(" ", "")


def approve(address: str, code: str) -> None:
    """Enter the code as a person does in a browser, because the sandbox takes longer to approve it by itself."""
    answers = {"user_code": code, "username": "lee.admin@contoso.example", "answer": "approve"}
    with urlopen(address, urlencode(answers).encode()) as page:
        assert page.status == 200


def test_a_demo_rehearses_a_sign_in_and_one_in_the_middle_of_a_save(tmp_path: Path) -> None:
    arguments = ("demo", "--sign-in", "--runs", "30", "--scenario", "sign-in-revoked")
    with runtui(tmp_path, *arguments, columns=80, rows=24, is_forked=True) as terminal:
        terminal.wait_for("Device code: type a short code")
        terminal.wait_for(r"\A.*SANDBOX: sign-in-revoked")
        terminal.press("enter")
        address = there(terminal.wait_for(r"http://127\.0\.0\.1:\d+/authority/devicelogin"))
        terminal.wait_for(r"Waiting for you until \d\d:\d\d:\d\d")
        terminal.wait_for("DEMO")
        first_code = code_on(terminal)
        # The sandbox approves the code by itself.
        terminal.wait_for("Signed in as lee.admin@contoso.example")
        terminal.wait_for(r"as of \d\d:\d\d")
        terminal.press("e", "enter")
        terminal.wait_for("the first task has begun")
        terminal.type("canceled")
        terminal.press("enter")
        terminal.wait_for('"processingStatus": "canceled"')
        terminal.press("ctrl+s")
        terminal.wait_for("send this change\\?")
        terminal.wait_for("lee.admin@contoso.example")
        terminal.press("y")
        terminal.wait_for("Your sign-in has expired")
        terminal.press("enter")
        terminal.wait_for(r"Waiting for you until \d\d:\d\d:\d\d")
        assert code_on(terminal) != first_code
        approve(address[0], code_on(terminal))
        terminal.wait_for(r"✓ #\d+ done")
        terminal.press("q")
        assert terminal.wait_for_exit() == 0
        assert b"eyJ" not in terminal.received, "no token was ever drawn"
