"""
What one batch of the dispatch costs, and what its promises cost: `python -m ops.tools.bench.batch`.

Among a million assignments, half of them due: 20 batches of 10,000 as they are, without the row locks, with
ON CONFLICT, without the index by which recipients read, and the floor's INSERT of as many rows; in turns, eight
times. Then EXPLAIN of one batch.
"""

from __future__ import annotations

import statistics
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any
from uuid import UUID

import psycopg

from ops.local.database import create_database, give_logins, prepare_template
from ops.local.server import MIGRATOR, any_server
from ops.tools.bench import contenders, data
from reminders.scheduling.ids import UUIDS, AssignmentId, next_id
from reminders.scheduling.service import queries

Connection = psycopg.Connection[Any]
ASSIGNMENTS, SIZE, BATCHES, ROUNDS = 1_000_000, 10_000, 20, 8
DAY = datetime.now(UTC).date() - timedelta(2)
LOCK = b"INNER JOIN held AS h ON h.id = d.id AND h.anchor = d.anchor\n"
RETURNING = b"RETURNING assignment_id\n"
CONFLICT = b"ON CONFLICT (assignment_id, kind, contact_anchor) DO NOTHING\n"
AS_IT_IS = queries.by_name["dispatch_batch"]
# It is empty whenever it is made or dropped, so that takes no time.
MAKE_INDEX = "CREATE INDEX IF NOT EXISTS notifications_recipient_idx ON notifications (recipient_id, created_at DESC)"
WITHOUT_INDEX = "without the recipients' index"
RUN = """
INSERT INTO cron_execution_logs (job_name, trigger_source, scheduled_for, status)
VALUES ('assignment-reminder-cron', 'manual', now(), 'running') RETURNING id
"""


def main() -> None:
    with any_server() as server:
        name = create_database(server, "bench_batch", prepare_template(server))
        with (
            psycopg.connect(server.dsn(MIGRATOR, name), autocommit=True) as owner,
            psycopg.connect(give_logins(server, name)["reminder_scheduler"], prepare_threshold=None) as scheduler,
        ):
            data.fill(owner, ASSIGNMENTS, DAY)
            _compare(owner, scheduler)
            _run(owner)
            owner.execute(MAKE_INDEX)
            _explain(owner, scheduler)


def _compare(owner: Connection, scheduler: Connection) -> None:
    ways = {
        "as it is": AS_IT_IS,
        "without the row locks": changed(LOCK, b""),
        "with ON CONFLICT": changed(RETURNING, CONFLICT + RETURNING),
        WITHOUT_INDEX: AS_IT_IS,
    }
    times: dict[str, list[float]] = {name: [] for name in [*ways, "floor"]}
    contenders.prepare_floor(owner, DAY)
    owner.execute(
        f"DELETE FROM bench_rows WHERE id NOT IN (SELECT id FROM bench_rows ORDER BY id LIMIT {_due()})".encode()
    )
    for _ in range(ROUNDS):
        for name, query in ways.items():
            run_id = _run(owner)
            owner.execute("DROP INDEX notifications_recipient_idx" if name == WITHOUT_INDEX else MAKE_INDEX)
            times[name].append(_batches(scheduler, query, run_id))
        contenders.empty_floor(owner)
        began = perf_counter()
        contenders.floor(owner, DAY)
        times["floor"].append(perf_counter() - began)
    floor = statistics.median(times["floor"])
    for name, taken in times.items():
        median = statistics.median(taken)
        print(f"{name:30} {median / BATCHES * 1000:6.0f} ms a batch, {median / floor:.2f} times the floor")


def _due() -> int:
    """How many of the assignments of those batches are due."""
    return BATCHES * SIZE // 2


def changed(text: bytes, other: bytes) -> bytes:
    """The batch's statement with `other` instead of `text`, which stands in it."""
    assert text in AS_IT_IS
    return AS_IT_IS.replace(text, other)


def _run(owner: Connection) -> UUID:
    """A run that may dispatch, and nothing dispatched yet."""
    data.empty_notifications(owner)
    row = owner.execute(RUN).fetchone()
    assert row
    return UUID(str(row[0]))


def _batches(scheduler: Connection, query: bytes, run_id: UUID) -> float:
    """Seconds of the first batches, as the service sends them but for their limits."""
    first: AssignmentId | None = UUIDS.lowest
    began = perf_counter()
    for _ in range(BATCHES):
        with scheduler.transaction():
            scheduler.execute("SELECT hold_run(%s)", [run_id])
            row = scheduler.execute(query, _values(first, run_id)).fetchone()
        scheduler.commit()
        assert row
        first = next_id(row[3])
    return perf_counter() - began


def _values(first: AssignmentId | None, run_id: UUID) -> dict[str, object]:
    return {"first": first, "last": UUIDS.highest, "size": SIZE, "as_of": DAY, "run_id": run_id}


def _explain(owner: Connection, scheduler: Connection) -> None:
    query = b"EXPLAIN (ANALYZE, BUFFERS, WAL) " + AS_IT_IS
    for (line,) in scheduler.execute(query, _values(UUID(int=1 << 127), _run(owner))):
        print(line)
    scheduler.rollback()


if __name__ == "__main__":
    main()
