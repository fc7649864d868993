"""What ledger, alert and log say of an error."""

from __future__ import annotations

from reminders.errors import MESSAGE_LIMIT, DeadlineExceeded, SchedulerError, safe_message


def test_our_own_error() -> None:
    """Our own text is kept, on one line."""
    assert "scheduler answered 503: try later" == safe_message(SchedulerError("scheduler answered 503:\n try later"))


def test_surprise() -> None:
    """Of an error that is not ours only the class is reported: its text may hold anything."""
    assert "unexpected ValueError" == safe_message(ValueError("Anna Smith, anna@example.org"))


def test_our_own_error_without_words() -> None:
    """The ledger demands an error message of a failed run, so there is always one."""
    assert "SchedulerError" == safe_message(SchedulerError(""))


def test_long_error() -> None:
    """A message ends at the limit, and shows that it was cut."""
    message = safe_message(SchedulerError("x" * 5000))
    assert (MESSAGE_LIMIT, "…") == (len(message), message[-1])


def test_deadline() -> None:
    """Who looks for 'deadline_exceeded' in the ledger finds it in front."""
    assert "deadline_exceeded: too slow" == safe_message(DeadlineExceeded("too slow"))
