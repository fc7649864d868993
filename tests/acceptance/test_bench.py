"""The benchmark runs on the schema as it is, and its figures are of the job that is."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from ops.local.server import Server
from ops.local.stack import LocalStack
from ops.tools.bench import batch, contenders, data, messages, run
from reminders.database import Connection


@pytest.mark.matrix
def test_small_benchmark(
    stack: LocalStack, server: Server, database: str, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It measures three days, random and time-ordered ids, a warm run, and a floor with the same rows."""
    monkeypatch.setattr(run, "WARM_RUNS", 2)
    with psycopg.connect(server.dsn(server.superuser, database), autocommit=True) as superuser:
        bench = run.Bench(stack, owner, superuser, say=lambda _: None)
        tables = run.measure(bench, [200]) | run.compare(bench, [200], peers=False)
    assert [100, 8, 0, 100, 8, 0] == [row["dispatched"] for row in tables[run.MAIN_JOB]]
    assert all(row["cron peak MB"] for row in tables[run.MAIN_JOB])
    assert {200, 100} == {row["rows"] for row in tables[run.SPACE]}
    assert ["1,000 assignments, nothing due"] == [row["what"] for row in tables[run.WARM]]
    for ids in ("", ", time-ordered ids"):
        rows = tables[f"Contenders at 200 assignments, half due{ids}"]
        assert [run.OURS, run.FLOOR] == [row["contender"] for row in rows]


@pytest.mark.matrix
def test_small_benchmark_of_messages() -> None:
    """It composes, sends with one and two couriers, and sends the same by procrastinate."""
    tables = messages.measure(lambda _: None, people=20, sizes=(30, 60), rate=100, jobs=10)
    assert [(100, 20)] == [(row["notifications"], row["people"]) for row in tables[messages.COMPOSED]]
    assert [(30, 1), (60, 1), (30, 2)] == [(row["messages"], row["couriers"]) for row in tables[messages.SENT]]
    steps = ["compose", "claim", "load", "settle", "claim, load and settle", messages.PROCRASTINATE]
    assert steps == [row["what"] for row in tables[messages.DATABASE]]


WAYS: dict[str, Callable[[LocalStack, Connection], object]] = {
    "row by row": lambda stack, owner: contenders.row_by_row(owner, run.DAY),
    "executemany": lambda stack, owner: contenders.fetch_and_executemany(owner, run.DAY),
    "procrastinate": lambda stack, owner: contenders.procrastinate(stack.owner_dsn, run.DAY)(),
}
SENT = "SELECT assignment_id, recipient_id, kind, contact_anchor, gap_days FROM notifications ORDER BY assignment_id"


@pytest.mark.matrix
@pytest.mark.parametrize("way", WAYS)
def test_contenders_do_the_same_work(stack: LocalStack, owner: Connection, way: str) -> None:
    """Each candidate leaves the rows that the job leaves."""
    data.fill(owner, 100, run.DAY)
    stack.invoke({"action": "run", "as_of": run.DAY.isoformat()})
    expected = owner.execute(SENT).fetchall()
    data.empty_notifications(owner)
    WAYS[way](stack, owner)
    assert 50 == len(expected)
    assert expected == owner.execute(SENT).fetchall()


def test_what_a_batch_is_compared_with() -> None:
    """The texts that are changed stand in the statement as it is."""
    for text in (batch.LOCK, batch.RETURNING):
        assert text not in batch.changed(text, b"")
