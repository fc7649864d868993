"""`reminders local`: one stack a user, a file that is no one else's, and nothing left at the end."""

from __future__ import annotations

import fcntl
import json
import stat
from pathlib import Path

import psycopg
import pytest

from ops.cli import local_state
from tests.cli.operated import Operated, local_up, run


def test_state_file_is_its_owners_alone(operated: Operated) -> None:
    """It holds passwords: mode 0600."""
    assert 0o600 == stat.S_IMODE((operated.state / "local.json").stat().st_mode)


def test_a_second_stack_is_refused(operated: Operated) -> None:
    """With a sentence and what to do."""
    done = run(operated.state, "local", "up")
    assert done.returncode == 1
    assert "running already" in done.stderr and "local down" in done.stderr


def test_down_ends_it_and_leaves_nothing(tmp_path: Path) -> None:
    """The server, its port and the state file are gone."""
    with local_up(tmp_path, "--assignments", "0", "--days", "0") as operated:
        url = json.loads((tmp_path / "local.json").read_text())["database_url"]
        assert 0 == operated.run("local", "down").returncode
        assert 0 == operated.up.wait(60)
    assert [] == list(tmp_path.iterdir())
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)


def test_a_file_that_was_left_over_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process was killed, so the kernel dropped its lock; the next stack takes the file over."""
    monkeypatch.setenv("REMINDERS_STATE_DIR", str(tmp_path))
    local_state.state_file().write_text(json.dumps({"pid": 1}))
    assert local_state.read() is None
    with local_state.exclusive_state_file():
        assert "" == local_state.state_file().read_text()


def test_a_stack_that_is_starting_says_so(tmp_path: Path) -> None:
    """Locked and still empty: try again, exit code 3."""
    with (tmp_path / "local.json").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = run(tmp_path, "status")
    assert (3, True) == (done.returncode, "still starting" in done.stderr)
