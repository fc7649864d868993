"""
The starter's side of `forked.py`: processes to strike at, by handle.

    with Forks() as forks:
        run = forks.start("cron", place, event=..., seconds=60)
        run.kill()
        run.ended.result(5)                        # -9
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from types import TracebackType
from typing import Any

import psutil

from tests.ops.helpers import eventually

PATIENCE = 30.0  # seconds; the functions' first import may take a few on a busy machine


@dataclass(slots=True)
class Place:
    """Where a function runs: its environment and its secrets."""

    environment: dict[str, str]
    secrets: dict[str, str]


@dataclass(slots=True)
class Fork:
    """A process. `said` are its words so far; it has ended when `ended` has its exit code, negative for a signal."""

    begun: Future[int] = field(default_factory=Future)
    url: Future[str] = field(default_factory=Future)
    ended: Future[int] = field(default_factory=Future)
    said: list[dict[str, Any]] = field(default_factory=list)

    def kill(self) -> None:
        """SIGKILL, also for one that is frozen; and wait for its end."""
        self._signal(signal.SIGKILL)
        self.ended.result(PATIENCE)

    def freeze(self) -> None:
        """SIGSTOP; and wait until it stands, for the kernel takes its time with many threads."""
        self._signal(signal.SIGSTOP)
        process = psutil.Process(self.begun.result())
        assert eventually(lambda: process.status() == psutil.STATUS_STOPPED)

    def thaw(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if not self.ended.done():
            with suppress(ProcessLookupError):
                os.kill(self.begun.result(PATIENCE), number)

    def hears(self, words: dict[str, Any]) -> None:
        if "pid" in words:
            self.begun.set_result(words["pid"])
        elif "url" in words:
            self.url.set_result(words["url"])
        elif "code" in words:
            self.ended.set_result(words["code"])
        else:
            self.said.append(words)


class Forks:
    """The server's process. Use it in a `with`; may be used by many threads."""

    def __init__(self) -> None:
        self._forks: dict[int, Fork] = {}
        self._ids = count()
        self._ordering = threading.Lock()

    def start(self, what: str, place: Place, *, short: bool = False, **arguments: object) -> Fork:
        """Fork `what` (a key of `forked.WHAT`); `short`: see `forked.shorten`."""
        order = {"what": what, "environment": place.environment, "secrets": place.secrets, "short": short}
        with self._ordering:
            number, fork = next(self._ids), Fork()
            self._forks[number] = fork
            print(json.dumps({"id": number, **order, **arguments}), file=self._orders, flush=True)
        return fork

    def __enter__(self) -> Forks:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.forked"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if os.environ.get("REMINDERS_SHOW_LOGS") else subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdin and self._process.stdout
        self._orders, self._answers = self._process.stdin, self._process.stdout
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._orders.close()
        self._process.wait(PATIENCE)

    def _listen(self) -> None:
        for line in self._answers:
            words = json.loads(line)
            self._forks[words.pop("id")].hears(words)
