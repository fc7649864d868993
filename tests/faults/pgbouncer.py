"""
PgBouncer in transaction mode between the functions and PostgreSQL, as Supabase has its pooler.

    with PgBouncer(server) as pooler:
        psycopg.connect(pooler.through(dsn))
        pooler.restart()                      # its clients are cut off; the port stays
"""

from __future__ import annotations

import os
import shutil
import socket
import textwrap
from types import TracebackType
from urllib.parse import urlsplit, urlunsplit

from ops.local import keeper
from ops.local.postgres import free_port
from ops.local.server import Server
from ops.schema import OUR_ROLES
from tests.faults.supervisor import start_supervised
from tests.helpers.waiting import eventually


def installed() -> str | None:
    """Debian has it where only root looks."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


class PgBouncer:
    """Use it in a `with`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._port = free_port()

    def through(self, dsn: str) -> str:
        """`dsn`, by way of the pooler."""
        parts = urlsplit(dsn)
        login = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{self._port}", query="sslmode=disable"))

    def restart(self) -> None:
        """At once, whatever its clients are doing."""
        keeper.stop(self._keeper)
        self._start()

    def __enter__(self) -> PgBouncer:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        keeper.stop(self._keeper)

    def _start(self) -> None:
        program = installed()
        assert program
        files = {"pgbouncer.ini": self._settings(), "users": self._users()}
        self._keeper = start_supervised([program, "{folder}/pgbouncer.ini"], files)
        assert eventually(self._listens, 10.0)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

    def _settings(self) -> str:
        """Any client on loopback may connect; PgBouncer connects to PostgreSQL with the passwords in `users`."""
        server = urlsplit(self._server.dsn("cron_runner"))
        return textwrap.dedent(f"""\
            [databases]
            * = host={server.hostname} port={server.port}
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = {self._port}
            unix_socket_dir =
            auth_type = trust
            auth_file = {{folder}}/users
            pool_mode = transaction
            default_pool_size = 20
            max_client_conn = 200
            server_login_retry = 0.1
            """)

    def _users(self) -> str:
        return "".join(f'"{role}" "{self._server.password(role)}"\n' for role in OUR_ROLES)
