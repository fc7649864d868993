"""What the tests of the schema share: a superuser's connection, which can become any role, and a filled database."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import psycopg
import pytest

from ops.local.server import Server
from reminders.database import Connection
from tests.helpers import supabase_cli
from tests.migrations.personas import ASSIGNMENT, COORDINATOR, MENTOR, ORG, UNRELATED_USER


@pytest.fixture
def superuser(server: Server, database: str) -> Iterator[Connection]:
    with psycopg.connect(server.dsn(server.superuser, database), autocommit=True) as connection:
        yield connection


@pytest.fixture
def filled(superuser: Connection) -> Connection:
    """Organisations a and b, each with one of everything; a superuser's connection."""
    for key, org in ORG.items():
        superuser.execute("INSERT INTO org_settings (org_id) VALUES (%s)", [org])
        superuser.execute(
            """
            INSERT INTO assignments (id, org_id, peer_mentor_id, coordinator_id, assigned_at, last_contact_date)
            VALUES (%s, %s, %s, %s, '2025-01-01', '2025-06-01')
            """,
            [ASSIGNMENT[key], org, MENTOR[key], COORDINATOR[key]],
        )
        superuser.execute(
            "INSERT INTO activities (assignment_id, activity_type, recorded_date) VALUES (%s, 'meeting', '2025-06-01')",
            [ASSIGNMENT[key]],
        )
        superuser.execute(
            """
            INSERT INTO contact_date_corrections (assignment_id, old_date, new_date, reason, corrected_by)
            VALUES (%s, '2025-06-01', '2025-06-02', 'logged late', %s)
            """,
            [ASSIGNMENT[key], UNRELATED_USER],
        )
        superuser.execute(
            """
            INSERT INTO admin_changes (what, org_id, old_value, new_value, changed_by)
            VALUES ('thresholds', %s, '{"reminder_days": 9}', '{"reminder_days": 10}', %s)
            """,
            [org, UNRELATED_USER],
        )
        for kind, recipient in (("reminder", MENTOR[key]), ("escalation", COORDINATOR[key])):
            superuser.execute(
                """
                INSERT INTO notifications (assignment_id, recipient_id, kind, contact_anchor, gap_days)
                VALUES (%s, %s, %s, '2025-06-02', 20)
                """,
                [ASSIGNMENT[key], recipient, kind],
            )
            _add_message(superuser, org, recipient)
    superuser.execute(
        """
        INSERT INTO cron_execution_logs (job_name, trigger_source, status)
        VALUES ('assignment-reminder-cron', 'manual', 'running')
        """
    )
    return superuser


def _add_message(superuser: Connection, org: UUID, person: UUID) -> None:
    """A person with an address, settings and a device, and a message of each status to them."""
    superuser.execute("INSERT INTO auth.users (id, email) VALUES (%s, %s)", [person, f"{person}@example.org"])
    superuser.execute("INSERT INTO recipient_settings (person_id) VALUES (%s)", [person])
    superuser.execute(
        "INSERT INTO devices (person_id, platform, token, endpoint_arn) VALUES (%s, 'fcm', %s, 'arn')",
        [person, str(person)],
    )
    superuser.execute(
        """
        WITH message AS (
            INSERT INTO messages (org_id, recipient_id, channel, local_date, send_after, expires_at, next_attempt_at)
            VALUES (%s, %s, 'email', current_date, now() - interval '1 h', now() + interval '1 h', now()) RETURNING id
        )
        INSERT INTO message_items (notification_id, channel, message_id)
        SELECT max(n.id), 'email', (SELECT id FROM message) FROM notifications AS n
        """,
        [org, person],
    )


@pytest.fixture(scope="session")
def cli(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Supabase CLI's path."""
    return supabase_cli.installed(tmp_path_factory.mktemp("supabase"))
