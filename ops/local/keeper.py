"""
The keeper: makes sure that no server outlives whoever started it, however that one ends.

    starter ──pipe──▶ keeper ──child──▶ initdb, then postgres

The starter sends one line of JSON (an `Order`) down the pipe and then just holds its end: the
kernel closes it when the starter goes, even by SIGKILL. At end of file the keeper stops the
server and removes its directory. Two things the pipe alone would miss: a process that the starter
forked holds the pipe open too, so the keeper also looks whether its parent changed; and the
keeper itself may be killed, so on Linux the kernel then stops the server (PR_SET_PDEATHSIG).
Elsewhere nothing does.

It runs as a file of its own, `python -I -S keeper.py`, for a start in 30 ms and no care for the
current folder: the standard library only. It reports "pid N" and "exited" on its standard output.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NoReturn, TypedDict

PR_SET_PDEATHSIG = 1
LOOK_EVERY = 0.25  # seconds
PATIENCE = 5.0  # seconds for an immediate shutdown; it takes a few hundredths


class Order(TypedDict):
    """What to run, in which directory (removed at the end), as whom (None: as the keeper)."""

    directory: str
    log: str
    uid: int | None
    gid: int | None
    initdb: list[str]
    server: list[str]


def main() -> None:
    order: Order = json.loads(sys.stdin.buffer.readline())
    parent = os.getppid()
    os.umask(0o077)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    child = None
    try:
        child = _child(order, order["initdb"])
        if child.wait() == 0:
            child = _child(order, order["server"])
            _say(f"pid {child.pid}")
        _watch(parent, child)
    finally:
        _ignore_signals()
        if child:
            _stop(child)
        shutil.rmtree(order["directory"], ignore_errors=True)


def _watch(parent: int, child: subprocess.Popen[bytes]) -> None:
    """Return when the starter is gone or done; say once when the child is."""
    told = False
    while os.getppid() == parent:
        if not told and child.poll() is not None:
            _say("exited")
            told = True
        readable, _, _ = select.select([0], [], [], LOOK_EVERY)
        if readable and not os.read(0, 1024):
            return


def _child(order: Order, command: list[str]) -> subprocess.Popen[bytes]:
    identity: dict[str, Any] = {}
    if order["uid"] is not None:
        identity = {"user": order["uid"], "group": order["gid"], "extra_groups": []}
    with open(order["log"], "ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=order["directory"],
            preexec_fn=_die_with_keeper(),  # noqa: PLW1509 - the keeper has no other thread
            **identity,
        )


def _die_with_keeper() -> Callable[[], None] | None:
    """Runs in the child after it changed its user, which would clear the wish again."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    keeper = os.getpid()

    def wish() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)
        if os.getppid() != keeper:  # it went before the wish was made
            _quit()

    return wish


def _quit() -> NoReturn:
    os._exit(1)


def _stop(child: subprocess.Popen[bytes]) -> None:
    """SIGQUIT is PostgreSQL's immediate shutdown: nothing here is worth a checkpoint."""
    child.send_signal(signal.SIGQUIT)  # which does nothing to one that has ended
    try:
        child.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _ignore_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def _say(what: str) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more: the watch will see that
        os.write(1, f"{what}\n".encode())


if __name__ == "__main__":
    main()
