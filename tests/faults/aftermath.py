"""
What is left of a run that was struck, when those who come afterwards have been there and all is quiet.

A test says how the run itself ends (`Ending`). The rest follows by a small model of its own:

    ledger    failed 1 · failed 2 · the struck run, if it has a row · (its tick again) · tomorrow's tick
    alerts    a failure is told as a repeat, the first success as a recovery, what has no row directly
    work      every due reminder exactly once
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from tests.alerting import alerts
from tests.faults.forks import Fork
from tests.faults.lane import Lane, due

BEFORE = [("failed", 1), ("failed", 2)]
JOB = "assignment-reminder-cron: "
HEADLINES = {
    "repeat": f"{JOB}still failing, 3 runs in a row",
    "recovery": f"{JOB}has recovered after 2 failed runs",
    "direct": f"{JOB}a failure that the ledger does not record",
}
KILLED = "killed"


@dataclass(frozen=True, slots=True)
class Ending:
    """
    How the struck run ends.

    `told`: what the function answered or raised (see `told_by`). `row`: None where it wrote none. `copies`:
    of the alert that its own outcome asks for. `direct`: whether it alerted past the ledger.
    """

    told: str
    row: Literal["success", "failed", "abandoned"] | None
    copies: int = 1
    direct: bool = False


WELL = Ending("success: 3 evaluated, 3 dispatched", "success")
# Slack has the message and the mark was lost: who comes next sends it again.
TOLD_TWICE = Ending(WELL.told, WELL.row, copies=2)
NEVER_BEGUN = Ending("DatabaseUnavailable", None, direct=True)


@dataclass(frozen=True, slots=True)
class Aftermath:
    """`late`: the tables that changed when a frozen process was thawed, after everything else."""

    told: str
    lock_is_free: bool = True
    ledger: list[tuple[str, int]] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)
    undelivered: int = 0
    posted: list[str] = field(default_factory=list)
    dispatched: list[tuple[UUID, str]] = field(default_factory=list)
    dispatched_by_the_dead: int = 0
    late: tuple[str, ...] = ()


def whole(ending: Ending, *, retried: bool = False) -> Aftermath:
    """What must be left, whatever was done to the run; `retried`: its tick came again."""
    row = [] if ending.row is None else [(ending.row, 0 if ending.row == "success" else 3)]
    again = [("skipped" if ending.row == "success" else "success", 0)] if retried else []
    kinds = ["repeat", "recovery"] if ending.row in ("failed", "abandoned") else ["recovery"]
    posted = [*kinds, *kinds[:1] * (ending.copies - 1), *["direct"] * ending.direct]
    return Aftermath(
        told=ending.told,
        ledger=[*BEFORE, *row, *again, ("success", 0)],
        alerts=kinds,
        posted=sorted(HEADLINES[kind] for kind in posted),
        dispatched=due(),
    )


def told_by(process: Fork) -> str:
    """The summary that it answered, the class of the error that it raised, or that it was killed."""
    if process.ended.result(5) != 0:
        return KILLED
    (words,) = process.said
    if "raised" in words:
        return str(words["raised"])
    answer = words["answer"]
    if answer["status"] != "success":
        return f"{answer['status']}: {answer['note']}"
    return f"success: {answer['assignments_evaluated']} evaluated, {answer['reminders_dispatched']} dispatched"


def observed(lane: Lane, told: str, *, lock_is_free: bool) -> Aftermath:
    """What is left in fact."""
    undelivered = "SELECT FROM cron_alert_deliveries WHERE delivered_at IS NULL"
    return Aftermath(
        told=told,
        lock_is_free=lock_is_free,
        ledger=lane.ledger(),
        alerts=[kind for kind, _ in alerts(lane.owner)],
        undelivered=len(lane.owner.execute(undelivered).fetchall()),
        posted=sorted(str(message["text"]) for message in lane.slack.posted),
        dispatched=lane.dispatched(),
        dispatched_by_the_dead=lane.dispatched_by_the_dead(),
    )
