"""
The interface of a channel, and its time limit.

A channel calls an external service, which may be down, slow or hostile. It must never delay or change a run.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol, TypeVar

from reminders.alerts.message import Alert
from reminders.errors import ReminderError, safe_message

T = TypeVar("T")


class ChannelError(ReminderError):
    """
    A channel did not accept an alert. `permanent`: no retry helps until a person has repaired it.

    `retry_after` is the pause that the channel asked for.
    """

    def __init__(self, message: str, *, permanent: bool = False, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after = retry_after


class Channel(Protocol):
    """A way to reach the operators."""

    @property
    def name(self) -> str:
        """As in `cron_alert_deliveries.channel`."""
        ...

    def send(self, alert: Alert, seconds: float) -> None:
        """Send `alert` within about `seconds`; raise `ChannelError` when it was not taken."""
        ...


def send_within(channel: Channel, alert: Alert, seconds: float) -> None:
    """
    Call `channel.send`, and wait at most `seconds` for it; raise `ChannelError`.

    An HTTP client's timeout begins again with each byte, so a service that sends very slowly can make a call last for
    ever. Such a call continues in a daemon thread: Lambda pauses it, and it ends with the process.
    """
    try:
        _call_with_timeout(lambda: channel.send(alert, seconds), seconds)
    except ChannelError:
        raise
    except TimeoutError:
        raise ChannelError(f"{channel.name}: no answer within {seconds:.1f} s") from None
    except Exception as error:
        raise ChannelError(f"{channel.name}: {safe_message(error)}") from None


def _call_with_timeout(call: Callable[[], T], seconds: float) -> T:
    """The call's answer or error, or TimeoutError."""
    done: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            done.put((call(), None))
        except BaseException as error:
            done.put((None, error))

    threading.Thread(target=work, daemon=True, name="alert").start()
    try:
        answer, error = done.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return answer  # type: ignore[return-value]  # None is an T where call gives None
