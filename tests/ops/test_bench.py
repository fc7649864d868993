"""The benchmark runs on the schema as it is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_small_benchmark(tmp_path: Path) -> None:
    """It measures the main job's three days, counts what was due, and writes the numbers down."""
    command = [sys.executable, "-m", "ops.bench", "--sizes", "200", "--no-peers", "--no-ledger"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)
    rows = json.loads((tmp_path / "build/bench.json").read_text())["Main job, handler in to handler out"]
    assert [100, 8, 0] == [row["dispatched"] for row in rows]
