"""The last 30 days as a strip of bars, and the same in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from reminders.console.formats import Formats
from reminders.console.reading import RunDay

DAYS = 30
BAR = 20
TALLEST = 48
_STEP = BAR + 4


@dataclass(frozen=True, slots=True)
class Bar:
    """`state`: good, late (failed, then succeeded), failed or none. Lengths are in units of the SVG."""

    x: int
    y: int
    height: int
    state: str
    title: str


@dataclass(frozen=True, slots=True)
class Strip:
    """`text` has the same facts as the bars."""

    bars: list[Bar]
    width: int
    height: int
    first: str
    last: str
    text: list[str]


def strip(days: list[RunDay], today: date, formats: Formats) -> Strip:
    """The 30 days up to `today`. The height of a bar shows what was sent, relative to the day with the most."""
    by_day = {each.day: each for each in days}
    every = [today - timedelta(days=back) for back in reversed(range(DAYS))]
    most = max((by_day[day].dispatched for day in every if day in by_day), default=0)
    bars = [_bar(number, day, by_day.get(day), most, formats) for number, day in enumerate(every)]
    return Strip(
        bars,
        DAYS * _STEP - (_STEP - BAR),
        TALLEST,
        formats.day(every[0]),
        formats.day(every[-1]),
        _text(every, by_day, formats),
    )


def _state(found: RunDay | None) -> str:
    if found is None:
        return "none"
    if found.succeeded:
        return "late" if found.failed else "good"
    return "failed"


def _bar(number: int, day: date, found: RunDay | None, most: int, formats: Formats) -> Bar:
    state = _state(found)
    sent = found.dispatched if found else 0
    # At least a third of the height, so that a day on which nothing was sent is visible as well.
    tall = TALLEST // 3 + (TALLEST * 2 // 3 * sent // most if most else 0)
    height = TALLEST if state == "failed" else 6 if state == "none" else tall
    words = {"good": f"{formats.number(sent)} sent", "late": f"failed first, then {formats.number(sent)} sent"}
    title = f"{formats.day(day)}: {words.get(state, 'failed' if state == 'failed' else 'no run')}"
    return Bar(number * _STEP, TALLEST - height, height, state, title)


def _text(every: list[date], by_day: dict[date, RunDay], formats: Formats) -> list[str]:
    states = {day: _state(by_day.get(day)) for day in every}
    sent = sum(by_day[day].dispatched for day in every if day in by_day)
    good = sum(state in {"good", "late"} for state in states.values())
    text = [
        f"On {formats.counted(good, 'day')} of the last {DAYS} a run succeeded; "
        f"{formats.counted(sent, 'reminder or alert', 'reminders and alerts')} were sent."
    ]
    for state, words in (("failed", "Failed"), ("late", "Failed first, then succeeded"), ("none", "No run")):
        days = [day for day in every if states[day] == state]
        if days:
            text.append(f"{words}: {_days(days, formats)}.")
    return text


def _days(days: list[date], formats: Formats) -> str:
    """The days as text; consecutive ones as "1 Nov 2026 to 5 Nov 2026"."""
    spans: list[list[date]] = []
    for day in days:
        if spans and day - spans[-1][-1] == timedelta(days=1):
            spans[-1].append(day)
        else:
            spans.append([day])
    each = [formats.day(s[0]) if len(s) == 1 else f"{formats.day(s[0])} to {formats.day(s[-1])}" for s in spans]
    return ", ".join(each)
