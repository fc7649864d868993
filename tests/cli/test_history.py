"""`reminders history`: the same days in the terminal, as JSON and as a page that a browser opens."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from ops.cli.commands.history import bar, filled, status_of
from ops.cli.history_page import page
from ops.cli.ledger import Day
from tests.cli.operated import Operated

TODAY = date(2026, 11, 21)
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def some_days(number: int) -> list[Day]:
    return [
        Day(TODAY - timedelta(back), succeeded=int(back % 9 != 4), failed=int(back % 9 == 4), dispatched=back * 7 % 90,
            duration_ms=100 + back)
        for back in reversed(range(number))
    ]  # fmt: skip


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
    assert [1, 0, 2] == [day.succeeded for day in filled([Day(TODAY - timedelta(2), 1), Day(TODAY, 2)], TODAY, 3)]


def test_a_bar_shows_what_is_not_nothing() -> None:
    """One of a million is a sliver, nothing is nothing, the most is full."""
    assert ("", "▏", "█" * 30) == (bar(0, 9), bar(1, 1_000_000), bar(9, 9))


def test_the_page_needs_nothing_else() -> None:
    """No script, nothing fetched, and a title that was a tag stays text."""
    made = page(some_days(90), "<script>alert(1)</script>", NOW)
    assert [] == re.findall(r"<script|https?:|url\(", made)
    assert 2 * 90 == made.count("<rect ")


def test_the_page_of_no_runs() -> None:
    """A new stack has a history as well."""
    assert "days succeeded" in page(filled([], TODAY, 7), "new", NOW)


def test_the_page_in_a_browser_on_a_phone(operated: Operated, tmp_path: Path) -> None:
    """Chromium lays it out 390 pixels wide: nothing sticks out, and every day has its bars."""
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("chromium is not installed (Debian: apt install chromium)")
    file = tmp_path / "history.html"
    assert 0 == operated.say("history", "--days", "40", "--html", str(file)).code
    probe = file.read_text().replace("</body>", f"{PROBE}</body>").replace("default-src 'none';", "")
    probed = tmp_path / "probed.html"
    probed.write_text(probe)
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=500,1400",
               f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", probed.as_uri()]  # fmt: skip
    dom = subprocess.run(command, capture_output=True, check=True, timeout=50, text=True)
    found = re.search(r'data-probe="(\d+) (\d+) (\d+)"', dom.stdout)
    assert found, dom.stdout[-500:]
    overflow, bars, height = (int(value) for value in found.groups())
    assert (0, 80) == (overflow, bars)
    assert height > 100


# Measured in a frame as wide as a phone: a window of headless Chromium is never narrower than 500 pixels.
PROBE = """
<script>
  document.body.style.width = "390px";
  const root = document.documentElement;
  const chart = document.querySelector("svg").getBoundingClientRect();
  const wide = [...document.querySelectorAll("main *")].filter(e => e.getBoundingClientRect().right > 391);
  root.dataset.probe = [wide.length, document.querySelectorAll("rect").length, Math.round(chart.height)].join(" ");
</script>
"""
