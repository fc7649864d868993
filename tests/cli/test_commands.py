"""Every command as an operator starts it: a process, on a stack that `reminders local up` runs."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from ops.cli import local_state
from ops.cli.main import SECTIONS
from ops.cli.targets.base import TargetOptions
from ops.cli.targets.local import Local
from reminders.runs.lock import RunLock
from tests.cli.operated import ASSIGNMENTS, COMMAND, Operated
from tests.helpers.waiting import eventually

TOMORROW = (datetime.now(UTC) + timedelta(1)).date().isoformat()


def login(operated: Operated) -> str:
    """The libpq URI of cron_runner."""
    state = local_state.LocalState(**json.loads((operated.state / "local.json").read_text()))
    return Local(state, TargetOptions()).secret(state.environments["cron"]["DATABASE_SECRET"])


def test_help_names_every_command_and_every_exit_code(operated: Operated) -> None:
    """A newcomer learns from --help what there is and what the codes mean."""
    printed = operated.run("--help").stdout
    assert [] == [name for names in SECTIONS.values() for name in names if not re.search(rf"^  {name} ", printed, re.M)]
    assert [] == [code for code in ["0", "1", "2", "3", "4", "130"] if not re.search(rf"^ +{code} +\w", printed, re.M)]


def test_status_of_a_healthy_stack(operated: Operated) -> None:
    """Exit code 0, the facts by name."""
    printed = operated.json("status")
    assert (True, []) == (printed["healthy"], printed["findings"])
    assert {
        "last_success_at",
        "next_tick",
        "paused",
        "consecutive_failures",
        "lock",
        "undelivered_alerts",
    } <= printed.keys()
    shown = operated.run("status")
    assert (0, "Target: local stack (it is running).\n") == (shown.returncode, shown.stderr)
    assert "local stack: healthy" in shown.stdout


def test_dry_run_then_run_then_logs(operated: Operated) -> None:
    """A dry run writes nothing; a run sends; the ledger shows it, newest first."""
    before = ledger_of(operated)
    assert operated.json("run", "--dry-run", "--as-of", TOMORROW)["would_notify"]
    assert before == ledger_of(operated)
    done = operated.run("run", "--json")
    summary = json.loads(done.stdout)
    assert ("success", ASSIGNMENTS * 19 // 20) == (summary["status"], summary["assignments_evaluated"])
    newest = ledger_of(operated)
    assert (len(before) + 1, summary["run_id"]) == (len(newest), newest[0]["id"])
    failed = operated.run("logs", "--status", "failed").stdout
    assert "503" in failed and "success" not in failed


def test_run_without_waiting_comes_into_the_ledger(operated: Operated) -> None:
    """--no-wait returns at once; a look later sees the run."""
    before = len(ledger_of(operated))
    assert 0 == operated.say("run", "--no-wait").code
    assert eventually(lambda: len(ledger_of(operated)) == before + 1, 20)


def test_follow_shows_a_run_as_it_comes(operated: Operated) -> None:
    """From the last line on, until Ctrl-C: exit code 130."""
    following = subprocess.Popen(
        [str(COMMAND), "logs", "--follow", "-n", "1", "--json"],
        env={**operated.environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        # A shell's background job ignores Ctrl-C, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    assert following.stdout
    try:
        following.stdout.readline()
        done = operated.json("run")
        assert done["run_id"] == json.loads(following.stdout.readline())["id"]
    finally:
        following.send_signal(signal.SIGINT)
        following.communicate(timeout=10)
    assert 130 == following.returncode


def ledger_of(operated: Operated) -> list[dict[str, Any]]:
    return [json.loads(line) for line in operated.say("logs", "--json", "-n", "1000").out.splitlines()]


def test_plan_counts_what_a_dry_run_would_send(operated: Operated) -> None:
    """The sum over the organisations is the dry run's."""
    printed = operated.json("plan", "--as-of", TOMORROW)
    counted = sum(row["reminders"] + row["escalations"] for row in printed["organisations"])
    assert operated.json("run", "--dry-run", "--as-of", TOMORROW)["reminders_dispatched"] == counted


def test_pause_shows_in_status_and_resume_ends_it(operated: Operated) -> None:
    """The reason is shown; a pause of a minute is no problem for a monitor."""
    paused = operated.json("pause", "--reason", "moving the database")
    printed = operated.json("status")
    resumed = operated.json("resume")
    assert ("DISABLED", True, "ENABLED", True) == (
        paused["state"],
        paused["changed"],
        resumed["state"],
        resumed["changed"],
    )
    assert (True, None, "moving the database") == (
        printed["paused"],
        printed["next_tick"],
        printed["schedule"]["reason"],
    )
    assert ["paused"] == [finding["name"] for finding in printed["findings"]]
    assert operated.json("status")["schedule"]["reason"] is None


def test_alert_test_reaches_every_channel(operated: Operated) -> None:
    """Both channels answer, and nothing is written."""
    done = operated.run("alert-test", "--json")
    assert {"sns": "delivered", "slack": "delivered"} == json.loads(done.stdout)["channels"]


def test_unlock_ends_the_holder(operated: Operated) -> None:
    """It shows who holds the lock, asks, and ends that session; no one to ask: exit code 4, and nothing is done."""
    stuck = psycopg.connect(login(operated), autocommit=True, application_name="reminders-lock")
    with closing(stuck), RunLock(stuck).lease(60) as held:
        assert held
        refused = operated.run("unlock")
        assert 4 == refused.returncode
        assert "reminders-lock" in refused.stderr and "--yes" in refused.stderr
        printed = operated.json("unlock", "--yes")
        assert (True, stuck.info.backend_pid) == (printed["ended"], printed["held"]["pid"])
        with pytest.raises(psycopg.OperationalError):
            stuck.execute("SELECT 1")
    assert {"held": None, "ended": False} == operated.json("unlock", "--yes")


def test_migrate_has_nothing_to_do(operated: Operated) -> None:
    """All applied: --check is content."""
    done = operated.run("migrate", "--check")
    assert (0, "No migrations are pending.\n") == (done.returncode, done.stdout)


def test_roles_prints_sql_that_gives_the_login_and_no_password(operated: Operated) -> None:
    """What it prints works in psql, the passwords of the secrets still log in, and stand nowhere in it."""
    made = operated.run("roles", "--from-secrets")
    assert 0 == made.returncode
    assert 5 == made.stdout.count("LOGIN PASSWORD 'SCRAM-SHA-256$4096:")
    uri = login(operated)
    assert str(psycopg.conninfo.conninfo_to_dict(uri)["password"]) not in made.stdout + made.stderr
    assert 0 == operated.run("local", "psql", "-v", "ON_ERROR_STOP=1", "-c", made.stdout).returncode
    with psycopg.connect(uri) as connection:
        assert ("cron_runner",) == connection.execute("SELECT current_user::text").fetchone()


def test_roles_of_a_password_from_standard_input(operated: Operated) -> None:
    """As docs/deploy.md makes the logins: no stack is needed, and the password is not in what is printed."""
    script = "echo a-long-enough-password | reminders roles --role cron_runner --stdin"
    environment = {**operated.environment, "REMINDERS_STATE_DIR": "/nowhere"}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.startswith("ALTER ROLE cron_runner LOGIN PASSWORD 'SCRAM-SHA-256$4096:")
    assert "a-long-enough-password" not in done.stdout


def test_roles_by_psql_on_the_local_stack(operated: Operated) -> None:
    """As the runbook has it for production: DATABASE_URL of the local stack, and the SQL through psql."""
    script = 'eval "$(reminders local env)"; reminders roles --from-secrets | psql -v ON_ERROR_STOP=1 "$DATABASE_URL"'
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env=operated.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, 5) == (done.returncode, done.stdout.count("ALTER ROLE")), done.stderr


def test_the_log_of_the_scheduler_is_kept(operated: Operated) -> None:
    """Assignments without a coordinator, and those that failed: `reminders logs --functions` shows the ids."""
    with psycopg.connect(
        json.loads((operated.state / "local.json").read_text())["database_url"], autocommit=True
    ) as owner:
        made = owner.execute(
            "INSERT INTO public.assignments (org_id, peer_mentor_id, assigned_at, coordinator_id, last_contact_date)"
            " SELECT gen_random_uuid(), gen_random_uuid(), now() - interval '90 days', NULL::uuid, NULL::date"
            " FROM generate_series(1, 30) UNION ALL"
            " SELECT gen_random_uuid(), gen_random_uuid(), now(), gen_random_uuid(), 'infinity' RETURNING id::text"
        ).fetchall()
        ids = [row[0] for row in made]
        try:
            operated.json("run")
            logged = operated.say("logs", "--functions", "--json").out
            findings = operated.json("status")["findings"]
        finally:
            owner.execute("DELETE FROM public.assignments WHERE id = ANY (%s)", [ids])
            operated.json("run")
    assert ids[0] in logged and ids[-1] in logged
    assert ["could not process 1 assignment" in it["what"] for it in findings if it["name"] == "not_processed"] == [
        True
    ]


def test_doctor_finds_nothing_on_a_healthy_stack(operated: Operated) -> None:
    """Every check answers, and none complains."""
    printed = operated.json("doctor")
    assert [] == [finding for finding in printed["findings"] if finding["level"] in {"problem", "warning"}]
    assert {"ok", "skipped"} == {finding["level"] for finding in printed["findings"]}
    done = operated.run("doctor")
    assert (0, True) == (done.returncode, "Nothing is wrong." in done.stdout)


def test_completion_completes(operated: Operated) -> None:
    """What a shell asks after `reminders st` is answered."""
    asked = {"_REMINDERS_COMPLETE": "bash_complete", "COMP_WORDS": "reminders st", "COMP_CWORD": "1"}
    assert "plain,status\n" == operated.run(**asked).stdout
    script = 'eval "$(_REMINDERS_COMPLETE=bash_source reminders)"; complete -p reminders'
    done = subprocess.run(["bash", "-c", script], env=operated.environment, capture_output=True, text=True, check=True)
    assert "-F _reminders_completion reminders" in done.stdout


def test_no_command_prints_a_secret(operated: Operated) -> None:
    """Not in tables, not in JSON, not in errors."""
    looks = [["status", "--json"], ["doctor"], ["doctor", "--json"], ["logs"], ["migrate"]]
    said = "".join(done.out + done.err for done in (operated.say(*look) for look in looks))
    assert [] == [secret for secret in operated.secrets if secret in said]


@pytest.mark.matrix
def test_demo_is_the_demo(operated: Operated) -> None:
    """Small, it takes some seconds; all promises are kept. The server that DATABASE_URL names is not touched."""
    done = operated.run("demo", "--assignments", "100", DATABASE_URL="postgresql://postgres:x@127.0.0.1:1/postgres")
    assert (0, True) == (done.returncode, "promises were kept" in done.stdout)
