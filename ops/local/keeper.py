"""
The keeper: makes sure that no server outlives the process that started it, however that one ends.

    starter ──pipe──▶ keeper ──child──▶ initdb, then postgres

The starter sends one line of JSON (an `Order`) down the pipe and keeps its end open: the kernel closes it when the
starter ends, even by SIGKILL. At end of file the keeper stops the server and removes its directory. Two cases need
more. A process that the starter forked holds the pipe open too, so the keeper also checks whether its parent changed.
And the keeper itself may be killed: on Linux the kernel then stops the server (PR_SET_PDEATHSIG); elsewhere PostgreSQL
stops within a minute after its directory is removed.

It runs as a file of its own, `python -I -S keeper.py`, which starts in 30 ms: the standard library only. When initdb
fails or the server exits, it leaves an empty file `exited` in the directory.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from pwd import struct_passwd
from typing import Any, TypedDict

PR_SET_PDEATHSIG = 1
CHECK_EVERY_SECONDS = 0.25
STOP_SECONDS = 5.0  # for an immediate shutdown; it takes a few hundredths
STOP_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class Order(TypedDict):
    """What to run, in which directory (removed at the end), as which user (None: as the keeper's)."""

    directory: str
    uid: int | None
    gid: int | None
    initdb: list[str]
    server: list[str]


def start(directory: Path, user: struct_passwd | None, initdb: list[str], server: list[str]) -> subprocess.Popen[bytes]:
    """
    Start a keeper that runs `initdb`, then `server`, as `user` (None: as this process); return it.

    Their output goes to `log` in `directory`. The keeper ends when its standard input is closed.
    """
    uid, gid = (user.pw_uid, user.pw_gid) if user else (None, None)
    order = Order(directory=str(directory), uid=uid, gid=gid, initdb=initdb, server=server)
    # A user's PGDATA or PGPORT, or a locale that is not installed, would change the server.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(Path(__file__).resolve())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={**kept, "LC_ALL": "C", "TZ": "UTC"},
        # Ctrl-C at a terminal then reaches the starter alone, which stops the keeper.
        start_new_session=True,
    )
    assert process.stdin
    process.stdin.write(json.dumps(order).encode() + b"\n")
    process.stdin.flush()
    return process


def stop(keeper: subprocess.Popen[bytes]) -> None:
    """Stop the server; its keeper ends with it."""
    assert keeper.stdin
    with suppress(OSError):
        keeper.stdin.close()
    keeper.wait()


def main() -> None:
    order: Order = json.loads(sys.stdin.buffer.readline())
    starter = os.getppid()
    os.umask(0o077)
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: sys.exit(0))
    child = None
    try:
        child = _start(order, order["initdb"])
        if child.wait() == 0:
            child = _start(order, order["server"])
        _wait_for_end_of(starter, child, Path(order["directory"], "exited"))
    finally:
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        if child:
            _stop(child)
        shutil.rmtree(order["directory"], ignore_errors=True)


def _wait_for_end_of(starter: int, child: subprocess.Popen[bytes], exited: Path) -> None:
    while os.getppid() == starter:
        if child.poll() is not None:
            exited.touch()
        readable, _, _ = select.select([0], [], [], CHECK_EVERY_SECONDS)
        if readable and not os.read(0, 1024):
            return


def _start(order: Order, command: list[str]) -> subprocess.Popen[bytes]:
    identity: dict[str, Any] = {}
    if order["uid"] is not None:
        identity = {"user": order["uid"], "group": order["gid"], "extra_groups": []}
    with open(Path(order["directory"], "log"), "ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=order["directory"],
            preexec_fn=_end_with_keeper(),  # noqa: PLW1509 - the keeper has no other thread
            **identity,
        )


def _end_with_keeper() -> Callable[[], None] | None:
    """To run in the child after it changed its user, which clears the kernel's setting."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    keeper = os.getpid()

    def set_signal() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)
        if os.getppid() != keeper:  # it ended before the setting was made
            os._exit(1)

    return set_signal


def _stop(child: subprocess.Popen[bytes]) -> None:
    """SIGQUIT is PostgreSQL's immediate shutdown, without a checkpoint."""
    child.send_signal(signal.SIGQUIT)  # which does nothing to a process that has ended
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


if __name__ == "__main__":
    main()
