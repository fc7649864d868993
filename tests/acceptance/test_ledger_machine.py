"""
The ledger under any sequence of good and bad nights, against a model of the rules in docs/architecture.md.

lifecycle.run on real PostgreSQL, with a scheduler that does what the step says. The model knows nothing of
SQL: it keeps a list of (tick, trigger, status, count) and says what the next row must be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from ops.local.server import MIGRATOR, Server
from reminders.database import Connection
from reminders.errors import SchedulerError
from reminders.runs import lifecycle
from reminders.runs.events import RunRequest
from reminders.runs.lifecycle import RunDeps, RunSummary
from reminders.runs.lock import RunLock
from reminders.scheduling.fanout import Fanout
from reminders.scheduling.work import Counts, DispatchRequest, DispatchResult, Shard
from tests.factories import TICK
from tests.helpers.connections import connect_as
from tests.helpers.services import make_ledger

FIRST = TICK
ticks = st.integers(0, 3).map(lambda day: FIRST + timedelta(days=day))
BROKEN = SchedulerError("scheduler answered 500", 500)


class Crash(BaseException):
    """The process ends here: nothing after it happens."""


@dataclass
class Row:
    """What the model expects of one row of the ledger."""

    trigger: str
    tick: datetime | None
    status: str
    failures: int = 0
    note: str | None = None
    abandoned: bool = False


class Model:
    """The failure counts that a list of rows must have, oldest first (docs/architecture.md#one-tick)."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def settled(self) -> list[Row]:
        return [row for row in self.rows if row.status in ("success", "failed")]

    def fail(self, row: Row) -> None:
        """One more than the last settled run, unless the tick has failed already since the last success."""
        settled = self.settled()
        streak: list[Row] = []
        for earlier in reversed(settled):
            if earlier.status == "success":
                break
            streak.append(earlier)
        is_retry = row.trigger == "schedule" and any(
            other.trigger == "schedule" and other.tick == row.tick for other in streak
        )
        before = settled[-1].failures if settled else 0
        row.status, row.failures = "failed", before + (0 if is_retry else 1)

    def rescue(self) -> None:
        for row in self.rows:
            if row.status == "running":
                self.fail(row)
                row.abandoned = True

    def is_done(self, tick: datetime) -> bool:
        return any(row.status == "success" and row.trigger == "schedule" and row.tick == tick for row in self.rows)

    def begin(self, request: RunRequest) -> Row:
        """The row that a run with the lock gets: running, or skipped as a duplicate."""
        self.rescue()
        row = Row(request.trigger, request.scheduled_for, "running")
        if request.scheduled_for and self.is_done(request.scheduled_for):
            row.status, row.note = "skipped", "duplicate_tick"
        self.rows.append(row)
        return row


class World:
    """The real thing: one database, connections as the function has them, a scheduler to order about."""

    def __init__(self, owner: Connection, connect: Callable[[], Connection]) -> None:
        self.owner = owner
        self.lock, self.other_lock, self.connection = connect(), connect(), connect()
        self.act: Callable[[], None] = lambda: None

    def run(self, request: RunRequest) -> RunSummary:
        def scheduler(work: DispatchRequest, deadline: float) -> DispatchResult:
            self.act()
            return DispatchResult(Counts(3, 2, 1))

        ledger = make_ledger(self.connection, lambda: self.connection)
        shards = Fanout(scheduler, lambda: [Shard()])
        return lifecycle.run(request, RunDeps(RunLock(self.lock), ledger, shards, lambda: 60.0))

    def rows(self) -> list[dict[str, Any]]:
        cursor = self.owner.execute("SELECT * FROM cron_execution_logs ORDER BY started_at")
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


requests = st.one_of(
    ticks.map(lambda tick: RunRequest("schedule", "e", tick)),
    st.just(RunRequest("manual")),
)


class Nights(RuleBasedStateMachine):
    """Each rule is one invocation; a crash leaves its row behind, as a killed process does."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.world.owner.execute("TRUNCATE cron_execution_logs, cron_alerts CASCADE")
        self.model = Model()

    @rule(request=requests)
    def succeed(self, request: RunRequest) -> None:
        self.world.act = lambda: None
        summary = self.world.run(request)
        row = self.model.begin(request)
        if row.status == "running":
            row.status = "success"
        assert (row.status, row.note) == (summary.status, summary.note)

    @rule(request=requests)
    def fail(self, request: RunRequest) -> None:
        self.world.act = self._raise(BROKEN)
        row = self.model.begin(request)
        if row.status == "skipped":
            assert "duplicate_tick" == self.world.run(request).note
            return
        with pytest.raises(SchedulerError):
            self.world.run(request)
        self.model.fail(row)

    @rule(request=requests)
    def crash(self, request: RunRequest) -> None:
        """The process is gone between the row and its settling."""
        self.world.act = self._raise(Crash())
        row = self.model.begin(request)
        if row.status == "skipped":
            assert "duplicate_tick" == self.world.run(request).note
            return
        with pytest.MonkeyPatch.context() as patched, pytest.raises(Crash):
            patched.setattr(lifecycle, "_settle_failed", lambda *_: None)
            self.world.run(request)

    @rule(request=requests)
    def overlap(self, request: RunRequest) -> None:
        """Another session holds the lock: the run is skipped, and no row is changed."""
        with RunLock(self.world.other_lock).lease(60):
            summary = self.world.run(request)
        assert ("skipped", "advisory_lock_held") == (summary.status, summary.note)
        self.model.rows.append(Row(request.trigger, request.scheduled_for, "skipped", 0, "advisory_lock_held"))

    @rule(request=requests, second=requests)
    def overlap_within(self, request: RunRequest, second: RunRequest) -> None:
        """A run begins while another one works: the second is skipped, the first goes on."""
        notes: list[str | None] = []

        def begin_second() -> None:
            ledger = make_ledger(self.world.connection, lambda: self.world.connection)
            no_scheduler = Fanout(lambda *_: pytest.fail("the scheduler was called"), lambda: [Shard()])
            summary = lifecycle.run(second, RunDeps(RunLock(self.world.other_lock), ledger, no_scheduler, lambda: 60.0))
            notes.append(summary.note)

        self.world.act = begin_second
        row = self.model.begin(request)
        self.world.run(request)
        if row.status == "running":
            row.status = "success"
            self.model.rows.append(Row(second.trigger, second.scheduled_for, "skipped", 0, "advisory_lock_held"))
            assert ["advisory_lock_held"] == notes

    @rule()
    def dry_run(self) -> None:
        self.world.act = lambda: None
        assert "dry_run" == self.world.run(RunRequest("manual", dry_run=True)).note

    @staticmethod
    def _raise(error: BaseException) -> Callable[[], None]:
        def act() -> None:
            raise error

        return act

    @invariant()
    def ledger_is_as_the_model_says(self) -> None:
        """One row an invocation, each with status, count, note and reason."""
        found = [
            (
                row["trigger_source"],
                row["scheduled_for"] if row["trigger_source"] == "schedule" else None,
                row["status"],
                row["consecutive_failure_count"],
                row["note"],
                (row["error_message"] or "").startswith("abandoned:"),
            )
            for row in self.world.rows()
        ]
        expected = [
            (row.trigger, row.tick, row.status, row.failures, row.note, row.abandoned) for row in self.model.rows
        ]
        assert expected == found

    @invariant()
    def rows_hold_what_their_status_says(self) -> None:
        """Counts of a success; an error and its status of a failure; no more than one row running."""
        rows = self.world.rows()
        for row in rows:
            if row["status"] == "success":
                assert (3, 2, 1) == tuple(
                    row[name] for name in ("assignments_evaluated", "reminders_dispatched", "assignments_failed")
                )
            if row["status"] == "failed" and not row["error_message"].startswith("abandoned:"):
                assert (500, True) == (row["http_status"], row["duration_ms"] is not None)
        assert sum(row["status"] == "running" for row in rows) <= 1

    @invariant()
    def lock_is_free_between_invocations(self) -> None:
        """Whatever the night was, the next one can begin."""
        with RunLock(self.world.other_lock).lease(60) as locked:
            assert locked


@pytest.fixture(scope="module")
def world(server: Server, module_database: str) -> Iterator[World]:
    with (
        ExitStack() as stack,
        psycopg.connect(server.dsn(MIGRATOR, module_database), autocommit=True) as owner,
    ):
        yield World(owner, lambda: stack.enter_context(connect_as(server, module_database, "cron_runner")))


def test_any_sequence_of_nights(world: World) -> None:
    """After every invocation, whatever came before it, the ledger says exactly what the model says."""
    Nights.world = world
    bounds = settings(
        max_examples=40, stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    run_state_machine_as_test(Nights, settings=bounds)
