"""
`supabase db push`, the real command, as in production: the same files, the same outcome as by dbmate.

The CLI comes from npm, once a session; where that cannot be had, the tests say so and are skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ops.local.server import Server
from ops.migrations import MIGRATIONS, migrate
from tests.existing import Project, project_on
from tests.migrations.catalog import snapshot

PACKAGE = "supabase@3.1.0"


@pytest.fixture(scope="session")
def cli(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The command's path: on PATH, or installed by npm without running any of its scripts."""
    if found := shutil.which("supabase"):
        return found
    npm = shutil.which("npm")
    if not npm:
        pytest.skip("neither the supabase command nor npm is installed")
    folder = tmp_path_factory.mktemp("supabase")
    command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder), PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    programs = list(folder.glob("node_modules/@supabase/cli-*/bin/supabase"))
    if done.returncode or not programs:
        pytest.skip(f"npm could not install {PACKAGE} for this machine")
    return str(programs[0])


def push(cli: str, project: Project, folder: Path, app: str = "") -> subprocess.CompletedProcess[str]:
    migrations = shutil.copytree(MIGRATIONS, folder / "supabase" / "migrations")
    if app:
        (migrations / "20260101000000_app.sql").write_text(app)
    command = [cli, "db", "push", "--yes", "--db-url", project.dsn, "--workdir", str(folder)]
    environment = {**os.environ, "HOME": str(folder), "DO_NOT_TRACK": "1", "SUPABASE_TELEMETRY_DISABLED": "1"}
    return subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("name", ["new", "words_as_data"])
def test_project_that_fits(cli: str, server: Server, tmp_path: Path, name: str) -> None:
    """With the app's own migrations before ours, it is made exactly what dbmate makes of it."""
    with project_on(server, "new") as pushed, project_on(server, name) as migrated:
        done = push(cli, pushed, tmp_path, app=migrated.text)
        assert 0 == done.returncode, done.stderr
        migrate(migrated.dsn)
        assert snapshot(migrated.connection) == snapshot(pushed.connection)


def test_project_that_does_not_fit(cli: str, server: Server, tmp_path: Path) -> None:
    """It is refused with every reason, and nothing is left behind."""
    with project_on(server, "other_columns") as project:
        before = snapshot(project.connection)
        done = push(cli, project, tmp_path)
        assert 0 != done.returncode
        assert [] == [reason for reason in project.reasons if reason not in done.stdout + done.stderr]
        assert before == snapshot(project.connection)
