"""docs/reference.md knows every setting that the code reads, and no other."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
READ = re.compile(r'\w+\((?:env, )?"([A-Z][A-Z0-9_]+)"')


def test_settings_are_those_that_the_code_reads() -> None:
    """A setting that is added, or removed, is so in the reference as well."""
    table = (ROOT / "docs/reference.md").read_text().partition("## Settings")[2]
    documented = set(re.findall(r"^\| `([A-Z0-9_]+)` \|", table, flags=re.MULTILINE))
    assert set(READ.findall((ROOT / "functions/reminders/settings.py").read_text())) == documented
