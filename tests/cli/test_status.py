"""What status says of a stack that is not well: each fault by its name."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from ops.cli import health, local_state
from ops.cli.commands.status import gather
from ops.cli.health import Finding
from ops.cli.main import main
from reminders.runs import JOB_NAME
from reminders.runs.lock import RunLock
from tests.cli.site import Site
from tests.helpers.connections import AsRole

SUCCESS = """
INSERT INTO cron_execution_logs (job_name, trigger_source, scheduled_for, started_at, completed_at, duration_ms, status)
VALUES (%s, 'schedule', now() - %s::interval, now() - %s::interval, now() - %s::interval, 5, 'success')
"""
FAILURE = """
INSERT INTO cron_execution_logs
(job_name, trigger_source, completed_at, duration_ms, status, error_message, consecutive_failure_count)
VALUES (%s, 'schedule', now(), 5, 'failed', 'SchedulerError: 503', 3)
"""
RUNNING = """
INSERT INTO cron_execution_logs (job_name, trigger_source, started_at, status)
VALUES (%s, 'schedule', now() - interval '20 minutes', 'running')
"""
ALERT = """
WITH alert AS (
    INSERT INTO cron_alerts (kind, dedupe_key, payload, created_at)
    VALUES ('failure', 'failure:x', '{}', now() - interval '2 hours') RETURNING id
)
INSERT INTO cron_alert_deliveries (alert_id, channel, attempts, last_error)
SELECT id, 'slack', 3, 'slack: the webhook no longer exists' FROM alert
"""


def succeeded(site: Site, ago: str) -> None:
    with site.stack.connect() as connection:
        connection.execute(SUCCESS, [JOB_NAME, ago, ago, ago])


def execute(site: Site, statement: str) -> None:
    with site.stack.connect() as connection:
        connection.execute(statement.encode(), [JOB_NAME] if "%s" in statement else None)


def found(site: Site) -> list[Finding]:
    return health.findings(gather(site.target))


def named(site: Site) -> list[tuple[str, str]]:
    return [(finding.level, finding.name) for finding in found(site)]


def pause(site: Site) -> None:
    site.change_schedule(State="DISABLED")


def forget_schedule(site: Site) -> None:
    group, _, name = site.target.schedule_name.partition("/")
    site.stack.aws.client("scheduler").delete_schedule(Name=name, GroupName=group)


BROKEN: dict[str, tuple[Callable[[Site], None], list[tuple[str, str]]]] = {
    "runs fail": (lambda site: execute(site, FAILURE), [("problem", "failing")]),
    "a run's process is gone": (lambda site: execute(site, RUNNING), [("problem", "abandoned")]),
    "an alert does not get through": (lambda site: execute(site, ALERT), [("problem", "undelivered")]),
    "the schedule is paused": (pause, [("note", "paused")]),
    "the schedule is gone": (forget_schedule, [("note", "schedule_unknown")]),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_fault_is_named(site: Site, fault: str) -> None:
    """The one that was made, and no other."""
    succeeded(site, "1 hour")
    assert [] == named(site)
    make, expected = BROKEN[fault]
    make(site)
    assert expected == named(site)


def test_a_new_stack_has_never_succeeded(site: Site) -> None:
    """That is a problem: no one has been reminded yet."""
    assert [("problem", "never_succeeded")] == named(site)


def test_a_lock_without_a_run(site: Site, as_role: AsRole) -> None:
    """Held for long by a session that does no run: unlock is named as the fix."""
    succeeded(site, "1 hour")
    with RunLock(as_role("cron_runner")).lease(60):
        facts = gather(site.target)
    assert facts.holder and facts.holder.since
    later = facts.overview.now + timedelta(minutes=5)
    old = health.Facts(_at(facts, later).overview, [], facts.holder, facts.schedule)
    assert ["stuck_lock"] == [finding.name for finding in health.findings(old)]


def test_a_scheduled_run_that_did_not_happen(site: Site) -> None:
    """Two days without a success, and the schedule enabled all the time."""
    succeeded(site, "2 days")
    facts = _at(gather(site.target), gather(site.target).overview.now + timedelta(days=2))
    assert ["late"] == [finding.name for finding in health.findings(facts)]


def test_a_forgotten_pause(site: Site) -> None:
    """After a day a pause is a problem: no one is reminded."""
    succeeded(site, "1 hour")
    pause(site)
    facts = gather(site.target)
    late = health.findings(_at(facts, facts.overview.now + timedelta(days=2)))
    assert [("problem", "paused")] == [(finding.level, finding.name) for finding in late]


def wrong_password(site: Site) -> None:
    """cron_runner's password is rejected, so a run leaves no row."""
    found = psycopg.conninfo.conninfo_to_dict(site.target.secret(site.target.environment("cron")["DATABASE_SECRET"]))
    uri = "postgresql://cron_runner:wrong@{host}:{port}/{dbname}?sslmode=disable".format(**found)
    site.put("cron", "DATABASE_SECRET", uri)


@pytest.fixture
def logged(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Site:
    """A local stack that runs, with its functions' logs."""
    monkeypatch.setenv("REMINDERS_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(local_state, "read", lambda: site.target.state)
    return site


def test_a_run_that_left_no_row(logged: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """`run` says where to look, status is unhealthy, the log says why; the next success ends it."""
    succeeded(logged, "1 hour")
    good = logged.target.secret(logged.target.environment("cron")["DATABASE_SECRET"])
    wrong_password(logged)
    assert 1 == main(["run"])
    said = capsys.readouterr().err
    assert ("rejected the password" in said, "left no row" in said, "logs --functions" in said) == (True, True, True), (
        said
    )
    assert [("problem", "unrecorded")] == named(logged)
    assert "1 failed invocation since the last success left no row" in found(logged)[0].what
    assert 1 == main(["status"])
    assert 0 == main(["logs", "--functions"])
    assert "rejected the password" in capsys.readouterr().out
    logged.put("cron", "DATABASE_SECRET", good)
    succeeded(logged, "0 hours")
    assert [] == named(logged)


def test_a_failed_run_with_a_row_is_counted_once(logged: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """It is in the ledger, and so no second problem; `run` says that `reminders logs` shows the run."""
    succeeded(logged, "1 hour")
    logged.put("cron", "SCHEDULER_TOKEN_SECRET", "another-token-another-token-another")
    logged.target.state.environments["cron"]["REMINDER_FUNCTION_URL"] = "http://127.0.0.1:1"
    assert 1 == main(["run"])
    assert "`reminders logs` shows the run" in capsys.readouterr().err
    assert [("problem", "failing")] == named(logged)


def test_assignments_that_were_not_processed(logged: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """One is one; their ids stand in the local log, and `reminders logs --functions` shows them."""
    from reminders.telemetry import logger

    one = uuid4()
    line = {
        "level": "ERROR",
        "timestamp": datetime.now(UTC).isoformat(),
        "message": "assignment skipped: the database refuses it",
    }
    local_state.log_file("scheduler").write_text(json.dumps({**line, "assignment_id": str(one)}) + "\n")
    assert logger.service  # its lines have these keys, see tests/integration/test_poison.py
    succeeded(logged, "1 hour")
    execute(logged, "UPDATE public.cron_execution_logs SET assignments_failed = 1 WHERE job_name = %s")
    (finding,) = found(logged)
    assert "The last run could not process 1 assignment." == finding.what
    assert "'Assignments that were not processed'" in finding.fix
    assert 0 == main(["logs", "--functions"])
    assert str(one) in capsys.readouterr().out.replace("\n", "")


def test_every_finding_has_a_fix(site: Site) -> None:
    """No one is left alone with a problem."""
    for statement in (FAILURE, RUNNING, ALERT):
        execute(site, statement)
    pause(site)
    assert [] == [finding for finding in found(site) if not finding.fix]


def _at(facts: health.Facts, now: object) -> health.Facts:
    from dataclasses import replace

    return replace(facts, overview=replace(facts.overview, now=now))  # type: ignore[arg-type]


def test_run_that_found_nothing_open(site: Site) -> None:
    """A success that evaluated nothing, while there are assignments of other statuses, is not healthy."""
    succeeded(site, "1 minute")
    execute(site, "UPDATE cron_execution_logs SET note = 'no assignment is open; with another status: 3'")
    assert ("problem", "nothing_open") in named(site)
    assert "The last run did nothing: no assignment is open; with another status: 3." in {f.what for f in found(site)}


MESSAGE = """
INSERT INTO messages (org_id, recipient_id, channel, local_date, send_after, expires_at, next_attempt_at)
SELECT gen_random_uuid(), gen_random_uuid(), 'email', current_date, due.at, due.at + interval '24 h', due.at
FROM (SELECT now() - %s::interval AS at) AS due
"""
NOTIFIED = """
WITH made AS (
    INSERT INTO assignments (org_id, peer_mentor_id) VALUES (gen_random_uuid(), gen_random_uuid())
    RETURNING id, peer_mentor_id
)
INSERT INTO notifications (assignment_id, recipient_id, kind, contact_anchor, gap_days)
SELECT id, peer_mentor_id, 'reminder', '2026-01-01', 10 FROM made
"""


def test_messages_that_are_late(site: Site) -> None:
    """A problem after an hour, and a note of people whom no channel reaches; nothing where no message was ever made."""
    succeeded(site, "1 minute")
    with site.stack.connect() as connection:
        connection.execute(NOTIFIED)
        assert set() == {found.name for found in health.findings(gather(site.target))}
        connection.execute(MESSAGE, ["2 hours"])
        found = {finding.name: finding.level for finding in health.findings(gather(site.target))}
    assert {"messages_late": "problem", "unreachable": "note"} == found
