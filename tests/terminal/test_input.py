"""Any input from the terminal, in any amount: runtui continues, and acts on the next key."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.terminal.pty_probe import PtyProbe
from tests.unit.test_input import noise

CHECKOUT = str(Path(__file__).resolve().parents[2])

ODD_INPUT = {
    "a Latin-1 letter": b"\xe9",
    "an eight-bit CSI": b"\x9b",
    "half a character, then an arrow": b"\xe2\x82\x1b[A",
    "an X10 mouse report beyond column 95": b"\x1b[M \xa1\xa1",
    "the release of a modifier key": b"\x1b[57441;1:3u",
    "modifiers with a part too many": b"\x1b[1;2:3:4u",
    "a character beyond Unicode": b"\x1b[1114112u",
    "half a surrogate pair": b"\x1b[55296u",
    "a number beyond every integer": b"\x1b[99999999999999999999u",
    "a size without pixels, then a click": b"\x1b[48;40;120;0;0t\x1b[<0;5;5M\x1b[<0;5;5m",
    "no size at all": b"\x1b[48;0;0;0;0t",
    "a size that no screen has": b"\x1b[48;99999999;99999999;1;1t",
    "a click outside of the world": b"\x1b[<0;99999999999;-7M\x1b[<0;99999;99999M\x1b[<0;99999;99999m",
    "the terminal's colour, unasked": b"\x1b]11;rgb:ffff/eeee/dddd\x1b\\",
    "a sequence longer than any": b"\x1b[" + b"1;" * 500 + b"R",
    "the focus, lost": b"\x1b[O",
}


def demo(state: Path, env: dict[str, str] | None = None, *, scenario: str = "none") -> PtyProbe:
    command = (sys.executable, "-m", "runtui", "demo", "--runs", "30", "--scenario", scenario)
    variables = {"PYTHONPATH": CHECKOUT, "RUNTUI_STATE": str(state), **(env or {})}
    return PtyProbe(command, env=variables, columns=120, rows=40, is_forked=True)


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PtyProbe]:
    with demo(tmp_path_factory.mktemp("state"), {"RUNTUI_MOUSE": "true"}) as terminal:
        terminal.wait_for("e edit")
        yield terminal
        terminal.press("q")
        assert terminal.wait_for_exit() == 0


@pytest.mark.parametrize("name", ODD_INPUT)
def test_odd_input_leaves_the_next_key_to_act(terminal: PtyProbe, name: str) -> None:
    terminal.send(ODD_INPUT[name] + b"?")
    terminal.wait_for(r"Help  \d")
    terminal.press("esc")
    terminal.wait_for(r"Help  \d", gone=True)


def test_odd_input_does_not_abandon_a_save(tmp_path: Path) -> None:
    with demo(tmp_path, scenario="slow") as terminal:
        terminal.wait_for("e edit")
        terminal.press("x", "e", "enter")
        terminal.wait_for("the first task has begun")
        terminal.type("queued")
        terminal.press("enter")
        terminal.wait_for('"processingStatus": "queued"')
        terminal.press("ctrl+s")
        terminal.wait_for("send this change")
        terminal.press("y")
        terminal.wait_for("send this change", gone=True)
        terminal.send(b"\xe9\x9b\x1b[57441;1:3u\x1b[M \xa1\xa1")
        terminal.wait_for("200 OK")
        terminal.press("q")
        assert terminal.wait_for_exit() == 0


def test_a_paste_without_an_end_is_passed_on_and_a_key_ends_it(terminal: PtyProbe) -> None:
    terminal.press("/")
    terminal.send(b"\x1b[200~no-such-workflow")
    terminal.wait_for("no-such-workflow")
    terminal.press("f1")
    terminal.wait_for("Keep the filter and go")
    terminal.press("esc")
    terminal.wait_for("Keep the filter and go", gone=True)
    terminal.press("esc")
    terminal.wait_for("no-such-workflow", gone=True)


def test_after_noise_a_key_acts(tmp_path: Path) -> None:
    """The app has only an input and a list, because the effect of the keys within the noise does not matter here."""
    script = (
        "import sys; from pathlib import Path; from textual.widgets import Input, OptionList\n"
        "from runtui.tui.terminal import TerminalApp, tell_the_shell\n"
        "from runtui.tui.themes import starting_theme\n"
        "class Small(TerminalApp):\n"
        "    ENABLE_COMMAND_PALETTE = False\n"
        "    def compose(self):\n"
        "        yield Input('ready')\n"
        "        yield OptionList('one', 'two')\n"
        "app = Small(theme=starting_theme(), crash_folder=Path(sys.argv[1]))\n"
        "app.run()\n"
        "sys.exit(tell_the_shell(app))"
    )
    harmless = noise(5_000, seed=7).replace(b"\x11", b"")
    with PtyProbe((sys.executable, "-c", script, str(tmp_path)), env={"PYTHONPATH": CHECKOUT}) as terminal:
        terminal.wait_for("ready")
        terminal.send(harmless + b"\x1b[201~\x11")
        assert terminal.wait_for_exit() == 0
    assert not list(tmp_path.glob("crash*"))


@pytest.mark.parametrize("claim", ["99999999", "0"])
def test_the_size_is_the_terminals_whatever_the_environment_claims(tmp_path: Path, claim: str) -> None:
    with demo(tmp_path, {"LINES": claim, "COLUMNS": claim}) as terminal:
        terminal.wait_for("e edit")
        terminal.wait_for(r"e edit[^\n]*\Z")
        terminal.press("q")
        assert terminal.wait_for_exit() == 0


def test_keys_that_are_not_acted_on_yet_stay_in_the_terminal(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "tests.terminal.leaving_app", str(tmp_path))
    with PtyProbe(command, env={"PYTHONPATH": CHECKOUT}, is_forked=True) as terminal:
        terminal.wait_for("ready")
        terminal.press("b")
        taken = terminal.send_what_fits(b"\x1b[B" * 100_000)
        assert taken < 150_000, "a terminal of Linux holds about 70,000 bytes by itself"
        (tmp_path / "go").touch()
        terminal.send(b"x")
        assert terminal.wait_for_exit() == 0


def test_input_too_long_for_typing_is_a_paste_and_triggers_no_action(tmp_path: Path) -> None:
    """A long text is pasted on a terminal that does not mark pastes."""
    with demo(tmp_path) as terminal:
        terminal.wait_for("e edit")
        before = memory(terminal)
        terminal.send(b"J" * 100_000)
        terminal.wait_until_quiet(1.5)
        assert memory(terminal) < before + 30_000
        terminal.press("ctrl+q")
        assert terminal.wait_for_exit() == 0


def memory(terminal: PtyProbe) -> int:
    """Return the peak memory of the program so far, in KiB."""
    status = Path(f"/proc/{terminal.process.pid}/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0])
