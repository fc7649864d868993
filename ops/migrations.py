"""The migrations: where they are, and how dbmate applies them. `supabase db push` applies the same files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"
MIGRATIONS_TABLE = "supabase_migrations.schema_migrations"


class MigrationError(RuntimeError):
    """A migration failed; the message is dbmate's, without the password."""


def migrate(dsn: str, migrations: Path = MIGRATIONS) -> str:
    """
    Apply the pending ones in order, and return dbmate's output.

    Raises MigrationError with dbmate's output; the connection's password is in neither.
    """
    command = [_dbmate(), "--no-dump-schema", "--migrations-table", MIGRATIONS_TABLE]
    where = ["--migrations-dir", str(migrations)]
    # By environment: arguments can be read by every local user.
    environment = {**os.environ, "DATABASE_URL": dsn}
    done = subprocess.run([*command, *where, "migrate"], env=environment, capture_output=True, text=True, check=False)
    output = _without_password(done.stdout + done.stderr, dsn)
    if done.returncode:
        raise MigrationError(f"dbmate could not migrate: {output.strip()}")
    return output


def _dbmate() -> str:
    """dbmate of this Python's environment, which need not be active; else the one in PATH."""
    beside = Path(sys.executable).with_name("dbmate")
    found = str(beside) if beside.exists() else shutil.which("dbmate")
    if not found:
        raise MigrationError("dbmate is not installed: `make setup` brings it")
    return found


def _without_password(text: str, dsn: str) -> str:
    password = urlsplit(dsn).password
    return text.replace(password, "***") if password else text
