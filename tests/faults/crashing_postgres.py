"""
A PostgreSQL that crashes and comes back: immediate shutdown, then a start that recovers from its log.

The one that comes back has the port and the files of the first, and a keeper of its own.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from pathlib import Path

import psycopg

from ops.local import cluster, keeper
from ops.local.postgres import Postgres
from tests.faults.supervisor import start_supervised
from tests.helpers.waiting import eventually


class CrashingPostgres(Postgres):
    """As `Postgres`; `restart` it as often as you like."""

    _again: subprocess.Popen[bytes] | None = None

    def restart(self) -> None:
        """All its connections break; when this returns it is up again."""
        with psycopg.connect(self.dsn(self.superuser)) as connection:
            data = Path(connection.execute("SHOW data_directory").fetchall()[0][0])
        command = shlex.split((data / "postmaster.opts").read_text())
        _crash(data / "postmaster.pid")
        self._release()
        self._again = start_supervised(command)
        assert eventually(lambda: cluster.ready(data.parent) > 0)

    def stop(self) -> None:
        self._release()
        super().stop()

    def _release(self) -> None:
        if self._again is not None:
            keeper.stop(self._again)
            self._again = None


def _crash(pid_file: Path) -> None:
    """SIGQUIT is the immediate shutdown; the pid file goes last."""
    os.kill(int(pid_file.read_text().split()[0]), signal.SIGQUIT)
    assert eventually(lambda: not pid_file.exists())
