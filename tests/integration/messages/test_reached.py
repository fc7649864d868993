"""Who counts as not reached: by the channels that the deployment uses, and by what became of each notification."""

from __future__ import annotations

from uuid import UUID

import pytest

from ops.cli.messages import overview
from reminders.database import Connection
from reminders.messages.delivery import LIMITS
from tests.factories import COORDINATOR, MENTOR
from tests.helpers.connections import AsRole
from tests.messages import (
    add_device,
    add_notification,
    add_person,
    always_open,
    claim,
    compose,
    lease,
    messages,
    settle,
)


@pytest.fixture
def courier(as_role: AsRole) -> Connection:
    return as_role("reminder_courier")


def unreached(owner: Connection) -> dict[UUID, str]:
    """The people who were not reached, and why, as the console lists them."""
    rows = owner.execute(
        """
        SELECT
            u.recipient_id,
            CASE WHEN u.is_reachable THEN 'reachable' ELSE reminder_private.why_unreachable(u.recipient_id) END
        FROM reminder_private.unreached_notifications(NULL) AS u
        """
    ).fetchall()
    return dict(rows)


@pytest.mark.parametrize(
    "change",
    [
        "SELECT",
        "INSERT INTO recipient_settings (person_id, email_enabled) VALUES ('{mentor}', false)",
        "INSERT INTO email_suppressions VALUES (reminder_private.address_hash('mentor@example.org'), 'bounce')",
    ],
)
def test_address_where_only_push_is_sent(owner: Connection, courier: Connection, change: str) -> None:
    """A mentor who has an address and no device is not reached by a deployment that sends push messages only."""
    add_person(owner)
    owner.execute(change.format(mentor=MENTOR).encode())
    add_person(owner, COORDINATOR, "coordinator@example.org")
    add_device(owner, COORDINATOR)
    add_notification(owner)
    add_notification(owner, kind="escalation")
    assert 1 == compose(courier, "push")
    assert {MENTOR: "unused"} == unreached(owner)
    assert 1 == overview(owner).unreachable


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("INSERT INTO recipient_settings (person_id, email_enabled) VALUES ('{mentor}', false)", "turned_off"),
        (
            "INSERT INTO email_suppressions VALUES (reminder_private.address_hash('mentor@example.org'), 'bounce')",
            "refused",
        ),
        ("UPDATE auth.users SET email = NULL WHERE id = '{mentor}'", "unused"),
    ],
)
def test_device_where_only_mail_is_sent(owner: Connection, courier: Connection, change: str, why: str) -> None:
    """A device does not reach a person where no push messages are sent."""
    add_person(owner)
    add_device(owner)
    owner.execute(change.format(mentor=MENTOR).encode())
    add_person(owner, COORDINATOR, "coordinator@example.org")
    add_notification(owner)
    add_notification(owner, kind="escalation")
    assert 1 == compose(courier, "email")
    assert {MENTOR: why} == unreached(owner)


def test_channel_that_is_switched_on_later(owner: Connection, courier: Connection) -> None:
    """From the next courier on, a device reaches its person; when the channel is switched off again, no longer."""
    add_person(owner, email=None)
    add_device(owner)
    compose(courier, "email")
    add_notification(owner)
    assert {MENTOR: "unused"} == unreached(owner)
    compose(courier, "email", "push")
    assert {} == unreached(owner)
    owner.execute("DELETE FROM message_items")
    compose(courier, "email")
    assert {MENTOR: "unused"} == unreached(owner)


def test_same_channels_lock_nothing(owner: Connection, courier: Connection) -> None:
    """A courier that composes does not hold up the claims of the others: the row of the rate is not written."""
    compose(courier, "email")
    before = owner.execute("SELECT xmin::text FROM message_rates ORDER BY channel").fetchall()
    compose(courier, "email")
    assert before == owner.execute("SELECT xmin::text FROM message_rates ORDER BY channel").fetchall()


@pytest.mark.parametrize(("age", "expected"), [("47 hours", {}), ("49 hours", {MENTOR: "reachable"})])
def test_notification_without_a_message(
    owner: Connection, courier: Connection, age: str, expected: dict[UUID, str]
) -> None:
    """After an outage: while it is young it will get a message, afterwards none, so its recipient was not reached."""
    add_person(owner)
    add_notification(owner, age=age)
    assert expected == unreached(owner)
    assert (0 if expected else 1) == compose(courier)


def test_oldest_notification_that_is_composed() -> None:
    """The 48 hours of unreached_notifications are those of the courier."""
    assert 48 * 3600 == LIMITS.max_age.total_seconds()


def test_old_notification_where_messages_are_not_in_use(owner: Connection) -> None:
    """Without a single message there is nothing to say."""
    add_person(owner)
    add_notification(owner, age="3 days")
    assert 0 == overview(owner).unreachable


def test_message_that_was_pruned(owner: Connection, courier: Connection, as_role: AsRole) -> None:
    """A notification whose message was sent, and pruned after its retention, is not taken for one without a message."""
    always_open(owner)
    add_person(owner)
    add_notification(owner, age="47 hours")
    compose(courier)
    (sent,) = claim(courier)
    settle(courier, sent, lease(owner, sent))
    owner.execute("UPDATE notifications SET created_at = created_at - interval '100 days'")
    # Made a day before the notification, which it took as another one.
    owner.execute("UPDATE messages SET created_at = (SELECT created_at - interval '1 day' FROM notifications)")
    pruned = as_role("cron_runner").execute("SELECT reminder_private.prune_messages(90, 10)").fetchone()
    assert ((1,), []) == (pruned, messages(owner))
    assert {} == unreached(owner)
    add_person(owner, COORDINATOR, "coordinator@example.org")
    add_notification(owner, kind="escalation", age="30 days")
    assert {COORDINATOR: "reachable"} == unreached(owner)


def test_devices_of_a_deleted_user(owner: Connection, courier: Connection) -> None:
    """No message is made for a person who does not exist, so their devices do not count."""
    add_device(owner)
    add_notification(owner)
    assert 0 == compose(courier, "email", "push")
    assert {MENTOR: "no_address"} == unreached(owner)
