"""The dependencies: each range has both ends, and the reproducible install satisfies them, complete and with hashes."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import requires
from itertools import chain
from pathlib import Path
from typing import Any, Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT: Final = Path(__file__).parents[2]
PROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
CONSTRAINTS: Final = (ROOT / ".ci" / "constraints.txt").read_text("utf-8")

RUNTIME: Final = [Requirement(text) for text in PROJECT["project"]["dependencies"]]
EXTRAS: Final = {
    name: [Requirement(text) for text in texts] for name, texts in PROJECT["project"]["optional-dependencies"].items()
}
BUILD: Final = [Requirement(text) for text in PROJECT["build-system"]["requires"]]

_PIN: Final = re.compile(r"([\w.-]+)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n")


def pins() -> dict[str, Version]:
    """The versions of the reproducible install, by canonical name."""
    return {canonicalize_name(name): Version(version) for name, version, _ in _PIN.findall(CONSTRAINTS)}


@pytest.mark.parametrize("requirement", [*RUNTIME, *chain.from_iterable(EXTRAS.values()), *BUILD], ids=str)
def test_every_range_has_both_ends(requirement: Requirement) -> None:
    operators = {specifier.operator for specifier in requirement.specifier}
    assert operators == {">=", "<"}


@pytest.mark.parametrize(
    ("name", "bad"), [("cryptography", "44.0.0"), ("starlette", "0.49.0"), ("starlette", "0.47.0")]
)
def test_a_version_that_is_known_bad_is_in_no_range(name: str, bad: str) -> None:
    (requirement,) = (requirement for requirement in RUNTIME if requirement.name == name)
    assert bad not in requirement.specifier


def test_every_line_pins_one_version_with_hashes_and_names_no_place() -> None:
    without_comments = "".join(line for line in CONSTRAINTS.splitlines(True) if not line.startswith("#"))
    assert _PIN.sub("", without_comments) == ""
    assert "://" not in CONSTRAINTS
    assert "--index" not in CONSTRAINTS.replace("--no-emit-index-url", "")


@pytest.mark.parametrize("requirement", [*RUNTIME, *EXTRAS["socks"]], ids=str)
def test_the_reproducible_install_keeps_to_the_ranges(requirement: Requirement) -> None:
    assert pins()[canonicalize_name(requirement.name)] in requirement.specifier


def needed(name: str, extras: set[str], seen: set[tuple[str, str]]) -> Iterator[str]:
    """Return the distributions that an installed one needs on this system, directly and indirectly."""
    for text in requires(name) or ():
        requirement = Requirement(text)
        wanted = requirement.marker is None or any(
            requirement.marker.evaluate({"extra": extra}) for extra in (extras or {""})
        )
        key = (canonicalize_name(requirement.name), ",".join(sorted(requirement.extras)))
        if wanted and key not in seen:
            seen.add(key)
            yield key[0]
            yield from needed(requirement.name, requirement.extras, seen)


def test_the_reproducible_install_is_whole() -> None:
    found: set[str] = {canonicalize_name(requirement.name) for requirement in RUNTIME}
    seen: set[tuple[str, str]] = set()
    for requirement in RUNTIME:
        found |= set(needed(requirement.name, requirement.extras, seen))
    assert found <= pins().keys()
