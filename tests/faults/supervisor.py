"""Servers under the keeper of `ops.local`: as another user where we are root, and stopped when this process ends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ops.local import binaries, cluster, keeper

PATIENCE = 10.0  # seconds


def start_supervised(command: list[str], files: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """
    Run `command` in a new private directory with these files; return its keeper.

    {room} in the command and in the files stands for the directory.
    """
    user = binaries.unprivileged_user()
    room = binaries.private_directory(user)
    for name, text in (files or {}).items():
        cluster.write_private(room / name, text.replace("{room}", str(room)), user)
    order = keeper.Order(
        directory=str(room),
        log=str(room / "log"),
        uid=user.pw_uid if user else None,
        gid=user.pw_gid if user else None,
        initdb=["true"],
        server=[part.replace("{room}", str(room)) for part in command],
    )
    return _keeper(order)


def stop_supervised(process: subprocess.Popen[bytes]) -> None:
    """Stop the server; its keeper ends with it."""
    assert process.stdin
    with suppress(OSError):
        process.stdin.close()
    process.wait(PATIENCE)


def _keeper(order: keeper.Order) -> subprocess.Popen[bytes]:
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
