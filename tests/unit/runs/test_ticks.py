"""Ticks from EventBridge's expressions, against an oracle that walks the calendar day by day."""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reminders.errors import SettingsError
from reminders.runs.ticks import parse_schedule
from tests.helpers.cases import table

MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
WEEKDAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]


def last_tick(expression: str, until: datetime) -> datetime | None:
    """The oracle: EventBridge's documentation, "Cron expressions", read out day by day."""
    minute, hour, day, month, weekday, year = expression[len("cron(") : -1].split()
    minutes, hours = numbers(minute, 0, 59), numbers(hour, 0, 23)
    months, years = numbers(month, 1, 12, MONTHS), numbers(year, 1970, 2199)
    for today in days_back_from(until.date()):
        if today.month not in months or today.year not in years:
            continue
        if not (is_day(day, today) if weekday == "?" else is_weekday(weekday, today)):
            continue
        times = (
            datetime(today.year, today.month, today.day, h, m, tzinfo=UTC)
            for h in sorted(hours, reverse=True)
            for m in sorted(minutes, reverse=True)
        )
        found = next((time for time in times if time <= until), None)
        if found:
            return found
    return None


def days_back_from(newest: date) -> Iterator[date]:
    """To the beginning of the same month eight years earlier, as far as the code looks."""
    oldest = newest.replace(year=newest.year - 8, day=1)
    for back in range((newest - oldest).days + 1):
        yield newest - timedelta(days=back)


def numbers(field: str, low: int, high: int, names: list[str] | None = None) -> set[int]:
    """Lists, ranges (also over the end: FRI-MON), steps, names."""
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        if first == "*":
            begin, end = low, high
        else:
            begin = number(first, names)
            end = number(last, names) if dash else (high if step else begin)
        size = high - low + 1
        walk = range(0, (end - begin) % size + 1, int(step or 1))
        found |= {low + (begin - low + offset) % size for offset in walk}
    return found


def number(text: str, names: list[str] | None) -> int:
    return names.index(text.upper()) + 1 if names and text.upper() in names else int(text)


def length(today: date) -> int:
    return calendar.monthrange(today.year, today.month)[1]


def is_day(field: str, today: date) -> bool:
    if field.startswith("L"):
        return today.day == length(today) - int(field[2:] or 0)
    if field.endswith("W"):
        return today == nearest_weekday(today, int(field[:-1]))
    return today.day in numbers(field, 1, 31)


def nearest_weekday(today: date, day: int) -> date | None:
    """The weekday nearest to that day, in the same month."""
    if day > length(today):
        return None
    candidates = [d for n in range(1, length(today) + 1) if (d := today.replace(day=n)).weekday() < 5]
    return min(candidates, key=lambda d: (abs(d.day - day), d.day))


def is_weekday(field: str, today: date) -> bool:
    mine = today.isoweekday() % 7 + 1
    if field.endswith("L"):
        return mine == number(field[:-1], WEEKDAYS) and today.day + 7 > length(today)
    if "#" in field:
        weekday, _, week = field.partition("#")
        return mine == number(weekday, WEEKDAYS) and (today.day - 1) // 7 + 1 == int(week)
    return mine in numbers(field, 1, 7, WEEKDAYS)


def values(low: int, high: int, names: list[str] | None = None) -> st.SearchStrategy[str]:
    one = st.integers(low, high).map(str)
    return one | st.sampled_from(names) if names else one


def simple(low: int, high: int, names: list[str] | None = None, steps: bool = True) -> st.SearchStrategy[str]:
    one = values(low, high, names)
    span = st.builds("{}-{}".format, one, one)
    forms = one | span
    if steps:
        forms |= st.builds("{}/{}".format, st.just("*") | one | span, st.integers(max(low, 1), high))
    return st.just("*") | st.lists(forms, min_size=1, max_size=3).map(",".join)


DAYS = simple(1, 31) | st.just("L") | st.integers(1, 30).map("L-{}".format) | st.integers(1, 31).map("{}W".format)
WEEKDAY_FIELDS = (
    simple(1, 7, WEEKDAYS, steps=False)
    | values(1, 7, WEEKDAYS).map("{}L".format)
    | st.builds("{}#{}".format, values(1, 7, WEEKDAYS), st.integers(1, 5))
)
YEARS = st.just("*") | st.lists(
    values(2024, 2030) | st.integers(2024, 2030).map(lambda y: f"{y}-{y + 2}"), min_size=1, max_size=2
).map(",".join)
EXPRESSIONS = st.builds(
    "cron({} {} {} {} {} {})".format,
    simple(0, 59),
    simple(0, 23),
    DAYS,
    simple(1, 12, MONTHS),
    st.just("?"),
    YEARS,
) | st.builds(
    "cron({} {} ? {} {} {})".format, simple(0, 59), simple(0, 23), simple(1, 12, MONTHS), WEEKDAY_FIELDS, YEARS
)
MOMENTS = st.datetimes(datetime(2025, 1, 1), datetime(2030, 12, 31), timezones=st.just(UTC))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@settings(max_examples=400, deadline=None)
@given(EXPRESSIONS, MOMENTS)
@example("cron(0 6 * 2 ? *)", at("2026-07-01"))
@example("cron(0 6 29-31 4 ? *)", at("2026-05-05"))
@example("cron(0 6 * 2-6 ? *)", at("2026-09-09"))
@example("cron(0 6 29 2 ? *)", at("2028-02-29T06:00"))
@example("cron(0 6 29 2 ? *)", at("2028-02-28T06:00"))
def test_newest_tick(expression: str, until: datetime) -> None:
    """Whatever the fields say, the newest tick is the one that a walk through the calendar finds."""
    assert last_tick(expression, until) == parse_schedule(expression).last(until, None)


@table(
    ("expression", "until", "expected"),
    [
        ("cron(0 6 * * ? *)", "2026-11-21T06:00", "2026-11-21T06:00"),
        ("cron(0 6 * * ? *)", "2026-11-21T05:59:59.999999", "2026-11-20T06:00"),
        ("cron(0 6 * * ? *)", "2026-01-01T00:00", "2025-12-31T06:00"),
        ("  cron(0 6 * * ? *) ", "2026-11-21T07:00", "2026-11-21T06:00"),
        ("cron( 0  6 * * ? * )", "2026-11-21T07:00", "2026-11-21T06:00"),
        ("cron(0 6 ? * SUN *)", "2026-11-21T07:00", "2026-11-15T06:00"),
        ("cron(0 6 ? * 1 *)", "2026-11-21T07:00", "2026-11-15T06:00"),
        ("cron(0 6 ? * MON-FRI *)", "2026-11-22T07:00", "2026-11-20T06:00"),
        ("cron(0 6 ? * SAT-SUN *)", "2026-11-20T07:00", "2026-11-15T06:00"),
        ("cron(0 6 ? * FRIL *)", "2026-11-21T07:00", "2026-10-30T06:00"),
        ("cron(0 6 ? * 3#2 *)", "2026-11-21T07:00", "2026-11-10T06:00"),
        ("cron(0 6 ? * MON#5 *)", "2026-11-29T07:00", "2026-08-31T06:00"),
        ("cron(0 6 L * ? *)", "2028-03-01T05:00", "2028-02-29T06:00"),
        ("cron(0 6 L-3 * ? *)", "2026-11-21T07:00", "2026-10-28T06:00"),
        ("cron(0 6 15W * ? *)", "2026-11-30T07:00", "2026-11-16T06:00"),
        ("cron(0 6 1W * ? *)", "2026-08-31T07:00", "2026-08-03T06:00"),
        ("cron(0 6 31W * ? *)", "2026-06-20T07:00", "2026-05-29T06:00"),
        ("cron(0/15 8-17 ? * MON,WED *)", "2026-11-18T17:44", "2026-11-18T17:30"),
        ("cron(0 22-2 * * ? *)", "2026-11-21T12:00", "2026-11-21T02:00"),
        ("cron(0 6 29 2 ? *)", "2027-06-01T00:00", "2024-02-29T06:00"),
        ("cron(0 6 29 2 ? *)", "2104-02-29T00:00", "2096-02-29T06:00"),
        ("cron(0 6 * 2 ? *)", "2026-07-01T00:00", "2026-02-28T06:00"),
        ("cron(0 6 * * ? 2024-2025)", "2026-11-21T07:00", "2025-12-31T06:00"),
        ("cron(0 6 * * ? 2030)", "2026-11-21T07:00", None),
        ("cron(0 6 30 2 ? *)", "2026-11-21T07:00", None),
    ],
)
def test_tick_read_off_a_calendar(expression: str, until: str, expected: str | None) -> None:
    """Dates that a person looked up, so that oracle and code cannot be wrong together."""
    assert (at(expected) if expected else None) == parse_schedule(expression).last(at(until), None)


def test_moment_in_another_zone() -> None:
    """Ticks are UTC, whatever the zone that the question is asked in."""
    asked = datetime.fromisoformat("2026-11-21T01:30:00-05:00")
    assert at("2026-11-21T06:00") == parse_schedule("cron(0 6 * * ? *)").last(asked, None)


MALFORMED = [
    "",
    "0 6 * * ? *",
    "cron()",
    "cron(0 6 * * ?)",
    "cron(0 6 * * ? * *)",
    "cron(0 6 * * * *)",
    "cron(0 6 ? * ? *)",
    "cron(60 6 * * ? *)",
    "cron(0 24 * * ? *)",
    "cron(0 6 0 * ? *)",
    "cron(0 6 32 * ? *)",
    "cron(0 6 * 13 ? *)",
    "cron(0 6 * FOO ? *)",
    "cron(0 6 ? * 0 *)",
    "cron(0 6 ? * 8 *)",
    "cron(0 6 ? * MON#6 *)",
    "cron(0 6 * * ? 1969)",
    "cron(0 6 * * ? 2200)",
    "cron(-5 6 * * ? *)",
    "cron(0/0 6 * * ? *)",
    "cron(*-5 6 * * ? *)",
    "cron(0 6 * * ? *",
    "Cron(0 6 * * ? *)",
    "at(2026-11-21T06:00:00)",
    "rate()",
    "rate(0 days)",
    "rate(1 days)",
    "rate(2 day)",
    "rate(5 seconds)",
    "rate(-1 hours)",
    "rate(1.5 hours)",
    "rate(5  minutes)",
    "rate(999999999999 days)",
]


def test_malformed_expressions() -> None:
    """Each is refused at once, naming the variable to correct."""
    for expression in MALFORMED:
        with pytest.raises(SettingsError, match="REMINDER_CRON_EXPRESSION"):
            parse_schedule(expression)


@table(
    "expression",
    [
        "cron(0 6 LW * ? *)",
        "cron(0 6 ? * L *)",
        "cron(0 6 ? * L-3 *)",
        "cron(0 6 1,L * ? *)",
        "cron(0 6 15W,20W * ? *)",
        "cron(0 6 ? * MON#1,FRI#2 *)",
        "cron(0 6 ? * */2 *)",
        "cron(0 6 * * ? */2)",
        "cron(0 6 * * ? 2026/2)",
        "cron(0 6 * * ? 2030-2026)",
    ],
)
def test_form_that_cannot_be_evaluated(expression: str) -> None:
    """A form of EventBridge's, or nearly, that would be guessed at is refused, expression and variable named."""
    with pytest.raises(SettingsError) as refusal:
        parse_schedule(expression)
    assert str(refusal.value).startswith(f"REMINDER_CRON_EXPRESSION {expression!r} cannot be evaluated: ")


@table(
    ("expression", "reason"),
    [
        ("cron(61 6 * * ? *)", "Invalid minute value '61'."),
        ("cron(0 6 LW * ? *)", "a field has a form that is not supported"),
    ],
)
def test_reason_of_a_refusal(expression: str, reason: str) -> None:
    """The library's own sentence, where it has one; never the text of a programming error."""
    with pytest.raises(SettingsError) as refusal:
        parse_schedule(expression)
    assert str(refusal.value).endswith(f"cannot be evaluated: {reason}")


@table(
    ("expression", "after", "expected"),
    [
        ("rate(1 hour)", timedelta(minutes=59), None),
        ("rate(1 hour)", timedelta(hours=1), timedelta(hours=1)),
        ("rate(15 minutes)", timedelta(minutes=44), timedelta(minutes=30)),
        ("rate(1 day)", timedelta(days=9, hours=5), timedelta(days=9)),
        ("rate(1 minute)", timedelta(seconds=-1), None),
    ],
)
def test_rate(expression: str, after: timedelta, expected: timedelta | None) -> None:
    """A rate's ticks are counted from one that is known."""
    known = at("2026-11-21T06:00")
    assert (None if expected is None else known + expected) == parse_schedule(expression).last(known + after, known)


def test_rate_without_a_known_tick() -> None:
    """No one can say when a rate's first tick was."""
    assert parse_schedule("rate(1 hour)").last(at("2026-11-21T06:00"), None) is None
