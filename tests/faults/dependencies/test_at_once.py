"""
Many processes at once, and processes whose clock is wrong: the database decides who runs, and what day it is.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ops.local.aws import Aws
from ops.local.stack import LocalStack
from reminders.database import Connection
from tests.factories import add_assignment, notified, runs
from tests.faults.dependencies.days import FIRST_DAY, TODAY, dispatched, due, nothing_is_left_open, populate
from tests.helpers.cases import first

Answers = list[dict[str, Any]]
Invoke = Callable[..., Answers]
TICK = {"scheduled_time": FIRST_DAY.isoformat(), "execution_id": "one"}
BY_HAND = {"action": "run", "as_of": TODAY.isoformat()}


@pytest.fixture(scope="session")
def forker(aws: Aws) -> Iterator[Callable[[dict[str, Any]], Answers]]:
    command = [sys.executable, "-m", "tests.faults.dependencies.at_once"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin and process.stdout
        orders, answers = process.stdin, process.stdout

        def ask(order: dict[str, Any]) -> Answers:
            print(json.dumps(order), file=orders, flush=True)
            found: Answers = json.loads(answers.readline())
            return found

        yield ask


@pytest.fixture
def invoke(stack: LocalStack, forker: Callable[[dict[str, Any]], Answers]) -> Invoke:
    """Invokes the cron function with all events at once, each in a process of its own."""

    def ask(events: list[Any], clock_shift: float = 0) -> Answers:
        environment = stack.environment | {"ALERT_TOPIC_ARN": "", "ALERT_THRESHOLD": "1"}
        return forker({"events": events, "environment": environment, "clock_shift": clock_shift})

    return ask


def outcomes(rows: list[dict[str, Any]]) -> Counter[tuple[str, str | None]]:
    return Counter((row["status"], row["note"]) for row in rows)


def each_has_its_row(owner: Connection, answers: Answers) -> None:
    """Each process's answer is what the ledger says of its run."""
    answered = {(answer["run_id"], answer["status"], answer["note"]) for answer in answers}
    assert answered == {(str(run["id"]), run["status"], run["note"]) for run in runs(owner)}


def all_is_done(stack: LocalStack, owner: Connection) -> None:
    assert due(owner, TODAY) == dispatched(owner)
    assert {0} == {run["consecutive_failure_count"] for run in runs(owner)}
    assert [] == stack.slack.posted
    nothing_is_left_open(owner)
    again = stack.invoke({"scheduled_time": (FIRST_DAY + timedelta(hours=1)).isoformat(), "execution_id": "two"})
    assert ("success", 0) == (again["status"], again["reminders_dispatched"])


def test_one_tick_twenty_times_at_once(stack: LocalStack, owner: Connection, invoke: Invoke) -> None:
    """One run does it; the others found the lock held, or the tick done, and each says so in a row."""
    populate(owner)
    answers = invoke([TICK] * 20)
    assert 20 == len(answers)
    each_has_its_row(owner, answers)
    found = outcomes(runs(owner))
    assert 1 == found.pop(("success", None))
    assert 19 == found[("skipped", "advisory_lock_held")] + found[("skipped", "duplicate_tick")]
    all_is_done(stack, owner)


def test_fifty_runs_by_hand_at_once(stack: LocalStack, owner: Connection, invoke: Invoke) -> None:
    """None is a duplicate: each did a whole run or found the lock held; the reminders went out once."""
    populate(owner)
    answers = invoke([BY_HAND] * 50)
    each_has_its_row(owner, answers)
    found = outcomes(runs(owner))
    assert {("success", None), ("skipped", "advisory_lock_held")} >= found.keys()
    assert (50, True) == (found.total(), found[("success", None)] >= 1)
    assert len(due(owner, TODAY)) == sum(answer["reminders_dispatched"] for answer in answers)
    all_is_done(stack, owner)


@pytest.mark.parametrize("hours", first(1, [25, -25, 1, -1]))
def test_clock_that_is_off(owner: Connection, invoke: Invoke, hours: int) -> None:
    """Whose reminder is due, and when the run was, is said by the database's clock alone."""
    today = now(owner).date()
    on_time = add_assignment(owner, 10, today=today)
    add_assignment(owner, 9, today=today)
    before = now(owner)
    (answer,) = invoke([{}], clock_shift=hours * 3600)
    after = now(owner)
    if before.date() != after.date():  # midnight has come between: nothing is known
        pytest.skip("it became midnight")
    (run,) = runs(owner)
    assert ("success", {(on_time, "reminder")}) == (answer["status"], notified(owner))
    moments = [before, run["scheduled_for"], run["started_at"], run["completed_at"], after]
    assert sorted(moments) == moments
    assert 0 <= run["duration_ms"] <= (after - before) / timedelta(milliseconds=1)


def now(owner: Connection) -> datetime:
    row = owner.execute("SELECT clock_timestamp()").fetchone()
    assert row
    moment: datetime = row[0]
    return moment.astimezone(UTC)
