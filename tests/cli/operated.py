"""A local stack that `reminders local up` runs, and the command as a process of its own."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from ops.cli.main import main

COMMAND = Path(sys.executable).with_name("reminders")
ASSIGNMENTS = 200


@dataclass(frozen=True, slots=True)
class Said:
    """What the command said, and its exit code."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Operated:
    """`state`: the directory of the state file."""

    state: Path
    up: subprocess.Popen[str]

    @property
    def environment(self) -> dict[str, str]:
        """Of a shell in which `reminders` is found and works on this stack."""
        return shell_environment(self.state)

    @property
    def secrets(self) -> set[str]:
        """What must never be printed: passwords, tokens, the webhook's path."""
        state = json.loads((self.state / "local.json").read_text())
        return {state["database_url"].partition("@")[0].rpartition(":")[2]}

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """`reminders ARGUMENTS`, without a terminal."""
        return run(self.state, *arguments, **more)

    def say(self, *arguments: str) -> Said:
        """The same in this process, which saves the seconds of its start."""
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("REMINDERS_STATE_DIR", str(self.state))
            return say(*arguments)

    def json(self, *arguments: str) -> Any:
        """What it prints with --json; it must succeed."""
        said = self.say(*arguments, "--json")
        assert said.code == 0, said.err
        return json.loads(said.out)


def say(*arguments: str) -> Said:
    """`reminders ARGUMENTS` in this process; what the command sets in its environment ends with it."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), patch.dict(os.environ):
        code = main(list(arguments))
    return Said(code, out.getvalue(), err.getvalue())


def shell_environment(state: Path) -> dict[str, str]:
    hidden = {"DATABASE_URL", "REMINDERS_STACK"}
    kept = {name: value for name, value in os.environ.items() if name not in hidden and not name.startswith("AWS_")}
    path = f"{COMMAND.parent}{os.pathsep}{kept.get('PATH', '')}"
    return {**kept, "PATH": path, "REMINDERS_STATE_DIR": str(state), "AWS_EC2_METADATA_DISABLED": "true"}


def run(state: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(COMMAND), *arguments],
        env={**shell_environment(state), **more},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


@contextmanager
def local_up(state: Path, *arguments: str, prefix: Sequence[str] = (), **more: str) -> Iterator[Operated]:
    """`reminders local up`, run by the command `prefix` with `more` in its environment; Ctrl-C when the block ends."""
    process = subprocess.Popen(
        [*prefix, str(COMMAND), "local", "up", *arguments],
        env={**shell_environment(state), "PYTHONUNBUFFERED": "1", **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout
    try:
        for line in process.stdout:
            if "Ctrl-C stops it" in line:
                break
        assert process.poll() is None, "the local stack did not start"
        yield Operated(state, process)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
