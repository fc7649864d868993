"""
Killed at every step from the end of the work to the mark in the outbox: which alerts the operators get.

Exactly one, except between the moment when Slack accepts the message and the commit of our mark. Only there can a
second copy occur. Whether Slack accepted the message is then unknown, so it is sent again.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from ops.local.stack import LocalStack
from reminders.database import Connection
from reminders.errors import SchedulerError
from tests.alerting import alerts, deliveries
from tests.factories import TICK, add_run, runs
from tests.faults.kill_points import POINTS
from tests.helpers.cases import one_of_each
from tests.helpers.stacks import Kill

YESTERDAY, TODAY, TOMORROW = (TICK + timedelta(days=day) for day in (-1, 0, 1))
COPIES = {
    "Slack has it, before its answer": 2,
    "after Slack's answer, before the mark": 2,
    "after the mark, before its commit": 2,
}
LEFT = {
    "before settling": ("running", 0, 0),
    "in the settling transaction, after the UPDATE": ("running", 0, 0),
    "in the settling transaction, after the alert's row": ("running", 0, 0),
    "after the mark's commit": ("failed", 1, 1),
}
ALERT_TEXT = "assignment-reminder-cron: 2 runs in a row have failed"


def event(tick: datetime) -> dict[str, str]:
    return {"scheduled_time": tick.isoformat(), "execution_id": "x", "attempt_number": "1"}


def watchdog_comes(stack: LocalStack) -> None:
    stack.watch()


def next_run_comes(stack: LocalStack) -> None:
    """It fails as well: the third in a row, which sends no alert."""
    with pytest.raises(SchedulerError):
        stack.invoke(event(TOMORROW))


@pytest.fixture
def one_failure(owner: Connection) -> None:
    """Yesterday failed, so that today's failure crosses the threshold."""
    began = datetime.now(UTC) - timedelta(days=1)
    add_run(owner, "failed", scheduled_for=YESTERDAY, started_at=began)


def left_behind(owner: Connection) -> tuple[str, int, int]:
    """The killed run's status, the alerts written, those marked as delivered."""
    delivered = [row for row in deliveries(owner).values() if row["is_delivered"]]
    return runs(owner)[-1]["status"], len(alerts(owner)), len(delivered)


@pytest.mark.usefixtures("one_failure")
@pytest.mark.parametrize("rescuer", [watchdog_comes, next_run_comes])
@pytest.mark.parametrize("point", one_of_each({p: (LEFT.get(p), COPIES.get(p)) for p in POINTS}))
def test_killed(
    stack: LocalStack, owner: Connection, run_killed: Kill, point: str, rescuer: Callable[[LocalStack], None]
) -> None:
    """After the watchdog or the next run, today's failure is counted once, and reported once (see above)."""
    assert -signal.SIGKILL == run_killed(stack, point, event(TODAY))
    assert LEFT.get(point, ("failed", 1, 0)) == left_behind(owner)

    rescuer(stack)
    rescuer(stack)
    today = runs(owner)[1]
    assert ("failed", 2) == (today["status"], today["consecutive_failure_count"])
    assert [("failure", f"failure:{today['id']}")] == alerts(owner)
    assert deliveries(owner)["slack"]["is_delivered"]
    assert [ALERT_TEXT] * COPIES.get(point, 1) == [message["text"] for message in stack.slack.posted]


def test_every_point_is_reached() -> None:
    """The table above names points that exist."""
    assert (COPIES.keys() | LEFT.keys()) <= POINTS.keys()
