"""ops/schema/shapes.json is what the migrations make: `reminders doctor` compares production with it."""

from __future__ import annotations

from ops.schema import shapes
from reminders.database import Connection


def test_the_file_is_what_the_migrations_make(owner: Connection) -> None:
    """After a new migration: `.venv/bin/python -m ops.tools.shapes`, and look at what changed."""
    assert shapes.expected() == sorted(shapes.of(owner))
