"""docs/reliability.md promises nothing that no test shows: each test that its tables name is there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.docs.blocks import ROOT

DOCUMENT = ROOT / "docs" / "reliability.md"
FAULTS = ROOT / "tests" / "faults"
TEST = "test"
REFERENCE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table that has a column `test`; `cells` by column."""

    line: int
    cells: dict[str, str]

    @property
    def tests(self) -> list[str]:
        """`path` or `path::test_name`, those of the cell in order."""
        return REFERENCE.findall(self.cells[TEST])

    def __str__(self) -> str:
        return f"line {self.line}"


def rows_of(text: str) -> list[Row]:
    """Of all tables with a column `test`, in order."""
    return [row for table in tables_of(text) for row in checked_rows(table)]


def tables_of(text: str) -> Iterator[list[tuple[int, list[str]]]]:
    """Each table as its lines, header first: the line's number, its cells."""
    table: list[tuple[int, list[str]]] = []
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        if line.startswith("|"):
            table.append((number, cells_of(line)))
        elif table:
            yield table
            table = []


def cells_of(line: str) -> list[str]:
    """Between the bars; one with a backslash before it is a letter of the text."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def checked_rows(table: list[tuple[int, list[str]]]) -> list[Row]:
    (_, header), _, *lines = table
    if TEST not in header:
        return []
    return [Row(number, dict(zip(header, cells, strict=True))) for number, cells in lines]


def names_no_test(reference: str) -> bool:
    path, separator, name = reference.partition("::")
    file = ROOT / path
    return not file.is_file() or bool(separator and name not in names_in(file))


def names_in(module: Path) -> set[str]:
    found = ast.parse(module.read_text()).body
    return {node.name for node in found if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


ROWS = rows_of(DOCUMENT.read_text())


def test_every_row_names_a_test() -> None:
    """A promise without a test is a hope."""
    assert ROWS
    assert [] == [str(row) for row in ROWS if not row.tests]


def test_every_test_exists() -> None:
    """Each test that the document names exists."""
    assert [] == [f"{row}: {test}" for row in ROWS for test in row.tests if names_no_test(test)]


def test_every_module_of_faults_is_in_a_table() -> None:
    """The engineer on call reads the document, not the tests."""
    named = {test.partition("::")[0] for row in ROWS for test in row.tests}
    modules = [str(path.relative_to(ROOT)) for path in sorted(FAULTS.rglob("test_*.py"))]
    assert [] == [module for module in modules if module not in named]
