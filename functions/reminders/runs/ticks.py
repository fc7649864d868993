"""
The scheduled times of runs, computed from EventBridge's schedule expressions.

`cron(...)` is evaluated by aws-croniter, which supports EventBridge's form: six fields, `?`, `L`, `W`, `#`, 1 = SUN,
years. An expression that it cannot evaluate is an error that names it: a wrong scheduled time would cause a false
alarm, or hide a missed run. `rate(...)` has no fixed times of day, so its times are counted from a known one. All times
are UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from aws_croniter import AwsCroniter
from aws_croniter.exceptions import AwsCroniterExpressionError

from reminders.errors import SettingsError

NAME = "REMINDER_CRON_EXPRESSION"
# Eight years: the longest wait for a leap day, around 2100.
MONTHS_BACK = 8 * 12
_MINUTE = timedelta(minutes=1)
_RATE = re.compile(r"rate\((\d{1,6}) (minute|hour|day)(s?)\)", re.ASCII)


class Ticks(Protocol):
    """The scheduled times (ticks) of one schedule."""

    def last(self, until: datetime, known: datetime | None) -> datetime | None:
        """
        The newest tick at or before `until` (aware, UTC), or None when it is not known.

        `known` is a time at which the schedule fired or was created.
        """
        ...

    def next(self, after: datetime, known: datetime) -> datetime | None:
        """The first tick later than `after` (aware, UTC), or None when there is none; `known` as for `last`."""
        ...


def parse_schedule(expression: str) -> Ticks:
    """Read `cron(...)` or `rate(...)`; raise `SettingsError`, which names what is not supported."""
    text = expression.strip()
    if text.startswith("cron(") and text.endswith(")"):
        return _cron(text)
    if text.startswith("rate("):
        return _rate(text)
    raise SettingsError(f"{NAME} must be cron(...) or rate(...), got {text!r}")


@dataclass(frozen=True, slots=True)
class _CronTicks:
    cron: AwsCroniter

    def last(self, until: datetime, known: datetime | None) -> datetime | None:
        """
        Search month by month. When the library itself goes back to an earlier month, it looks only for the newest day
        of the list and skips a month that has no such day; `0 6 * 2 ? *` would never fire.
        """
        # prev() excludes its start, and ticks are at whole minutes.
        after = until.astimezone(UTC).replace(second=0, microsecond=0) + _MINUTE
        for _ in range(MONTHS_BACK + 1):
            month = (after - _MINUTE).replace(day=1, hour=0, minute=0)
            found: datetime | None = self.cron.occurrence(after).prev()
            if found is not None and found >= month:
                return found
            after = month
        return None

    def next(self, after: datetime, known: datetime) -> datetime | None:
        found: datetime | None = self.cron.occurrence(after).next()
        return found


@dataclass(frozen=True, slots=True)
class _RateTicks:
    interval: timedelta

    def last(self, until: datetime, known: datetime | None) -> datetime | None:
        if known is None or until < known + self.interval:
            return None
        return known + (until - known) // self.interval * self.interval

    def next(self, after: datetime, known: datetime) -> datetime | None:
        return (self.last(after, known) or known) + self.interval


def _cron(text: str) -> Ticks:
    fields = text[len("cron(") : -1].split()
    if len(fields) == 6 and (unsupported := _find_unsupported(fields)):
        raise SettingsError(f"{NAME} {text!r} cannot be evaluated: {unsupported}")
    try:
        return _CronTicks(AwsCroniter(" ".join(fields)))
    except (AwsCroniterExpressionError, ValueError) as error:
        # ValueError: the library's grammar allows some forms, such as LW, that its parser cannot read.
        raise SettingsError(f"{NAME} {text!r} cannot be evaluated: {_reason(error)}") from None


def _find_unsupported(fields: list[str]) -> str | None:
    """Expressions that aws-croniter reads differently from EventBridge."""
    *_, weekday, year = fields
    if weekday == "L" or weekday.startswith("L-"):
        return "L in day-of-week needs its day, as in FRIL"
    if any(last.isdigit() and first > last for first, _, last in (part.partition("-") for part in year.split(","))):
        return "a range of years runs backwards"
    return None


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, AwsCroniterExpressionError) else "a field has a form that is not supported"


def _rate(text: str) -> Ticks:
    found = _RATE.fullmatch(text)
    # EventBridge requires the singular for 1 and the plural above: "rate(1 hour)", "rate(2 hours)".
    if not found or int(found[1]) < 1 or (int(found[1]) == 1) == bool(found[3]):
        raise SettingsError(f"{NAME} {text!r} is not a rate such as rate(1 hour) or rate(15 minutes)")
    return _RateTicks(timedelta(**{f"{found[2]}s": int(found[1])}))
