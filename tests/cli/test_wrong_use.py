"""Wrong use: one sentence, a suggestion, exit code 2; and what cannot be reached: 3."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.cli.main import main
from tests.helpers.cases import table

CASES = {
    "stauts": ("Did you mean 'status'?", 2),
    "status --jsn": ("Did you mean '--json'?", 2),
    "logs -n many": ("many", 2),
    "logs --status broken": ("'success'", 2),
    "run --as-of yesterday": ("2026-11-21", 2),
    "plan --as-of 21.11.2026": ("2026-11-21", 2),
    "status": ("reminders local up", 3),
    "local psql": ("reminders local up", 3),
    "status --database postgresql://nobody@127.0.0.1:1/x": ("connection refused", 3),
    "run --database postgresql://nobody@127.0.0.1:1/x --yes": ("--stack", 2),
    "status --database nonsense": ("libpq URI", 3),
}


@table("line", CASES)
def test_wrong_use_gets_a_sentence_and_a_suggestion(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback, no usage block: at most three lines on standard error, none on standard output."""
    monkeypatch.setenv("REMINDERS_STATE_DIR", str(tmp_path))
    words, code = CASES[line]
    assert code == main(line.split())
    printed = capsys.readouterr()
    assert ("", True) == (printed.out, words in printed.err), printed.err
    assert len(printed.err.splitlines()) <= 3
