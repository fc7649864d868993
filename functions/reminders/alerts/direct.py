"""
Alerts that are sent without the outbox: test alerts, and failures while there is no database.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from reminders.alerts.channels import Channel, ChannelError, send_within
from reminders.alerts.message import Alert
from reminders.errors import safe_message
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
