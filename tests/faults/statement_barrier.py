"""
The steps of a run, and a barrier that holds one of them.

A step is a statement, or the making of a connection: "scheduler: dispatch_batch 2" is the second of its name on a
connection of that application name. While a step is held, PostgreSQL has done it and the function does not know yet.

    barrier.hold_at("ledger: open_run")
    barrier.reached.wait(5)                # make the fault now
    barrier.release()
"""

from __future__ import annotations

import re
import threading
from collections import Counter

from reminders.alerts import outbox
from reminders.messages import delivery
from reminders.runs import ledger, lock
from reminders.scheduling import fanout, service

PATIENCE = 10.0  # seconds that a step is held at most


def _shape(statement: str) -> str:
    """Parameters are `%(name)s` in our files and `$1` on the wire."""
    return re.sub(r"%\(\w+\)s|\$\d+", "?", statement).strip()


NAMES = {
    _shape(sql.decode()): name
    for queries in (lock.queries, ledger.queries, outbox.queries, fanout.queries, service.queries, delivery.queries)
    for name, sql in queries.by_name.items()
}


def name_of(statement: str) -> str:
    """The query's name in its file; "limits" for SET LOCAL; else the statement itself."""
    if statement.startswith("SELECT set_config("):
        return "limits"
    return NAMES.get(_shape(statement), statement)


class StatementBarrier:
    """Sees every statement that was answered (see `tests.proxy.Wire`), in all connections of one run."""

    def __init__(self) -> None:
        self._recording = threading.Lock()
        self._seen: Counter[str] = Counter()
        self._go = threading.Event()
        self._step: str | None = None
        self._answer_is_lost = False
        self.steps: list[str] = []
        self.reached = threading.Event()

    def hold_at(self, step: str | None) -> None:
        """Hold the connection that reaches `step` from now on, counting from zero; None holds none."""
        self.release()
        with self._recording:
            self._seen.clear()
            self._go, self.reached, self.steps = threading.Event(), threading.Event(), []
            self._step, self._answer_is_lost = step, False

    def release(self, *, answer_is_lost: bool = False) -> None:
        """Pass the answer on; or cut the connection, so that the function never receives it."""
        self._answer_is_lost = answer_is_lost
        self._go.set()

    def move_to(self, step: str) -> None:
        """Release it until it reaches `step`."""
        with self._recording:
            go, self._go, self.reached, self._step = self._go, threading.Event(), threading.Event(), step
        go.set()

    def answered(self, connection: str, statement: str) -> bool:
        """Wait while the step is held; return whether the answer may be passed on."""
        step = self._record(connection.removeprefix("reminders-"), statement)
        if step != self._step:
            return True
        go = self._go
        self.reached.set()
        go.wait(PATIENCE)
        return not self._answer_is_lost

    def _record(self, connection: str, statement: str) -> str:
        with self._recording:
            name = f"{connection}: {name_of(statement)}"
            self._seen[name] += 1
            step = name if self._seen[name] == 1 else f"{name} {self._seen[name]}"
            self.steps.append(step)
            return step
