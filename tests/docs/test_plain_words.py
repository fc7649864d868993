"""Words that make a second-language reader stop (CONTRIBUTING.md, rule 11) are not in code, documents or names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.docs.blocks import ROOT

AVOIDED = (
    "told",
    "tells",
    "nobody",
    "somebody",
    "whoever",
    "rooms?",
    "doors?",
    "knocks?",
    "lies",
    "thaw\\w*",
    "stranger",
)
WORD = re.compile(rf"(?<![a-z])({'|'.join(AVOIDED)})(?![a-z])", re.IGNORECASE)
PLACES = ("functions", "ops", "tests", "docs", "infra")
FILES = ("README.md", "CONTRIBUTING.md", "Makefile", "pyproject.toml", "template.yaml", "samconfig.toml")
KINDS = {".py", ".sql", ".md", ".toml", ".yaml", ".txt", ".html", ".css", ".json"}
# E-mail addresses and URIs are data.
DATA = re.compile(r"\S*(?:@|://)\S*")
# A user of Linux, and this list.
EXCEPTIONS = {"ops/local/binaries.py", "tests/docs/test_plain_words.py"}


def texts() -> Iterator[Path]:
    yield from (ROOT / name for name in FILES)
    for place in PLACES:
        yield from (path for path in sorted((ROOT / place).rglob("*")) if path.suffix in KINDS and path.is_file())


def test_plain_words() -> None:
    """Each has a plainer word: reported, no user, the caller, package, endpoint, is."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for path in texts()
        if str(path.relative_to(ROOT)) not in EXCEPTIONS
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for match in WORD.finditer(DATA.sub("", line))
    ]
    assert [] == found
