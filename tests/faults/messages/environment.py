"""
What a courier with a fault needs: couriers as processes, a database, a provider.

    courier ──▶ wire ──▶ (PgBouncer ─▶) PostgreSQL
       └─────▶ provider (a stand-in for SES)          the barrier sees both

Three mentors have a reminder each. The courier under test has one worker, so that its steps have one order, and goes
through the barrier. Later couriers bypass it, and come when leases and pauses are over.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import psycopg

from ops.local.server import MIGRATOR, Server
from ops.local.slack import Slack
from tests.factories import add_assignment
from tests.faults import processes
from tests.faults.messages.provider import Provider
from tests.faults.pgbouncer import PgBouncer
from tests.faults.processes import Deployment, Process, Processes
from tests.faults.statement_barrier import StatementBarrier
from tests.helpers.waiting import eventually
from tests.messages import add_notification, add_person, always_open, messages
from tests.proxy import Wire

PEOPLE = 3
PATIENCE = 9.0
SEND_SECONDS = 3.0  # a message that was read must be begun within half of it
LIMITS = {"send_seconds": SEND_SECONDS, "reconnect_pause": 0.1, "reserve_seconds": 3}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is left when the later couriers are done."""

    result: str  #: what the courier under test answered or raised
    copies: tuple[int, ...] = (1,) * PEOPLE  #: how often each mentor got the message, in order of size
    statuses: tuple[str, ...] = ("sent",) * PEOPLE


def sent(count: int = PEOPLE, retried: int = 0) -> str:
    return f"{count} sent, {retried} retried"


KILLED, UNAVAILABLE = "killed", "DatabaseUnavailable"


class CourierEnvironment:
    """`database`: a migrated database of its own. `pooler`: what the couriers reach it through, or None."""

    def __init__(
        self, server: Server, pooler: PgBouncer | None, database: str, running: Processes, stack: ExitStack
    ) -> None:
        self.barrier = StatementBarrier()
        self.provider = stack.enter_context(Provider(self.barrier))
        self.owner, self.superuser = (
            stack.enter_context(psycopg.connect(server.dsn(user, database), autocommit=True))
            for user in (MIGRATOR, server.superuser)
        )
        dsn = server.dsn("reminder_courier", database)
        dsn = pooler.through(dsn) if pooler else dsn
        self.wire = stack.enter_context(Wire(dsn, self.barrier.answered))
        self._dsn, self._slack, self._processes = dsn, stack.enter_context(Slack()), running
        always_open(self.owner)

    def notify(self, people: int = PEOPLE) -> None:
        """A reminder for each of so many mentors."""
        for number in range(people):
            person = add_person(self.owner, uuid4(), f"mentor{number}@example.org")
            assignment = add_assignment(self.owner)
            self.owner.execute("UPDATE assignments SET peer_mentor_id = %s WHERE id = %s", [person, assignment])
            add_notification(self.owner, person, assignment=assignment)

    def courier(self, *, observed: bool = False, provider_patience: float = PATIENCE, **limits: float) -> Process:
        """Start an invocation; `observed`: through the barrier, with one worker."""
        deployment = Deployment(
            {
                "DATABASE_SECRET": "courier-database",
                "SLACK_WEBHOOK_SECRET": "slack-webhook",
                "EMAIL_FROM": "reminders@example.org",
                "APP_URL": "https://app.example.org",
                "MESSAGES_PER_SECOND": "100",
                "AWS_ACCESS_KEY_ID": "x",
                "AWS_SECRET_ACCESS_KEY": "x",
                "AWS_DEFAULT_REGION": "eu-west-2",
                "AWS_ENDPOINT_URL_SESV2": self.provider.url,
            },
            {"courier-database": self.wire.dsn if observed else self._dsn, "slack-webhook": self._slack.webhook},
        )
        wanted = LIMITS | {"workers": 1 if observed else 4, "provider_seconds": provider_patience} | limits
        started = self._processes.start("courier", deployment, seconds=60, limits=wanted)
        started.started.result(processes.PATIENCE)
        return started

    def held_at(self, step: str, **options: Any) -> Process:
        """A courier that has reached `step` and is held there."""
        self.barrier.hold_at(step)
        courier = self.courier(observed=True, **options)
        assert self.barrier.reached.wait(PATIENCE), f"{step} was never reached: {self.barrier.steps} {courier.reports}"
        return courier

    def later_couriers(self) -> None:
        """Leases and pauses end, and couriers come, until nothing is left to send."""

        def done() -> bool:
            self.owner.execute("UPDATE messages SET lease_until = clock_timestamp() WHERE status = 'sending'")
            self.owner.execute("UPDATE messages SET next_attempt_at = clock_timestamp() WHERE status = 'pending'")
            assert 0 == self.courier().ended.result(PATIENCE)
            return self.unsent() == 0

        assert eventually(done, PATIENCE)

    def unsent(self) -> int:
        """How many reminders have no settled message."""
        composed = [message["status"] for message in messages(self.owner)]
        waiting = [status for status in composed if status in ("pending", "sending")]
        return len(waiting) + (not composed)

    def finish(self, courier: Process) -> Outcome:
        """Wait for the end of `courier`, let later ones come, and say what is left."""
        courier.ended.result(PATIENCE)
        self.later_couriers()
        return self.outcome(courier)

    def outcome(self, courier: Process) -> Outcome:
        """What is left now."""
        statuses = tuple(message["status"] for message in messages(self.owner))
        return Outcome(result_of(courier), tuple(sorted(self.provider.taken.values())), statuses)


def result_of(courier: Process) -> str:
    if courier.ended.result(PATIENCE) != 0:
        return KILLED
    (report,) = courier.reports
    if "raised" in report:
        return str(report["raised"])
    tally = report["answer"]["channels"]["email"]
    return sent(tally["sent"], tally["retried"])
