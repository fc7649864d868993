"""Four shards, four scheduler processes: one run's work side by side, and what happens when a part of it fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta

import psutil
import psycopg
import pytest

from ops.local.aws import Aws
from ops.local.server import MIGRATOR, Server
from ops.local.slack import Slack
from ops.local.stack import SCHEDULER, LocalStack, function_process
from reminders.database import Connection
from reminders.errors import DeadlineExceeded, SchedulerError
from reminders.limits import LIMITS
from tests.factories import add_assignments, count, runs
from tests.helpers.events import DAY
from tests.helpers.waiting import eventually

SHARDS = 4
EVENT = {"scheduled_time": f"{DAY}T06:00:00Z", "execution_id": "x", "attempt_number": "1"}
WORKING = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'reminders-scheduler' AND datname = %s"
DUE = "SELECT count(*) FROM assignments WHERE last_contact_date <= %s"
# Ids in order and evenly spread; 2 % are due.
MILLION = """
INSERT INTO assignments (id, org_id, peer_mentor_id, last_contact_date)
SELECT (lpad(to_hex(n * 4294), 8, '0') || '-0000-4000-8000-000000000000')::uuid,
    'aaaaaaaa-0000-4000-8000-000000000000', 'bbbbbbbb-0000-4000-8000-000000000000',
    %(day)s::date - CASE WHEN n % 50 = 0 THEN 10 ELSE 3 END
FROM generate_series(1::bigint, 1000000) AS n
"""


@contextmanager
def four_schedulers(server: Server, database: str, aws: Aws, slack: Slack, batch_size: int) -> Iterator[LocalStack]:
    """Processes behind one URL, on a database of the test's own."""
    running = LocalStack(server, aws, database, slack)
    running.configure({"SCHEDULER_SHARDS": str(SHARDS), "BATCH_SIZE": str(batch_size), "ALERT_TOPIC_ARN": ""})
    with (
        function_process(running.scheduler_environment, environments=SHARDS) as url,
        pytest.MonkeyPatch.context() as patched,
    ):
        for name, value in {**running.environment, "REMINDER_FUNCTION_URL": url}.items():
            patched.setenv(name, value)
        yield running


@pytest.fixture
def stack(server: Server, database: str, aws: Aws, slack: Slack) -> Iterator[LocalStack]:
    with four_schedulers(server, database, aws, slack, 50) as running:
        yield running


@pytest.fixture
def large_batches(server: Server, database: str, aws: Aws, slack: Slack) -> Iterator[LocalStack]:
    with four_schedulers(server, database, aws, slack, 10_000) as running:
        yield running


def scheduler_processes() -> list[psutil.Process]:
    """Those that answer: the endpoint's own children."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if SCHEDULER in process.cmdline() and SCHEDULER in (process.parent() or process).cmdline():
                found.append(process)
    return found


@contextmanager
def most_at_once(server: Server, database: str) -> Iterator[Callable[[], int]]:
    """How many schedulers were connected in the same moment."""
    most, done = [0], threading.Event()

    def look() -> None:
        with psycopg.connect(server.dsn(MIGRATOR), autocommit=True) as watcher:
            while not done.wait(0.05):
                row = watcher.execute(WORKING, [database]).fetchone()
                most.append(row[0] if row else 0)

    watching = threading.Thread(target=look)
    watching.start()
    try:
        yield lambda: max(most)
    finally:
        done.set()
        watching.join()


def each_once(owner: Connection) -> bool:
    """Every due reminder is there; the unique index sees to it that none is there twice."""
    due = owner.execute(DUE, [DAY - timedelta(10)]).fetchone()
    return due == (count(owner, "notifications"),)


def refuse_last_quarter(owner: Connection) -> None:
    """As a full disk would, wherever that shard's rows are written: no splitting cures it."""
    owner.execute(
        """
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.assignment_id >= 'c0000000-0000-0000-0000-000000000000' THEN
                RAISE SQLSTATE '53100';
            END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON notifications FOR EACH ROW EXECUTE FUNCTION refuse()
        """
    )


@pytest.fixture
def million(owner: Connection) -> None:
    owner.execute(MILLION.replace("% ", "%% ").encode(), {"day": DAY})
    owner.execute("ANALYZE assignments")


@pytest.mark.matrix
@pytest.mark.matrix
@pytest.mark.usefixtures("million")
def test_million_assignments(server: Server, database: str, owner: Connection, large_batches: LocalStack) -> None:
    """Several processes work side by side, every assignment is evaluated once, and every due one is reminded once."""
    with most_at_once(server, database) as most:
        summary = large_batches.invoke(EVENT)
    assert (1_000_000, 20_000) == (summary["assignments_evaluated"], summary["reminders_dispatched"])
    assert each_once(owner)
    assert 1 < most() <= SHARDS


def test_one_shard_fails(stack: LocalStack, owner: Connection) -> None:
    """The run fails with that shard's error; the other shards' reminders are sent and counted."""
    add_assignments(owner, 400, today=DAY)
    refuse_last_quarter(owner)
    with pytest.raises(SchedulerError, match="53100"):
        stack.invoke(EVENT)
    assert 300 == count(owner, "notifications")
    (failed,) = runs(owner)
    assert ("failed", 300, 300) == (failed["status"], failed["assignments_evaluated"], failed["reminders_dispatched"])

    owner.execute("DROP TRIGGER refuse ON notifications")
    again = stack.invoke(EVENT)
    assert ("success", 400, 100) == (again["status"], again["assignments_evaluated"], again["reminders_dispatched"])
    assert each_once(owner)


def test_scheduler_process_is_killed(stack: LocalStack, owner: Connection) -> None:
    """Its call is made again, to another one: the run succeeds, and nothing is sent twice."""
    add_assignments(owner, 400, today=DAY)
    slow_down(owner)
    outcome: list[object] = []
    run = threading.Thread(target=lambda: outcome.append(stack.invoke(EVENT)))
    run.start()
    assert eventually(lambda: count(owner, "notifications") > 0)
    victim = scheduler_processes()[0]
    victim.kill()
    run.join()
    assert [("success", 400, 400)] == [
        (summary["status"], summary["assignments_evaluated"], summary["reminders_dispatched"])  # type: ignore[index]
        for summary in outcome
    ]
    assert each_once(owner)


def slow_down(owner: Connection) -> None:
    """A batch of 50 takes a fifth of a second; one that has nothing to send does not."""
    owner.execute(
        """
        CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_sleep(0.004); RETURN NEW; END $$;
        CREATE TRIGGER take_time BEFORE INSERT ON notifications FOR EACH ROW EXECUTE FUNCTION take_time()
        """
    )


@pytest.mark.matrix
def test_run_longer_than_one_invocation(stack: LocalStack, owner: Connection) -> None:
    """It stops in time and fails; each retry of the tick goes on with what was left, and it counts as one failure."""
    stack.invoke({"action": "run", "dry_run": True})  # the first call of each scheduler is slow
    stack.limits = replace(LIMITS, reserve=0.5, answer_margin=0.5)
    add_assignments(owner, 1_600, today=DAY)
    slow_down(owner)
    sent = [0]
    while sent[-1] < 1_600:
        with suppress(DeadlineExceeded):
            stack.invoke(EVENT, seconds=1.8)
        sent.append(count(owner, "notifications"))
        assert len(sent) < 50
    # On a busy machine an invocation may have time for no batch.
    assert len(sent) > 2 and sent == sorted(sent)
    assert {"failed"} == {run["status"] for run in runs(owner)[:-1]}
    assert {1} == {run["consecutive_failure_count"] for run in runs(owner)[:-1]}

    stack.invoke(EVENT)
    assert "success" in [run["status"] for run in runs(owner)]
    assert each_once(owner)
