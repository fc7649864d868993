"""The courier's rounds, and every message that a provider took."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from contextlib import suppress
from datetime import date
from uuid import UUID

from reminders.messages.message import AccountError
from tests.faults.processes import PATIENCE
from tests.simulation.alerts import Alerts
from tests.simulation.model import HOUR, Alert, Key, Notification
from tests.simulation.outside import Sent, words_of
from tests.simulation.situation import Situation, check, check_equal, shortened
from tests.simulation.world import key_of, number_of

CHANNELS = ("email", "push")
DUE = """
    SELECT count(*) FROM messages
    WHERE channel = ANY(%s) AND (status = 'pending' AND next_attempt_at <= now() OR lease_until < now())
"""
ITEMS = """
    SELECT m.provider_message_id AS id, m.local_date, n.assignment_id, n.kind, n.contact_anchor
    FROM messages AS m
    JOIN message_items AS i ON i.message_id = m.id
    JOIN notifications AS n ON n.id = i.notification_id
    WHERE m.provider_message_id = ANY(%s)
"""
WRITTEN = "SELECT count(*) FROM cron_alerts WHERE dedupe_key = %s"


class Courier:
    """Invokes the courier, and compares what it sent."""

    def __init__(self, situation: Situation, alerts: Alerts) -> None:
        self._situation, self._world, self._model = situation, situation.world, situation.model
        self._alerts = alerts
        # None: do not kill; otherwise kill in the next round, True: the provider accepts the message first.
        self._kill: bool | None = None
        self._after_kill = False
        self._received: Counter[tuple[str, UUID, date]] = Counter()
        self._seen = 0

    def on_kill_courier(self, is_taken: bool) -> None:
        self._kill = is_taken

    def on_courier_if_due(self) -> None:
        if self._situation.count(DUE, list(CHANNELS)):
            self.on_courier()

    def on_courier(self) -> None:
        if self._world.is_down("courier"):
            return
        self._situation.counted["invocations"] += 1
        if self._kill is not None and not self._world.is_down("database"):
            self._killed_round(self._kill)
            return
        answer = self._world.courier()
        if self._world.is_down("database"):
            check(isinstance(answer, Exception), "the courier without a database", answer)
            self._alerts.expect_direct("courier")
            self._alerts.compare()
            return
        if isinstance(answer, AccountError):
            self._expect_message_failure()
        else:
            check(isinstance(answer, dict), "the courier failed", repr(answer))
            self._alerts.succeeded("courier")
        self._check_messages(self._new_messages())
        if not self._after_kill:
            self._check_nothing_is_left([channel for channel in CHANNELS if not self._is_troubled(channel)])
        self._after_kill = False
        self._alerts.compare()

    def _expect_message_failure(self) -> None:
        """A channel that refuses every message is reported once a day. Where both do, one may have had none to send."""
        stopped = [channel for channel in CHANNELS if self._world.is_down(f"{channel} is stopped")]
        check(stopped, "the courier stopped a channel that works")
        for channel in stopped:
            key = f"message_failure:{channel}:{self._situation.today}"
            is_written = len(stopped) == 1 or self._situation.count(WRITTEN, key)
            if is_written and not any(alert.about == key for alert in self._model.alerts):
                self._model.alerts.append(Alert("message_failure", key, self._situation.now))

    def _is_troubled(self, channel: str) -> bool:
        return any(what.startswith(channel) for what in self._world.outside.down)

    def _killed_round(self, is_taken: bool) -> None:
        """SIGKILL when the first message arrives at the provider, which takes it or not. Without one: next time."""
        courier = self._world.courier_process()

        def kill() -> bool:
            with suppress(ProcessLookupError):
                os.kill(courier.started.result(), signal.SIGKILL)
            return is_taken

        self._world.outside.on_message = kill
        code = courier.ended.result(PATIENCE)
        self._world.wait_until_quiet("reminders-courier")
        self._world.outside.on_message = None
        if code != 0:
            self._kill, self._after_kill = None, True
            self._situation.counted["couriers killed"] += 1
            self._situation.troubles.add(self._situation.now, self._situation.now + 2 * HOUR)
        if {"raised": "AccountError"} in courier.reports:
            self._expect_message_failure()
        self._check_messages(self._new_messages(), killed=code != 0)

    def _new_messages(self) -> list[Sent]:
        new = self._world.outside.sent[self._seen :]
        self._seen += len(new)
        self._situation.counted.update(f"messages by {sent.channel}" for sent in new)
        return new

    def _check_messages(self, new: list[Sent], *, killed: bool = False) -> None:
        """One that the provider took from a courier that was killed may be unknown to the database, and comes again."""
        rows = self._world.all(ITEMS, [sent.id for sent in new]) if new else []
        current = {key: (org, notification) for key, org, notification in self._model.current_notifications()}
        for sent in new:
            person, org, now = int(re.findall(r"\d+", sent.to)[0]), number_of(sent.org), self._situation.now
            items = [row for row in rows if row["id"] == sent.id]
            check(self._model.may_send(org, person, now), "a message outside of the hours", sent.to, now)
            check(killed or items, "a message that the database does not know", sent.to)
            if items:
                keys = [key_of(row) for row in items]
                notifications = {key: current[key][1] for key in keys if key in current and current[key][0] == org}
                theirs = {
                    key: notification for key, notification in notifications.items() if notification.recipient == person
                }
                check(theirs.keys() == set(keys), "a message about what is not open, or not theirs", sent.to, keys)
                check_equal("numbers in a message", _numbers(theirs, sent.channel), _numbers_of(sent))
                received = (sent.to, sent.org, items[0]["local_date"])
                self._received[received] += 1
                check(self._received[received] == 1, "two messages on one day", *received)
            else:
                about = [
                    notification
                    for to, notification in current.values()
                    if to == org and notification.recipient == person
                ]
                check(about, "a message about nothing that is open", sent.to, now)

    def _check_nothing_is_left(self, channels: list[str]) -> None:
        """After a round: each notification has its messages, and none that is due is left."""
        rows = self._world.all(
            """
            SELECT i.channel, n.assignment_id, n.kind, n.contact_anchor FROM message_items AS i
            JOIN notifications AS n ON n.id = i.notification_id WHERE n.created_at > now() - interval '3 days'
            """
        )
        with_message = {(key_of(row), row["channel"]) for row in rows}
        young = self._situation.now - 47 * HOUR
        lost = [
            (key, channel)
            for key, _, notification in self._model.current_notifications()
            for channel in self._situation.channels_to(notification.recipient).intersection(channels)
            if notification.created > young and (key, channel) not in with_message
        ]
        check(not lost, "notifications without a message", shortened(lost))
        check_equal("messages that were left", 0, self._situation.count(DUE, channels))


def _numbers(notifications: dict[Key, Notification], channel: str) -> list[int]:
    """
    As a message has them, the reminders first: the days of one, or how many and the most days.

    A push shows only the first kind that has entries.
    """
    found: list[int] = []
    for wanted in ("reminder", "escalation"):
        gaps = [notification.gap for (_, kind, _), notification in notifications.items() if kind == wanted]
        if not (found and channel == "push"):
            found += gaps if len(gaps) < 2 else [len(gaps), max(gaps)]
    return found


def _numbers_of(sent: Sent) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", words_of(sent).partition("The app shows")[0])]
