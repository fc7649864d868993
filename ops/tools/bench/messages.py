"""
Messages: composing, sending at a rate, the database's time for one, and a job queue with a job for each.

Couriers are processes with boto3, the provider is a stand-in on loopback that answers after 100 ms.
"""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import httpx
import psutil
import psycopg

from ops.local import messages
from ops.local.stack import LocalStack
from ops.tools.bench import watch
from reminders.messages.delivery import LIMITS

Row = dict[str, object]
COMPOSED, SENT, DATABASE = "Composing messages", "Sending messages", "The database's time for one message"
LATENCY_MS = 100
PROCRASTINATE = "procrastinate, a job a message, concurrency 50"
# Each person has as many assignments as notifications, in one of a hundred organisations.
FILL = """
INSERT INTO auth.users (id, email)
SELECT md5('person ' || n)::uuid, 'person' || n || '@example.org' FROM generate_series(1, %(people)s) AS n;
INSERT INTO org_settings (org_id, send_from, send_until, display_name)
SELECT md5('org ' || n)::uuid, '00:00', '24:00', 'Charity ' || n FROM generate_series(0, 99) AS n;
INSERT INTO assignments (id, org_id, peer_mentor_id, assigned_at, last_contact_date)
SELECT gen_random_uuid(), md5('org ' || n %% %(people)s %% 100)::uuid, md5('person ' || n %% %(people)s + 1)::uuid,
    now() - interval '200 days', current_date - 12
FROM generate_series(1, %(notifications)s) AS n;
INSERT INTO notifications (assignment_id, recipient_id, kind, contact_anchor, gap_days)
SELECT id, peer_mentor_id, 'reminder', last_contact_date, 12 FROM assignments;
"""
COMPOSE = f"""
SELECT composed FROM reminder_private.compose_messages('{{email}}', '48 hours', {LIMITS.compose_batch})
"""
# What load_messages reads, for one message.
PEER_LOAD = """
SELECT
    m.id, m.org_id, m.recipient_id, s.display_name, coalesce(r.locale, s.locale, 'en') AS locale,
    CASE WHEN EXISTS (
        SELECT FROM reminder_private.reachable AS way WHERE way.person_id = m.recipient_id AND way.channel = m.channel
    ) THEN r.email END AS email,
    count(*) AS reminders, max(o.gap_days) AS gap
FROM messages AS m
JOIN reminder_private.recipients AS r ON r.person_id = m.recipient_id
LEFT JOIN org_settings AS s ON s.org_id = m.org_id
JOIN message_items AS i ON i.message_id = m.id
JOIN reminder_private.open_notifications AS o ON o.id = i.notification_id
WHERE m.id = %(message)s
GROUP BY m.id, s.org_id, r.locale, r.email
"""
# By what the courier's statements begin with.
TIMES = """
SELECT step, sum(total_exec_time), sum(calls) FROM (
    SELECT total_exec_time, calls, substring(query FROM 'reminder_private.(compose|claim|load|settle)_messages') AS step
    FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
) AS s WHERE step IS NOT NULL GROUP BY step
"""
ALL_TIMES = """
SELECT sum(total_exec_time) FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND query NOT LIKE '%pg\\_stat%'
"""


class MessageBench:
    """A stack with a provider. `database` belongs to the tables' owner, `superuser` reads the server's statistics."""

    def __init__(
        self,
        stack: LocalStack,
        database: psycopg.Connection[Any],
        superuser: psycopg.Connection[Any],
        provider: str,
        say: Callable[[str], None],
    ) -> None:
        self._stack, self._database, self._superuser = stack, database, superuser
        self._provider, self._say = provider, say
        self._environment = {**messages.environments(stack)["courier"], "AWS_ENDPOINT_URL_SESV2": provider}
        superuser.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")

    def fill(self, people: int, notifications: int) -> None:
        """Replace what is there."""
        self._say(f"{notifications:,} notifications for {people:,} people …")
        tables = "notifications, assignments, messages, message_items, org_settings"
        self._database.execute(f"TRUNCATE {tables} CASCADE".encode())
        self._database.execute("DELETE FROM auth.users")
        with psycopg.ClientCursor(self._database) as cursor:  # several statements with parameters
            cursor.execute(FILL.encode(), {"people": people, "notifications": notifications})
        self._database.execute("VACUUM (ANALYZE)")
        self._superuser.execute("SELECT pg_stat_statements_reset()")

    def compose(self, people: int, notifications: int) -> Row:
        """All of them, as the courier does it."""
        self.fill(people, notifications)
        backend = psutil.Process(self._value("SELECT pg_backend_pid()"))
        began, cpu, composed = perf_counter(), sum(backend.cpu_times()[:2]), 0
        while composed < notifications:
            composed += self._value(COMPOSE)
        took, cpu = perf_counter() - began, sum(backend.cpu_times()[:2]) - cpu
        row: Row = {"notifications": notifications, "people": people}
        return {**row, "seconds": round(took, 1), "of one core, s": round(cpu, 1)}

    def send(self, people: int, per_second: int, couriers: int = 1) -> Row:
        """One message each, at the rate, by so many processes."""
        self.fill(people, people)
        self._say(f"  {couriers} courier(s), {per_second} a second …")
        self._value(COMPOSE)
        environment = {**os.environ, **self._environment, "MESSAGES_PER_SECOND": str(per_second)}
        command = [sys.executable, "-m", "ops.local.invoke", messages.COURIER, "{}", "--timeout", "900"]
        running = [
            subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
            for _ in range(couriers)
        ]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        peak = max([watch.peak_of(process) for process in running])
        if any(process.wait() for process in running):
            raise RuntimeError("a courier failed")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        figures = httpx.get(self._provider).json()
        achieved = (figures["messages"] - 1) / figures["seconds"]
        return {
            "messages": figures["messages"],
            "couriers": couriers,
            "rate": per_second,
            "a second": round(achieved, 1),
            "% of the rate": round(achieved / per_second * 100, 1),
            "CPU ms a message": round(cpu / figures["messages"] * 1000, 2),
            "peak MB": round(peak / 2**20, 1),
        }

    def database_time(self, people: int) -> list[Row]:
        """Of the last `send`, by step, in milliseconds a message."""
        found = {str(step): (time, calls) for step, time, calls in self._superuser.execute(TIMES)}
        rows: list[Row] = [
            {"what": step, "ms a message": round(found[step][0] / people, 3), "statements": int(found[step][1])}
            for step in ("compose", "claim", "load", "settle")
        ]
        sending = [found[step] for step in ("claim", "load", "settle")]
        total = round(sum(time for time, _ in sending) / people, 3)
        calls = int(sum(calls for _, calls in sending))
        return [*rows, {"what": "claim, load and settle", "ms a message": total, "statements": calls}]

    def peer(self, jobs: int) -> Row:
        """The same messages, composed the same way; a procrastinate job for each reads it, and sends."""
        self.fill(jobs, jobs)
        self._value(COMPOSE)
        self._say(f"  {PROCRASTINATE}, {jobs:,} …")
        asyncio.run(_procrastinate(self._stack.owner_dsn, self._reset))
        row = self._superuser.execute(ALL_TIMES).fetchone()
        calls = self._superuser.execute(watch.STATEMENTS).fetchone()
        assert row and calls
        return {"what": PROCRASTINATE, "ms a message": round(row[0] / jobs, 3), "statements": int(calls[0])}

    def _reset(self) -> None:
        self._superuser.execute("SELECT pg_stat_statements_reset()")

    def _value(self, query: str) -> int:
        row = self._database.execute(query.encode()).fetchone()
        assert row
        return int(row[0])


async def _procrastinate(dsn: str, begin: Callable[[], None]) -> None:
    from procrastinate import App, PsycopgConnector

    app = App(connector=PsycopgConnector(conninfo=dsn, min_size=1, max_size=10))

    @app.task(queue="messages")
    async def send(message: int) -> None:
        (found,) = await app.connector.execute_query_all_async(PEER_LOAD, message=message)
        assert found["email"]
        await asyncio.sleep(LATENCY_MS / 1000)

    async with app.open_async():
        if not await app.check_connection_async():
            await app.schema_manager.apply_schema_async()
        begin()
        rows = await app.connector.execute_query_all_async("SELECT id FROM messages")
        await send.batch_defer_async(*({"message": row["id"]} for row in rows))
        await app.run_worker_async(queues=["messages"], concurrency=50, wait=False)


@contextmanager
def started(say: Callable[[str], None]) -> Iterator[MessageBench]:
    """A stack, and a provider beside it; both end with the block."""
    provider = [sys.executable, "-m", "ops.tools.bench.provider", str(LATENCY_MS)]
    with (
        LocalStack.start(watch.COUNT_STATEMENTS) as stack,
        stack.connect() as database,
        psycopg.connect(stack.server.dsn(stack.server.superuser, stack.database), autocommit=True) as superuser,
        subprocess.Popen(provider, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdout
        try:
            yield MessageBench(stack, database, superuser, process.stdout.readline().strip(), say)
        finally:
            process.kill()


def measure(
    say: Callable[[str], None],
    *,
    people: int = 200_000,
    sizes: tuple[int, ...] = (1_000, 10_000, 100_000),
    rate: int = 500,
    jobs: int = 5_000,
) -> dict[str, list[Row]]:
    """All tables. `people` get five notifications each; `sizes` are messages, sent at `rate` a second."""
    with started(say) as bench:
        tables = {COMPOSED: [bench.compose(people, 5 * people)], SENT: [], DATABASE: []}
        for size in sizes:
            tables[SENT].append(bench.send(size, rate))
        tables[DATABASE] = bench.database_time(sizes[-1])
        tables[SENT].append(bench.send(sizes[0], rate, couriers=2))
        tables[DATABASE].append(bench.peer(jobs))
        return tables
