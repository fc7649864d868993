"""The cron function, invoked with each event that it knows, over real HTTP to the scheduler."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ops.local.stack import LocalStack
from reminders.database import Connection
from reminders.errors import EventError
from tests.factories import COORDINATOR, MENTOR, TICK, add_assignment, add_assignments, count, runs
from tests.helpers.cases import table
from tests.helpers.events import DAY, EVENTS, recorded
from tests.helpers.stacks import InvokeProcess

KEYS = {
    "run_id",
    "status",
    "note",
    "assignments_evaluated",
    "reminders_dispatched",
    "assignments_failed",
    "duration_ms",
}
FROM_EVENTBRIDGE = {
    "cron-scheduler": "d32c5kddcf5bb8c3",
    "cron-scheduler-without-input": "89d1a02d-5ec7-412e-82f5-13505f849b41",
    "cron-rule": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
}


@table("name", FROM_EVENTBRIDGE)
def test_event_of_a_schedule(stack: LocalStack, owner: Connection, name: str) -> None:
    """One run for the tick's day: summary, ledger row and notifications say the same."""
    owner.execute("TRUNCATE assignments, notifications, cron_execution_logs CASCADE")  # each event is of the same tick
    add_assignment(owner, 25, today=DAY)
    add_assignment(owner, 10, today=DAY)
    add_assignment(owner, 9, today=DAY)
    summary = stack.invoke(recorded(name))
    (run,) = runs(owner)
    assert KEYS == set(summary)
    assert (str(run["id"]), "success", None, 3, 3, 0) == tuple(
        summary[key]
        for key in (
            "run_id",
            "status",
            "note",
            "assignments_evaluated",
            "reminders_dispatched",
            "assignments_failed",
        )
    )
    assert ("success", "schedule", FROM_EVENTBRIDGE[name], TICK, 3, 3) == tuple(
        run[key]
        for key in (
            "status",
            "trigger_source",
            "event_id",
            "scheduled_for",
            "assignments_evaluated",
            "reminders_dispatched",
        )
    )
    rows = owner.execute("SELECT kind, recipient_id, gap_days, run_id FROM notifications ORDER BY 1, 3").fetchall()
    assert [
        ("escalation", COORDINATOR, 25, run["id"]),
        ("reminder", MENTOR, 10, run["id"]),
        ("reminder", MENTOR, 25, run["id"]),
    ] == rows
    json.dumps(summary)


def test_same_tick_delivered_again(stack: LocalStack, owner: Connection) -> None:
    """EventBridge delivers at least once: the second delivery is a skipped row, and no one is notified again."""
    add_assignment(owner, 10, today=DAY)
    first, second = (stack.invoke(recorded("cron-scheduler")) for _ in range(2))
    assert ("success", None) == (first["status"], first["note"])
    assert ("skipped", "duplicate_tick", None) == (second["status"], second["note"], second["duration_ms"])
    assert ["success", "skipped"] == [run["status"] for run in runs(owner)]
    assert 1 == count(owner, "notifications")


def test_console(stack: LocalStack, owner: Connection) -> None:
    """{} is a manual run for today, by the database's clock; a second one is no duplicate."""
    today = datetime.now(UTC).date()
    add_assignment(owner, 12, today=today)
    summaries = [stack.invoke(recorded("cron-console")) for _ in range(2)]
    assert [("success", 1), ("success", 0)] == [(s["status"], s["reminders_dispatched"]) for s in summaries]
    assert {"manual"} == {run["trigger_source"] for run in runs(owner)}


def test_console_for_a_day_that_was_missed(stack: LocalStack, owner: Connection) -> None:
    """A manual run for a past day counts gaps to that day."""
    add_assignment(owner, 10, today=DAY)
    add_assignment(owner, 9, today=DAY)
    assert 1 == stack.invoke({"action": "run", "as_of": DAY.isoformat()})["reminders_dispatched"]


def test_dry_run(stack: LocalStack, owner: Connection) -> None:
    """It answers who would be notified, and writes neither a notification nor a row of the ledger."""
    assignment = add_assignment(owner, 20, today=datetime.now(UTC).date())
    summary = stack.invoke(recorded("cron-dry-run"))
    assert KEYS | {"would_notify", "would_notify_is_cut"} == set(summary)
    assert (None, "success", "dry_run", 1, 2, False) == tuple(
        summary[key]
        for key in (
            "run_id",
            "status",
            "note",
            "assignments_evaluated",
            "reminders_dispatched",
            "would_notify_is_cut",
        )
    )
    assert {("reminder", str(MENTOR)), ("escalation", str(COORDINATOR))} == {
        (planned["kind"], planned["recipient_id"]) for planned in summary["would_notify"]
    }
    assert {str(assignment)} == {planned["assignment_id"] for planned in summary["would_notify"]}
    assert (0, 0) == (count(owner, "notifications"), count(owner, "cron_execution_logs"))


def test_dry_run_of_next_week(stack: LocalStack, owner: Connection) -> None:
    """Only a dry run may look ahead."""
    today = datetime.now(UTC).date()
    add_assignment(owner, 5, today=today)
    ahead = (today + timedelta(days=7)).isoformat()
    assert 1 == stack.invoke({"dry_run": True, "as_of": ahead})["reminders_dispatched"]
    with pytest.raises(EventError, match="is in the future"):
        stack.invoke({"as_of": ahead})
    assert 0 == count(owner, "cron_execution_logs")


def test_dry_run_while_a_run_goes(stack: LocalStack, owner: Connection, as_cron_lock: Any) -> None:
    """It needs no lock."""
    add_assignment(owner, 10, today=datetime.now(UTC).date())
    with as_cron_lock:
        assert 1 == stack.invoke(recorded("cron-dry-run"))["reminders_dispatched"]


def test_several_shards(stack: LocalStack, owner: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut into shards and called in parallel, it is still one run with one sum."""
    monkeypatch.setenv("SCHEDULER_SHARDS", "4")
    add_assignments(owner, 40, today=DAY)
    summary = stack.invoke(recorded("cron-scheduler"))
    assert (40, 40) == (summary["assignments_evaluated"], summary["reminders_dispatched"])
    assert 1 == count(owner, "cron_execution_logs")


def test_process_of_its_own(invoke_process: InvokeProcess, owner: Connection) -> None:
    """As `sam local invoke` runs it: an event in, the summary out, nothing else on standard output."""
    add_assignment(owner, 10, today=DAY)
    out, _ = invoke_process(recorded("cron-scheduler")).communicate(timeout=60)
    assert "success" == json.loads(out)["status"]


def test_recorded_events_are_safe_to_share() -> None:
    """Sample events hold AWS' example account, documentation addresses and no token."""
    for path in EVENTS.glob("*.json"):
        text = path.read_text()
        json.loads(text)
        assert [] == re.findall("Bearer (?!PUT-[A-Z-]+-HERE)", text), path
        assert "123456789012" in text or "arn:" not in text, path
