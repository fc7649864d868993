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

pytestmark = pytest.mark.matrix


def push(cli: str, project: Project, folder: Path, app: str = "") -> subprocess.CompletedProcess[str]:
    migrations = shutil.copytree(MIGRATIONS, folder / "supabase" / "migrations")
    if app:
        (migrations / "20260101000000_app.sql").write_text(app)
    command = [cli, "db", "push", "--yes", "--db-url", project.dsn, "--workdir", str(folder)]
    environment = {**os.environ, "HOME": str(folder), "DO_NOT_TRACK": "1", "SUPABASE_TELEMETRY_DISABLED": "1"}
    return subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=150, check=False
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
