"""
Numbers, days and times as text, for one organisation: its language's digits, its time zone.

The pages are in English. The language decides how a number is grouped. A time is shown in the organisation's zone,
which is named, with UTC beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from reminders.telemetry import logger

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# CLDR, "Number Symbols": how thousands are grouped. A no-break space where the language has a space; French
# has the narrow one.
_GROUPS = {"en": ",", "de": ".", "da": ".", "nl": ".", "es": ".", "it": ".", "nb": "\u00a0", "nn": "\u00a0"}
_GROUPS |= {"no": "\u00a0", "sv": "\u00a0", "fi": "\u00a0", "fr": "\u202f"}


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time: local with the zone's name, and in UTC (empty if the zone is UTC); `iso` is for the HTML."""

    local: str
    utc: str
    iso: str


@dataclass(frozen=True, slots=True)
class Formats:
    """The formats of one organisation. Without an organisation: English, UTC."""

    zone: tzinfo = UTC
    zone_name: str = "UTC"
    group: str = ","

    @classmethod
    def of(cls, time_zone: str | None, locale: str | None) -> Formats:
        """For the settings of an organisation. If its time zone is unknown, times are shown in UTC."""
        group = _GROUPS.get((locale or "en").partition("-")[0], ",")
        name = time_zone or "UTC"
        if name == "UTC":
            return cls(group=group)
        try:
            return cls(ZoneInfo(name), name, group)
        except (OSError, ValueError, LookupError):
            logger.warning("time zone cannot be shown", extra={"time_zone": name[:64]})
            return cls(group=group)

    def number(self, value: int) -> str:
        return f"{value:,}".replace(",", self.group)

    def counted(self, value: int, one: str, many: str = "") -> str:
        """ "1 day", "12 days"; `many` where the plural is not `one` with an s."""
        return f"{self.number(value)} {one if value == 1 else many or one + 's'}"

    def day(self, value: date) -> str:
        return f"{value.day} {_MONTHS[value.month - 1]} {value.year}"

    def moment(self, value: datetime) -> Moment:
        local, utc = value.astimezone(self.zone), value.astimezone(UTC)
        text = f"{_DAYS[local.weekday()]} {self.day(local.date())}, {local:%H:%M} {self.zone_name}"
        other_day = "" if local.date() == utc.date() else f"{self.day(utc.date())}, "
        return Moment(text, "" if self.zone_name == "UTC" else f"{other_day}{utc:%H:%M} UTC", utc.isoformat())

    def moment_if(self, value: datetime | None) -> Moment | None:
        return None if value is None else self.moment(value)

    def duration(self, milliseconds: int) -> str:
        """ "0.3 seconds", "2 minutes 5 seconds"."""
        if milliseconds < 60_000:
            return f"{milliseconds / 1000:.1f} seconds"
        minutes, seconds = divmod(milliseconds // 1000, 60)
        return f"{self.counted(minutes, 'minute')} {self.counted(seconds, 'second')}"

    def span(self, value: timedelta) -> str:
        """The largest unit: "3 days", "5 hours", "12 minutes"."""
        minutes = max(int(value.total_seconds()) // 60, 0)
        if minutes >= 2 * 24 * 60:
            return self.counted(minutes // (24 * 60), "day")
        return self.counted(minutes // 60, "hour") if minutes >= 120 else self.counted(minutes, "minute")
