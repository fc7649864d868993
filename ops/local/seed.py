"""Generated data: organisations and assignments, deterministic, by one statement."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import psycopg

SEED = Path(__file__).with_name("seed.sql")
PEOPLE = Path(__file__).with_name("people.sql")
PAST_RUNS = Path(__file__).with_name("past_runs.sql")


def seed(connection: psycopg.Connection[Any], *, assignments: int, today: date) -> None:
    """Insert six organisations and `assignments` rows; `today` is the UTC date that gaps are counted to."""
    connection.execute(SEED.read_bytes(), {"assignments": assignments, "today": today})
    # Autovacuum would do it within a minute; a first run right after a bulk load should not wait for it.
    connection.execute("ANALYZE assignments, org_settings")


def name_people(connection: psycopg.Connection[Any]) -> None:
    """Give the people of the generated assignments names, and log a contact for each that had one."""
    connection.execute(PEOPLE.read_bytes())


def add_past_runs(connection: psycopg.Connection[Any], *, days: int, assignments: int) -> None:
    """Ledger rows of the last `days` days."""
    connection.execute(PAST_RUNS.read_bytes(), {"days": days, "assignments": assignments})
