"""
A PostgreSQL that stops and comes back: immediate shutdown, then a start that recovers from its log; or an orderly one.

The one that comes back has the port and the files of the first, and a keeper of its own.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from pathlib import Path

import psycopg

from ops.local import keeper
from ops.local.postgres import Postgres, pid_when_ready
from tests.faults.supervisor import start_supervised
from tests.helpers.waiting import eventually


class CrashingPostgres(Postgres):
    """As `Postgres`; `restart` it as often as you like."""

    _again: subprocess.Popen[bytes] | None = None

    def restart(self, *, orderly: bool = False) -> None:
        """All its connections break; when this returns it is up again. `orderly`: a fast shutdown, without recovery."""
        with psycopg.connect(self.dsn(self.superuser)) as connection:
            data = Path(connection.execute("SHOW data_directory").fetchall()[0][0])
        command = shlex.split((data / "postmaster.opts").read_text())
        _stop(data / "postmaster.pid", signal.SIGINT if orderly else signal.SIGQUIT)
        self._release()
        self._again = start_supervised(command)
        assert eventually(lambda: pid_when_ready(data.parent) > 0)

    def stop(self) -> None:
        self._release()
        super().stop()

    def _release(self) -> None:
        if self._again is not None:
            keeper.stop(self._again)
            self._again = None


def _stop(pid_file: Path, number: signal.Signals) -> None:
    """SIGQUIT is the immediate shutdown, SIGINT the fast one; the pid file goes last."""
    os.kill(int(pid_file.read_text().split()[0]), number)
    assert eventually(lambda: not pid_file.exists())
