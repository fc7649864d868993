"""Composing: which notification goes into which message, and when it may be sent."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest

from reminders.database import Connection
from tests.factories import COORDINATOR, MENTOR, ORG, add_assignment
from tests.helpers.cases import table
from tests.helpers.connections import AsRole
from tests.messages import (
    add_device,
    add_notification,
    add_person,
    always_open,
    at,
    claim,
    compose,
    lease,
    load,
    messages,
    settle,
)

OTHER_ORG = UUID(int=0xE)


@pytest.fixture
def courier(as_role: AsRole) -> Connection:
    return as_role("reminder_courier")


def test_nine_contacts_are_one_message(owner: Connection, courier: Connection) -> None:
    """A mentor with nine quiet contacts gets one message about nine."""
    add_person(owner)
    for _ in range(9):
        add_notification(owner)
    assert 9 == compose(courier)
    assert [("email", "pending", 9)] == [(m["channel"], m["status"], m["items"]) for m in messages(owner)]


def test_composing_again_changes_nothing(owner: Connection, courier: Connection) -> None:
    """A compose that runs twice makes no second message."""
    add_person(owner)
    add_notification(owner)
    assert [1, 0] == [compose(courier), compose(courier)]
    assert 1 == len(messages(owner))


def test_one_message_for_each_organisation_person_and_channel(owner: Connection, courier: Connection) -> None:
    """Two organisations, two people, two channels: a message for each combination that occurs."""
    add_person(owner)
    add_person(owner, COORDINATOR, "coordinator@example.org")
    add_device(owner)
    add_notification(owner)
    add_notification(owner, org_id=OTHER_ORG)
    add_notification(owner, kind="escalation")
    assert [3, 2] == [compose(courier, "email"), compose(courier, "email", "push")]
    found = {(m["org_id"], m["recipient_id"], m["channel"]) for m in messages(owner)}
    expected = {(org, MENTOR, channel) for org in (ORG, OTHER_ORG) for channel in ("email", "push")}
    assert expected | {(ORG, COORDINATOR, "email")} == found


def test_what_becomes_due_after_sending_goes_out_the_next_day(owner: Connection, courier: Connection) -> None:
    """A second message for the same day is impossible."""
    always_open(owner)
    add_person(owner)
    add_notification(owner)
    compose(courier)
    (first,) = claim(courier)
    assert 1 == settle(courier, first, lease(owner, first))
    add_notification(owner)
    assert 1 == compose(courier)
    today, tomorrow = messages(owner)
    assert (today["local_date"] + timedelta(days=1), "pending") == (tomorrow["local_date"], tomorrow["status"])
    assert [] == claim(courier)


def test_new_notifications_join_the_pending_message(owner: Connection, courier: Connection) -> None:
    """Until it is sent, a message takes what becomes due."""
    add_person(owner)
    add_notification(owner)
    compose(courier)
    add_notification(owner)
    assert 1 == compose(courier)
    assert [2] == [m["items"] for m in messages(owner)]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE notifications SET read_at = now()",
        "UPDATE assignments SET status = 'closed'",
        "UPDATE assignments SET last_contact_date = last_contact_date + 1",
        "UPDATE assignments SET peer_mentor_id = gen_random_uuid()",
        "UPDATE auth.users SET email = NULL",
        "UPDATE auth.users SET email = 'not an address'",
        "INSERT INTO recipient_settings (person_id, email_enabled) SELECT id, false FROM auth.users",
        "INSERT INTO email_suppressions SELECT reminder_private.address_hash(email), 'bounce' FROM auth.users",
        "UPDATE notifications SET created_at = now() - interval '49 hours'",
    ],
)
def test_nothing_is_composed(owner: Connection, courier: Connection, change: str) -> None:
    """Read, closed, contacted, handed over, unreachable, or older than 48 hours: no message."""
    add_person(owner)
    add_notification(owner)
    owner.execute(change.encode())
    assert 0 == compose(courier)
    assert [] == messages(owner)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE devices SET disabled_at = now()",
        "INSERT INTO recipient_settings (person_id, push_enabled) SELECT id, false FROM auth.users",
    ],
)
def test_no_push_is_composed(owner: Connection, courier: Connection, change: str) -> None:
    """The only device is gone, or the person switched push off."""
    add_person(owner)
    add_device(owner)
    add_notification(owner)
    owner.execute(change.encode())
    assert 0 == compose(courier, "push")


def test_day_of_a_cancelled_message(owner: Connection, courier: Connection) -> None:
    """What becomes due after a message was cancelled goes out on the same day, by a new first attempt."""
    always_open(owner)
    add_person(owner)
    add_notification(owner)
    compose(courier)
    (claimed,) = claim(courier)
    owner.execute("UPDATE notifications SET read_at = now()")
    assert [] == load(courier, [claimed], lease(owner, claimed))
    add_notification(owner)
    assert 1 == compose(courier)
    assert [(claimed, "pending", 0, 1)] == [(m["id"], m["status"], m["attempts"], m["items"]) for m in messages(owner)]


def test_switched_on_after_a_year(owner: Connection, courier: Connection) -> None:
    """A courier that is switched on later sends only what is younger than 48 hours."""
    add_person(owner)
    for age in ("1 year", "30 days", "3 days", "47 hours", "1 hour"):
        add_notification(owner, age=age)
    assert 2 == compose(courier)


def test_limit_leaves_the_rest_for_the_next_statement(owner: Connection, courier: Connection) -> None:
    """A million notifications are composed in several statements, the oldest ones first."""
    add_person(owner)
    by_age = {hours: add_notification(owner, age=f"{hours} hours") for hours in (1, 5, 3, 4, 2)}
    assert 2 == compose(courier, at_most=2)
    composed = owner.execute("SELECT notification_id FROM message_items ORDER BY notification_id").fetchall()
    assert [(by_age[5],), (by_age[4],)] == composed
    assert [2, 1, 0] == [compose(courier, at_most=2) for _ in range(3)]


def next_time(owner: Connection, zone: str, hours: tuple[str, str], moment: str) -> str:
    row = owner.execute(
        """
        SELECT to_char(
            reminder_private.next_send_time(%(zone)s, %(from)s, %(until)s, %(at)s) AT TIME ZONE 'UTC',
            'YYYY-MM-DD HH24:MI'
        )
        """,
        {"zone": zone, "from": hours[0], "until": hours[1], "at": at(moment)},
    ).fetchone()
    assert row
    return str(row[0])


DAY = ("08:00", "20:00")
NIGHT = ("22:00", "06:00")
WHOLE_DAY = ("00:00", "00:00")


@table(
    ("zone", "hours", "moment", "expected"),
    [
        # Before, within, after the hours; both ends.
        ("UTC", DAY, "2026-06-01T07:59+00:00", "2026-06-01 08:00"),
        ("UTC", DAY, "2026-06-01T08:00+00:00", "2026-06-01 08:00"),
        ("UTC", DAY, "2026-06-01T19:59+00:00", "2026-06-01 19:59"),
        ("UTC", DAY, "2026-06-01T20:00+00:00", "2026-06-02 08:00"),
        # Fourteen hours ahead: it is tomorrow there.
        ("Pacific/Kiritimati", DAY, "2026-06-01T10:00+00:00", "2026-06-01 18:00"),
        ("Pacific/Kiritimati", DAY, "2026-06-01T19:00+00:00", "2026-06-01 19:00"),
        # Half-hour zone.
        ("America/St_Johns", DAY, "2026-06-01T10:00+00:00", "2026-06-01 10:30"),
        # Clocks go forward on 29 March 2026 (01:00 UTC), back on 25 October 2026 (01:00 UTC).
        ("Europe/Oslo", DAY, "2026-03-29T00:30+00:00", "2026-03-29 06:00"),
        ("Europe/Oslo", DAY, "2026-10-25T00:30+00:00", "2026-10-25 07:00"),
        ("Europe/Oslo", ("02:30", "04:00"), "2026-03-28T23:00+00:00", "2026-03-29 01:30"),
        ("Europe/Oslo", ("02:30", "04:00"), "2026-10-24T22:00+00:00", "2026-10-25 01:30"),
        # There at 05:30 UTC on 8 March and 04:30 UTC on 1 November 2026.
        ("America/St_Johns", DAY, "2026-03-08T05:29+00:00", "2026-03-08 10:30"),
        ("America/St_Johns", DAY, "2026-11-01T04:00+00:00", "2026-11-01 11:30"),
        ("America/St_Johns", ("02:15", "04:00"), "2026-03-08T04:00+00:00", "2026-03-08 05:45"),
        ("America/St_Johns", ("01:15", "04:00"), "2026-11-01T02:30+00:00", "2026-11-01 04:45"),
        # A night in which the clock changes.
        ("Europe/Oslo", NIGHT, "2026-03-29T01:30+00:00", "2026-03-29 01:30"),
        ("Europe/Oslo", NIGHT, "2026-03-29T04:00+00:00", "2026-03-29 20:00"),
        ("Europe/Oslo", NIGHT, "2026-10-25T04:59+00:00", "2026-10-25 04:59"),
        ("Europe/Oslo", NIGHT, "2026-10-25T05:00+00:00", "2026-10-25 21:00"),
        ("Pacific/Kiritimati", NIGHT, "2026-06-01T07:59+00:00", "2026-06-01 08:00"),
        ("Pacific/Kiritimati", NIGHT, "2026-06-01T16:00+00:00", "2026-06-02 08:00"),
        # Hours that pass midnight.
        ("Europe/Oslo", NIGHT, "2026-06-01T12:00+00:00", "2026-06-01 20:00"),
        ("Europe/Oslo", NIGHT, "2026-06-01T23:00+00:00", "2026-06-01 23:00"),
        ("Europe/Oslo", NIGHT, "2026-06-02T03:59+00:00", "2026-06-02 03:59"),
        ("Europe/Oslo", NIGHT, "2026-06-02T04:00+00:00", "2026-06-02 20:00"),
        # Hours that end when they begin.
        ("Europe/Oslo", WHOLE_DAY, "2026-06-01T21:59+00:00", "2026-06-01 21:59"),
        ("Europe/Oslo", WHOLE_DAY, "2026-06-01T22:00+00:00", "2026-06-01 22:00"),
        ("UTC", ("09:00", "09:00"), "2026-06-01T08:59+00:00", "2026-06-01 08:59"),
    ],
)
def test_decent_hour(owner: Connection, zone: str, hours: tuple[str, str], moment: str, expected: str) -> None:
    """A message is sent within the hours, in the recipient's zone, on the days of a clock change as well."""
    assert expected == next_time(owner, zone, hours, moment)


@pytest.mark.parametrize("time", ["00:00", "12:00", "24:00"])
def test_hours_that_end_when_they_begin(owner: Connection, courier: Connection, time: str) -> None:
    """They are the whole day: a message is claimed at once, and not put off for ever."""
    always_open(owner, send_from=time, send_until=time)
    add_person(owner)
    add_notification(owner)
    compose(courier)
    assert [m["id"] for m in messages(owner)] == claim(courier)


def test_person_s_zone_beats_the_organisation_s(owner: Connection, courier: Connection) -> None:
    """A mentor abroad gets the message at their own hour."""
    always_open(owner, send_from="08:00", send_until="08:01", time_zone="Europe/Oslo")
    add_person(owner, time_zone="Pacific/Kiritimati")
    add_notification(owner)
    compose(courier)
    (message,) = messages(owner)
    local = owner.execute("SELECT %s AT TIME ZONE 'Pacific/Kiritimati'", [message["send_after"]]).fetchone()
    assert local and (8, 0) == (local[0].hour, local[0].minute)
    assert local[0].date() == message["local_date"]


@table("zone", ["Europe/Olso", "", "+02:00", "Foo+3", "'; DROP TABLE messages"])
def test_unknown_zone_is_refused_when_it_is_set(owner: Connection, zone: str) -> None:
    """For a person and for an organisation alike."""
    with pytest.raises(Exception, match="unknown time zone"):
        add_person(owner, time_zone=zone)
    with pytest.raises(Exception, match="unknown time zone"):
        always_open(owner, time_zone=zone)


def test_zone_that_postgresql_has_dropped(owner: Connection, courier: Connection) -> None:
    """The organisation's zone, or else UTC, is used, and the courier is given it."""
    add_person(owner)
    owner.execute("ALTER TABLE org_settings DISABLE TRIGGER time_zone_is_known")
    always_open(owner, time_zone="Europe/Gone")
    add_notification(owner)
    row = courier.execute(
        "SELECT composed, unknown_zones FROM reminder_private.compose_messages(ARRAY['email'], '2 days', 10)"
    ).fetchone()
    assert (1, 1) == row


def test_courier_s_rights(owner: Connection, courier: Connection) -> None:
    """The courier's role reads addresses, and neither notifications nor contact dates."""
    add_assignment(owner)
    for query in ("SELECT FROM notifications", "SELECT last_contact_date FROM assignments", "SELECT FROM messages"):
        with pytest.raises(Exception, match="permission denied"):
            courier.execute(query.encode())


@pytest.mark.parametrize("couriers", [2, 50])
def test_couriers_that_compose_at_once(owner: Connection, as_role: AsRole, couriers: int) -> None:
    """One waits for the other's messages and adds nothing: each notification is in one message, and none is lost."""
    always_open(owner)
    add_person(owner)
    for _ in range(30):
        add_notification(owner)
    add_person(owner, COORDINATOR, "coordinator@example.org")
    for _ in range(30):
        add_notification(owner, kind="escalation")
    together = threading.Barrier(couriers)
    connections = [as_role("reminder_courier") for _ in range(couriers)]

    def one(connection: Connection) -> int:
        together.wait(30)
        return compose(connection)

    with ThreadPoolExecutor(couriers) as pool:
        composed = sum(pool.map(one, connections))
    assert (60, [30, 30]) == (composed, [message["items"] for message in messages(owner)])
