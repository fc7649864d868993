"""Two runs at once, and runs that end badly: the lock, seen from outside."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ops.local.stack import LocalStack
from reminders.database import Connection
from reminders.runs.lock import LOCK_KEY
from tests.factories import add_assignment, count, runs
from tests.helpers.events import DAY, recorded
from tests.helpers.locks import HELD
from tests.helpers.stacks import Gate, InvokeProcess
from tests.helpers.waiting import eventually


def lock_is_held(owner: Connection) -> bool:
    return (LOCK_KEY,) in owner.execute(HELD).fetchall()


@pytest.fixture
def due(owner: Connection) -> None:
    """One assignment, reminder due."""
    add_assignment(owner, 10, today=DAY)


@pytest.mark.usefixtures("due")
def test_second_run_while_the_first_goes(invoke_process: InvokeProcess, owner: Connection, gate: Gate) -> None:
    """Two real processes: one success, one skipped at once with its note; the reminder goes out once."""
    gate.close()
    first = invoke_process(recorded("cron-scheduler"))
    gate.wait_for_a_session()
    assert lock_is_held(owner)
    assert ["running"] == [run["status"] for run in runs(owner)]

    out, _ = invoke_process({}).communicate(timeout=60)
    second = json.loads(out)
    assert ("skipped", "advisory_lock_held") == (second["status"], second["note"])
    assert lock_is_held(owner)

    gate.open()
    out, _ = first.communicate(timeout=60)
    assert ("success", 1) == (json.loads(out)["status"], json.loads(out)["reminders_dispatched"])
    assert [("success", None), ("skipped", "advisory_lock_held")] == [(r["status"], r["note"]) for r in runs(owner)]
    assert 1 == count(owner, "notifications")
    assert not lock_is_held(owner)


@pytest.mark.usefixtures("due")
def test_two_runs_in_the_same_moment(invoke_process: InvokeProcess, owner: Connection) -> None:
    """One of them runs; no one is notified twice, and each invocation has its row."""
    both = [invoke_process(recorded("cron-scheduler")) for _ in range(2)]
    assert [0, 0] == [(process.communicate(timeout=60), process.returncode)[1] for process in both]
    assert 2 == count(owner, "cron_execution_logs")
    assert 1 == count(owner, "notifications")
    assert not lock_is_held(owner)


@pytest.mark.matrix
@pytest.mark.usefixtures("due")
def test_run_that_is_killed(stack: LocalStack, invoke_process: InvokeProcess, owner: Connection, gate: Gate) -> None:
    """The lock is free at once, the row is left behind, and the next run settles it as a failure that counts."""
    gate.close()
    victim = invoke_process(recorded("cron-scheduler"))
    gate.wait_for_a_session()
    victim.kill()
    assert eventually(lambda: not lock_is_held(owner))
    assert ["running"] == [run["status"] for run in runs(owner)]

    gate.open()
    again = stack.invoke(recorded("cron-scheduler"))
    abandoned, rescuer = runs(owner)
    assert ("failed", 1, None) == tuple(
        abandoned[key] for key in ("status", "consecutive_failure_count", "duration_ms")
    )
    assert abandoned["error_message"].startswith("abandoned:")
    assert ("success", "success", 0) == (again["status"], rescuer["status"], rescuer["consecutive_failure_count"])
    assert 1 == count(owner, "notifications")


SHORT_LEASE = """
import json, sys
import handlers.cron
from ops.local.invoke import LocalContext
from reminders.limits import Limits

short = Limits(lease_grace=0.5, reserve=0.2, answer_margin=0.2)
handlers.cron.handler(json.loads(sys.argv[1]), LocalContext("cron", 2), short)
"""


@pytest.fixture
def frozen(stack: LocalStack, gate: Gate) -> Iterator[subprocess.Popen[str]]:
    """A run of 2 s with a grace of half a second, frozen in the middle as Lambda freezes an environment."""
    command = [sys.executable, "-c", SHORT_LEASE, json.dumps(recorded("cron-scheduler"))]
    gate.close()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        gate.wait_for_a_session()
        process.send_signal(signal.SIGSTOP)
        yield process
        process.kill()


@pytest.mark.matrix
@pytest.mark.usefixtures("due")
def test_run_that_is_frozen_past_its_lease(
    stack: LocalStack, owner: Connection, gate: Gate, frozen: subprocess.Popen[str]
) -> None:
    """PostgreSQL takes the lock back, the next run takes over, and the run that resumes changes nothing."""
    assert lock_is_held(owner)
    assert eventually(lambda: not lock_is_held(owner), 5)
    gate.open()
    assert "success" == stack.invoke(recorded("cron-scheduler"))["status"]
    settled = runs(owner)
    assert [("failed", 1), ("success", 0)] == [(r["status"], r["consecutive_failure_count"]) for r in settled]
    assert settled[0]["error_message"].startswith("abandoned:")

    frozen.send_signal(signal.SIGCONT)
    frozen.wait(60)
    assert 0 != frozen.returncode
    assert settled == runs(owner)
    assert 1 == count(owner, "notifications")


def test_lock_is_free_after_a_success(stack: LocalStack, owner: Connection) -> None:
    """A run leaves no connection and no lock behind."""
    stack.invoke({})
    assert not lock_is_held(owner)
    ours = "SELECT FROM pg_stat_activity WHERE application_name LIKE 'reminders-%' AND datname = current_database()"
    assert eventually(lambda: [] == owner.execute(ours).fetchall())
