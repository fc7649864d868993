"""A database whose settings are not the usual ones (ALTER DATABASE ... SET): the job does as always."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from ops.local.server import MIGRATOR, Server
from ops.local.stack import LocalStack
from reminders.database import Connection
from tests.contacts import MENTOR, add_notification, add_pair, as_user, last_contact, notifications, today
from tests.database_settings import HOSTILE, INDIFFERENT, OF_CLIENTS, set_for_database
from tests.factories import runs


@pytest.mark.parametrize("settings", [HOSTILE, INDIFFERENT], ids=["pinned", "indifferent"])
def test_run_and_watchdog(
    server: Server, database: str, owner: Connection, stack: LocalStack, settings: dict[str, str]
) -> None:
    """A run dispatches what is due, and the watchdog finds its row."""
    add_pair(owner, last=15)
    set_for_database(server, database, settings)
    answer = stack.invoke({})
    assert ("success", 1) == (answer["status"], answer["reminders_dispatched"])
    stack.watch()
    assert ["success"] == [run["status"] for run in runs(owner)]


@pytest.mark.parametrize("settings", [OF_CLIENTS, INDIFFERENT], ids=["pinned for ours", "indifferent"])
def test_contact_that_a_client_logs(server: Server, database: str, owner: Connection, settings: dict[str, str]) -> None:
    """Our triggers run in sessions of the app, whose settings are the app's: they do what they always do."""
    pair, day = add_pair(owner, last=15), today(owner)
    add_notification(owner, pair, day - timedelta(days=15))
    set_for_database(server, database, settings)
    with psycopg.connect(server.dsn(MIGRATOR, database), autocommit=True) as connection, as_user(connection, MENTOR):
        connection.execute(
            """
            INSERT INTO public.activities
                (assignment_id, activity_type, recorded_date, registered_by, registration_path)
            VALUES (%s, 'meeting', %s::text::date, %s, 'direct')
            """,
            [pair, (day - timedelta(days=1)).isoformat(), MENTOR],
        )
    assert day - timedelta(days=1) == last_contact(owner, pair)
    assert [("reminder", day - timedelta(days=15), False)] == notifications(owner, pair)
