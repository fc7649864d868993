"""How the tests are laid out: what several of them use is in a module of its own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parent
MODULES = sorted(TESTS.rglob("*.py"))
# Their conftest has types and constants as well as fixtures.
STILL_DO = ("containers", "deploy")


def imported(source: str) -> Iterator[str]:
    """The modules that `source` imports, at its top or within a function."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from [node.module or "", *(f"{node.module}.{name.name}" for name in node.names)]


def is_collected(module: str) -> bool:
    """Whether pytest looks for tests or fixtures in it."""
    package, _, name = module.rpartition(".")
    return package.startswith("tests") and (name.startswith("test_") or name == "conftest")


def test_no_module_imports_a_test_module_or_a_conftest() -> None:
    """Such a module would be loaded twice, and its tests or fixtures would be found where they are not meant to be."""
    found = [
        f"{path.relative_to(TESTS)}: {module}"
        for path in MODULES
        for module in imported(path.read_text())
        if is_collected(module) and path.parent.name not in STILL_DO
    ]
    assert [] == found
