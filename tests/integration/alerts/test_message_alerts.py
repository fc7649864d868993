"""Alerts about messages: a backlog once, with its recovery; a channel that refuses everything once a day."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from reminders.alerts.message import Alert
from reminders.alerts.outbox import Outbox
from reminders.database import Connection
from reminders.messages import JOB_NAME
from reminders.runs.watchdog import watch
from tests.alerting import FakeChannel, alerts
from tests.factories import count
from tests.helpers.connections import AsRole
from tests.helpers.services import MakeWatchdog

ADD = """
INSERT INTO messages (org_id, recipient_id, channel, local_date, send_after, expires_at, next_attempt_at, created_at)
SELECT gen_random_uuid(), gen_random_uuid(), 'email', current_date, due.at, due.at + interval '24 h', due.at, %s
FROM (SELECT now() - %s::interval AS at) AS due
"""


def add_message(owner: Connection, late: str, created: str = "now") -> None:
    owner.execute(ADD, [created, late])


def kinds(owner: Connection) -> list[str]:
    return [kind for kind, _ in alerts(owner)]


def test_messages_that_wait_for_an_hour(make_watchdog: MakeWatchdog, owner: Connection, slack: FakeChannel) -> None:
    """One alert while they wait, however often the watchdog comes, and a recovery when none waits any more."""
    add_message(owner, "61 minutes")
    add_message(owner, "2 hours")
    assert [2, 2] == [watch(make_watchdog()).messages_waiting for _ in range(2)]
    (alert,) = slack.sent
    assert ("message_backlog", JOB_NAME) == (alert.kind, alert.job_name)
    assert (alert.error_message or "").startswith("2 messages wait for more than an hour; the oldest was due at ")
    owner.execute("UPDATE messages SET status = 'sent', sent_at = now()")
    for _ in range(2):
        watch(make_watchdog())
    add_message(owner, "3 hours")
    watch(make_watchdog())
    assert ["message_backlog", "message_recovery", "message_backlog"] == slack.kinds


def test_messages_that_are_not_late(make_watchdog: MakeWatchdog, owner: Connection) -> None:
    """59 minutes are no backlog, nor is what was cancelled, nor what waits for hours that have changed."""
    add_message(owner, "3 hours")
    owner.execute("UPDATE messages SET next_attempt_at = now() + interval '9 hours'")
    add_message(owner, "59 minutes")
    add_message(owner, "5 hours")
    owner.execute("UPDATE messages SET status = 'cancelled' WHERE send_after < now() - interval '4 hours'")
    assert (0, []) == (watch(make_watchdog()).messages_waiting, kinds(owner))


def test_message_that_was_refused_and_waits_for_the_next_attempt(
    make_watchdog: MakeWatchdog, owner: Connection
) -> None:
    """It was tried, so its pause until the next attempt is no reason to be late."""
    add_message(owner, "3 hours")
    owner.execute("UPDATE messages SET attempts = 1, next_attempt_at = now() + interval '40 minutes'")
    assert 1 == watch(make_watchdog()).messages_waiting


def test_no_recovery_while_nothing_is_sent(make_watchdog: MakeWatchdog, owner: Connection) -> None:
    """Messages that expired without a courier still wait: their backlog has not ended."""
    add_message(owner, "30 hours")
    for _ in range(2):
        watch(make_watchdog())
    assert ["message_backlog"] == kinds(owner)


def test_watchdogs_at_once(make_watchdog: MakeWatchdog, owner: Connection) -> None:
    """Four of them write one alert."""
    add_message(owner, "2 hours")
    rounds = [make_watchdog() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(watch, rounds))
    assert ["message_backlog"] == kinds(owner)


@pytest.mark.parametrize("kind", ["message_backlog", "message_recovery"])
def test_alert_that_is_not_true(outbox: Outbox, as_role: AsRole, owner: Connection, kind: Any) -> None:
    """A leaked password of cron_runner cannot write that messages wait, or that they wait no more."""
    assert not outbox.write(as_role("cron_runner"), Alert(kind, JOB_NAME))
    assert 0 == count(owner, "cron_alerts")


def test_backlog_that_is_reported(outbox: Outbox, as_role: AsRole, owner: Connection) -> None:
    """cron_runner cannot write a second alert about it."""
    add_message(owner, "2 hours")
    written = [outbox.write(as_role("cron_runner"), Alert("message_backlog", JOB_NAME)) for _ in range(2)]
    assert ([True, False], ["message_backlog"]) == (written, kinds(owner))


def test_messages_past_their_retention(make_watchdog: MakeWatchdog, owner: Connection) -> None:
    """Older than 90 days goes, whatever became of it; the function keeps 7 days whatever is asked."""
    add_message(owner, "91 days", "2020-01-01")
    add_message(owner, "1 minute")
    assert (1, 1) == (watch(make_watchdog()).messages_pruned, count(owner, "messages"))
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        make_watchdog().connection.execute("SELECT reminder_private.prune_messages(6, 10)")


def report(courier: Connection, reason: str, channel: str = "email") -> bool:
    row = courier.execute(
        "SELECT reminder_private.report_channel_failure(%s, %s, %s)", [channel, reason, ["sns", "slack"]]
    ).fetchone()
    return bool(row and row[0])


def test_channel_that_refuses_everything(
    make_watchdog: MakeWatchdog, as_role: AsRole, owner: Connection, slack: FakeChannel, sns: FakeChannel
) -> None:
    """Once a day and channel; the watchdog sends it to every alert channel."""
    courier = as_role("reminder_courier")
    said = [report(courier, "ses: SendingPausedException") for _ in range(3)]
    assert [True, False, False] == said
    assert report(courier, "sns: AuthorizationError", "push")
    watch(make_watchdog())
    expected = ["email, ses: SendingPausedException", "push, sns: AuthorizationError"]
    assert (expected, expected) == tuple([alert.error_message for alert in each.sent] for each in (slack, sns))


def test_courier_cannot_write_what_it_likes(as_role: AsRole, owner: Connection) -> None:
    """A leaked password of reminder_courier writes one alert a day and channel, without a word of its own."""
    courier = as_role("reminder_courier")
    assert report(courier, "Please log in at https://evil.example")
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        report(courier, "ses: SendingPausedException", "https://evil.example")
    written = owner.execute("SELECT payload ->> 'error_message' FROM cron_alerts").fetchall()
    assert [("email, the log of the courier says why",)] == written
