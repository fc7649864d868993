"""
Projects that had tables before (tests/projects): each works from end to end, or is refused before anything changed.

On every PostgreSQL that is installed; `PG_BIN` names another.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handlers import admin
from ops.cli.doctor import adoption, rights, shapes
from ops.cli.doctor.examination import Examination
from ops.cli.targets.base import TargetOptions
from ops.cli.targets.database import BareDatabase
from ops.local.aws import Aws
from ops.local.function_url import FunctionUrl
from ops.local.postgres import Postgres
from ops.local.server import Server
from ops.local.slack import Slack
from ops.local.stack import LocalStack
from ops.migrations import MigrationError, migrate
from reminders.database import Connection
from tests.existing import Project, named, project_on
from tests.factories import add_assignment, runs
from tests.helpers.admin_endpoint import AdminEndpoint
from tests.helpers.cases import first
from tests.helpers.stacks import stack_on
from tests.migrations.catalog import snapshot
from tests.ops.helpers import installed
from tests.tokens import SECRET

ISSUER = "https://project.example/auth/v1"
TODAY = datetime.now(UTC).date()


@pytest.fixture(scope="module", params=first(1, installed()), ids=lambda path: str(path or "wheel"))
def a_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with Postgres.start(pg_bin=request.param) as started:
        yield started


@pytest.fixture
def project(a_server: Server, request: pytest.FixtureRequest) -> Iterator[Project]:
    with project_on(a_server, request.param) as made:
        yield made


@pytest.mark.parametrize("project", named("^-- refused"), indirect=True)
def test_project_that_is_refused(project: Project) -> None:
    """Every reason is said, by the doctor beforehand and by the migration alike, and nothing is changed."""
    before = snapshot(project.connection)
    said = [finding for finding in adoption.report(project.connection) if finding.level == "problem"]
    assert sorted(project.reasons) == sorted(finding.what for finding in said)
    with pytest.raises(MigrationError) as refused:
        migrate(project.dsn)
    lines = str(refused.value)
    assert "This project does not fit yet, and nothing was changed." in lines
    assert all(f"- {finding.what}\n    {finding.fix}" in lines for finding in said), lines
    assert before == snapshot(project.connection)


@pytest.mark.parametrize("project", first(4, named("^-- works")), indirect=True)
def test_project_that_works(project: Project, aws: Aws, slack: Slack, scheduler_url: str) -> None:
    """The doctor has no objection; then a run, contact, a correction, and a second run."""
    assert [] == [finding for finding in adoption.report(project.connection) if finding.level == "problem"]
    migrate(project.dsn)
    check_whole_story(project, aws, slack, scheduler_url)


@pytest.mark.parametrize("project", first(2, named("^-- then works")), indirect=True)
def test_project_that_works_with_the_sql_that_helps(
    project: Project, aws: Aws, slack: Slack, scheduler_url: str
) -> None:
    """What stands beside each reason is SQL that can be pasted, and after it the project fits."""
    for finding in adoption.report(project.connection):
        if finding.level == "problem":
            project.connection.execute(finding.fix.encode())
    migrate(project.dsn)
    check_whole_story(project, aws, slack, scheduler_url)


def check_whole_story(project: Project, aws: Aws, slack: Slack, scheduler_url: str) -> None:
    evaluated, dispatched = project.expected
    with (
        stack_on(project.server, project.database, aws, slack, scheduler_url) as stack,
        pytest.MonkeyPatch.context() as patched,
    ):
        patched.setenv("SCHEDULER_SHARDS", "3")
        first = stack.invoke({"action": "run"})
        assert ("success", evaluated, dispatched, 0) == counts(first)
        again = stack.invoke({"action": "run"})
        assert ("success", evaluated, 0, 0) == counts(again)
        if evaluated:
            check_contact(project)
            check_correction(project, aws)
            plan = stack.invoke({"action": "run", "dry_run": True, "as_of": f"{TODAY + timedelta(days=90)}"})
            assert evaluated == plan["assignments_evaluated"] and plan["would_notify"]
    examination = Examination(BareDatabase(TargetOptions(database=project.dsn)), project.connection)
    found = [*adoption.app_tables(examination), *rights.grants(examination), *shapes.compare(examination)]
    assert [] == [finding for finding in found if finding.level == "problem"]


def test_word_that_came_after_the_migrations(stack: LocalStack, owner: Connection) -> None:
    """A run that finds nothing open says so of itself, and the doctor names the words; with them listed it works."""
    add_assignment(owner, 10, today=TODAY, status="active")
    answer = stack.invoke({"action": "run"})
    note = "no assignment is open; with a status that reminder_statuses does not list: 1"
    assert ("success", 0, note) == (answer["status"], answer["assignments_evaluated"], answer["note"])
    assert [note] == [row["note"] for row in runs(owner)]
    said = [finding for finding in adoption.report(owner) if finding.level == "problem"]
    assert ["assignments.status is never 'open', but 'active' (1)"] == [finding.what for finding in said]
    owner.execute(said[0].fix.replace("false", "true").encode())
    again = stack.invoke({"action": "run"})
    assert (1, 1, None) == (again["assignments_evaluated"], again["reminders_dispatched"], again["note"])


def counts(answer: dict[str, Any]) -> tuple[str, int, int, int]:
    names = ("status", "assignments_evaluated", "reminders_dispatched", "assignments_failed")
    return tuple(answer[name] for name in names)


def open_notifications(project: Project, assignment: object) -> int:
    table = project.one("SELECT notifications FROM reminder_private.project")
    query = f"SELECT count(*) FROM {table} WHERE assignment_id = %s AND resolved_at IS NULL"
    return int(project.one(query, assignment))


def check_contact(project: Project) -> None:
    """An activity moves the date, and what spoke of the gap is resolved."""
    assignment = project.one("SELECT id FROM reminder_private.open_assignments ORDER BY id LIMIT 1")
    assert open_notifications(project, assignment) > 0
    generated = """
        SELECT 1 FROM pg_attribute
        WHERE attrelid = 'activities'::regclass AND attname = 'activity_type' AND attgenerated <> ''
    """
    columns, values = (
        ("", "") if project.one(generated) else (", activity_type, recorded_date", ", 'meeting', current_date")
    )
    project.connection.execute(
        f"INSERT INTO activities (assignment_id{columns}) VALUES (%s{values})".encode(), [assignment]
    )
    assert TODAY == project.one("SELECT last_contact_date FROM assignments WHERE id = %s", assignment)
    assert 0 == open_notifications(project, assignment)


def check_correction(project: Project, aws: Aws) -> None:
    """An admin takes a contact back by the endpoint, with the id as the project has it."""
    assignment = project.one("SELECT id FROM reminder_private.open_assignments ORDER BY id DESC LIMIT 1")
    day = TODAY - timedelta(days=3)
    prefix = f"reminders/{uuid.uuid4().hex[:8]}"
    aws.put_secret(f"{prefix}/admin", project.server.dsn("contact_admin_api", project.database))
    aws.put_secret(f"{prefix}/jwt", SECRET)
    with pytest.MonkeyPatch.context() as patched, FunctionUrl(admin.handler, timeout=30) as served:
        patched.setenv("DATABASE_SECRET", f"{prefix}/admin")
        patched.setenv("SUPABASE_JWT_SECRET", f"{prefix}/jwt")
        patched.setenv("SUPABASE_JWT_ISSUER", ISSUER)
        endpoint = AdminEndpoint(served.url, ISSUER)
        made = endpoint.correct(assignment, day)
        assert (200, str(day)) == (made.status_code, made.json()["new_date"]), made.text
        other = 12 if isinstance(assignment, uuid.UUID) else uuid.UUID(int=7)
        assert 404 == endpoint.correct(other, day).status_code
    assert day == project.one("SELECT last_contact_date FROM assignments WHERE id = %s", assignment)
