"""
The files and commands of one local server: what its keeper is ordered to run.

    room/  postgresql.conf · pg_hba.conf · password · log · data/

Our configuration stands beside initdb's directory instead of being edited into it, so that
nothing of it depends on the PostgreSQL version.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from pwd import struct_passwd

from ops.local.keeper import Order

SUPERUSER = "supabase_admin"
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "200",
    # Nothing here outlives its test: let no disk slow it down.
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


def free_port() -> int:
    """A port that is free now; another process may still be quicker to take it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_files(room: Path, user: struct_passwd | None, settings: Mapping[str, str], password: str) -> None:
    lines = [f"{name} = {_quoted(value)}\n" for name, value in {**SETTINGS, **settings}.items()]
    write_private(room / "postgresql.conf", "".join(lines), user)
    write_private(room / "pg_hba.conf", "host all all 127.0.0.1/32 scram-sha-256\n", user)
    write_private(room / "password", password, user)


def order(programs: Path, room: Path, user: struct_passwd | None) -> Order:
    return Order(
        directory=str(room),
        log=str(room / "log"),
        uid=user.pw_uid if user else None,
        gid=user.pw_gid if user else None,
        initdb=_initdb(programs, room),
        server=_server(programs, room),
    )


def ready(room: Path) -> bool:
    """Whether it takes connections: the eighth line of postmaster.pid tells."""
    try:
        lines = (room / "data" / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) > 7 and lines[7].strip() == "ready"


def _initdb(programs: Path, room: Path) -> list[str]:
    return [
        *(str(programs / "initdb"), "--pgdata", str(room / "data"), "--username", SUPERUSER),
        *("--auth", "scram-sha-256", "--pwfile", str(room / "password")),
        *("--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions"),
    ]


def _server(programs: Path, room: Path) -> list[str]:
    return [
        *(str(programs / "postgres"), "-D", str(room / "data")),
        *("-c", f"config_file={room / 'postgresql.conf'}"),
        *("-c", f"hba_file={room / 'pg_hba.conf'}"),
    ]


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def write_private(path: Path, text: str, user: struct_passwd | None) -> None:
    """For the server's user alone to read, whatever our umask is."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
    if user:
        os.chown(path, user.pw_uid, user.pw_gid)
