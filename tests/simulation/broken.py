"""
Ways to break the product, by replacing text in a copy of it. The simulation must find each
(test_simulation.py::test_broken_product).

Text of migrations is replaced in all of them, because a later one may define a function again.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.docs.blocks import ROOT
from tests.simulation.story import Event, make_story

# The stories in which the broken products are found.
DAYS, PAIRS, TROUBLE = 21, 100, 4.0
MIGRATIONS = "migrations"
DISPATCH = "functions/reminders/scheduling/scheduling.sql"
LEDGER = "functions/reminders/runs/ledger.sql"


@dataclass(frozen=True, slots=True)
class Replacement:
    """`old` becomes `new` wherever it is in `place`, a file or the folder of migrations."""

    place: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Broken:
    """`name` is what the broken product does. `needs`: the events of one day on which that matters, as patterns."""

    name: str
    replacements: tuple[Replacement, ...]
    needs: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name

    @property
    def seed(self) -> int:
        """The first story in which such a day comes early, before the schedule is paused."""
        return next(seed for seed in range(1, 1_000) if self._comes_early(make_story(seed, DAYS, PAIRS, TROUBLE)))

    def _comes_early(self, story: Sequence[Event]) -> bool:
        paused = min((event.day for event in story if event.what == "pause"), default=DAYS)
        days = [" | ".join(str(event) for event in story if event.day == day) for day in range(min(4, paused))]
        return any(all(re.search(need, text) for need in self.needs) for text in days)


def broken(name: str, *texts: tuple[str, str, str], needs: tuple[str, ...] = ()) -> Broken:
    return Broken(name, tuple(Replacement(*text) for text in texts), needs)


BROKEN = [
    broken(
        "an old contact moves the date back",
        (MIGRATIONS, "newest.day > a.last_contact_date", "newest.day <> a.last_contact_date"),
        needs=(r"contacts pairs=\[\d+, \d+, \d+.*\] ago=9 kind=(meeting|phone_call|message)",),
    ),
    broken(
        "a contact in the future counts",
        (MIGRATIONS, "l.recorded_date <= today", "true"),
        needs=(r"contacts pairs=\[\d+, \d+.*\] ago=(-1|-365) kind=(meeting|phone_call|message)",),
    ),
    broken(
        "every activity counts as contact",
        (MIGRATIONS, "l.activity_type::text IN (SELECT t.code FROM public.contact_activity_types AS t)", "true"),
    ),
    broken(
        "a contact does not resolve notifications",
        (MIGRATIONS, "is_open AND n.contact_anchor = anchor", "is_open"),
    ),
    broken(
        "a correction of an old version is accepted",
        (
            "functions/reminders/contacts/correction.py",
            "if request.expected.isdisjoint({ANY_VERSION, current}):",
            "if False:",
        ),
        needs=("stale=True",),
    ),
    broken("a reminder comes a day late", (DISPATCH, "gap_days >= reminder_days", "gap_days > reminder_days")),
    broken(
        "the escalation goes to the mentor",
        (DISPATCH, "coordinator_id AS recipient_id", "peer_mentor_id AS recipient_id"),
    ),
    broken(
        "closed assignments are reminded", (MIGRATIONS, "WHERE a.status IN (%s)\n", "WHERE a.status IN (%s) OR true\n")
    ),
    broken(
        "the same reminder is sent every day",
        (DISPATCH, "WHERE n.assignment_id IS NULL OR n.run_id = %(run_id)s", ""),
        (DISPATCH, "i.indnkeyatts = 3", "i.indnkeyatts = 4"),
        (MIGRATIONS, "assignment_id, kind, contact_anchor", "assignment_id, kind, contact_anchor, gap_days"),
    ),
    broken(
        "only the first batch is evaluated",
        ("functions/reminders/scheduling/service.py", "batch.evaluated == size and", "batch.evaluated > size and"),
    ),
    broken(
        "a scheduled time is worked twice",
        (
            LEDGER,
            "AND status = 'success'\n            AND started_at",
            "AND status = 'failed'\n            AND started_at",
        ),
        needs=("tick how=twice",),
    ),
    broken(
        "failures are not added up",
        (LEDGER, "ELSE before.failures + 1", "ELSE 1"),
        needs=("05:59  outage what=scheduler minutes=1500",),
    ),
    broken(
        "a retry counts as another failure",
        (LEDGER, "AND earlier.status = 'failed'", "AND earlier.status = 'skipped'"),
        needs=("05:59  outage what=scheduler minutes=(45|180|600)",),
    ),
    broken(
        "every failure alerts",
        ("functions/reminders/alerts/policy.py", "if result.failures == self.threshold:", "if result.failures >= 1:"),
        needs=("tick how=out of time",),
    ),
    broken(
        "no recovery is reported",
        (
            "functions/reminders/alerts/policy.py",
            "result.failures_before >= self.threshold",
            "result.failures_before > 99",
        ),
        needs=("05:59  outage what=scheduler minutes=1500",),
    ),
    broken(
        "an alert that a channel refused counts as delivered",
        (
            "functions/reminders/alerts/outbox.sql",
            "SET attempts = attempts + 1, next",
            "SET delivered_at = now(), attempts = attempts + 1, next",
        ),
        needs=(
            "05:59  outage what=(slack|sns) minutes=(180|600|1500)",
            "tick how=never",
        ),
    ),
    broken(
        "a failure without a row is not reported",
        (
            "functions/handlers/cron.py",
            'unrecorded_failures().report(dedupe_key, error, JOB_NAME, "nothing could be recorded in the ledger")',
            "pass",
        ),
        needs=("05:59  outage what=database minutes=(45|180|600|1500)",),
    ),
    broken(
        "a failure is reported twice",
        (
            "functions/handlers/cron.py",
            "if not request.dry_run and not (ledger and ledger.run_is_recorded):",
            "if True:",
        ),
        needs=("tick how=out of time",),
    ),
    broken(
        "a run works without the lock",
        ("functions/reminders/runs/lifecycle.py", "if not locked:", "if False:"),
        needs=("lock_is_held minutes=(90|600)",),
    ),
    broken(
        "the lock is no lease",
        (
            "functions/reminders/runs/lock.sql",
            "set_config('idle_in_transaction_session_timeout', %(lease_ms)s, true)",
            "%(lease_ms)s::text",
        ),
        needs=("tick how=paused",),
    ),
    broken(
        "a scheduled time without a run is not noticed",
        (
            "functions/reminders/runs/watchdog.py",
            "tick = deps.rules.ticks.last(last.now - deps.rules.grace, known)",
            "tick = None",
        ),
        needs=("tick how=never",),
    ),
    broken(
        "the row of a killed run is not settled",
        ("functions/reminders/runs/lifecycle.py", "ledger.rescue_abandoned()", "pass"),
        ("functions/reminders/runs/watchdog.py", "return deps.ledger.rescue([", "return len(["),
        needs=("tick how=killed retries=0 step=scheduler", "^(?!.*(lock_is_held|05:59))"),
    ),
    broken(
        "messages are sent at any hour",
        (
            MIGRATIONS,
            "WHEN send_from < send_until AND wall.clock >= send_from",
            "WHEN send_from < send_until OR wall.clock >= send_from",
        ),
    ),
    broken(
        "a person's own time zone is ignored",
        (MIGRATIONS, "ARRAY[own, fallback]", "ARRAY[fallback, own]"),
        needs=("move person=(3|6|9|12|15|18|21|24|27|30|33) zone=(Pacific|Asia)",),
    ),
    broken(
        "a message is sent after contact",
        (
            MIGRATIONS,
            "LEFT JOIN reminder_private.open_notifications AS o ON o.id = i.notification_id",
            "LEFT JOIN public.notifications AS o ON o.id = i.notification_id",
        ),
    ),
    broken(
        "after a handover the former mentor gets the message",
        (
            MIGRATIONS,
            "AND n.recipient_id = CASE n.kind::text WHEN 'reminder' THEN a.peer_mentor_id ELSE a.coordinator_id END",
            "",
        ),
        needs=(r"day   0 \d\d:\d\d  react nth=\d+ how=hand_over",),
    ),
    broken(
        "a message expires after an hour",
        (MIGRATIONS, "t.send_after + interval '24 hours'", "t.send_after + interval '1 hour'"),
        needs=("^(?!.*(outage|lock_is_held|hours|move))", "tick how=twice"),
    ),
    broken(
        "a message of a killed courier is lost",
        (MIGRATIONS, "m.status = 'sending' AND m.lease_until < at", "false"),
        needs=("kill_courier",),
    ),
    broken(
        "a failed message is not tried again",
        (
            "functions/reminders/messages/email.py",
            'return Result(Status.RETRY, error=f"ses: {code}")',
            'return Result(Status.FAILED, error=f"ses: {code}")',
        ),
        needs=("05:59  outage what=email is (down|throttled) minutes=(180|600|1500)",),
    ),
    broken(
        "a failed push message is not tried again",
        (
            "functions/reminders/messages/push.py",
            'return Result(Status.RETRY, error=f"sns: {code}")',
            'return Result(Status.FAILED, error=f"sns: {code}")',
        ),
        needs=("05:59  outage what=push is (down|throttled) minutes=(600|1500)", "tick how=twice"),
    ),
    broken(
        "nothing is composed for the second channel",
        (
            "functions/reminders/messages/courier.py",
            "[channel.name for channel in deps.channels], ",
            "[deps.channels[0].name], ",
        ),
    ),
    broken(
        "a push message has the numbers of another line",
        ("functions/reminders/messages/push.py", "words.lines[0]", "words.lines[-1]"),
    ),
    broken(
        "an error message has the device's token",
        (
            "functions/reminders/messages/push.py",
            'return Result(Status.RETRY, error=f"sns: {code}")',
            'return Result(Status.RETRY, error=f"sns: {code} {device.token}")',
        ),
        needs=("05:59  outage what=push is (down|throttled) minutes=(600|1500)", "tick how=twice"),
    ),
    broken(
        "an error message has the person's address",
        (
            "functions/reminders/messages/delivery.py",
            '"error": result.error}',
            '"error": result.error and f"{result.error} {done.message.email}"}',
        ),
        needs=("05:59  outage what=email is (down|throttled) minutes=(180|600|1500)",),
    ),
    broken(
        "the reason of a correction is logged",
        ("functions/reminders/contacts/correction.py", '"by": str(made.corrected_by)', '"by": str(made.reason)'),
    ),
]


def break_copy(case: Broken, folder: Path) -> None:
    """Copy functions and migrations to `folder`, and break them. Every text must be there."""
    for name in ("functions", MIGRATIONS):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for replacement in case.replacements:
        place = folder / replacement.place
        files = sorted(place.glob("*.sql")) if place.is_dir() else [place]
        found = [file for file in files if replacement.old in file.read_text()]
        assert found, f"{replacement.place} does not have {replacement.old!r} any more"
        for file in found:
            file.write_text(file.read_text().replace(replacement.old, replacement.new))
