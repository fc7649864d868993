"""
The files and commands of one local server: what its keeper runs.

    directory/  password (until the server is up) · log · data/ (initdb's)

Settings are command line options of the server, so that no file of initdb's is edited.
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


def free_port() -> int:
    """A port that is free now; another process may take it before the server does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def server_order(directory: Path, user: struct_passwd | None, initdb: list[str], server: list[str]) -> Order:
    uid, gid = (user.pw_uid, user.pw_gid) if user else (None, None)
    return Order(directory=str(directory), log=str(directory / "log"), uid=uid, gid=gid, initdb=initdb, server=server)


def pid_when_ready(directory: Path) -> int:
    """The server's process id once it takes connections, else 0: the first and eighth line of postmaster.pid."""
    try:
        lines = (directory / "data" / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return 0
    return int(lines[0]) if len(lines) > 7 and lines[7].strip() == "ready" else 0


def initdb(programs: Path, directory: Path) -> list[str]:
    return [
        *(str(programs / "initdb"), "--pgdata", str(directory / "data"), "--username", SUPERUSER),
        *("--auth", "scram-sha-256", "--pwfile", str(directory / "password")),
        *("--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions"),
    ]


def server(programs: Path, directory: Path, settings: Mapping[str, str]) -> list[str]:
    options = [word for name, value in {**SETTINGS, **settings}.items() for word in ("-c", f"{name}={value}")]
    return [str(programs / "postgres"), "-D", str(directory / "data"), *options]


def write_private(path: Path, text: str, user: struct_passwd | None) -> None:
    """Readable by the server's user alone, whatever the umask."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
    if user:
        os.chown(path, user.pw_uid, user.pw_gid)
