"""
The code blocks of the documents, and how the marker above each says that it is tested.

    <!-- run: shell -->            in bash, against the local stack; `aws` is tests/docs/aws_cli.py
    <!-- run: shell, answer yes --> the same, and its question is answered
    <!-- run: sql as ROLE -->      as that role, in the local stack's database
    <!-- check: bash | sam | make | diagram -->   cannot be run here; looked at as far as it can be

In docs/deploy.md the blocks run in one terminal, one after the other (test_deploy_blocks.py):

    <!-- run: shell, with own values -->       with its placeholders replaced
    <!-- run: shell, answering the question -->
    <!-- run: shell, without PROGRAM -->       that program is replaced by one that does next to nothing
    <!-- check: WHAT, because REASON -->       the same as above, with the reason
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
RUNBOOK = ROOT / "docs" / "operations" / "cron-reminder-runbook.md"
DOCUMENTS = (RUNBOOK, ROOT / "README.md")
MARKER = re.compile(r"<!-- (run|check): (.+) -->")


@dataclass(frozen=True, slots=True)
class Block:
    """`marker` is "run: shell" and so on, None where there is none; `before`: the lines above, newest last."""

    document: str
    line: int
    language: str
    marker: str | None
    before: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def blocks() -> list[Block]:
    """Every block that names a language, of all documents."""
    return [block for document in DOCUMENTS for block in blocks_of(document.name, document.read_text())]


def blocks_of(name: str, text: str) -> list[Block]:
    """The blocks of one document, in order."""
    lines = text.splitlines()
    found: list[Block] = []
    start: int | None = None
    for number, line in enumerate(lines):
        if line.startswith("```"):
            if start is None:
                start = number
                continue
            if language := lines[start][3:].strip():
                marker = MARKER.fullmatch(lines[start - 1])
                above = tuple(lines[max(0, start - 6) : start])
                documented = f"{marker[1]}: {marker[2]}" if marker else None
                found.append(Block(name, start + 1, language, documented, above, "\n".join(lines[start + 1 : number])))
            start = None
    return found
