"""Switching profile on a real terminal: the alternate screen stays open from the first profile to the last."""

from __future__ import annotations

from pathlib import Path

from runtui.settings import store_path
from tests import canary
from tests.terminal.pty_probe import PtyProbe
from tests.terminal.sandbox_process import CHECKOUT
from tests.terminal.test_session import ENTER_SCREEN, LEAVE_SCREEN, RUNTUI, sandbox


def opened(folder: Path, root: str, second: str = "") -> PtyProbe:
    config = folder / "config.toml"
    config.write_text(
        f'default-profile = "prod"\n[profiles.prod]\nroot = "{root}"\ntenant = "Contoso"\nread-only = true\n'
        f'[profiles.lab]\nroot = "{root}"\ntenant = "Laboratory"\n{second}'
    )
    env = {"PYTHONPATH": CHECKOUT, "RUNTUI_STATE": str(folder / "state"), "RUNTUI_CONFIG": str(config)}
    return PtyProbe(RUNTUI, columns=80, rows=24, env=env | {"RUNTUI_TOKEN": canary.TOKEN}, is_forked=True)


def test_the_shell_is_not_seen_between_two_profiles(tmp_path: Path) -> None:
    with sandbox() as root, opened(tmp_path, root) as terminal:
        terminal.wait_for("Contoso +READ-ONLY.*30 runs.*as of")
        terminal.press("P")
        terminal.wait_for("○ lab")
        terminal.press("down", "enter")
        terminal.wait_for("Laboratory.*30 runs.*as of")
        terminal.wait_for("READ-ONLY", gone=True)
        assert terminal.received.count(ENTER_SCREEN) == 1
        assert LEAVE_SCREEN not in terminal.received
        # Keys work in the second profile as in the first, whatever arrives before them.
        terminal.send(b"\xe9\x1b[57441;1:3u\x1b[1114112u")
        terminal.press("P")
        terminal.wait_for("● lab")
        terminal.press("up", "enter")
        terminal.wait_for("Contoso +READ-ONLY.*30 runs.*as of")
        terminal.press("q")
        assert terminal.wait_for_exit() == 0
        assert terminal.received.count(ENTER_SCREEN) == terminal.received.count(LEAVE_SCREEN) == 1


def test_keys_typed_ahead_act_on_the_second_profile_whose_end_restores_the_terminal(tmp_path: Path) -> None:
    with sandbox() as root, opened(tmp_path, root) as terminal:
        terminal.wait_for("Contoso +READ-ONLY.*30 runs.*as of")
        terminal.press("P")
        terminal.wait_for("○ lab")
        terminal._write("\x1b[B\r/is:problem\rj")
        terminal.wait_for("(?s)Laboratory.*Problems")
        terminal.process.terminate()
        assert terminal.wait_for_exit() == 1
        assert terminal.received.count(ENTER_SCREEN) == terminal.received.count(LEAVE_SCREEN) == 1


def test_a_second_profile_that_cannot_be_opened_leaves_a_sentence_on_a_restored_terminal(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("a-token-in-a-file")
    token.chmod(0o600)
    store_path(tmp_path / "state", "http://127.0.0.1:9/beta").mkdir(parents=True)
    second = f'[profiles.odd]\nroot = "http://127.0.0.1:9/beta"\ntoken-file = "{token}"\n'
    with sandbox() as root, opened(tmp_path, root, second) as terminal:
        terminal.wait_for("Contoso +READ-ONLY.*30 runs.*as of")
        terminal.press("P")
        terminal.wait_for("○ lab")
        terminal.press("down", "down", "enter")
        assert terminal.wait_for_exit() == 1
        assert terminal.received.count(ENTER_SCREEN) == terminal.received.count(LEAVE_SCREEN) == 1
        assert b"runtui: " in terminal.received.rpartition(LEAVE_SCREEN)[2]
