"""The cron artifact: what Lambda sends it, and what can happen to it."""

from __future__ import annotations

from threading import Thread
from typing import Any

import pytest

from ops.local.runtime_api import Runtime
from ops.local.server import admin
from ops.local.stack import LocalStack
from reminders.database import Connection
from tests.helpers.events import SCHEDULED
from tests.helpers.stacks import Start
from tests.helpers.waiting import eventually

pytestmark = pytest.mark.matrix


def test_schedule_event(cron: Runtime, assignments: int, owner: Connection) -> None:
    """The daily event makes one run, through both artifacts, which is in the ledger as it was answered."""
    answer = cron.invoke(SCHEDULED)

    assert ("response", "success") == (answer.kind, answer.payload["status"])
    assert 0 < answer.payload["reminders_dispatched"]
    assert ("success", "schedule") == last_run(owner, "status, trigger_source")


def test_delivered_twice_to_a_warm_function(cron: Runtime, assignments: int, owner: Connection) -> None:
    """The second delivery finds a warm process, and the ledger says that it was a duplicate."""
    assert "success" == cron.invoke(SCHEDULED).payload["status"]

    assert "duplicate_tick" == cron.invoke(SCHEDULED).payload["note"]


def test_console_event(cron: Runtime, assignments: int, owner: Connection) -> None:
    """The console's empty test event is a manual run."""
    assert "success" == cron.invoke({}).payload["status"]
    assert ("success", "manual") == last_run(owner, "status, trigger_source")


def test_failing_run_posts_type_and_message(cron: Runtime, stack: LocalStack, owner: Connection) -> None:
    """A run that fails is an error to Lambda, and it holds no secret: not in the answer, not in the log."""
    owner.execute("ALTER TABLE assignments RENAME TO elsewhere")

    answer = cron.invoke(SCHEDULED)

    assert ("error", "SchedulerError") == (answer.kind, answer.payload["errorType"])
    assert answer.payload["errorMessage"].startswith("scheduler answered 500")
    assert [] == [secret for secret in secrets_of(stack) if secret in str(answer.payload) + cron.log]
    assert ("failed",) == last_run(owner, "status")


@pytest.mark.parametrize(
    ("function", "wrong", "message"),
    [
        ("cron", {"BATCH_SIZE": "lots"}, "BATCH_SIZE must be a whole number"),
        ("cron", {"ALERT_TOPIC_ARN": "alerts"}, "ALERT_TOPIC_ARN must be the ARN"),
        ("scheduler", {"DATABASE_SECRET": ""}, "DATABASE_SECRET is not set"),
        ("watchdog", {"REMINDER_CRON_EXPRESSION": "daily"}, "REMINDER_CRON_EXPRESSION must be"),
        ("admin", {"SUPABASE_JWT_SECRET": ""}, "neither SUPABASE_JWT_SECRET nor SUPABASE_JWKS_URL"),
    ],
)
def test_wrong_setting_is_an_init_error(start: Start, function: str, wrong: dict[str, str], message: str) -> None:
    """A wrong setting stops the function before its first event, and is named."""
    right = {"DATABASE_SECRET": "database", "SCHEDULER_TOKEN_SECRET": "token"}

    answer = start(function, right, **wrong).invoke({})

    assert ("init_error", "SettingsError") == (answer.kind, answer.payload["errorType"])
    assert answer.payload["errorMessage"].startswith(message)


def test_deadline_is_near(cron: Runtime, assignments: int, owner: Connection) -> None:
    """A run that Lambda gives nine seconds, of which eight are kept back, settles as out of time."""
    answer = cron.invoke(SCHEDULED, seconds=9.0)

    assert ("error", "DeadlineExceeded") == (answer.kind, answer.payload["errorType"])
    assert ("failed",) == last_run(owner, "status")


def test_frozen_between_invocations(cron: Runtime, stack: LocalStack, assignments: int) -> None:
    """A frozen process whose connections were cut meanwhile works as before: it holds none."""
    assert "success" == cron.invoke({}).payload["status"]
    cron.pause()
    with admin(stack.server, stack.database) as superuser:
        superuser.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name LIKE 'reminders-%' AND datname = current_database()"
        )
    cron.resume()

    assert "success" == cron.invoke({}).payload["status"]


def test_frozen_process_holds_no_connection(cron: Runtime, assignments: int, owner: Connection) -> None:
    """Nothing is left at the pooler while Lambda keeps a process frozen."""
    cron.invoke({})
    left = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE application_name LIKE 'reminders-%' AND datname = current_database()"
    )

    assert eventually(lambda: owner.execute(left).fetchone() == (0,))


def test_killed_in_the_middle(
    cron: Runtime, start: Start, stack: LocalStack, scheduler_url: str, owner: Connection
) -> None:
    """The next run settles what a killed process left behind, and does the work."""
    owner.execute(
        "INSERT INTO assignments (org_id, peer_mentor_id, status, assigned_at) "
        "SELECT gen_random_uuid(), gen_random_uuid(), 'open', now() - interval '15 days' FROM generate_series(1, 10)"
    )
    owner.execute("BEGIN")
    owner.execute("LOCK TABLE notifications IN ACCESS EXCLUSIVE MODE")
    try:
        waiting = _invoke_in_background(cron)
        assert eventually(lambda: last_run(owner, "status") == ("running",), 5)
        cron.kill()
        waiting.join()
    finally:
        owner.execute("ROLLBACK")

    # Until PostgreSQL has noticed the death, the lock is held, and runs are skipped.
    again = start("cron", stack.environment, REMINDER_FUNCTION_URL=scheduler_url)
    assert eventually(lambda: again.invoke({}).payload["status"] == "success", 8)

    abandoned = owner.execute("SELECT count(*) FROM cron_execution_logs WHERE error_message LIKE 'abandoned:%'")
    assert (1,) == abandoned.fetchone()
    assert (10,) == owner.execute("SELECT count(*) FROM notifications").fetchone()


def _invoke_in_background(function: Runtime) -> Thread:
    thread = Thread(target=lambda: function.invoke({}, seconds=30), daemon=True)
    thread.start()
    return thread


def last_run(owner: Connection, columns: str) -> Any:
    """`columns` of the newest row of the ledger, or None."""
    query = f"SELECT {columns} FROM cron_execution_logs ORDER BY started_at DESC LIMIT 1"
    return owner.execute(query.encode()).fetchone()


def secrets_of(stack: LocalStack) -> list[str]:
    """Every value in Secrets Manager that this stack's functions may read, and the passwords within."""
    client = stack.aws.client("secretsmanager")
    names = {
        v
        for env in (stack.environment, stack.scheduler_environment)
        for v in env.values()
        if v.startswith("reminders/")
    }
    values = [client.get_secret_value(SecretId=name)["SecretString"] for name in names]
    return [*values, *(value.split("@")[0].rpartition(":")[2] for value in values if value.startswith("postgres"))]
