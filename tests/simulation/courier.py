"""The courier's rounds, and every mail that the provider took."""

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
from tests.simulation.model import HOUR, Alert, Key, Note
from tests.simulation.outside import Mail, words_of
from tests.simulation.situation import Situation, check, check_equal, shortened
from tests.simulation.world import key_of, number_of

DUE = """
    SELECT count(*) FROM messages WHERE status = 'pending' AND next_attempt_at <= now() OR lease_until < now()
"""
ITEMS = """
    SELECT m.provider_message_id AS id, m.local_date, n.assignment_id, n.kind, n.contact_anchor
    FROM messages AS m
    JOIN message_items AS i ON i.message_id = m.id
    JOIN notifications AS n ON n.id = i.notification_id
    WHERE m.provider_message_id = ANY(%s)
"""


class Courier:
    """Invokes the courier, and compares what it sent."""

    def __init__(self, situation: Situation, alerts: Alerts) -> None:
        self._situation, self._world, self._model = situation, situation.world, situation.model
        self._alerts = alerts
        self._kill: bool | None = None  # the next round; whether the provider takes the mail
        self._after_kill = False
        self._mails: Counter[tuple[str, str, date]] = Counter()
        self._seen = 0

    def on_kill_courier(self, is_taken: bool) -> None:
        self._kill = is_taken

    def on_courier_if_due(self) -> None:
        if self._situation.count(DUE):
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
        self._check_mails(self._new_mails())
        if not any(what.startswith("mail") for what in self._world.outside.down) and not self._after_kill:
            self._check_nothing_is_left()
        self._after_kill = False
        self._alerts.compare()

    def _expect_message_failure(self) -> None:
        """A channel that refuses every message is reported once a day."""
        check(self._world.is_down("mail is paused"), "the courier stopped a channel that works")
        key = f"message_failure:email:{self._situation.today}"
        if not any(alert.about == key for alert in self._model.alerts):
            self._model.alerts.append(Alert("message_failure", key, self._situation.now))

    def _killed_round(self, is_taken: bool) -> None:
        """SIGKILL when the first mail arrives at the provider, which takes it or not. Without a mail: next time."""
        courier = self._world.courier_process()

        def kill() -> bool:
            with suppress(ProcessLookupError):
                os.kill(courier.started.result(), signal.SIGKILL)
            return is_taken

        self._world.outside.on_mail = kill
        code = courier.ended.result(PATIENCE)
        self._world.wait_until_quiet("reminders-courier")
        self._world.outside.on_mail = None
        if code != 0:
            self._kill, self._after_kill = None, True
            self._situation.counted["couriers killed"] += 1
            self._situation.troubles.add(self._situation.now, self._situation.now + 2 * HOUR)
        if {"raised": "AccountError"} in courier.reports:
            self._expect_message_failure()
        self._check_mails(self._new_mails(), killed=code != 0)

    def _new_mails(self) -> list[Mail]:
        mails = self._world.outside.mails[self._seen :]
        self._seen += len(mails)
        self._situation.counted["mails"] += len(mails)
        return mails

    def _check_mails(self, mails: list[Mail], *, killed: bool = False) -> None:
        """A mail that the provider took from a courier that was killed may belong to no message, and comes again."""
        rows = self._world.all(ITEMS, [mail.id for mail in mails]) if mails else []
        current = {key: (org, note) for key, org, note in self._model.current_notes()}
        for mail in mails:
            person, org, now = int(re.findall(r"\d+", mail.to)[0]), number_of(UUID(mail.org)), self._situation.now
            items = [row for row in rows if row["id"] == mail.id]
            check(self._model.may_send(org, person, now), "a mail outside of the hours", mail.to, now)
            check(killed or items, "a mail that no message knows", mail.to)
            if items:
                keys = [key_of(row) for row in items]
                notes = {key: current[key][1] for key in keys if key in current and current[key][0] == org}
                theirs = {key: note for key, note in notes.items() if note.recipient == person}
                check(theirs.keys() == set(keys), "a mail about what is not open, or not theirs", mail.to, keys)
                check_equal("numbers in a mail", _numbers(theirs), _numbers_of(mail))
                received = (mail.to, mail.org, items[0]["local_date"])
                self._mails[received] += 1
                check(self._mails[received] == 1, "two mails on one day", *received)
            else:
                about = [note for to, note in current.values() if to == org and note.recipient == person]
                check(about, "a mail about nothing that is open", mail.to, now)

    def _check_nothing_is_left(self) -> None:
        """After a round: each notification has its message, and none that is due is left."""
        rows = self._world.all(
            """
            SELECT n.assignment_id, n.kind, n.contact_anchor FROM message_items AS i
            JOIN notifications AS n ON n.id = i.notification_id WHERE n.created_at > now() - interval '3 days'
            """
        )
        with_message = {key_of(row) for row in rows}
        young = self._situation.now - 47 * HOUR
        lost = [
            key
            for key, _, note in self._model.current_notes()
            if note.created > young and self._situation.is_reachable(note.recipient) and key not in with_message
        ]
        check(not lost, "notifications without a message", shortened(lost))
        check_equal("messages that were left", 0, self._situation.count(DUE))


def _numbers(notes: dict[Key, Note]) -> list[int]:
    """As a mail has them, the reminders first: the days of one, or how many and the most days."""
    found: list[int] = []
    for wanted in ("reminder", "escalation"):
        gaps = [note.gap for (_, kind, _), note in notes.items() if kind == wanted]
        found += gaps if len(gaps) < 2 else [len(gaps), max(gaps)]
    return found


def _numbers_of(mail: Mail) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", words_of(mail).partition("The app shows")[0])]
