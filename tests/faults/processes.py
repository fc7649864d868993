"""
The client of `process_server.py`: each process as a handle, to kill, pause and resume.

    with Processes() as processes:
        run = processes.start("cron", deployment, event=..., seconds=60)
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

from tests.helpers.waiting import eventually

PATIENCE = 30.0  # seconds; the functions' first import may take a few on a busy machine


@dataclass(slots=True)
class Deployment:
    """Where a function runs: its environment and its secrets."""

    environment: dict[str, str]
    secrets: dict[str, str]


@dataclass(slots=True)
class Process:
    """A process. `reports`: what it reported so far. `ended`: its exit code, negative for a signal."""

    started: Future[int] = field(default_factory=Future)
    url: Future[str] = field(default_factory=Future)
    ended: Future[int] = field(default_factory=Future)
    reports: list[dict[str, Any]] = field(default_factory=list)

    def kill(self) -> None:
        """SIGKILL, also for a paused one; wait for its end."""
        self._signal(signal.SIGKILL)
        self.ended.result(PATIENCE)

    def pause(self) -> None:
        """SIGSTOP; wait until it has stopped, because the kernel needs some time for many threads."""
        self._signal(signal.SIGSTOP)
        process = psutil.Process(self.started.result())
        assert eventually(lambda: process.status() == psutil.STATUS_STOPPED)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if not self.ended.done():
            with suppress(ProcessLookupError):
                os.kill(self.started.result(PATIENCE), number)

    def receive(self, report: dict[str, Any]) -> None:
        if "pid" in report:
            self.started.set_result(report["pid"])
        elif "url" in report:
            self.url.set_result(report["url"])
        elif "code" in report:
            self.ended.set_result(report["code"])
        else:
            self.reports.append(report)


class Processes:
    """The server's process. Use it in a `with`; may be used by many threads."""

    def __init__(self) -> None:
        self._processes: dict[int, Process] = {}
        self._ids = count()
        self._ordering = threading.Lock()

    def start(self, what: str, deployment: Deployment, *, short: bool = False, **arguments: object) -> Process:
        """Process `what` (a key of `process_server.WHAT`); `short`: see `process_server.SHORT`."""
        order = {"what": what, "environment": deployment.environment, "secrets": deployment.secrets, "short": short}
        with self._ordering:
            number, fork = next(self._ids), Process()
            self._processes[number] = fork
            print(json.dumps({"id": number, **order, **arguments}), file=self._orders, flush=True)
        return fork

    def __enter__(self) -> Processes:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.process_server"],
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
            report = json.loads(line)
            self._processes[report.pop("id")].receive(report)
