"""
One invocation of the courier.

    compose ─▶ for each channel, side by side: its messages, while there is time (delivery.py)

A message is a committed row before it is sent. A courier that dies leaves at most one message a worker that was sent
and not settled; that one is sent again when its lease ends. Everything else happens once: a claim is a row under a
lease, and composing twice changes nothing.
"""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, field
from typing import Any

from reminders import telemetry
from reminders.errors import safe_message
from reminders.messages.delivery import CourierDeps, Delivery, Session, Tally, queries
from reminders.messages.message import AccountError, MessageChannel
from reminders.telemetry import logger


@dataclass(slots=True)
class CourierSummary:
    """What the courier function returns."""

    composed: int = 0  #: notifications that got a message
    channels: dict[str, Tally] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Only JSON's own types."""
        return asdict(self)


def run(deps: CourierDeps) -> CourierSummary:
    """
    Compose, then send on all channels side by side until nothing is due or time is short.

    Raise after everything that could be sent was sent and settled: the first error of a channel, or `AccountError` when
    a channel or a part of it (push to iPhones, say) refused every message. That one has been reported to the operators,
    once a day and channel.
    """
    summary = CourierSummary(composed=_compose(deps), channels={c.name: Tally() for c in deps.channels})
    errors: list[Exception] = []

    def deliver(channel: MessageChannel) -> None:
        tally = summary.channels[channel.name]
        try:
            with Session(deps) as session:
                _deliver(channel, session, deps, tally)
        except Exception as error:
            tally.error = safe_message(error)
            errors.append(error)

    threads = [threading.Thread(target=deliver, args=(channel,), name=channel.name) for channel in deps.channels]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _record(summary)
    if errors:
        # An AccountError has been reported already.
        raise next((error for error in errors if not isinstance(error, AccountError)), errors[0])
    return summary


def _deliver(channel: MessageChannel, session: Session, deps: CourierDeps, tally: Tally) -> None:
    """Send on one channel. When it or a part of it refuses every message, report that to the operators, and raise."""
    try:
        Delivery(channel, session, deps, tally).run()
    except AccountError as error:
        failure = {"channel": channel.name, "reason": safe_message(error), "alert_channels": list(deps.alert_channels)}
        if session.run(lambda connection: queries.value(connection, "report_failure", **failure)):
            logger.warning("alert written", extra={"alert": "message_failure", **failure})
        raise


def _compose(deps: CourierDeps) -> int:
    """Give every young notification its message; return how many got one."""
    composed = 0
    wanted = {"channels": [channel.name for channel in deps.channels], "max_age": deps.limits.max_age}
    with Session(deps) as session:
        while deps.seconds_left() > deps.limits.reserve_seconds:
            done = session.run(
                lambda connection: queries.one(
                    connection, "compose", _Composed, **wanted, at_most=deps.limits.compose_batch
                )
            )
            composed += done.composed
            if done.unknown_zones:
                logger.warning("time zones that PostgreSQL does not know", extra={"recipients": done.unknown_zones})
            if done.composed < deps.limits.compose_batch:
                break
    return composed


@dataclass(frozen=True, slots=True)
class _Composed:
    composed: int
    unknown_zones: int


def _record(summary: CourierSummary) -> None:
    for name, tally in summary.channels.items():
        logger.info("channel done", extra={"channel": name, **asdict(tally)})
    telemetry.count(
        MessagesSent=sum(t.sent for t in summary.channels.values()),
        MessagesFailed=sum(t.failed for t in summary.channels.values()),
        MessagesRetried=sum(t.retried for t in summary.channels.values()),
        CourierRounds=1,
    )
