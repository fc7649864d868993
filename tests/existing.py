"""
Databases of projects that had tables before us: the files of tests/projects, each with what becomes of it.

    -- works: evaluates 2, dispatches 4      a run on it does that
    -- refused: ...                          one of the reasons why the migrations refuse it
    -- then works: ...                       so it does once the SQL was run that stands beside each reason
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from ops.local.database import apply_shim, create_database, drop_database
from ops.local.server import MIGRATOR, Server
from reminders.database import Connection

PROJECTS = {path.stem: path for path in sorted((Path(__file__).parent / "projects").glob("*.sql"))}


@dataclass(frozen=True)
class Project:
    """A database of that project, not migrated."""

    server: Server
    database: str
    connection: Connection
    text: str

    @property
    def dsn(self) -> str:
        """As `postgres`, who migrates."""
        return self.server.dsn(MIGRATOR, self.database)

    @property
    def reasons(self) -> list[str]:
        return re.findall(r"^-- refused: (.+)$", self.text, re.MULTILINE)

    @property
    def expected(self) -> tuple[int, int]:
        """How many are evaluated, and how many notifications are made."""
        found = re.search(r"^-- (?:then )?works: evaluates (\d+), dispatches (\d+)$", self.text, re.MULTILINE)
        assert found
        return int(found[1]), int(found[2])

    def one(self, query: str, *values: object) -> Any:
        row = self.connection.execute(query.encode(), values).fetchone()
        return row and row[0]


def named(pattern: str) -> list[str]:
    return [name for name, path in PROJECTS.items() if re.search(pattern, path.read_text(), re.MULTILINE)]


@contextmanager
def project_on(server: Server, name: str) -> Iterator[Project]:
    text = PROJECTS[name].read_text()
    database = create_database(server, f"test_{uuid.uuid4().hex[:12]}")
    try:
        apply_shim(server, database)
        with psycopg.connect(server.dsn(MIGRATOR, database), autocommit=True) as connection:
            connection.execute(text.encode())
            yield Project(server, database, connection, text)
    finally:
        drop_database(server, database)
