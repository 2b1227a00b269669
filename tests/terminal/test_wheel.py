"""The wheel is complete: built without the network, installed into an empty environment, run from another folder."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.terminal.pty_probe import PtyProbe

ROOT = Path(__file__).parents[2]
STYLES = {path.name for path in (ROOT / "styles").glob("*.tcss")}


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the wheel and the source distribution of the checkout."""
    folder = tmp_path_factory.mktemp("distributions")
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", str(folder), cwd=ROOT)
    return folder


def test_the_wheel_holds_every_module_and_every_style_and_nothing_else(distributions: Path) -> None:
    (wheel,) = distributions.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "runtui").rglob("*.py")}
    assert STYLES
    assert packed == modules | {"runtui/py.typed"} | {f"runtui/styles/{name}" for name in STYLES}


def test_the_source_distribution_is_enough_to_build_and_to_test(distributions: Path) -> None:
    (source,) = distributions.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    needed = {"pyproject.toml", "README.md", "LICENSE", ".ci/run", "tests/terminal/test_wheel.py"}
    assert needed | {f"styles/{name}" for name in STYLES} <= packed


def test_an_empty_environment_opens_the_demo_from_another_folder(distributions: Path, tmp_path: Path) -> None:
    environment, elsewhere = tmp_path / "environment", tmp_path / "elsewhere"
    elsewhere.mkdir()
    _run(sys.executable, "-m", "venv", "--without-pip", str(environment))
    python = environment / "bin" / "python"
    (wheel,) = distributions.glob("*.whl")
    install = ("install", "--no-deps", "--no-index", "--no-compile")
    _run(sys.executable, "-m", "pip", "--python", str(python), *install, str(wheel))
    packages = Path(_run(str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    # The dependencies come from this environment, after the installed files in the path: no network is needed.
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    found = _run(str(python), "-c", "import runtui; print(runtui.__file__)", cwd=elsewhere).strip()
    assert Path(found).is_relative_to(packages)

    start = ["/bin/sh", "-c", 'cd "$1" && exec "$2" demo', "sh", str(elsewhere), str(environment / "bin" / "runtui")]
    with PtyProbe(start, columns=120, rows=40, env={"RUNTUI_STATE": str(tmp_path / "state")}) as terminal:
        terminal.wait_for(r"Runs +240")
        terminal.wait_for(r"completed +\S")
        terminal.press("q")
        assert terminal.wait_for_exit() == 0
    assert list(elsewhere.iterdir()) == []


def _run(*command: str, cwd: Path | None = None) -> str:
    """Run a command without what this shell says to Python and pip; its output."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_"))}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
