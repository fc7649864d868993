"""
What must have happened: the product once more, on a page, without its code and without SQL.

    a pair's gap begins with its last contact, or with its assignment
    a run that succeeds reminds the mentor from the threshold on, and later alerts the coordinator, once for each gap
    a notification is open while its pair is open and has the gap that it is about
    failures in a row are counted by scheduled time; two of them alert, then every third more, then the recovery

Where a process was killed, paused or cut off, what it did is taken from the database, and checked to be possible.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

THRESHOLD, REPEAT_EVERY = 2, 3
CONTACT = ("meeting", "phone_call", "message")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
GRACE, OVERRUN, OLDEST_LIVING = 15 * MINUTE, 30 * MINUTE, 16 * MINUTE

Key = tuple[int, str, date]  # pair, kind, anchor


@dataclass(slots=True)
class Organisation:
    """Thresholds in days; hours in which messages may be sent."""

    reminder: int = 10
    escalation: int = 20
    zone: str = "UTC"
    begin: time = time(8)
    end: time = time(20)


@dataclass(slots=True)
class Notification:
    """A row of `notifications`."""

    recipient: int
    gap: int
    created: datetime
    is_open: bool = True
    is_read: bool = False


@dataclass(slots=True)
class Pair:
    """An assignment. Persons are numbers."""

    org: int
    mentor: int
    coordinator: int | None
    began: date
    last: date | None = None
    is_open: bool = True
    notifications: dict[tuple[str, date], Notification] = field(default_factory=dict)  #: by kind and anchor

    @property
    def anchor(self) -> date:
        return self.last or self.began

    def settle(self) -> None:
        """A notification is open while its pair is open and has its gap."""
        for (_, anchor), notification in self.notifications.items():
            notification.is_open = self.is_open and anchor == self.anchor

    def recipient(self, kind: str) -> int | None:
        """Who gets a notification of this kind now."""
        return self.mentor if kind == "reminder" else self.coordinator


@dataclass(slots=True)
class Run:
    """A row of the ledger. `event` is the id of the event; None by hand."""

    event: str | None
    tick: datetime
    started: datetime
    status: str
    failures: int = 0
    note: str | None = None
    dispatched: int | None = None  #: None: it failed, any count is possible
    abandoned: bool = False
    id: UUID | None = None  #: the database's, as soon as it is known

    def skip(self, reason: str) -> None:
        self.status, self.note, self.dispatched = "skipped", reason, 0


@dataclass(slots=True)
class Alert:
    """An alert in the outbox, by its kind and what it is about: a run, a scheduled time, a day."""

    kind: str
    about: Run | datetime | str | None
    created: datetime
    failures: int | None = None  #: consecutive failures, as it reports them


@dataclass(slots=True)
class Charity:
    """The organisations with their pairs, and what was done for them."""

    orgs: dict[int, Organisation] = field(default_factory=dict)
    zones: dict[int, str | None] = field(default_factory=dict)  #: of persons with a zone of their own
    pairs: dict[int, Pair] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)

    # Contact

    def contact(self, pair: int, day: date, kind: str, today: date) -> None:
        """A logged contact moves the date forward, never back and never past today."""
        found = self.pairs[pair]
        floor = found.last + DAY if found.last else found.began
        if kind in CONTACT and floor <= day <= today:
            self.set_date(pair, day)

    def set_date(self, pair: int, day: date) -> None:
        self.pairs[pair].last = day
        self.pairs[pair].settle()

    # Runs

    def due(self, as_of: date, now: datetime) -> dict[Key, Notification]:
        """What a run must still dispatch."""
        found: dict[Key, Notification] = {}
        for number, pair in self.pairs.items():
            gap, org = (as_of - pair.anchor).days, self.orgs[pair.org]
            for kind, days in (("reminder", org.reminder), ("escalation", org.escalation)) if pair.is_open else ():
                recipient = pair.recipient(kind)
                if gap >= days and recipient is not None and (kind, pair.anchor) not in pair.notifications:
                    found[number, kind, pair.anchor] = Notification(recipient, gap, now)
        return found

    def dispatch(self, notifications: dict[Key, Notification]) -> None:
        for (number, kind, anchor), notification in notifications.items():
            self.pairs[number].notifications[kind, anchor] = notification

    def tick_is_done(self, tick: datetime) -> bool:
        return any(
            run.tick == tick and run.event is not None and run.status == "success" and run.started >= tick - 5 * MINUTE
            for run in self.runs
        )

    def last(self, *statuses: str) -> Run | None:
        """The newest run with one of these statuses."""
        return max((run for run in self.runs if run.status in statuses), key=lambda run: run.started, default=None)

    def end_run(self, run: Run, status: str, now: datetime) -> None:
        """Settle a running row; write the alert that this asks for."""
        before, success = self.last("success", "failed"), self.last("success")
        failures = before.failures if before else 0
        again = run.event is not None and any(
            other.tick == run.tick
            and other.event is not None
            and other.status == "failed"
            and (success is None or other.started > success.started)
            for other in self.runs
        )
        run.status = status
        run.failures = 0 if status == "success" else failures if again else failures + 1
        further = run.failures - THRESHOLD
        if status == "success" and failures >= THRESHOLD:
            self.alerts.append(Alert("recovery", run, now, failures))
        elif run.failures > failures and further == 0:
            self.alerts.append(Alert("failure", run, now, run.failures))
        elif run.failures > failures and further > 0 and further % REPEAT_EVERY == 0:
            self.alerts.append(Alert("repeat", run, now, run.failures))

    def rescue(self, now: datetime, older_than: timedelta | None = None) -> None:
        """Settle the rows of runs whose process is gone."""
        for run in sorted(self.runs, key=lambda run: run.started):
            if run.status == "running" and (older_than is None or now - run.started > older_than):
                run.abandoned = True
                self.end_run(run, "failed", now)

    # The watchdog

    def watch(self, now: datetime, *, lock_is_held: bool, schedule: tuple[bool, datetime]) -> None:
        """What a round of the watchdog must write, but for messages."""
        for run in self.runs:
            if run.status == "running" and now - run.started > OVERRUN:
                self._once("overrun", run, now)
        self.rescue(now, OLDEST_LIVING if lock_is_held else None)
        if tick := self._missed(now, schedule):
            self._once("missed_run", tick, now)

    def _once(self, kind: str, about: Run | datetime, now: datetime) -> None:
        if not any(alert.kind == kind and alert.about == about for alert in self.alerts):
            self.alerts.append(Alert(kind, about, now))

    def _missed(self, now: datetime, schedule: tuple[bool, datetime]) -> datetime | None:
        """The newest scheduled time whose work should be done and is not, unless failures are reported already."""
        enabled, since = schedule
        ticks = self._ticks_without_work(now, since) if enabled else []
        if not ticks:
            return None
        rows = [run for run in self.runs if run.tick == ticks[0] and run.event is not None and run.status != "success"]
        if all(run.status == "skipped" for run in rows):
            return ticks[0]
        success = self.last("success")
        is_reported = any(
            alert.kind in ("failure", "repeat") and (success is None or alert.created > success.started)
            for alert in self.alerts
        )
        return ticks[0] if len(ticks) >= THRESHOLD and not is_reported else None

    def _ticks_without_work(self, now: datetime, since: datetime) -> list[datetime]:
        success, found = self.last("success"), list[datetime]()
        tick = (now - GRACE).replace(hour=6, minute=0, second=0, microsecond=0)
        tick -= DAY if tick > now - GRACE else timedelta(0)
        while tick >= since and len(found) < THRESHOLD:
            if success and (success.started >= tick or (success.started >= tick - 5 * MINUTE and success.tick == tick)):
                break
            found.append(tick)
            tick -= DAY
        return found

    # Messages

    def may_send(self, org: int, person: int, at: datetime) -> bool:
        """Whether `at` is within the organisation's hours, where the person is."""
        found = self.orgs[org]
        clock = at.astimezone(ZoneInfo(self.zones.get(person) or found.zone)).time()
        if found.begin < found.end:
            return found.begin <= clock < found.end
        return clock >= found.begin or clock < found.end

    def current_notifications(self) -> Iterator[tuple[Key, int, Notification]]:
        """Notifications that their recipient should still hear of, and the organisation: open, unread, still theirs."""
        for number, pair in self.pairs.items():
            for (kind, anchor), notification in pair.notifications.items():
                if notification.is_open and not notification.is_read and notification.recipient == pair.recipient(kind):
                    yield (number, kind, anchor), pair.org, notification
