"""`reminders doctor --adopt`: whether a project fits, before the first migration and after the last."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator

import psycopg
import pytest

from ops.cli.doctor import adoption
from ops.local.database import apply_shim, create_database, drop_database
from ops.local.server import Server
from reminders.database import Connection
from tests.existing import Project, project_on
from tests.helpers.cases import table
from tests.migrations.catalog import snapshot


def doctor(project: Project) -> tuple[int, str]:
    command = [sys.executable, "-m", "ops.cli", "doctor", "--adopt", "--json", "--database", project.dsn]
    environment = {name: value for name, value in os.environ.items() if name != "REMINDERS_STACK"}
    environment["REMINDERS_STATE_DIR"] = "/nonexistent"
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=150, check=False)
    return done.returncode, done.stdout


@pytest.mark.parametrize(("name", "code"), [("other_words", 1), ("own_notifications", 0)])
def test_command(server: Server, name: str, code: int) -> None:
    """With a database and nothing else: what does not fit, what deserves a look, and exit code 1 for the former."""
    with project_on(server, name) as project:
        before = snapshot(project.connection)
        returned, text = doctor(project)
        printed = json.loads(text)["findings"]
        assert code == returned
        assert project.reasons == [finding["what"] for finding in printed if finding["level"] == "problem"]
        assert {"database", "server version", "app's tables"} == {finding["check"] for finding in printed}
        assert before == snapshot(project.connection)


def test_notifications_that_are_left_alone(server: Server) -> None:
    """The report says so, with the reasons."""
    with project_on(server, "required_title") as project:
        said = [finding.what for finding in adoption.report(project.connection)]
    expected = "notifications is left as it is, and the reminders go to reminder_notifications: "
    assert expected + "notifications.title must be given, and we do not know it" in said


@pytest.fixture
def supabase(server: Server) -> Iterator[Connection]:
    """A new project, as a superuser whose transaction is rolled back: roles belong to all tests."""
    name = create_database(server, f"test_{uuid.uuid4().hex[:12]}")
    try:
        apply_shim(server, name)
        with psycopg.connect(server.dsn(server.superuser, name)) as connection:
            yield connection
            connection.rollback()
    finally:
        drop_database(server, name)


ROLES = "CREATE ROLE cron_runner; CREATE ROLE contact_admin_api; "
SEEN = {
    "role": (
        "ALTER ROLE reminder_scheduler BYPASSRLS",
        "role reminder_scheduler may too much: it has BYPASSRLS",
        "ALTER ROLE reminder_scheduler NOBYPASSRLS;",
    ),
    "member": (
        "GRANT service_role TO reminder_scheduler",
        "role reminder_scheduler may too much: it is a member of service_role",
        "REVOKE service_role FROM reminder_scheduler;",
    ),
    "no Supabase": (
        "DROP FUNCTION auth.uid()",
        "auth.uid() is missing, which every Supabase project has",
        "Is this the database of a Supabase project?",
    ),
    "schema": (
        "CREATE SCHEMA reminder_private",
        "schema reminder_private exists, and is not ours",
        "ALTER SCHEMA reminder_private RENAME TO reminder_private_before;",
    ),
    "statuses": (
        "CREATE TABLE reminder_statuses (status int, is_open text)",
        "reminder_statuses exists, and has not the columns status (text) and is_open (boolean)",
        "ALTER TABLE public.reminder_statuses RENAME TO reminder_statuses_before;",
    ),
    "no open word": (
        "CREATE TABLE reminder_statuses (status text, is_open boolean)",
        "reminder_statuses names no status that is open",
        "INSERT INTO public.reminder_statuses VALUES ('...', true); -- the status of assignments that go on",
    ),
    "generated": (
        "CREATE TABLE assignments (id uuid PRIMARY KEY, org_id uuid, peer_mentor_id uuid, coordinator_id uuid,"
        " status text, assigned_at timestamptz, met date, last_contact_date date GENERATED ALWAYS AS (met) STORED);"
        " ALTER TABLE assignments ENABLE ROW LEVEL SECURITY",
        "assignments.last_contact_date is a generated column, and contact has to move it",
        "ALTER TABLE public.assignments ALTER COLUMN last_contact_date DROP EXPRESSION;",
    ),
    "left over": (
        "CREATE TABLE org_settings (org_id uuid PRIMARY KEY, reminder_days int, escalation_days int);"
        " ALTER TABLE org_settings ENABLE ROW LEVEL SECURITY;"
        " CREATE POLICY scheduler_reads_settings ON org_settings USING (true)",
        "policy scheduler_reads_settings on org_settings is left over from earlier",
        "DROP POLICY scheduler_reads_settings ON org_settings;",
    ),
    "open to all": (
        "CREATE TABLE org_settings (org_id uuid PRIMARY KEY, reminder_days int, escalation_days int)",
        "row level security is off on org_settings, and anon has rights: everybody can reach its rows",
        "ALTER TABLE public.org_settings ENABLE ROW LEVEL SECURITY; REVOKE ALL ON public.org_settings FROM anon;"
        " -- then look at its policies",
    ),
}


@table("case", SEEN)
def test_what_is_seen(supabase: Connection, case: str) -> None:
    """Each with the SQL that helps, and nothing else is complained about."""
    statement, what, fix = SEEN[case]
    with supabase.transaction(force_rollback=True):
        for role in ("cron_runner", "reminder_scheduler", "contact_admin_api"):
            # As the migrations make them, which have not been here when this test is the first of its session.
            create = f"CREATE ROLE {role} NOLOGIN NOINHERIT"
            supabase.execute(f"DO $$ BEGIN IF to_regrole('{role}') IS NULL THEN {create}; END IF; END $$".encode())
        supabase.execute(statement.encode())
        assert [(what, fix)] == [(finding.what, finding.fix) for finding in adoption.report(supabase)]


def test_every_name_of_ours_is_asked_for(owner: Connection) -> None:
    """A later migration that makes a table or function adds its name to the check of the first."""
    apps = {"assignments", "org_settings", "activities", "notifications"}
    made = owner.execute(
        """
        SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
        UNION ALL
        SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        """
    ).fetchall()
    asked = set(re.findall(r"'(?:public\.)?(\w+)'", adoption.FIRST_MIGRATION.read_text(encoding="utf-8")))
    assert set() == {name for (name,) in made} - apps - asked
