"""Whole stories: every promise is kept, and where one is broken, the story is made short."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.cases import first
from tests.simulation.broken import BROKEN, DAYS, PAIRS, TROUBLE, Broken, break_copy
from tests.simulation.story import make_story

SEEDS = range(1, 21)
# Killed and paused processes are real, so where they are hit depends on how busy the machine is.
PLAYS = 3


def simulate(*options: str, functions: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`make simulate` in a process of its own, so that nothing of other tests is warm."""
    broken = {} if functions is None else {"PYTHONPATH": str(functions)}
    command = [sys.executable, "-m", "tests.simulation", *options]
    return subprocess.run(command, env={**os.environ, **broken}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("seed", first(1, SEEDS))
def test_every_promise_is_kept(seed: int) -> None:
    """Two weeks with four times as many faults as usual. Only a violation in each of three plays counts."""
    story = ("--seed", str(seed), "--days", "14", "--assignments", "80", "--trouble", "4", "--shrink", "0")
    plays: list[subprocess.CompletedProcess[str]] = []
    while not plays or (plays[-1].returncode and len(plays) < PLAYS):
        plays.append(simulate(*story))
    assert 0 == plays[-1].returncode, "\n".join(done.stdout + done.stderr for done in plays)


@pytest.mark.matrix
@pytest.mark.parametrize("case", BROKEN, ids=str)
def test_broken_product(case: Broken, tmp_path: Path) -> None:
    """The simulation finds each way to break the product that `broken.py` lists, within three weeks."""
    break_copy(case, tmp_path)
    where = ("--migrations", str(tmp_path / "migrations"))
    story = ("--seed", str(case.seed), "--days", str(DAYS), "--assignments", str(PAIRS), "--trouble", str(TROUBLE))
    found = None
    for _ in range(PLAYS):
        done = simulate(*story, *where, "--shrink", "0", functions=tmp_path / "functions")
        found = found or re.search(r"^Seed \d+, day (\d+): (.*)", done.stdout, re.MULTILINE)
        if found:
            break
    assert found, done.stdout + done.stderr
    print(f"{case}: day {found[1]}, {found[2]}")  # `pytest -rP` shows it


@pytest.mark.matrix
def test_story_is_made_short(tmp_path: Path) -> None:
    """Of two dozen events, one is left that breaks the same promise, and the seed is printed."""
    case = next(case for case in BROKEN if case.name == "the escalation goes to the mentor")
    break_copy(case, tmp_path)
    where = ("--migrations", str(tmp_path / "migrations"))
    story = ("--seed", "2", "--days", "1", "--assignments", "12")
    done = simulate(*story, *where, "--shrink", "20", functions=tmp_path / "functions")
    assert 1 == done.returncode, done.stdout + done.stderr
    assert "make simulate SEED=2 " in done.stdout
    events = re.findall(r"^  day .*", done.stdout, re.MULTILINE)
    assert 1 == len(events), done.stdout


def test_story_depends_on_the_seed_alone() -> None:
    """The same seed gives the same story; another seed another one."""
    assert make_story(1, 30, 100) == make_story(1, 30, 100)
    assert make_story(1, 30, 100) != make_story(2, 30, 100)
