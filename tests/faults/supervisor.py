"""Servers under the keeper of `ops.local`: as another user where we are root, and stopped when this process ends."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

from ops.local import binaries, cluster, keeper


def start_supervised(command: list[str], files: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """
    Run `command` in a new private directory with these files; return its keeper.

    {room} in the command and in the files stands for the directory.
    """
    user = binaries.unprivileged_user()
    room = binaries.private_directory(user)
    for name, text in (files or {}).items():
        cluster.write_private(room / name, text.replace("{room}", str(room)), user)
    server = [part.replace("{room}", str(room)) for part in command]
    return keeper.start(cluster.order(room, user, ["true"], server))
