"""Servers under the keeper of `ops.local`: as another user where we are root, and stopped when this process ends."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

from ops.local import binaries, keeper
from ops.local.postgres import write_private


def start_supervised(command: list[str], files: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """
    Run `command` in a new private directory with these files; return its keeper.

    {folder} in the command and in the files stands for the directory.
    """
    user = binaries.unprivileged_user()
    folder = binaries.private_directory(user)
    for name, text in (files or {}).items():
        write_private(folder / name, text.replace("{folder}", str(folder)), user)
    server = [part.replace("{folder}", str(folder)) for part in command]
    return keeper.start(folder, user, ["true"], server)
