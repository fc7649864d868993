"""
Everything that one run with a fault needs: functions as processes, a database, a Slack.

    cron ──▶ wire ─┬─ the barrier sees ─▶ (PgBouncer ─▶) PostgreSQL, a database of its own
      └▶ scheduler ┴─▶ wire               Slack: a stand-in that keeps what it was sent

The run under test connects through the barrier. Later invocations bypass it, and call a scheduler of their own.

Each run starts from the same state: two scheduled times have failed and were alerted, so that a further failure is
reported as a repeat and a success as a recovery; three assignments, two of them due, in two batches.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg

from ops.local.database import create_database, drop_database
from ops.local.server import MIGRATOR, Server
from ops.local.slack import Slack
from reminders.runs.lock import LOCK_KEY
from tests.factories import TICK, add_assignment, add_run, runs
from tests.faults.crashing_postgres import CrashingPostgres
from tests.faults.pgbouncer import PgBouncer
from tests.faults.processes import PATIENCE, Deployment, Process, Processes
from tests.faults.statement_barrier import StatementBarrier
from tests.helpers.locks import HELD
from tests.helpers.waiting import eventually
from tests.proxy import Wire

GAPS = {UUID(int=1 << 120): 25, UUID(int=2 << 120): 3, UUID(int=3 << 120): 12}  # days, by assignment
BATCH_SIZE = 2
TABLES = ("notifications", "cron_alert_deliveries", "cron_alerts", "cron_execution_logs", "assignments")
ROLES = {"cron-database": "cron_runner", "scheduler-database": "reminder_scheduler"}


def event(tick: datetime, attempt: int = 1) -> dict[str, str]:
    """What EventBridge Scheduler sends."""
    return {"scheduled_time": tick.isoformat(), "execution_id": "x", "attempt_number": str(attempt)}


TODAY, AGAIN, TOMORROW = event(TICK), event(TICK, 2), event(TICK + timedelta(days=1))


class FaultEnvironment:
    """Made by `fault_environment`. `pooler`: what the functions reach the server through, or None."""

    def __init__(
        self, server: Server, pooler: PgBouncer | None, database: str, processes: Processes, stack: ExitStack
    ) -> None:
        self.barrier = StatementBarrier()
        self.server, self.pooler = server, pooler
        self._database, self._processes, self._stack = database, processes, stack
        self.slack = stack.enter_context(Slack())
        others = {"scheduler-token": "token", "slack-webhook": self.slack.webhook}
        direct = {secret: self._dsn(role) for secret, role in ROLES.items()}
        self._wires = [stack.enter_context(Wire(dsn, self.barrier.answered)) for dsn in direct.values()]
        self._bypassing = direct | others
        self._observed = dict(zip(direct, [wire.dsn for wire in self._wires], strict=True)) | others
        self._healthy = self._start_scheduler(self._bypassing)
        self._scheduler: Process | None = None
        self.connect()

    def connect(self) -> None:
        """Connect as the tables' owner and as the superuser, not through the pooler; also after a restart."""
        self.owner, self.superuser = (
            self._stack.enter_context(psycopg.connect(self.server.dsn(user, self._database), autocommit=True))
            for user in (MIGRATOR, self.server.superuser)
        )

    def restart_server(self) -> None:
        """Crash PostgreSQL and let it recover."""
        assert isinstance(self.server, CrashingPostgres)
        self.server.restart()
        self.connect()

    def _dsn(self, role: str) -> str:
        dsn = self.server.dsn(role, self._database)
        return self.pooler.through(dsn) if self.pooler else dsn

    def reset(self) -> None:
        """Restore the state before the first run; wait for calls of the previous case first."""
        assert self.is_quiet("reminders-scheduler", "reminders-lock", "reminders-ledger", "reminders-outbox")
        self.barrier.hold_at(None)
        self.slack.posted.clear()
        self.owner.execute("; ".join(f"DELETE FROM {table}" for table in TABLES).encode())
        for days in (2, 1):
            tick = TICK - timedelta(days=days)
            add_run(self.owner, "failed", scheduled_for=tick, started_at=tick, consecutive_failure_count=3 - days)
        for assignment_id, gap in GAPS.items():
            self.assign(assignment_id, gap)

    def assign(self, assignment_id: UUID, gap: int) -> None:
        """An open assignment, its last contact `gap` days before today's tick."""
        add_assignment(self.owner, gap, today=TICK.date(), assignment_id=assignment_id)

    def cron(self, *, seconds: float = 60.0, short: bool = False) -> Process:
        """Start today's run, through the barrier."""
        deployment = self._cron(self.scheduler(short=short), self._observed)
        return self._processes.start("cron", deployment, event=TODAY, seconds=seconds, short=short)

    def invocations(self, *events: object) -> Process:
        """Start several invocations, one after the other, bypassing the barrier; wait for `ended`."""
        return self._processes.start("invocations", self._cron(self._healthy, self._bypassing), events=events)

    def scheduler(self, *, short: bool = False) -> Process:
        """The scheduler behind the barrier; started when there is none."""
        if self._scheduler is None:
            self._scheduler = self._start_scheduler(self._observed, short=short)
        return self._scheduler

    def replace_scheduler(self) -> None:
        """Start a new process at the URL of the one that was killed, as Lambda starts another environment."""
        assert self._scheduler
        port = int(self._scheduler.url.result(PATIENCE).rpartition(":")[2])
        self._scheduler = self._start_scheduler(self._observed, port)

    def kill_scheduler(self) -> None:
        """Kill the scheduler behind the barrier; nothing listens at its URL then."""
        if self._scheduler is not None:
            self._scheduler.kill()
            self._scheduler = None

    def close(self) -> None:
        """Kill both schedulers."""
        self.kill_scheduler()
        self._healthy.kill()

    def _start_scheduler(self, secrets: dict[str, str], port: int = 0, *, short: bool = False) -> Process:
        deployment = Deployment(self._environment("scheduler-database"), secrets)
        scheduler = self._processes.start("scheduler", deployment, port=port, short=short)
        scheduler.url.result(PATIENCE)
        return scheduler

    def _cron(self, scheduler: Process, secrets: dict[str, str]) -> Deployment:
        url = {"REMINDER_FUNCTION_URL": scheduler.url.result(PATIENCE)}
        return Deployment(self._environment("cron-database") | url, secrets)

    def _environment(self, database_secret: str) -> dict[str, str]:
        return {
            "DATABASE_SECRET": database_secret,
            "SCHEDULER_TOKEN_SECRET": "scheduler-token",
            "SLACK_WEBHOOK_SECRET": "slack-webhook",
            "ALERT_REPEAT_EVERY": "1",
            "BATCH_SIZE": str(BATCH_SIZE),
            "LOG_RETENTION_DAYS": "36500",
            "REMINDER_CRON_EXPRESSION": "rate(36500 days)",  # no tick is ever missed
        }

    def lock_is_free(self, within: float) -> bool:
        """Whether it is free now, or becomes free within so many seconds."""
        return eventually(lambda: (LOCK_KEY,) not in self.owner.execute(HELD).fetchall(), within)

    def is_quiet(self, *names: str) -> bool:
        """Whether no function has a connection with one of these application names any more, within 20 s."""

        def gone() -> bool:
            return not any(name in wire.open for wire in self._wires for name in names)

        return eventually(gone, 20)

    def ledger(self) -> list[tuple[str, int]]:
        """Every run's status and failure count, oldest first; "abandoned" for a failed run that was rescued."""
        return [(_status(run), run["consecutive_failure_count"]) for run in runs(self.owner)]

    def dispatched(self) -> list[tuple[UUID, str]]:
        """Every notification."""
        query = "SELECT assignment_id, kind FROM notifications ORDER BY assignment_id, kind DESC"
        return self.owner.execute(query).fetchall()

    def dispatched_after_settling(self) -> int:
        """How many notifications a run inserted after its row was settled."""
        query = (
            "SELECT FROM notifications n JOIN cron_execution_logs r ON r.id = n.run_id AND n.created_at > completed_at"
        )
        return len(self.owner.execute(query).fetchall())

    def tables(self) -> dict[str, list[str]]:
        """All rows of the tables that the functions write."""
        return {t: sorted(map(repr, self.owner.execute(f"SELECT * FROM {t}".encode()))) for t in TABLES[:4]}


def _status(run: dict[str, Any]) -> str:
    abandoned = (run["error_message"] or "").startswith("abandoned:")
    return "abandoned" if abandoned else str(run["status"])


def due(gaps: Mapping[UUID, int] = GAPS) -> list[tuple[UUID, str]]:
    """What must have been dispatched, by the thresholds alone: 10 days, 20 days, both inclusive."""
    thresholds = {"reminder": 10, "escalation": 20}
    return [(a, kind) for a, gap in gaps.items() for kind, days in thresholds.items() if gap >= days]


@contextmanager
def fault_environment(
    server: Server, pooler: PgBouncer | None, template: str, processes: Processes
) -> Iterator[FaultEnvironment]:
    """A FaultEnvironment on a database of its own."""
    name = create_database(server, f"faults_{uuid.uuid4().hex[:12]}", template)
    with ExitStack() as stack:
        stack.callback(drop_database, server, name)
        made = FaultEnvironment(server, pooler, name, processes, stack)
        stack.callback(made.close)
        yield made
