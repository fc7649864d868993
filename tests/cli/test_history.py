"""`reminders history`: the same days in the terminal and as JSON."""

from __future__ import annotations

import re
from datetime import date, timedelta

from ops.cli.commands.history import bar
from ops.cli.ledger import Day, fill_missing_days, status_of
from tests.cli.operated import Operated

TODAY = date(2026, 11, 21)


def test_history_in_the_terminal(operated: Operated) -> None:
    """One line a day, bars, and a sum; the generated past has days that failed."""
    done = operated.run("history", "--days", "35")
    assert 0 == done.returncode
    assert 35 == len(re.findall(r"^\d{4}-\d\d-\d\d", done.stdout, re.M))
    assert "█" in done.stdout and "✗" in done.stdout and "notifications." in done.stdout


def test_history_as_json(operated: Operated) -> None:
    """The same days, oldest first."""
    printed = operated.json("history", "--days", "35")
    assert (35, sorted(day["day"] for day in printed)) == (len(printed), [day["day"] for day in printed])
    assert {"success", "failed"} <= {day["status"] for day in printed}


def test_a_day_that_healed_is_a_success() -> None:
    """A retry, or a run by hand, that succeeded after a failure: reminders went out."""
    assert "success" == status_of(Day(TODAY, succeeded=1, failed=2))
    assert "none" == status_of(Day(TODAY))


def test_days_without_a_run_are_there() -> None:
    """A hole is what one looks for."""
    assert [1, 0, 2] == [
        day.succeeded for day in fill_missing_days([Day(TODAY - timedelta(2), 1), Day(TODAY, 2)], TODAY, 3)
    ]


def test_a_bar_shows_what_is_not_nothing() -> None:
    """One of a million is a sliver, nothing is nothing, the most is full."""
    assert ("", "▏", "█" * 30) == (bar(0, 9), bar(1, 1_000_000), bar(9, 9))
