"""The contact hook's rules: which activities move the date, how far, and who may."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from psycopg import errors
from psycopg.errors import Diagnostic

from reminders.database import Connection
from tests.contacts import (
    MENTOR,
    add_notification,
    add_pair,
    as_user,
    last_contact,
    log_contact,
    notifications,
    one,
    today,
)
from tests.helpers.cases import table


@table("last", [15, None])
def test_newest_contact_counts(owner: Connection, last: int | None) -> None:
    """The date moves to the newest of them, whatever the order; a pair without contact gets its first."""
    now = today(owner)
    pair = add_pair(owner, last=last)
    for days in (5, 3, 4):
        log_contact(owner, pair, now - timedelta(days=days))
    assert last_contact(owner, pair) == now - timedelta(days=3)


def test_newest_of_one_statement_counts(owner: Connection) -> None:
    """A form that saves several meetings at once."""
    now = today(owner)
    pair = add_pair(owner, last=15)
    owner.execute(
        "INSERT INTO activities (assignment_id, activity_type, recorded_date)"
        " SELECT %s, 'meeting', day FROM unnest(%s::date []) AS day",
        [pair, [now - timedelta(days=days) for days in (5, 3, 4)]],
    )
    assert last_contact(owner, pair) == now - timedelta(days=3)


def test_contact_older_than_the_last(owner: Connection) -> None:
    """An old meeting is entered: the date does not move back."""
    pair = add_pair(owner, last=5)
    log_contact(owner, pair, today(owner) - timedelta(days=20))
    assert last_contact(owner, pair) == today(owner) - timedelta(days=5)


def test_future_contact_is_ignored(owner: Connection) -> None:
    """A wrong year must not silence a pair: neither is the date taken, nor cut to today."""
    now = today(owner)
    pair = add_pair(owner, last=15)
    owner.execute(
        """
        INSERT INTO activities (assignment_id, activity_type, recorded_date)
        VALUES (%(pair)s, 'meeting', %(tomorrow)s), (%(pair)s, 'meeting', %(past)s), (%(pair)s, 'meeting', 'infinity')
        """,
        {"pair": pair, "tomorrow": now + timedelta(days=1), "past": now - timedelta(days=2)},
    )
    assert last_contact(owner, pair) == now - timedelta(days=2)


@table("stands", ["infinity", "2062-01-01"])
def test_contact_under_a_date_that_is_to_come(owner: Connection, stands: str) -> None:
    """A date never moves back by itself, not even one that is wrong: an admin corrects it, and says why."""
    pair = add_pair(owner)
    owner.execute("UPDATE assignments SET last_contact_date = %s WHERE id = %s", [stands, pair])
    log_contact(owner, pair, today(owner))
    assert stands == one(owner, "SELECT last_contact_date::text FROM assignments WHERE id = %s", pair)


def test_first_contact_before_the_assignment_began(owner: Connection) -> None:
    """It would lengthen the gap: the pair would be reminded because it has met."""
    now = today(owner)
    pair = add_pair(owner, last=None, began=3)
    log_contact(owner, pair, now - timedelta(days=40))
    assert last_contact(owner, pair) is None
    log_contact(owner, pair, now - timedelta(days=3))
    assert last_contact(owner, pair) == now - timedelta(days=3)


def test_type_that_is_no_contact(owner: Connection) -> None:
    """Only the types in contact_activity_types count, and those are data."""
    now = today(owner)
    pair = add_pair(owner, last=15)
    log_contact(owner, pair, now, "paperwork")
    assert last_contact(owner, pair) == now - timedelta(days=15)
    owner.execute("INSERT INTO contact_activity_types VALUES ('paperwork')")
    log_contact(owner, pair, now, "paperwork")
    assert last_contact(owner, pair) == now


def test_updates_and_deletes_change_nothing(owner: Connection) -> None:
    """To take a contact back one corrects the date, and says why."""
    now = today(owner)
    pair = add_pair(owner, last=15)
    log_contact(owner, pair, now - timedelta(days=4))
    owner.execute("UPDATE activities SET recorded_date = %s", [now])
    owner.execute("DELETE FROM activities")
    assert last_contact(owner, pair) == now - timedelta(days=4)


def test_upsert_that_updates_changes_nothing(owner: Connection) -> None:
    """Only the rows that an upsert inserts are news."""
    now = today(owner)
    pair = add_pair(owner, last=15)
    upsert = """
        INSERT INTO activities (id, assignment_id, activity_type, recorded_date) VALUES (7, %s, 'meeting', %s)
        ON CONFLICT (id) DO UPDATE SET recorded_date = excluded.recorded_date
    """
    owner.execute(upsert, [pair, now - timedelta(days=4)])
    owner.execute(upsert, [pair, now])
    assert last_contact(owner, pair) == now - timedelta(days=4)


def test_debug_line_names_assignment_old_and_new(owner: Connection) -> None:
    """An operator who asks why a date is what it is gets the answer from the log, once for each move."""
    now = today(owner)
    pair = add_pair(owner, last=15)
    notices: list[str | None] = []
    owner.add_notice_handler(lambda notice: notices.append(_debug(notice)))
    owner.execute("SET client_min_messages = debug1")
    log_contact(owner, pair, now)
    log_contact(owner, pair, now)
    expected = f"assignment {pair}: last contact {now - timedelta(days=15)} -> {now}, open"
    assert [line for line in notices if line and str(pair) in line] == [expected]


def _debug(notice: Diagnostic) -> str | None:
    return notice.message_primary if notice.severity_nonlocalized == "DEBUG" else None


def test_only_the_gap_that_ended_is_resolved(owner: Connection) -> None:
    """A notification with the new date as its anchor stays open, as do those of other pairs."""
    now = today(owner)
    pair, other = add_pair(owner, last=15), add_pair(owner, last=15)
    for each in (pair, other):
        add_notification(owner, each, now - timedelta(days=15))
    add_notification(owner, pair, now - timedelta(days=2))
    log_contact(owner, pair, now - timedelta(days=2))
    assert [is_open for _, _, is_open in notifications(owner, pair)] == [False, True]
    assert [is_open for _, _, is_open in notifications(owner, other)] == [True]


def test_update_of_something_else_settles_nothing(owner: Connection) -> None:
    """What an app resolved on its own stays so while date and status do not change."""
    pair = add_pair(owner, last=15)
    add_notification(owner, pair, today(owner) - timedelta(days=15))
    owner.execute("UPDATE notifications SET resolved_at = now()")
    owner.execute("UPDATE assignments SET coordinator_id = NULL, status = status")
    assert [is_open for _, _, is_open in notifications(owner, pair)] == [False]


LOG = """
    INSERT INTO activities (assignment_id, activity_type, recorded_date, registered_by)
    VALUES (%(pair)s, 'meeting', now(), %(mentor)s)
"""
ATTACKS = {
    "activity": LOG,
    "update": "UPDATE assignments SET last_contact_date = now() WHERE id = %(pair)s",
    "call": "SELECT log_contact()",
    "trigger": "CREATE TRIGGER t AFTER INSERT ON pg_temp.mine EXECUTE FUNCTION public.log_contact()",
}


def test_mentor_logs_contact_without_a_right_on_assignments(owner: Connection) -> None:
    """The hook moves the date for a mentor, who may not."""
    now = today(owner)
    pair = add_pair(owner, last=15)
    with as_user(owner, MENTOR):
        owner.execute(LOG.encode(), {"pair": pair, "mentor": MENTOR})
    assert last_contact(owner, pair) == now


@table("attack", ATTACKS)
def test_mentor_cannot_move_the_date_of_another_pair(owner: Connection, attack: str) -> None:
    """Neither by an activity for it, nor by an UPDATE, nor by calling the hook or lending it to a table."""
    now = today(owner)
    other = add_pair(owner, last=15)
    owner.execute("UPDATE assignments SET peer_mentor_id = %s, coordinator_id = NULL", [UUID(int=9)])
    owner.execute("CREATE TEMP TABLE IF NOT EXISTS mine (); GRANT ALL ON mine TO authenticated")
    with pytest.raises(errors.InsufficientPrivilege), as_user(owner, MENTOR):
        owner.execute(ATTACKS[attack].encode(), {"pair": other, "mentor": MENTOR})
    assert last_contact(owner, other) == now - timedelta(days=15)


def test_new_start_of_a_pair_without_contact(owner: Connection) -> None:
    """Its gap begins on the new day, so the notification is about a gap that is no more."""
    now = today(owner)
    pair = add_pair(owner, last=None, began=30)
    add_notification(owner, pair, now - timedelta(days=30))
    owner.execute("UPDATE assignments SET assigned_at = assigned_at + interval '20 days'")
    assert [("reminder", now - timedelta(days=30), False)] == notifications(owner, pair)
