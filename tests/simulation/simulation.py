"""
One story, day by day: each event happens in the world and in the model, and the two are compared.

    06:00 the schedule fires · 06:10 and, when a message is due by then, 13:30, 20:10 and 01:10 the courier
    06:40 and, when something is wrong, 14:10 the watchdog

There are fewer rounds than in production, and hours for messages are at least eight: a day must not take longer than a
sixth of a second. After a round of the courier, the watchdog's never comes more than an hour later, so nothing is late.
"""

from __future__ import annotations

import heapq
import os
import re
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from itertools import count
from typing import Any
from uuid import UUID

from reminders.messages.message import AccountError
from tests.faults.processes import PATIENCE, Process
from tests.faults.steps import since
from tests.simulation.model import CONTACT, DAY, HOUR, MINUTE, Alert, Charity, Key, Note, Organisation, Pair, Run
from tests.simulation.outside import Mail
from tests.simulation.story import ORGS, Event
from tests.simulation.world import DOMAIN, LONGEST_LEASE, NAME, PAIRS, World, address, number_of, person_id

# Far enough ahead that the machine's own clock is behind it (see clock.py), and a leap year.
START = datetime(2040, 1, 1, tzinfo=UTC)
FIRE, COURIER, WATCHDOG = 6 * HOUR, 6 * HOUR + 10 * MINUTE, 6 * HOUR + 40 * MINUTE
COURIER_IF_DUE = (HOUR + 10 * MINUTE, 13 * HOUR + 30 * MINUTE, 20 * HOUR + 10 * MINUTE)
WATCHDOG_IF_WRONG = 14 * HOUR + 10 * MINUTE
CHANNELS = ("slack", "sns")
LONGEST_PAUSE = HOUR + MINUTE
# No time is left after what a run reserves, so it fails at once.
TOO_SHORT = 8.05
FAULTS = ("killed", "scheduler killed", "paused", "cut", "answer lost")
SENDING = since("outbox: BEGIN")
DUE = """
    SELECT count(*) FROM messages WHERE status = 'pending' AND next_attempt_at <= now() OR lease_until < now()
"""
HEADLINES = {
    "in a row have failed": "failure",
    "1 run has failed": "failure",
    "still failing": "repeat",
    "has recovered": "recovery",
    "did not do its work": "missed_run",
    "has been going for too long": "overrun",
    "messages are not sent in time": "message_backlog",
    "messages are sent in time again": "message_recovery",
    "a channel refuses every message": "message_failure",
    "a failure that the ledger does not record": "direct",
}


class Violation(AssertionError):
    """Something happened that must not, or did not happen that must."""


def check(condition: object, what: str, *details: object) -> None:
    if not condition:
        raise Violation(": ".join([what, *(str(detail) for detail in details)]))


def same(what: str, expected: object, actual: object) -> None:
    if expected != actual:
        raise Violation(f"{what}: expected {_short(expected)}, found {_short(actual)}")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 400 else f"{text[:400]} …"


@dataclass(slots=True)
class Totals:
    """What a simulation did."""

    counted: Counter[str] = field(default_factory=Counter)


@dataclass(order=True, slots=True)
class _Entry:
    moment: datetime
    number: int
    what: str = field(compare=False)
    args: dict[str, Any] = field(compare=False)


class Simulation:
    """Runs `events` in `world` for `days` days; `progress` is called after each."""

    def __init__(
        self, world: World, events: Iterable[Event], days: int, progress: Callable[[int, Totals], None] | None = None
    ) -> None:
        self.world, self._days, self._progress = world, days, progress
        self.model = Charity(orgs={org: Organisation() for org in range(ORGS)})
        self.totals = Totals()
        self.day = 0
        self._agenda: list[_Entry] = []
        self._numbers = count()
        self._ticks: dict[int, dict[str, Any]] = {}
        self._down: dict[str, datetime] = {}  # until when
        self._up_since: dict[str, datetime] = {}
        self._troubles: list[tuple[datetime, datetime]] = []  # in which a message may be late
        self._moves: list[tuple[datetime, datetime]] = []  # in which hours change
        self._told: set[str] = set()  # what this warm process has reported directly
        self._direct = dict.fromkeys(CHANNELS, 0)
        self._got_direct = dict.fromkeys(CHANNELS, 0)
        self._seen = {"slack": 0, "sns": 0, "alerts": 0, "texts": 0, "mails": 0}
        self._pending: dict[str, list[Alert]] = {name: [] for name in CHANNELS}
        self._copies = dict.fromkeys(CHANNELS, 0)
        self._paused: Process | None = None
        self._kill_courier: bool | None = None
        self._after_kill = False
        self._refused: set[int] = set()
        self._mails: Counter[tuple[str, str, date]] = Counter()
        self._maybe_twice: set[tuple[str, str]] = set()
        events = list(events)
        self._first_day = min((event.day for event in events), default=0)
        world.outside.schedule = (True, START + self._first_day * DAY)
        for event in events:
            if event.what == "tick":
                self._ticks[event.day] = event.args
            else:
                self._plan(START + event.day * DAY + event.minute * MINUTE, event.what, **event.args)

    def run(self) -> Totals:
        """Raise `Violation`."""
        try:
            for day in range(self._first_day, self._days):
                self.day = day
                self._run_day()
                if self._progress:
                    self._progress(day, self.totals)
        finally:
            if self._paused is not None:
                self._paused.kill()
        return self.totals

    def _run_day(self) -> None:
        today = START + self.day * DAY
        for at, what in ((FIRE, "fire"), (COURIER, "courier"), (WATCHDOG, "watchdog")):
            self._plan(today + at, what)
        for at in COURIER_IF_DUE:
            self._plan(today + at, "courier_if_due")
        self._plan(today + WATCHDOG_IF_WRONG, "watchdog_if_wrong")
        end = today + DAY - MINUTE
        while self._agenda and self._agenda[0].moment < end:
            entry = heapq.heappop(self._agenda)
            self.world.clock.set(entry.moment)
            getattr(self, f"_on_{entry.what}")(**entry.args)
        self.world.clock.set(end)
        self._check_day()

    def _plan(self, moment: datetime, what: str, /, **args: Any) -> None:
        heapq.heappush(self._agenda, _Entry(moment, next(self._numbers), what, args))

    @property
    def _now(self) -> datetime:
        return self.world.clock.moment

    @property
    def _today(self) -> date:
        return self._now.date()

    # People

    def _on_open(self, pair: int, org: int, mentor: int, coordinator: int | None, began: int, last: int | None) -> None:
        start = self._today - began * DAY
        contact = None if last is None else self._today - last * DAY
        self.model.pairs[pair] = Pair(org, mentor, coordinator, start, contact)
        self.world.open(pair, org, (mentor, coordinator), start, contact)

    def _on_contact(self, pair: int, ago: int, kind: str, path: str) -> None:
        found = self.model.pairs.get(pair)
        if found is None:
            return
        by = found.mentor if path in ("direct", "bulk") or found.coordinator is None else found.coordinator
        path = "direct" if by == found.mentor and path not in ("direct", "bulk") else path
        day = self._today - ago * DAY
        self.world.log_contact(pair, day, kind, path, by)
        self.model.contact(pair, day, kind, self._today)
        self.totals.counted["contacts"] += kind in CONTACT

    def _on_contacts(self, pairs: list[int], ago: int, kind: str) -> None:
        known = [pair for pair in pairs if pair in self.model.pairs]
        day = self._today - ago * DAY
        self.world.log_contacts(known, day, kind)
        for pair in known:
            self.model.contact(pair, day, kind, self._today)
        self.totals.counted["contacts"] += len(known) * (kind in CONTACT)

    def _on_forget_contact(self, pair: int) -> None:
        if pair in self.model.pairs:
            self.world.forget_contact(pair)

    def _on_correct(self, pair: int, ago: int, stale: bool) -> None:
        found = self.model.pairs.get(pair)
        if found is None or self.world.is_down("database"):
            return
        day, version = self._today - ago * DAY, "2001-01-01" if stale else str(found.last or "never")
        status = self.world.correct(pair, day, version)
        if day == found.last:
            expected = 200
        elif not found.began <= day <= self._today:
            expected = 422
        else:
            expected = 412 if stale else 200
        same(f"the answer to a correction of pair {pair} to {day}", expected, status)
        if expected == 200:
            self.model.set_date(pair, day)
            self.totals.counted["corrections"] += 1

    def _on_close(self, pair: int) -> None:
        self._set_status(pair, is_open=False)

    def _on_reopen(self, pair: int) -> None:
        self._set_status(pair, is_open=True)

    def _set_status(self, pair: int, *, is_open: bool) -> None:
        if found := self.model.pairs.get(pair):
            self.world.update_pair(pair, "status", "open" if is_open else "closed")
            found.is_open = is_open
            found.settle()

    def _on_hand_over(self, pair: int, role: str, to: int) -> None:
        if found := self.model.pairs.get(pair):
            self.world.add_people(to)
            self.world.update_pair(pair, "peer_mentor_id" if role == "mentor" else "coordinator_id", person_id(to))
            setattr(found, role, to)

    def _on_read(self, pair: int) -> None:
        if found := self.model.pairs.get(pair):
            self.world.read(found.mentor, pair)
            for note in found.notes.values():
                note.is_read = note.is_read or note.recipient == found.mentor

    def _on_react(self, nth: int, how: str, to: int) -> None:
        """A person acts on one of today's notifications, perhaps before its message is sent."""
        today = datetime.combine(self._today, time(), UTC)
        notes = self.model.to_tell()
        keys = sorted(key for key, _, note in notes if note.created >= today and self._is_reachable(note.recipient))
        if not keys:
            return
        pair, kind, _ = keys[nth % len(keys)]
        if how == "hand_over":
            self._on_hand_over(pair, "mentor" if kind == "reminder" else "coordinator", to)
        elif how == "contact":
            self._on_contact(pair, 0, "meeting", "direct")
        elif how == "close":
            self._on_close(pair)
        else:
            self._on_read(pair)

    def _on_thresholds(self, org: int, reminder: int, escalation: int) -> None:
        self.world.set_org(org, reminder_days=reminder, escalation_days=escalation)
        self.model.orgs[org].reminder, self.model.orgs[org].escalation = reminder, escalation

    def _on_hours(self, org: int, zone: str, begin: str, end: str) -> None:
        self.world.set_org(org, time_zone=zone, send_from=begin, send_until=end)
        found = self.model.orgs[org]
        found.zone, found.begin, found.end = zone, time.fromisoformat(begin), time.fromisoformat(end)
        self._moves.append((self._now - DAY, self._now + 2 * DAY))

    def _on_move(self, person: int, zone: str | None) -> None:
        self.world.add_people(person)
        self.world.set_zone(person, zone)
        self.model.zones[person] = zone
        self._moves.append((self._now - DAY, self._now + 2 * DAY))

    def _on_refuse(self, person: int) -> None:
        if found := address(person):
            self.world.outside.refused.add(found)
            self._refused.add(person)

    # Operators, and what breaks

    def _on_pause(self) -> None:
        self.world.outside.schedule = (False, self._now)

    def _on_resume(self) -> None:
        if self.world.outside.schedule and not self.world.outside.schedule[0]:
            self.world.outside.schedule = (True, self._now)

    def _on_lock_is_held(self, minutes: int) -> None:
        if not self.world.lock_is_taken:
            self.world.take_lock()
            self._plan(self._now + minutes * MINUTE, "unlock")

    def _on_unlock(self) -> None:
        self.world.unlock()

    def _on_outage(self, what: str, minutes: int) -> None:
        until = self._now + minutes * MINUTE
        self._down[what] = max(until, self._down.get(what, until))
        self.world.set_down(what, down=True)
        if what not in ("slack", "sns", "scheduler"):
            self._troubles.append((self._now, until + LONGEST_PAUSE))
        self._plan(until, "repair", what=what)

    def _on_repair(self, what: str) -> None:
        if self._down[what] <= self._now:
            self.world.set_down(what, down=False)
            self._up_since[what] = self._now

    def _on_kill_courier(self, is_taken: bool) -> None:
        self._kill_courier = is_taken

    # Runs

    def _on_fire(self) -> None:
        tick = self._ticks.get(self.day, {"how": "normal", "retries": 2})
        enabled, _ = self.world.outside.schedule or (False, START)
        if not enabled or tick["how"] == "never":
            return
        if tick["how"] == "late":
            self._plan(self._now + tick["minutes"] * MINUTE, "deliver", tick=self._now, retries=tick["retries"])
            return
        if tick["how"] == "twice":
            self._plan(self._now + tick["minutes"] * MINUTE, "deliver", tick=self._now, retries=0)
        self._on_deliver(self._now, **tick)

    def _on_deliver(self, tick: datetime, retries: int, how: str = "normal", attempt: int = 0, **fault: Any) -> None:
        """EventBridge delivers; a failed invocation is tried again by Lambda, `retries` times."""
        name = f"run-{next(self._numbers)}"
        is_quiet = not (
            self.world.lock_is_taken or self._is_down("database", "scheduler") or self.model.last("running")
        )
        if how == "at once" and is_quiet and not self.model.tick_is_done(tick):
            failed = self._at_once(tick, name)
        elif how in FAULTS and is_quiet and self._paused is None:
            failed = self._faulty_run(tick, name, how, **fault)
        else:
            failed = self._ordinary_run(tick, name, out_of_time=how == "out of time")
        if failed and attempt < retries:
            again = self._now + (1 + attempt * 2) * MINUTE
            self._plan(again, "deliver", tick=tick, retries=retries, attempt=attempt + 1)

    def _on_run_by_hand(self) -> None:
        self._ordinary_run(None, None)

    def _ordinary_run(self, tick: datetime | None, name: str | None, *, out_of_time: bool = False) -> bool:
        """A run in this process, whose end is known beforehand; whether it failed."""
        event = _event(tick, name) if tick and name else {"action": "run"}
        occasion = f"run {tick or 'by hand'}"
        answer = self.world.cron(event, seconds=TOO_SHORT if out_of_time else 60.0)
        self.totals.counted["invocations"] += 1
        if self.world.is_down("database"):
            check(isinstance(answer, Exception), "a run without a database", answer)
            self._expect_direct(occasion)
            self._compare_alerts()
            return True
        run = Run(name, tick or self._now, self._now, "running")
        reason = None
        if self.world.lock_is_taken:
            reason = "advisory_lock_held"
        else:
            self.model.rescue(self._now)
            if tick and self.model.tick_is_done(tick):
                reason = "duplicate_tick"
        self.model.runs.append(run)
        failed = False
        if reason:
            run.status, run.note, run.dispatched = "skipped", reason, 0
            check(isinstance(answer, dict), f"a run that must be skipped ({reason}) raised", repr(answer))
        else:
            failed = out_of_time or self.world.is_down("scheduler")
            due = {} if failed else self.model.due((tick or self._now).date(), self._now)
            if failed:
                check(isinstance(answer, Exception), "a run that must fail succeeded", answer)
            else:
                check(isinstance(answer, dict), "a run that must succeed failed", repr(answer))
                run.dispatched = len(due)
                evaluated = sum(pair.is_open for pair in self.model.pairs.values())
                same("assignments that were evaluated", evaluated, dict(answer)["assignments_evaluated"])  # type: ignore[arg-type]
            self._take_notifications(due, all_of_them=True)
            self.model.end_run(run, "failed" if failed else "success", self._now)
        if not failed:
            self._told.discard(occasion)
        self._compare(checks_delivery=reason != "advisory_lock_held")
        return failed

    def _at_once(self, tick: datetime, name: str) -> bool:
        """Two deliveries in the same moment: one works, the other is skipped."""
        names = [name, f"{name}-b"]
        self.world.at_once(*(_event(tick, each) for each in names))
        self.totals.counted["invocations"] += 2
        rows = self._rows(names)
        same("two runs at once", ["skipped", "success"], sorted(row["status"] for row in rows))
        due = self.model.due(tick.date(), self._now)
        for row in rows:
            run = Run(row["event_id"], tick, self._now, "running", id=row["id"])
            self.model.runs.append(run)
            if row["status"] == "success":
                self.model.end_run(run, "success", self._now)
                run.dispatched = len(due)
            else:
                check(row["note"] in ("advisory_lock_held", "duplicate_tick"), "a skipped run", row["note"])
                run.status, run.note, run.dispatched = "skipped", row["note"], 0
        self._take_notifications(due, all_of_them=True)
        self._compare(checks_delivery=False)
        return False

    def _faulty_run(self, tick: datetime, name: str, how: str, step: str, target: str = "") -> bool:
        """A run that is killed, paused or cut off at `step`; what it did is taken from the database."""
        self.totals.counted["invocations"] += 1
        cron, reached = self.world.hold(_event(tick, name), step, short=how == "paused")
        if reached:
            self._strike(cron, how, target)
            self.totals.counted[f"runs {how}"] += 1
        if self._paused is None:
            cron.ended.result(PATIENCE)
        self.world.wait_until_quiet("reminders-scheduler" if self._paused else "reminders-%")
        self.world.barrier.hold_at(None)
        raised = any("raised" in report for report in cron.reports)
        if step in SENDING and reached:
            self._copies = {channel: copies + 1 for channel, copies in self._copies.items()}
        self._adopt(tick, name, raised=raised, ended=not reached or how not in ("killed", "paused"))
        return raised or (reached and how in ("killed", "paused"))

    def _strike(self, cron: Process, how: str, target: str) -> None:
        if how == "killed":
            cron.kill()
        elif how == "cut":
            self.world.end_backends(target)
        elif how == "scheduler killed":
            self.world.replace_scheduler()
        elif how == "paused":
            cron.pause()
            self._paused = cron
            self._plan(self._now + 15 * HOUR, "resume_process")
        self.world.barrier.release(answer_is_lost=how == "answer lost")
        if how == "paused":
            in_time = self.world.lock_is_free(LONGEST_LEASE.total_seconds() + 2)
            check(in_time, "the lock of a paused run is older than its lease")

    def _adopt(self, tick: datetime, name: str, *, raised: bool, ended: bool) -> None:
        """What a run with a fault left must be possible, and is true from now on."""
        due = self.model.due(tick.date(), self._now)
        row = next(iter(self._rows([name])), None)
        status = row["status"] if row else None
        check(row or raised or not ended, "a run ended without a row and without an error")
        is_done = self.model.tick_is_done(tick)
        if row:
            run = Run(name, tick, self._now, "running", id=row["id"])
            self.model.runs.append(run)
            if status == "skipped":
                check(is_done and row["note"] == "duplicate_tick", "a skipped run", row["note"])
                run.status, run.note, run.dispatched = "skipped", "duplicate_tick", 0
            elif status in ("failed", "success"):
                self.model.end_run(run, status, self._now)
        new = self._take_notifications(due, all_of_them=status == "success")
        check(not new or row, "notifications without a run")
        if status == "success":
            self.model.runs[-1].dispatched = new
        if raised and status in (None, "running"):
            self._expect_direct(name, fresh=True)
        self._compare(checks_delivery=False)

    def _on_resume_process(self) -> None:
        """Hours later the paused process goes on: it must find that its run is over."""
        paused, self._paused = self._paused, None
        if paused is None:
            return
        paused.resume()
        paused.ended.result(PATIENCE)
        self.world.wait_until_quiet()
        same("notifications of a run that was resumed after its lease", [], self.world.new_notifications())
        self._compare(checks_delivery=False)

    def _take_notifications(self, due: dict[Key, Note], *, all_of_them: bool) -> int:
        """The notifications that are new must be among those that are due, and are counted as made."""
        found: dict[Key, Note] = {}
        for row in self.world.new_notifications():
            key = (PAIRS[row["assignment_id"]], row["kind"], row["contact_anchor"])
            check(key not in found, "a notification twice", key)
            found[key] = Note(number_of(row["recipient_id"]), row["gap_days"], self._now)
        extra = {key: note for key, note in found.items() if due.get(key) != note}
        check(not extra, "notifications that are not due, or wrong", _short(extra))
        missing = due.keys() - found.keys()
        check(not (all_of_them and missing), "reminders that were lost", _short(sorted(missing)))
        self.model.dispatch(found)
        self.totals.counted["notifications"] += len(found)
        return len(found)

    # Watchdog and courier

    def _on_watchdog(self) -> None:
        late = "SELECT count(*) FROM messages WHERE status IN ('pending', 'sending') AND send_after < now() - %s"
        waiting = self._count(late, HOUR)
        answer = self.world.watchdog()
        self.totals.counted["invocations"] += 1
        if self.world.is_down("database"):
            check(isinstance(answer, Exception), "the watchdog without a database", answer)
            self._expect_direct("watchdog")
            self._compare_alerts()
            return
        check(isinstance(answer, dict), "the watchdog failed", repr(answer))
        self._told.discard("watchdog")
        schedule = self.world.outside.schedule or (True, START)
        self.model.watch(self._now, lock_is_held=self.world.lock_is_taken, schedule=schedule)
        about = [alert.kind for alert in self.model.alerts if alert.kind in ("message_backlog", "message_recovery")]
        is_reported = about[-1:] == ["message_backlog"]
        if waiting and not is_reported:
            check(self._is_troubled(self._now - 2 * DAY, self._now), "messages wait, and nothing is down", waiting)
            self.model.alerts.append(Alert("message_backlog", None, self._now))
        elif is_reported and not waiting:
            self.model.alerts.append(Alert("message_recovery", None, self._now))
        self._compare(checks_delivery=True)

    def _on_watchdog_if_wrong(self) -> None:
        waiting = any(self._pending.values()) or self.model.last("running") or self.world.lock_is_taken
        if waiting or self.world.outside.down or self._is_troubled(self._now - 8 * HOUR, self._now):
            self._on_watchdog()

    def _on_courier_if_due(self) -> None:
        if self._count(DUE):
            self._on_courier()

    def _on_courier(self) -> None:
        if self.world.is_down("courier"):
            return
        self.totals.counted["invocations"] += 1
        if self._kill_courier is not None and not self._is_down("database"):
            self._killed_round(self._kill_courier)
            self._kill_courier = None
            return
        answer = self.world.courier()
        if self.world.is_down("database"):
            check(isinstance(answer, Exception), "the courier without a database", answer)
            self._expect_direct("courier")
            self._compare_alerts()
            return
        if isinstance(answer, AccountError):
            self._expect_message_failure()
        else:
            check(isinstance(answer, dict), "the courier failed", repr(answer))
            self._told.discard("courier")
        self._check_mails(self._new_mails())
        if not any(what.startswith("mail") for what in self.world.outside.down) and not self._after_kill:
            self._check_nothing_is_left()
        self._after_kill = False
        self._compare_alerts()

    def _expect_message_failure(self) -> None:
        """A channel that refuses every message is reported once a day."""
        check(self.world.is_down("mail is paused"), "the courier stopped a channel that works")
        key = f"message_failure:email:{self._today}"
        if not any(alert.about == key for alert in self.model.alerts):
            self.model.alerts.append(Alert("message_failure", key, self._now))

    def _killed_round(self, is_taken: bool) -> None:
        """SIGKILL when the first mail arrives at the provider, which takes it or not."""
        courier = self.world.courier_process()

        def kill() -> bool:
            with suppress(ProcessLookupError):
                os.kill(courier.started.result(), signal.SIGKILL)
            return is_taken

        self.world.outside.on_mail = kill
        code = courier.ended.result(PATIENCE)
        self.world.wait_until_quiet("reminders-courier")
        self.world.outside.on_mail = None
        self.totals.counted["couriers killed"] += code != 0
        if {"raised": "AccountError"} in courier.reports:
            self._expect_message_failure()
        self._after_kill = True
        self._troubles.append((self._now, self._now + 2 * HOUR))
        mails = self._new_mails()
        self._check_mails(mails, killed=True)
        self._maybe_twice.update((mail.to, mail.org) for mail in mails)

    def _new_mails(self) -> list[Mail]:
        mails = self.world.outside.mails[self._seen["mails"] :]
        self._seen["mails"] += len(mails)
        self.totals.counted["mails"] += len(mails)
        return mails

    def _check_mails(self, mails: list[Mail], *, killed: bool = False) -> None:
        if not mails:
            return
        rows = self.world.all(
            "SELECT provider_message_id, local_date FROM messages WHERE provider_message_id = ANY(%s)",
            [mail.id for mail in mails],
        )
        days = {row["provider_message_id"]: row["local_date"] for row in rows}
        told = Counter((note.recipient, org) for _, org, note in self.model.to_tell())
        for mail in mails:
            person, org = int(re.findall(r"\d+", mail.to)[0]), number_of(UUID(mail.org))
            check(self.model.may_send(org, person, self._now), "a mail outside of the hours", mail.to, self._now)
            check(told[person, org], "a mail about nothing that is open", mail.to, self._now)
            check(killed or mail.id in days, "a mail that no message knows", mail.to)
            if mail.id in days:
                key = (mail.to, mail.org, days[mail.id])
                self._mails[key] += 1
                check(self._mails[key] == 1, "two mails on one day", *key)

    def _check_nothing_is_left(self) -> None:
        """After a round: each notification has its message, and none that is due is left."""
        rows = self.world.all(
            """
            SELECT n.assignment_id, n.kind, n.contact_anchor FROM message_items AS i
            JOIN notifications AS n ON n.id = i.notification_id WHERE n.created_at > now() - interval '3 days'
            """
        )
        told = {(PAIRS[row["assignment_id"]], row["kind"], row["contact_anchor"]) for row in rows}
        young = self._now - 47 * HOUR
        lost = [
            key
            for key, _, note in self.model.to_tell()
            if note.created > young and self._is_reachable(note.recipient) and key not in told
        ]
        check(not lost, "notifications without a message", _short(lost))
        same("messages that were left", 0, self._count(DUE))

    # Comparing

    def _compare(self, *, checks_delivery: bool) -> None:
        self._compare_ledger()
        self._compare_alerts()
        if checks_delivery:
            for channel in CHANNELS:
                up_since = self._up_since.get(channel, START - DAY)
                if not self.world.is_down(channel) and self._now - up_since >= LONGEST_PAUSE:
                    left = [alert.kind for alert in self._pending[channel]]
                    same(f"alerts that {channel} did not get", [], left)

    def _compare_ledger(self) -> None:
        """The rows of the last days, one by one."""
        since_day = datetime.combine(self._today - 5 * DAY, time(), UTC)
        rows = self.world.all(
            """
            SELECT id, event_id, scheduled_for, trigger_source, status, consecutive_failure_count, note, error_message,
                reminders_dispatched
            FROM cron_execution_logs WHERE started_at >= %s ORDER BY started_at
            """,
            since_day,
        )
        runs = [run for run in self.model.runs if run.started >= since_day]
        same("rows of the ledger", [_of_run(run) for run in runs], [_of_row(row) for row in rows])
        for run, row in zip(runs, rows, strict=True):
            run.id = row["id"]
            if run.dispatched is not None:
                same("dispatched by a run", run.dispatched, row["reminders_dispatched"])

    def _compare_alerts(self) -> None:
        """What was written to the outbox since the last time, and what the channels received."""
        rows = self.world.all(
            "SELECT kind, dedupe_key, payload FROM cron_alerts ORDER BY created_at OFFSET %s", self._seen["alerts"]
        )
        new = self.model.alerts[self._seen["alerts"] :]
        same("alerts", [_key(alert) for alert in new], [_key_of_row(row) for row in rows])
        for alert, row in zip(new, rows, strict=True):
            if alert.failures is not None:
                same("failures in an alert", alert.failures, row["payload"]["consecutive_failure_count"])
        self._seen["alerts"] += len(rows)
        self.totals.counted["alerts"] += len(rows)
        for channel in CHANNELS:
            self._pending[channel] += new
            for kind, about in self._received(channel):
                self._take(channel, kind, about)
        same("alerts that were sent directly", self._direct, self._got_direct)

    def _received(self, channel: str) -> Iterator[tuple[str, str | None]]:
        """Kind and subject of what a channel got since the last time."""
        source: list[Any] = self.world.slack.posted if channel == "slack" else self.world.outside.published
        new = source[self._seen[channel] :]
        self._seen[channel] += len(new)
        return map(_of_slack if channel == "slack" else _of_payload, new)

    def _take(self, channel: str, kind: str, about: str | None) -> None:
        if kind == "direct":
            self._got_direct[channel] += 1
            return
        waiting = self._pending[channel]
        place = next((i for i, alert in enumerate(waiting) if _subject(alert) == (kind, about)), None)
        if place is None:
            known = any(_subject(alert) == (kind, about) for alert in self.model.alerts)
            check(known and self._copies[channel], f"{channel} got an alert that nothing calls for", kind, about)
            self._copies[channel] -= 1
            return
        # A recovery reports also the failures that were not delivered.
        passed = [
            alert.kind for alert in waiting[:place] if kind != "recovery" or alert.kind not in ("failure", "repeat")
        ]
        same(f"{channel} got {kind} before", [], passed)
        del waiting[: place + 1]

    def _expect_direct(self, occasion: str, *, fresh: bool = False) -> None:
        """A failure that nothing records goes to every channel that works, once in a warm process."""
        if occasion in self._told and not fresh:
            return
        up = [channel for channel in CHANNELS if not self.world.is_down(channel)]
        for channel in up:
            self._direct[channel] += 1
        if up and not fresh:
            self._told.add(occasion)

    def _check_day(self) -> None:
        """Everything once a day."""
        self._check_people()
        check(self.world.lock_is_taken or self.world.lock_is_free(), "no run of ours holds the lock")
        self._check_ends_of_messages()
        self._check_nothing_personal()
        self._check_retention()

    def _check_people(self) -> None:
        rows = self.world.all(
            "SELECT id, status, last_contact_date, peer_mentor_id, coordinator_id FROM assignments ORDER BY id"
        )
        found = {
            PAIRS[row["id"]]: (
                row["status"] == "open",
                row["last_contact_date"],
                number_of(row["peer_mentor_id"]),
                row["coordinator_id"] and number_of(row["coordinator_id"]),
            )
            for row in rows
        }
        expected = {n: (p.is_open, p.last, p.mentor, p.coordinator) for n, p in self.model.pairs.items()}
        wrong = {n: (expected.get(n), found.get(n)) for n in expected | found if expected.get(n) != found.get(n)}
        check(not wrong, "assignments differ (expected, found)", _short(wrong))
        rows = self.world.all("SELECT assignment_id, kind, contact_anchor FROM notifications WHERE resolved_at IS NULL")
        is_open = {(PAIRS[row["assignment_id"]], row["kind"], row["contact_anchor"]) for row in rows}
        notes = {(n, *key): note for n, pair in self.model.pairs.items() for key, note in pair.notes.items()}
        should = {key for key, note in notes.items() if note.is_open}
        check(is_open == should, "open notifications differ", _short(sorted(is_open ^ should)))
        same("notifications in all", len(notes), self._count("SELECT count(*) FROM notifications"))

    def _check_ends_of_messages(self) -> None:
        rows = self.world.all(
            """
            SELECT recipient_id, status, send_after, expires_at FROM messages
            WHERE status IN ('expired', 'failed') AND expires_at > now() - interval '2 days'
            """
        )
        for row in rows:
            person = number_of(row["recipient_id"])
            if row["status"] == "failed":
                check(person in self._refused, "a message failed, and no provider refuses this address", person)
            else:
                about = (row["send_after"] - HOUR, row["expires_at"])
                is_late = self._is_troubled(*about) or self._is_moved(*about)
                check(is_late or person in self._refused, "a message expired, and nothing was down", person)

    def _check_nothing_personal(self) -> None:
        texts = [self.world.take_log(), *map(str, self.world.slack.posted[self._seen["texts"] :])]
        texts += self.world.outside.texts
        self._seen["texts"] = len(self.world.slack.posted)
        self.world.outside.texts.clear()
        rows = self.world.all(
            """
            SELECT concat_ws(' ', error_message, note, event_id) AS text FROM cron_execution_logs
            WHERE started_at > now() - interval '1 day'
            UNION ALL SELECT payload::text FROM cron_alerts WHERE created_at > now() - interval '1 day'
            UNION ALL SELECT last_error FROM cron_alert_deliveries WHERE last_error IS NOT NULL
            UNION ALL SELECT last_error FROM messages WHERE last_error IS NOT NULL
            """
        )
        texts += [row["text"] or "" for row in rows]
        for secret in (DOMAIN, NAME, *self.world.passwords):
            found = next((text for text in texts if secret in text), None)
            check(found is None, "personal data, or a password, in ledger, alerts or log", _short(found))

    def _check_retention(self) -> None:
        rows = self._count("SELECT count(*) FROM cron_execution_logs")
        kept = [run for run in self.model.runs if run.started > self._now - 90 * DAY]
        older = [run for run in self.model.runs if run.started > self._now - 91 * DAY]
        # The newest success stays, however old it is.
        check(len(kept) <= rows <= len(older) + 1, "rows of the ledger after 90 days", rows, len(kept), len(older))

    # Small things

    def _is_down(self, *what: str) -> bool:
        return any(self.world.is_down(name) for name in what)

    def _is_troubled(self, begin: datetime, end: datetime) -> bool:
        return any(first <= end and begin <= last for first, last in self._troubles)

    def _is_moved(self, begin: datetime, end: datetime) -> bool:
        return any(first <= end and begin <= last for first, last in self._moves)

    def _is_reachable(self, person: int) -> bool:
        return person not in self._refused and address(person) is not None

    def _count(self, statement: str, *values: object) -> int:
        return int(self.world.value(statement, *values))

    def _rows(self, names: list[str]) -> list[dict[str, Any]]:
        return self.world.all("SELECT * FROM cron_execution_logs WHERE event_id = ANY(%s) ORDER BY started_at", names)


def _event(tick: datetime, name: str) -> dict[str, str]:
    return {"scheduled_time": tick.isoformat(), "execution_id": name}


def _of_run(run: Run) -> tuple[object, ...]:
    tick = None if run.event is None else run.tick
    return (run.event, tick, run.status, run.failures, run.note, run.abandoned)


def _of_row(row: dict[str, Any]) -> tuple[object, ...]:
    event, failures = row["event_id"], row["consecutive_failure_count"]
    tick = None if event is None else row["scheduled_for"].astimezone(UTC)
    abandoned = (row["error_message"] or "").startswith("abandoned:")
    return (event, tick, row["status"], failures, row["note"], abandoned)


def _key(alert: Alert) -> str:
    """As the outbox has it; of messages that wait, the kind alone."""
    if alert.about is None or isinstance(alert.about, str):
        return alert.about or alert.kind
    if isinstance(alert.about, datetime):
        return f"{alert.kind}:{alert.about:%Y-%m-%dT%H:%M:%SZ}"
    return f"{alert.kind}:{alert.about.id}"


def _key_of_row(row: dict[str, Any]) -> str:
    kind = str(row["kind"])
    return kind if kind in ("message_backlog", "message_recovery") else str(row["dedupe_key"])


def _subject(alert: Alert) -> tuple[str, str | None]:
    """As a channel shows it."""
    if isinstance(alert.about, Run):
        return alert.kind, str(alert.about.id)
    return alert.kind, f"{alert.about:%Y-%m-%d %H:%M}" if isinstance(alert.about, datetime) else None


def _of_slack(message: dict[str, Any]) -> tuple[str, str | None]:
    text = message["blocks"][1]["text"]["text"]
    kind = next(kind for words, kind in HEADLINES.items() if words in message["text"])
    run = re.search(r"^Run: (\S+)", text, re.MULTILINE)
    tick = re.search(r"^Scheduled time: (\S+ \d\d:\d\d)", text, re.MULTILINE)
    found = run or tick
    return kind, found[1] if found else None


def _of_payload(payload: dict[str, Any]) -> tuple[str, str | None]:
    kind, run, tick = payload["kind"], payload.get("run_id"), payload.get("scheduled_for")
    if kind == "failure" and run is None:
        return "direct", None
    return kind, run or (f"{datetime.fromisoformat(tick):%Y-%m-%d %H:%M}" if tick else None)
