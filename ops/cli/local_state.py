"""
How the other commands find the stack of `reminders local up`.

A file with mode 0600, because it has the stack's passwords; it is removed when the stack stops. The running stack
holds a lock on it, which the kernel releases however that process ends: a file without a lock is ignored.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TextIO

from ops.cli.errors import UNREACHABLE, CliError

LOGGED = ("cron", "scheduler", "admin", "courier")


@dataclass(frozen=True, slots=True)
class LocalState:
    """
    A running local stack. Environments are those of its functions, by function.

    `sam_environment` is the path of the file with those for containers; empty unless it was started --for-sam.
    """

    pid: int
    database_url: str
    schedule_name: str
    environments: dict[str, dict[str, str]]
    addresses: dict[str, str] = field(default_factory=dict)
    sam_environment: str = ""


def state_file() -> Path:
    """REMINDERS_STATE_DIR, else the user's state directory (XDG)."""
    given = os.environ.get("REMINDERS_STATE_DIR")
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(given or Path(base) / "assignment-reminders") / "local.json"


def mail_folder() -> Path:
    """Where `reminders local courier` writes the mails."""
    return state_file().with_name("mails")


@contextmanager
def exclusive_state_file() -> Iterator[int]:
    """The state file, empty and locked; raise `CliError` when a stack is running already."""
    path = state_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(handle, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CliError("A local stack is running already.", "Stop it with `reminders local down`.") from None
        os.ftruncate(handle, 0)
        try:
            yield handle
        finally:
            for file in (path, *map(log_file, LOGGED)):
                file.unlink(missing_ok=True)
            shutil.rmtree(mail_folder(), ignore_errors=True)
    finally:
        os.close(handle)


def write(handle: int, state: LocalState) -> None:
    """In one write: a reader sees nothing, or all of it."""
    os.pwrite(handle, json.dumps(asdict(state)).encode(), 0)


def read() -> LocalState | None:
    """The running stack's state, or None; raise `CliError` while it is starting."""
    text = _text()
    return None if text is None else _read(text)


def running_pid() -> int | None:
    """The process id of the running stack, of whatever version it is; None when there is none."""
    text = _text()
    return None if text is None else int(json.loads(text)["pid"])


def log_file(function: str) -> Path:
    """The log of one of the local stack's functions, while the stack runs."""
    return state_file().with_name(f"{function}.log")


@contextmanager
def append_log(function: str) -> Iterator[TextIO]:
    """A function's log, open for appending; mode 0600."""
    handle = os.open(log_file(function), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    with open(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
        yield file


def _text() -> str | None:
    """The running stack's file."""
    with suppress(FileNotFoundError), state_file().open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            if text := file.read():
                return text
            raise CliError("The local stack is still starting.", "Try again in a few seconds.", UNREACHABLE) from None
    return None


def _read(text: str) -> LocalState:
    try:
        return LocalState(**json.loads(text))
    except (ValueError, TypeError):
        hint = "Stop it with `reminders local down`, and start it again with `reminders local up`."
        raise CliError("The local stack is of another version.", hint, UNREACHABLE) from None
