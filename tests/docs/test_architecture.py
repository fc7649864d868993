"""docs/architecture.md says the same as the code: its paths exist, its arrows are the linter's, no package missing."""

from __future__ import annotations

import re
import tomllib

from tests.docs.blocks import ROOT

TEXT = (ROOT / "docs" / "architecture.md").read_text()
PACKAGES = ROOT / "functions" / "reminders"


def test_every_path_in_it_exists() -> None:
    """Each path that the document names exists."""
    paths = re.findall(r"`((?:functions|ops|migrations|docs|infra|tests)/[\w./-]*)`", TEXT)
    assert paths
    assert [] == [path for path in paths if not (ROOT / path).exists()]


def test_every_package_is_in_it() -> None:
    """Each package is described."""
    packages = [path.parent.name for path in PACKAGES.glob("*/__init__.py")]
    assert [] == [package for package in packages if f"functions/reminders/{package}/" not in TEXT]


def test_its_arrows_are_those_that_the_linter_checks() -> None:
    """handlers ──▶ runs ──▶ ...: the layers of the contract, in their order."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    (drawn,) = re.findall(r"^handlers +──▶.*$", TEXT, re.M)
    assert [names_in(layer) for layer in layers] == [names_in(layer) for layer in drawn.split("──▶")]


def names_in(layer: str) -> set[str]:
    return set(re.findall(r"\w+", layer.replace("reminders.", "")))
