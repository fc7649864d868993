"""
A PostgreSQL that crashes and comes back: immediate shutdown, then a start that recovers from its log.

The one that comes back has a keeper of its own, and the port and the files of the first.
"""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from ops.local import binaries, cluster, keeper
from ops.local.postgres import Postgres
from tests.faults.pooler import keep, release
from tests.ops.helpers import eventually


@contextmanager
def restarted(server: Postgres) -> Iterator[None]:
    """It is up again; at the end it is down, and `server` removes its files."""
    with psycopg.connect(server.dsn(server.superuser)) as connection:
        data = Path(connection.execute("SHOW data_directory").fetchall()[0][0])
    command = shlex.split((data / "postmaster.opts").read_text())
    crash(data)
    user = binaries.unprivileged_user()
    room = binaries.make_room(user)
    process = keep(
        keeper.Order(
            directory=str(room),
            log=str(room / "log"),
            uid=user.pw_uid if user else None,
            gid=user.pw_gid if user else None,
            initdb=["true"],
            server=command,
        )
    )
    assert eventually(lambda: cluster.ready(data.parent))
    yield
    release(process)


def crash(data: Path) -> None:
    """SIGQUIT is the immediate shutdown; the pid file goes last."""
    file = data / "postmaster.pid"
    os.kill(int(file.read_text().split()[0]), signal.SIGQUIT)
    assert eventually(lambda: not file.exists())
