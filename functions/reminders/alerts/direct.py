"""
Alerts that are sent without the outbox: test alerts, and failures that neither the ledger nor the outbox records.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from reminders.alerts.channels import Channel, ChannelError, send_within
from reminders.alerts.message import Alert
from reminders.errors import EventError, safe_message
from reminders.limits import LIMITS
from reminders.telemetry import logger

DELIVERED = "delivered"


def send_now(channels: Sequence[Channel], alert: Alert, seconds: float = LIMITS.send) -> dict[str, str]:
    """
    Send `alert` to all channels in parallel, within `seconds` each.

    Return the result by channel: "delivered", or the reason why not. Raise nothing.
    """

    def send(channel: Channel) -> str:
        try:
            send_within(channel, alert, seconds)
        except ChannelError as error:
            logger.error("alert not delivered", extra={"channel": channel.name, "reason": safe_message(error)})
            return safe_message(error)
        logger.info("alert delivered", extra={"channel": channel.name, "alert": alert.kind})
        return DELIVERED

    if not channels:
        logger.error("no alert channel is configured: set ALERT_TOPIC_ARN or SLACK_WEBHOOK_SECRET")
        return {}
    with ThreadPoolExecutor(len(channels)) as pool:
        return dict(zip([channel.name for channel in channels], pool.map(send, channels), strict=True))


class UnrecordedFailures:
    """
    Sends failures that are not recorded to every channel, whatever their class.

    Without a database there is no outbox that prevents a second report. A warm process keeps this object, so Lambda's
    retries of one event usually send no second alert. A retry in a new process sends one more.
    """

    def __init__(self, channels: Callable[[], Sequence[Channel]]) -> None:
        self._channels = channels
        self._reported: set[str] = set()

    def report(self, key: str, error: BaseException, job_name: str, what: str) -> None:
        """
        Send an alert: `error` ended the invocation, with the consequence `what`. Raise nothing.

        `key` identifies the failure, so that it is reported once. A refused event is not reported: the caller reads the
        error, and the watchdog reports a scheduled time that is lost this way.
        """
        if isinstance(error, EventError):
            return
        if key in self._reported:
            logger.warning("unrecorded failure was reported before", extra={"failure": key})
            return
        try:
            text = f"{what}: {safe_message(error)}"
            answers = send_now(self._channels(), Alert("failure", job_name, error_message=text))
        except Exception as second:  # the original error wins
            logger.error("unrecorded failure could not be reported", extra={"reason": safe_message(second)})
            return
        if DELIVERED in answers.values():
            self._reported.add(key)

    def forget(self, key: str) -> None:
        """After a success, report the next failure with this key again."""
        self._reported.discard(key)
