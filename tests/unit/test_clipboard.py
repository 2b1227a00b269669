"""The ways to the clipboard, in order, and the words for each."""

from __future__ import annotations

import os
from base64 import b64encode
from pathlib import Path
from typing import Final

import pytest

from runtui.redact import REDACTED, register_secret
from runtui.services.sharing.clipboard import MAX_ENCODED, CopyResult, copy_text, into_file

TMUX: Final = """#!/bin/sh
[ "$2" = "{refused}" ] && exit 1
echo "$*" >> "{folder}/arguments"
cat > "{folder}/buffer"
"""


class Desk:
    """A terminal, with or without a fake tmux."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {"TERM": "xterm-256color"}
        self.sent: list[str] = []

    def start_tmux(self, monkeypatch: pytest.MonkeyPatch, refused: str = "") -> None:
        program = self.folder / "tmux"
        program.write_text(TMUX.format(refused=refused, folder=self.folder))
        program.chmod(0o700)
        monkeypatch.setenv("PATH", f"{self.folder}{os.pathsep}{os.environ['PATH']}")
        self.environ["TMUX"] = "/tmp/tmux-0/default,1,0"

    @property
    def buffer(self) -> tuple[str, str]:
        """The arguments and the input of the last call of tmux."""
        return (self.folder / "arguments").read_text().strip(), (self.folder / "buffer").read_text()

    async def copy(self, text: str, *, fits: bool = True) -> CopyResult:
        return await copy_text(
            text, self.sent.append, folder=self.folder / "state", fits_on_page=lambda _: fits, environ=self.environ
        )


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def test_tmux_comes_first_and_hands_on_to_its_terminal(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.start_tmux(monkeypatch)
    done = await desk.copy("ä\n$(id)")
    assert desk.buffer == ("load-buffer -w -", "ä\n$(id)")
    assert "prefix ] pastes it" in done.words
    assert desk.sent == []


async def test_an_older_tmux_has_the_buffer_alone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.start_tmux(monkeypatch, refused="-w")
    await desk.copy("text")
    assert desk.buffer == ("load-buffer -", "text")


async def test_without_tmux_the_terminal_gets_it_and_no_more_is_said(desk: Desk) -> None:
    done = await desk.copy("text")
    assert desk.sent == ["text"]
    assert done == CopyResult("sent to the terminal (OSC 52)")


@pytest.mark.parametrize(
    "environ", [{"TMUX": "x"}, {"STY": "1.pts", "TERM": "screen"}, {"TERM": "linux"}, {"TERM": "dumb"}]
)
async def test_without_osc_52_the_text_goes_to_a_page_or_a_file(
    desk: Desk, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(desk.folder))  # the folder without tmux
    desk.environ = environ
    assert (await desk.copy("text")).page == "text"
    done = await desk.copy("text", fits=False)
    (file,) = (desk.folder / "state").rglob("copied-*")
    assert done == CopyResult(f"written to {file}")
    assert file.read_text() == "text\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert desk.sent == []


async def test_text_above_the_limit_of_osc_52_is_not_sent(desk: Desk) -> None:
    most = MAX_ENCODED // 4 * 3
    assert len(b64encode(b"x" * most)) <= MAX_ENCODED
    await desk.copy("x" * most)
    done = await desk.copy("x" * (most + 1), fits=False)
    assert len(desk.sent) == 1
    assert "written to" in done.words


async def test_a_file_that_cannot_be_written_is_said_and_no_failure(desk: Desk) -> None:
    (desk.folder / "state").write_text("")
    done = into_file("text", desk.folder / "state")
    assert not done.is_done
    assert "not written" in done.words


async def test_nothing_secret_is_copied_in_any_way(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "cLiPbOaRd-0123456789"
    register_secret(secret)
    await desk.copy(f"a {secret} b")
    desk.environ = {"TERM": "linux"}
    page = (await desk.copy(secret)).page
    await desk.copy(secret, fits=False)
    (file,) = (desk.folder / "state").rglob("copied-*")
    desk.start_tmux(monkeypatch)
    await desk.copy(secret)
    assert (desk.sent, page, file.read_text(), desk.buffer[1]) == (
        [f"a {REDACTED} b"],
        REDACTED,
        f"{REDACTED}\n",
        REDACTED,
    )
