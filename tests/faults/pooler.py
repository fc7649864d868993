"""
PgBouncer in transaction mode between the functions and PostgreSQL, as Supabase has its pooler.

    with PgBouncer(server) as pooler:
        psycopg.connect(pooler.through(dsn))
        pooler.restart()                      # its clients are cut off; the port stays

The keeper of the local PostgreSQL runs it: as another user where we are root, and never longer than we live.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit, urlunsplit

from ops.local import binaries, cluster, keeper
from ops.local.database import LOGIN_ROLES
from ops.local.server import Server

PATIENCE = 10.0  # seconds


def installed() -> str | None:
    """Debian has it where only root looks."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


class PgBouncer:
    """Use it in a `with`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._port = cluster.free_port()

    def through(self, dsn: str) -> str:
        """`dsn`, by way of the pooler."""
        parts = urlsplit(dsn)
        login = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{self._port}", query="sslmode=disable"))

    def restart(self) -> None:
        """At once, whatever its clients are doing."""
        self._stop()
        self._start()

    def __enter__(self) -> PgBouncer:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _start(self) -> None:
        program = installed()
        assert program
        user = binaries.unprivileged_user()
        self._room = binaries.make_room(user)
        for name, text in (("pgbouncer.ini", self._settings()), ("users", self._users())):
            cluster.write_private(self._room / name, text, user)
        self._keeper = keep(
            keeper.Order(
                directory=str(self._room),
                log=str(self._room / "log"),
                uid=user.pw_uid if user else None,
                gid=user.pw_gid if user else None,
                initdb=["true"],
                server=[program, str(self._room / "pgbouncer.ini")],
            )
        )
        listening("127.0.0.1", self._port)

    def _stop(self) -> None:
        release(self._keeper)

    def _settings(self) -> str:
        """Everybody on loopback may come in; out it goes with the passwords of `users`."""
        server = urlsplit(self._server.dsn("cron_runner"))
        return f"""
            [databases]
            * = host={server.hostname} port={server.port}
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = {self._port}
            unix_socket_dir =
            auth_type = trust
            auth_file = {self._room / "users"}
            pool_mode = transaction
            default_pool_size = 20
            max_client_conn = 200
            ignore_startup_parameters = extra_float_digits
            server_login_retry = 0.1
            """.replace("            ", "")

    def _users(self) -> str:
        return "".join(f'"{role}" "{self._server.password(role)}"\n' for role in LOGIN_ROLES)


def keep(order: keeper.Order) -> subprocess.Popen[bytes]:
    """Give the order to a keeper (see there); it ends what it runs when we go."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(Path(keeper.__file__).resolve())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )
    assert process.stdin
    process.stdin.write(json.dumps(order).encode() + b"\n")
    process.stdin.flush()
    return process


def release(process: subprocess.Popen[bytes]) -> None:
    """The keeper ends what it runs, and itself."""
    assert process.stdin
    with suppress(OSError):
        process.stdin.close()
    process.wait(PATIENCE)


def listening(host: str, port: int) -> None:
    """Wait until somebody does."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection((host, port), 1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
