"""What people do: pairs begin, end and are handed over; contact is logged, dates and settings are changed."""

from __future__ import annotations

from datetime import time

from tests.simulation.model import CONTACT, DAY, Pair
from tests.simulation.situation import Situation, check_equal
from tests.simulation.world import address, key_of, person_id, phone

WAITING = """
    SELECT n.assignment_id, n.kind, n.contact_anchor FROM messages AS m
    JOIN message_items AS i ON i.message_id = m.id
    JOIN notifications AS n ON n.id = i.notification_id
    WHERE m.status = 'pending'
"""


class People:
    """One method for each event; each happens in the world and in the model."""

    def __init__(self, situation: Situation) -> None:
        self._situation, self._world, self._model = situation, situation.world, situation.model

    def on_open(self, pair: int, org: int, mentor: int, coordinator: int | None, began: int, last: int | None) -> None:
        start = self._situation.today - began * DAY
        contact = None if last is None else self._situation.today - last * DAY
        self._model.pairs[pair] = Pair(org, mentor, coordinator, start, contact)
        self._world.open(pair, org, (mentor, coordinator), start, contact)

    def on_contact(self, pair: int, ago: int, kind: str, path: str) -> None:
        found = self._model.pairs.get(pair)
        if found is None:
            return
        by = found.mentor if path in ("direct", "bulk") or found.coordinator is None else found.coordinator
        path = "direct" if by == found.mentor and path not in ("direct", "bulk") else path
        day = self._situation.today - ago * DAY
        self._world.log_contact(pair, day, kind, path, by)
        self._model.contact(pair, day, kind, self._situation.today)
        self._situation.counted["contacts"] += kind in CONTACT

    def on_contacts(self, pairs: list[int], ago: int, kind: str) -> None:
        known = [pair for pair in pairs if pair in self._model.pairs]
        day = self._situation.today - ago * DAY
        self._world.log_contacts(known, day, kind)
        for pair in known:
            self._model.contact(pair, day, kind, self._situation.today)
        self._situation.counted["contacts"] += len(known) * (kind in CONTACT)

    def on_forget_contact(self, pair: int) -> None:
        if pair in self._model.pairs:
            self._world.forget_contact(pair)

    def on_correct(self, pair: int, ago: int, stale: bool) -> None:
        found = self._model.pairs.get(pair)
        if found is None or self._world.is_down("database"):
            return
        today = self._situation.today
        day, version = today - ago * DAY, "2001-01-01" if stale else str(found.last or "never")
        status = self._world.correct(pair, day, version)
        if day == found.last:
            expected = 200
        elif not found.began <= day <= today:
            expected = 422
        else:
            expected = 412 if stale else 200
        check_equal(f"the answer to a correction of pair {pair} to {day}", expected, status)
        if expected == 200:
            self._model.set_date(pair, day)
            self._situation.counted["corrections"] += 1

    def on_close(self, pair: int) -> None:
        self._set_status(pair, is_open=False)

    def on_reopen(self, pair: int) -> None:
        self._set_status(pair, is_open=True)

    def _set_status(self, pair: int, *, is_open: bool) -> None:
        if found := self._model.pairs.get(pair):
            self._world.update_pair(pair, "status", "open" if is_open else "closed")
            found.is_open = is_open
            found.settle()

    def on_hand_over(self, pair: int, role: str, to: int) -> None:
        if found := self._model.pairs.get(pair):
            self._world.add_people(to)
            self._world.update_pair(pair, "peer_mentor_id" if role == "mentor" else "coordinator_id", person_id(to))
            setattr(found, role, to)

    def on_read(self, pair: int) -> None:
        if found := self._model.pairs.get(pair):
            self._world.read(found.mentor, pair)
            for notification in found.notifications.values():
                notification.is_read = notification.is_read or notification.recipient == found.mentor

    def on_react(self, nth: int, how: str, to: int) -> None:
        """A person acts on a notification whose message is not sent yet."""
        current = {key for key, _, _ in self._model.current_notifications()}
        keys = sorted(current & {key_of(row) for row in self._world.all(WAITING)})
        if not keys:
            return
        pair, kind, _ = keys[nth % len(keys)]
        if how == "hand_over":
            self.on_hand_over(pair, "mentor" if kind == "reminder" else "coordinator", to)
        elif how == "contact":
            self.on_contact(pair, 0, "meeting", "direct")
        elif how == "close":
            self.on_close(pair)
        else:
            self.on_read(pair)

    def on_thresholds(self, org: int, reminder: int, escalation: int) -> None:
        self._world.set_org(org, reminder_days=reminder, escalation_days=escalation)
        self._model.orgs[org].reminder, self._model.orgs[org].escalation = reminder, escalation

    def on_hours(self, org: int, zone: str, begin: str, end: str) -> None:
        self._world.set_org(org, time_zone=zone, send_from=begin, send_until=end)
        found = self._model.orgs[org]
        found.zone, found.begin, found.end = zone, time.fromisoformat(begin), time.fromisoformat(end)
        self._hours_change()

    def on_move(self, person: int, zone: str | None) -> None:
        self._world.add_people(person)
        self._world.set_zone(person, zone)
        self._model.zones[person] = zone
        self._hours_change()

    def _hours_change(self) -> None:
        self._situation.hour_changes.add(self._situation.now - DAY, self._situation.now + 2 * DAY)

    def on_refuse(self, person: int) -> None:
        """The provider takes neither this person's mail nor what goes to their phone any more."""
        self._world.outside.refused |= {to for to in (address(person), phone(person)) if to}
        self._situation.refused.add(person)
