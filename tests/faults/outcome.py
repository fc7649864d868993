"""
What a run with a fault leaves behind, once the later invocations are done.

A test says how the run itself ends (`Ending`). A small model gives the rest:

    ledger    failed 1 · failed 2 · this run, if it has a row · (its scheduled time again) · tomorrow's run
    alerts    a failure is reported as a repeat, the first success as a recovery, a run without a row directly
    work      every due reminder exactly once
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from tests.alerting import alerts
from tests.faults.environment import FaultEnvironment, due
from tests.faults.processes import Process

BEFORE = [("failed", 1), ("failed", 2)]
JOB = "assignment-reminder-cron: "
HEADLINES = {
    "repeat": f"{JOB}still failing, 3 runs in a row",
    "recovery": f"{JOB}has recovered after 2 failed runs",
    "recovery after 3": f"{JOB}has recovered after 3 failed runs",
    "direct": f"{JOB}a failure that the ledger does not record",
}
KILLED = "killed"


@dataclass(frozen=True, slots=True)
class Ending:
    """How the run with the fault ends."""

    result: str  #: what the function answered or raised, see `result_of`
    row: Literal["success", "failed", "abandoned"] | None  #: the status of its ledger row; None without a row
    copies: int = 1  #: how often the alert about its own outcome arrives
    direct: bool = False  #: whether it alerted without the database


SUCCESS = Ending("success: 3 evaluated, 3 dispatched", "success")
# Slack has the message and the mark was lost: the next invocation sends it again.
ALERTED_TWICE = Ending(SUCCESS.result, SUCCESS.row, copies=2)
NOT_STARTED = Ending("DatabaseUnavailable", None, direct=True)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is left: rows, messages, and whether the lock is free."""

    result: str
    lock_is_free: bool = True
    ledger: list[tuple[str, int]] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)
    undelivered: int = 0
    posted: list[str] = field(default_factory=list)
    dispatched: list[tuple[UUID, str]] = field(default_factory=list)
    dispatched_after_settling: int = 0
    changed_after_resume: tuple[str, ...] = ()  #: tables that a paused process changed when it was resumed


def expected_outcome(ending: Ending, *, retried: bool = False, rescued_by_run: bool = False) -> Outcome:
    """
    What must be left, whatever the fault.

    `retried`: the same scheduled time was invoked again. `rescued_by_run`: the next run, not the watchdog, found
    the abandoned row; its failure is then reported in one message with the recovery.
    """
    row = [] if ending.row is None else [(ending.row, 0 if ending.row == "success" else 3)]
    again = [("skipped" if ending.row == "success" else "success", 0)] if retried else []
    kinds = ["repeat", "recovery"] if ending.row in ("failed", "abandoned") else ["recovery"]
    headlines = ["repeat", "recovery after 3"] if "repeat" in kinds else kinds
    if rescued_by_run and ending.row == "abandoned":
        headlines = headlines[1:]
    posted = [*headlines, *headlines[:1] * (ending.copies - 1), *["direct"] * ending.direct]
    return Outcome(
        result=ending.result,
        ledger=[*BEFORE, *row, *again, ("success", 0)],
        alerts=kinds,
        posted=sorted(HEADLINES[kind] for kind in posted),
        dispatched=due(),
    )


def result_of(process: Process) -> str:
    """The summary that it answered, the class of the error that it raised, or that it was killed."""
    if process.ended.result(5) != 0:
        return KILLED
    (report,) = process.reports
    if "raised" in report:
        return str(report["raised"])
    answer = report["answer"]
    if answer["status"] != "success":
        return f"{answer['status']}: {answer['note']}"
    return f"success: {answer['assignments_evaluated']} evaluated, {answer['reminders_dispatched']} dispatched"


def observe(env: FaultEnvironment, result: str, *, lock_is_free: bool) -> Outcome:
    """What is left now."""
    undelivered = "SELECT FROM cron_alert_deliveries WHERE delivered_at IS NULL"
    return Outcome(
        result=result,
        lock_is_free=lock_is_free,
        ledger=env.ledger(),
        alerts=[kind for kind, _ in alerts(env.owner)],
        undelivered=len(env.owner.execute(undelivered).fetchall()),
        posted=sorted(str(message["text"]) for message in env.slack.posted),
        dispatched=env.dispatched(),
        dispatched_after_settling=env.dispatched_after_settling(),
    )
