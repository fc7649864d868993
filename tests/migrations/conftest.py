"""What the tests of the schema share: a superuser's connection, which can become any role."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from ops.local.server import Server
from reminders.database import Connection


@pytest.fixture
def superuser(server: Server, database: str) -> Iterator[Connection]:
    with psycopg.connect(server.dsn(server.superuser, database), autocommit=True) as connection:
        yield connection
