"""Policies: which rows each persona sees and may write, against matrix.toml."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors, sql

from reminders.database import Connection
from tests.helpers.cases import table
from tests.migrations.matrix import MATRIX
from tests.migrations.personas import ASSIGNMENT, COORDINATOR, MENTOR, ORG, UNRELATED_USER, claims

Params = Sequence[object] | Mapping[str, object]
OF_A = [str(ORG["a"])]
# Each with a role, and the claims that PostgREST would have set.
PERSONAS: dict[str, tuple[str, dict[str, Any] | None]] = {
    "visitor": ("anon", {"role": "anon"}),
    "without_claims": ("authenticated", None),
    "unrelated_user": ("authenticated", claims()),
    "mentor": ("authenticated", claims(MENTOR["a"])),
    "coordinator": ("authenticated", claims(COORDINATOR["a"])),
    "admin": ("authenticated", claims(role="admin")),
    "admin_of_a": ("authenticated", claims(role="admin", org_ids=OF_A)),
    "admin_of_nothing": ("authenticated", claims(role="admin", org_ids=[])),
    "admin_of_a_who_mentors_in_b": ("authenticated", claims(MENTOR["b"], role="admin", org_ids=OF_A)),
    "self_made_admin": ("authenticated", {**claims(), "user_metadata": {"role": "admin"}}),
    "almost_admin": ("authenticated", claims(role="administrator")),
    "service_role": ("service_role", {"role": "service_role"}),
    "cron_runner": ("cron_runner", None),
    "reminder_scheduler": ("reminder_scheduler", None),
    "contact_admin_api": ("contact_admin_api", claims(role="admin")),
    "reminder_courier": ("reminder_courier", None),
    "message_feedback": ("message_feedback", None),
}
LABEL = {
    "assignments": "SELECT id FROM assignments",
    "activities": "SELECT assignment_id FROM activities",
    "contact_date_corrections": "SELECT assignment_id FROM contact_date_corrections",
    "admin_changes": "SELECT org_id FROM admin_changes",
    "my_reminder_settings": "SELECT org_id FROM my_reminder_settings()",
    "org_settings": "SELECT org_id FROM org_settings",
    "notifications": "SELECT recipient_id FROM notifications",
    "recipient_settings": "SELECT person_id FROM recipient_settings",
    "devices": "SELECT person_id FROM devices",
    "cron_execution_logs": "SELECT 'run' FROM cron_execution_logs",
    "cron_execution_log": "SELECT 'run' FROM cron_execution_log",
}
# How the functions for admins answer those who may not.
REFUSED = ("PT403", "PT404")
NAMES: dict[object, str] = {
    **{value: key for each in (ORG, ASSIGNMENT) for key, value in each.items()},
    **{value: f"{key} mentor" for key, value in MENTOR.items()},
    **{value: f"{key} coordinator" for key, value in COORDINATOR.items()},
    "run": "run",
}


@contextmanager
def as_persona(connection: Connection, name: str) -> Iterator[None]:
    role, its_claims = PERSONAS[name]
    with connection.transaction(force_rollback=True):
        if its_claims is not None:
            connection.execute("SELECT set_config('request.jwt.claims', %s, true)", [json.dumps(its_claims)])
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
        yield


def seen(connection: Connection, persona: str, table: str) -> list[str]:
    try:
        with as_persona(connection, persona):
            return sorted(NAMES[row[0]] for row in connection.execute(LABEL[table].encode()).fetchall())
    except errors.InsufficientPrivilege:
        return []


def may(connection: Connection, persona: str, statement: str, values: Params) -> bool:
    """Whether a row is returned or changed, and nothing refused."""
    try:
        with as_persona(connection, persona):
            return connection.execute(statement.encode(), values).rowcount > 0
    except errors.InsufficientPrivilege:
        return False
    except psycopg.DatabaseError as error:
        if error.sqlstate not in REFUSED:
            raise
        return False


def by_persona(found: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: rows for name, rows in found.items() if rows}


def test_each_persona_sees_the_rows_of_the_matrix(filled: Connection) -> None:
    """Mentors and coordinators see their own, admins their organisations' and the ledger, strangers nothing."""
    for relation, of_each in MATRIX["rows"].items():
        expected = {name: sorted(rows) for name, rows in of_each.items()}
        assert expected == by_persona({name: seen(filled, name, relation) for name in PERSONAS}), relation


@table("path", MATRIX["may_log"])
def test_each_persona_logs_contact_where_the_matrix_says(filled: Connection, path: str) -> None:
    """A mentor for their own assignment, a coordinator for the assignments they coordinate, by their paths."""
    statement = """
        INSERT INTO activities (assignment_id, activity_type, recorded_date, registered_by, registration_path)
        VALUES (%s, 'meeting', '2025-07-01', %s, %s)
    """
    found = {
        persona: [
            key
            for key, assignment in ASSIGNMENT.items()
            if may(filled, persona, statement, [assignment, (its or {}).get("sub"), path])
        ]
        for persona, (_, its) in PERSONAS.items()
    }
    assert MATRIX["may_log"][path] == by_persona(found)


def test_each_persona_corrects_where_the_matrix_says(filled: Connection) -> None:
    """Only admins, and only in the organisations that their claims name, whatever else they can see."""
    statement = """
        INSERT INTO contact_date_corrections (assignment_id, old_date, new_date, reason)
        VALUES (%s, '2025-06-02', '2025-07-01', 'met in July')
    """
    found = {
        persona: [key for key, assignment in ASSIGNMENT.items() if may(filled, persona, statement, [assignment])]
        for persona in PERSONAS
    }
    assert MATRIX["may_correct"] == by_persona(found)


CHANGES = {
    "admin_set_coordinator": f"""
        SELECT admin_set_coordinator(
            assignment_id => %(assignment)s, coordinator_id => '{UNRELATED_USER}', reason => 'on leave',
            expected_coordinator_id => %(coordinator)s)
    """,
    "admin_close_assignment": "SELECT admin_close_assignment(%(assignment)s, 'moved away')",
    "admin_set_thresholds": "SELECT admin_set_thresholds(%(org)s, 7, 14)",
    "admin_set_activity_type": "SELECT admin_set_activity_type('letter to ' || %(org)s::text, true)",
}


@table("function", MATRIX["may_change"])
def test_each_persona_changes_what_the_matrix_says(filled: Connection, function: str) -> None:
    """Only admins, and only in the organisations that their claims name, whatever else they can see."""
    values = {key: {"org": ORG[key], "assignment": ASSIGNMENT[key], "coordinator": COORDINATOR[key]} for key in ORG}
    found = {
        persona: [key for key in ORG if may(filled, persona, CHANGES[function], values[key])] for persona in PERSONAS
    }
    assert MATRIX["may_change"][function] == by_persona(found)


def test_each_persona_marks_as_read_what_the_matrix_says(filled: Connection) -> None:
    """Everyone their own notifications. An admin sees those of others, and does not mark them."""
    statement = "UPDATE notifications SET read_at = 'now' WHERE recipient_id = %s"
    recipients = {
        f"{key} {kind}": who[key] for key in ORG for kind, who in (("mentor", MENTOR), ("coordinator", COORDINATOR))
    }
    found = {
        persona: [name for name, recipient in recipients.items() if may(filled, persona, statement, [recipient])]
        for persona in PERSONAS
    }
    assert MATRIX["may_mark_as_read"] == by_persona(found)


def test_mentor_cannot_sign_for_another(filled: Connection) -> None:
    """registered_by is the one who asks."""
    statement = """
        INSERT INTO activities (assignment_id, activity_type, recorded_date, registered_by, registration_path)
        VALUES (%s, 'meeting', '2025-07-01', %s, 'direct')
    """
    assert not may(filled, "mentor", statement, [ASSIGNMENT["a"], COORDINATOR["a"]])


@table("org_ids", [None, "*", ["*"], str(ORG["a"]), {}, 7], ids=["null", "star", "stars", "text", "object", "number"])
def test_malformed_organisation_claim_opens_nothing(filled: Connection, org_ids: object) -> None:
    """An org_ids that is no list of ids limits to nothing; it must not be read as "no limit"."""
    with filled.transaction(force_rollback=True):
        its_claims = json.dumps(claims(role="admin", org_ids=org_ids))
        filled.execute("SELECT set_config('request.jwt.claims', %s, true)", [its_claims])
        filled.execute("SET LOCAL ROLE authenticated")
        assert filled.execute("SELECT id FROM assignments").fetchall() == []


def test_cron_runner_cannot_rewrite_history(filled: Connection) -> None:
    """A settled row is hidden from every UPDATE, even that of the role that settles rows."""
    filled.execute("UPDATE cron_execution_logs SET status = 'success', completed_at = now() WHERE status = 'running'")
    with as_persona(filled, "cron_runner"):
        changed = filled.execute("UPDATE cron_execution_logs SET note = 'it never happened'")
        assert changed.rowcount == 0
