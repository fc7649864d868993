"""What the code and the documents cite exists: every file, every anchor."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CITED = re.compile(r"\b((?:docs/[\w./-]+|README|CONTRIBUTING|CHANGELOG)\.md)(#[\w-]+)?")
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(#[\w-]+)?\)")
# A document that is not in the repository cannot be looked up.
ELSEWHERE = re.compile(
    r"\b(?:the design\b|design, (?:rule|section)|[Rr]ules? \d+ (?:of|to|and)\b|\([Rr]ule \d+\)|[Rr]ule \d+:)"
)
TEXT = {".py", ".sql", ".md", ".yaml", ".toml", ".html"}


FOLDERS = ("functions", "ops", "migrations", "tests", "docs", "infra", ".github")


def texts() -> list[Path]:
    below = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    return [path for path in [*ROOT.iterdir(), *below] if path.suffix in TEXT and path.is_file()]


@cache
def anchors(document: Path) -> set[str]:
    """As GitHub makes them from headings, and those that are written out."""
    text = document.read_text()
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return {f"#{anchor}" for anchor in made | set(re.findall(r'<a id="([\w-]+)">', text))}


def citations(file: Path) -> list[tuple[Path, str]]:
    text = file.read_text()
    found = [(ROOT / name, anchor) for name, anchor in CITED.findall(text)]
    if file.suffix == ".md":
        found += [((file.parent / name) if name else file, anchor) for name, anchor in LINK.findall(text)]
    return found


def test_every_cited_document_and_anchor_exists() -> None:
    """A reader who looks a citation up finds it."""
    broken = [
        f"{file.relative_to(ROOT)}: {document.name}{anchor}"
        for file in texts()
        for document, anchor in citations(file)
        if not document.exists() or (anchor and anchor not in anchors(document))
    ]
    assert [] == broken


def test_no_rule_is_cited_from_a_document_that_is_not_here() -> None:
    """Comments say the rule, or cite a document of this repository."""
    files = [file for file in texts() if file != Path(__file__)]
    assert [] == [str(file.relative_to(ROOT)) for file in files if ELSEWHERE.search(file.read_text())]
