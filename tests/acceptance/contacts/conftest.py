"""What the tests of contact share: a scheduler's connection, and the admin function's endpoint."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from ops.local.database import give_logins
from ops.local.server import Server
from reminders.database import Connection


@pytest.fixture
def scheduler(server: Server, database: str) -> Iterator[Connection]:
    """As the scheduler function has it: reminder_scheduler, autocommit."""
    dsn = give_logins(server, database)["reminder_scheduler"]
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as connection:
        yield connection
