"""
The local stack for containers, as docs/deploy.md leads to it, and `reminders local invoke`, as processes.

They take a minute and a half, so only `make test-sam` runs them (-m containers).
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ops.cli.errors import CliError
from ops.cli.local import sam as sam_local
from ops.tools.build.artifact import ROOT
from tests.cli.operated import COMMAND, Operated, local_up, shell_environment
from tests.containers.engine import TestEngine, any_engine

FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    answer: Any
    out: str
    err: str


Invoke = Callable[..., Said]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if FOLDER in item.path.parents:
            item.add_marker("containers")
            item.add_marker(pytest.mark.timeout(300))
            if "containers" not in config.option.markexpr:
                item.add_marker(pytest.mark.skip(reason="takes a minute and a half: `make test-sam`"))


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestEngine]:
    try:
        sam_local.check_build()
    except CliError as error:
        pytest.skip(f"{error} {error.hint}")
    with any_engine(tmp_path_factory.mktemp("engine")) as found:
        yield found


@pytest.fixture(scope="session")
def up(engine: TestEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operated]:
    """`reminders local up --for-sam`."""
    state = tmp_path_factory.mktemp("state")
    arguments = ["--for-sam", "--assignments", "200", "--days", "3"]
    with local_up(state, *arguments, prefix=engine.prefix, **engine.environment) as running:
        yield running


@pytest.fixture(scope="session")
def run(engine: TestEngine, up: Operated) -> Callable[..., Said]:
    """Runs a command as a user's second terminal would."""

    def call(*command: str, stdin: str = "") -> Said:
        done = subprocess.run(
            [*engine.prefix, *command],
            env={**shell_environment(up.state), **engine.environment, "SAM_CLI_TELEMETRY": "0"},
            cwd=ROOT,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Said(done.returncode, _json(done.stdout), done.stdout, done.stderr)

    return call


@pytest.fixture(scope="session")
def invoke(run: Invoke) -> Invoke:
    """`reminders local invoke`; an event that is no path is given on standard input."""

    def call(function: str, event: object) -> Said:
        given = (str(event), "") if isinstance(event, Path) else ("-", json.dumps(event))
        return run(str(COMMAND), "local", "invoke", function, given[0], stdin=given[1])

    return call


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
