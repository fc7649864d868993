"""Which outcome alerts, and when a delivery is tried again."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from reminders.alerts.policy import LONGEST_PAUSE, PERMANENT_PAUSE, Policy, pause_after
from tests.alerting import result
from tests.helpers.cases import table


def story(policy: Policy, failures: int) -> list[str | None]:
    """So many failing days, then a good one."""
    days: list[str | None] = [policy.kind_of(result(n, n - 1)) for n in range(1, failures + 1)]
    return [*days, policy.kind_of(result(0, failures, succeeded=True))]


@table(
    ("threshold", "repeat_every", "expected"),
    [
        (2, 0, [None, "failure", None, None, None, None, "recovery"]),
        (2, 3, [None, "failure", None, None, "repeat", None, "recovery"]),
        (1, 0, ["failure", None, None, None, None, None, "recovery"]),
        (1, 1, ["failure", "repeat", "repeat", "repeat", "repeat", "repeat", "recovery"]),
        (3, 2, [None, None, "failure", None, "repeat", None, "recovery"]),
        (6, 0, [None, None, None, None, None, "failure", "recovery"]),
        (7, 1, [None, None, None, None, None, None, None]),
    ],
)
def test_six_failing_days_and_a_good_one(threshold: int, repeat_every: int, expected: list[str | None]) -> None:
    """An alert at the threshold exactly, then as often as wished, and a recovery for an outage that was reported."""
    assert expected == story(Policy(threshold, repeat_every), 6)


def test_default() -> None:
    """The second failure in a row alerts, the third and later ones do not."""
    assert [None, "failure", None, "recovery"] == story(Policy(), 3)


@given(st.integers(1, 20), st.integers(0, 5), st.integers(0, 40))
def test_retry_of_a_failed_tick(threshold: int, repeat_every: int, count: int) -> None:
    """A failure that leaves the count as it was says nothing new."""
    assert Policy(threshold, repeat_every).kind_of(result(count, count)) is None


@given(st.integers(1, 20), st.integers(0, 5))
def test_success_after_an_unreported_outage(threshold: int, repeat_every: int) -> None:
    """A channel that did not get the failure does not get the recovery."""
    quiet = result(0, threshold - 1, succeeded=True)
    assert Policy(threshold, repeat_every).kind_of(quiet) is None


@given(st.integers(1, 10), st.integers(0, 5), st.integers(1, 60))
def test_alerts_of_an_outage(threshold: int, repeat_every: int, failures: int) -> None:
    """One 'failure', a 'repeat' for each full interval after it, one 'recovery', whatever the numbers."""
    sent = story(Policy(threshold, repeat_every), failures)
    is_reported = failures >= threshold
    repeats = (failures - threshold) // repeat_every if repeat_every and is_reported else 0
    assert (int(is_reported), repeats, int(is_reported)) == tuple(
        sent.count(kind) for kind in ("failure", "repeat", "recovery")
    )


def test_pauses_between_attempts() -> None:
    """Doubling from a minute to an hour."""
    pauses = [pause_after(n, permanent=False) for n in range(1, 9)]
    assert [1, 2, 4, 8, 16, 32, 60, 60] == [pause / timedelta(minutes=1) for pause in pauses]


@given(st.integers(1, 10_000_000))
def test_pause_after_ever_so_many_attempts(attempts: int) -> None:
    """It never overflows, and never exceeds the longest."""
    assert pause_after(attempts, permanent=False) <= LONGEST_PAUSE
    assert PERMANENT_PAUSE == pause_after(attempts, permanent=True)


@table(("asked", "expected"), [(30, 60), (600, 600), (86_400, 86_400)])
def test_pause_that_the_channel_asks_for(asked: int, expected: int) -> None:
    """Retry-After is kept where it is longer than our own pause."""
    assert timedelta(seconds=expected) == pause_after(1, permanent=False, retry_after=timedelta(seconds=asked))
