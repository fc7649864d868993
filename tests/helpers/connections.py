"""Connections to a test's database, as one of the roles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from ops.local.server import Server
from ops.schema import OUR_ROLES
from reminders.database import Connection

AsRole = Callable[[str], Connection]


@contextmanager
def connect_as(server: Server, database: str, role: str) -> Iterator[psycopg.Connection[Any]]:
    """As the functions connect: autocommit and, for a transaction pooler, nothing prepared."""
    login = role if role in OUR_ROLES else server.superuser
    with psycopg.connect(server.dsn(login, database), autocommit=True, prepare_threshold=None) as connection:
        if login != role:
            connection.execute("SELECT set_config('role', %s, false)", [role])
        yield connection
