"""Running a migration a second time."""

from __future__ import annotations

from ops.migrations import MIGRATIONS
from reminders.database import Connection


def migrate_again(owner: Connection, name: str) -> None:
    """Run the migration of that name once more: each of these can be repeated."""
    (file,) = MIGRATIONS.glob(f"20261125*_{name}.sql")
    with owner.transaction():
        owner.execute(file.read_bytes())
