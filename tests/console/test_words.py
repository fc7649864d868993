"""The words and numbers on the pages: verdicts, strips, times and digits by organisation."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from reminders.console.formats import Formats, Moment
from reminders.console.health import verdict
from reminders.console.reading import Overview, Position, RunDay
from reminders.console.strip import strip
from tests.helpers.cases import table

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
GOOD = Overview(
    now=NOW,
    succeeded_at=NOW - timedelta(hours=3),
    success_started_at=NOW - timedelta(hours=3),
    dispatched=12,
    failed=0,
    without_recipient=0,
    last_run_id=None,
    last_failed=False,
    failures=0,
    last_scheduled_for=NOW - timedelta(hours=3),
    last_ended_at=NOW - timedelta(hours=3),
    running_since=None,
    lock_pid=None,
    open_assignments=40,
    past_reminder=3,
    past_escalation=1,
    without_coordinator=0,
    longest_days=22,
    unreached=None,
)
DUE = NOW - timedelta(hours=3)


@table(
    ("seen", "level", "sentence"),
    [
        (GOOD, "good", "All is well."),
        (replace(GOOD, failed=1), "attention", "The reminders work, but 1 assignment could not be checked."),
        (replace(GOOD, last_failed=True, failures=2), "problem", "The last run failed, so reminders are late."),
        (replace(GOOD, success_started_at=NOW - timedelta(days=1)), "problem", "Reminders are late."),
        (replace(GOOD, running_since=NOW - timedelta(hours=1)), "problem", "A run does not end."),
        (replace(GOOD, running_since=NOW - timedelta(minutes=5)), "good", "All is well."),
        (replace(GOOD, unreached=0), "good", "All is well."),
        (replace(GOOD, unreached=1), "attention", "The reminders work, but 1 person could not be reached."),
        (replace(GOOD, lock_pid=7), "problem", "No run can start."),
        (replace(GOOD, lock_pid=7, running_since=NOW), "good", "All is well."),
        (replace(GOOD, lock_pid=7, last_ended_at=NOW - timedelta(seconds=9)), "good", "All is well."),
        (replace(GOOD, succeeded_at=None), "attention", "No run has taken place yet."),
        (replace(GOOD, succeeded_at=None, last_failed=True), "problem", "No run has succeeded yet."),
    ],
)
def test_verdict(seen: Overview, level: str, sentence: str) -> None:
    """One sentence for each state of the job."""
    found = verdict(seen, DUE, Formats())
    assert (level, sentence) == (found.level, found.sentence)


def test_run_that_is_due_now_is_not_late() -> None:
    """Runs take a while to start, and a retry or two."""
    due = NOW - timedelta(minutes=44)
    assert "good" == verdict(replace(GOOD, success_started_at=NOW - timedelta(days=1)), due, Formats()).level


@table(
    ("locale", "text"),
    [("en", "1,234,567"), ("de-AT", "1.234.567"), ("nb", "1\u00a0234\u00a0567"), (None, "1,234,567")],
)
def test_numbers_as_the_organisation_writes_them(locale: str | None, text: str) -> None:
    """By its language; English where none is set or known."""
    assert text == Formats.of(None, locale).number(1_234_567)


@table(
    ("zone", "moment"),
    [
        ("UTC", Moment("Wed 25 Nov 2026, 23:30 UTC", "", "2026-11-25T23:30:00+00:00")),
        (
            "Europe/Oslo",
            Moment("Thu 26 Nov 2026, 00:30 Europe/Oslo", "25 Nov 2026, 23:30 UTC", "2026-11-25T23:30:00+00:00"),
        ),
        (
            "America/Lima",
            Moment("Wed 25 Nov 2026, 18:30 America/Lima", "23:30 UTC", "2026-11-25T23:30:00+00:00"),
        ),
        ("Nowhere/Land", Moment("Wed 25 Nov 2026, 23:30 UTC", "", "2026-11-25T23:30:00+00:00")),
        ("../../etc/passwd", Moment("Wed 25 Nov 2026, 23:30 UTC", "", "2026-11-25T23:30:00+00:00")),
    ],
)
def test_time_in_the_organisations_zone(zone: str, moment: Moment) -> None:
    """The zone is named, UTC stands beside it, with its day where that is another one; an unknown zone is UTC."""
    assert moment == Formats.of(zone, None).moment(datetime(2026, 11, 25, 23, 30, tzinfo=UTC))


def test_strip() -> None:
    """One bar a day; the busiest is the tallest, and a failure cannot be overlooked."""
    today = date(2026, 11, 25)
    days = [RunDay(today, True, False, 9), RunDay(today - timedelta(days=1), False, True, 0)]
    found = strip(days, today, Formats())
    assert (30, ["none", "failed", "good"]) == (len(found.bars), [bar.state for bar in found.bars[-3:]])
    assert (48, 48) == (found.bars[-1].height, found.bars[-2].height)
    assert "No run: 27 Oct 2026 to 23 Nov 2026." == found.text[-1]


@table("text", ["", "x", "2026-01-01", "2026-01-01_", "2026-13-01_x", "_00000000-0000-0000-0000-000000000001"])
def test_place_in_a_list_that_is_none(text: str) -> None:
    """A link that was cut off or made up leads to no place."""
    assert Position.read(text) is None
