"""
The outbox: an alert is written in the same transaction as the result that it reports, and sent afterwards.

    settle + write (one transaction) ─▶ claim ─▶ send ─▶ mark        claimed: a row lock, nothing more

A process may end at any point. Until the delivery is recorded, its claim is rolled back and another process sends the
alert. A second copy is possible only if the process ended, paused or timed out after the channel accepted the message
and before the record was committed.

A channel gets the alerts in the order in which they were written. A failure that is not delivered when a run
succeeds again is not sent any more: the recovery reports both.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from psycopg.types.json import Jsonb

from reminders import database, telemetry
from reminders.alerts.channels import Channel, ChannelError, send_within
from reminders.alerts.message import Alert, iso
from reminders.alerts.policy import Kind, Policy, RunResult, pause_after
from reminders.database import Connection, Queries
from reminders.errors import ReminderError, safe_message
from reminders.limits import LIMITS, Limits
from reminders.telemetry import logger

queries = Queries(__package__, "outbox.sql")

Connect = Callable[[], AbstractContextManager[Connection]]


@dataclass(frozen=True, slots=True)
class _Claim:
    """`claimed_id` is the channel's first alert, whose row is locked; `alert_id` is the one to send."""

    claimed_id: UUID
    attempts: int
    alert_id: UUID
    kind: str
    run_id: UUID | None
    payload: dict[str, Any]


class Outbox:
    """Writes and sends the alerts of the job `job_name` to `channels`, by `policy`."""

    def __init__(
        self,
        job_name: str,
        policy: Policy,
        channels: Sequence[Channel],
        connect: Connect,
        clock: Callable[[], float] = time.monotonic,
        limits: Limits = LIMITS,
    ) -> None:
        self._job_name = job_name
        self.policy = policy
        self._channels = {channel.name: channel for channel in channels}
        self._connect = connect
        self._clock = clock
        self._limits = limits

    def write_for(self, connection: Connection, result: RunResult) -> None:
        """Write the alert that `result` causes, if any, in the caller's transaction."""
        kind = self.policy.kind_of(result)
        if kind is None:
            return
        since: datetime | None = queries.value(
            connection, "failing_since", job_name=self._job_name, after=result.last_success_started_at
        )
        alert = Alert(
            kind=kind,
            job_name=self._job_name,
            run_id=str(result.run_id),
            error_message=result.error_message,
            consecutive_failure_count=result.failures_before if result.succeeded else result.failures,
            failing_since=iso(since),
            last_success_at=iso(result.completed_at if result.succeeded else result.last_success_at),
            scheduled_for=iso(result.scheduled_for),
        )
        self.write(connection, alert)

    def write(self, connection: Connection, alert: Alert) -> bool:
        """Write `alert` once for its run, or for the scheduled time that was missed; return whether it is new."""
        is_new = bool(
            queries.value(
                connection,
                "write_alert",
                kind=alert.kind,
                run_id=alert.run_id,
                tick=alert.scheduled_for,
                payload=Jsonb(alert.payload()),
                channels=list(self._channels),
            )
        )
        if is_new:
            logger.warning("alert written", extra={"alert": alert.kind, "channels": list(self._channels)})
            if not self._channels:
                logger.error("no alert channel is configured: set ALERT_TOPIC_ARN or SLACK_WEBHOOK_SECRET")
        return is_new

    def deliver(self, connection: Connection, seconds: float = LIMITS.delivery) -> None:
        """
        Send the waiting alerts, all channels in parallel, within `seconds`; raise nothing.

        `connection` is only used to see whether there is anything to send; each channel opens its own.
        """
        deadline = self._clock() + seconds
        try:
            waiting = self._waiting(connection)
        except ReminderError as error:
            logger.error("outbox not read", extra={"reason": safe_message(error)})
            return
        threads = [
            threading.Thread(
                target=self._deliver_all, args=(channel, deadline), daemon=True, name=f"outbox-{channel.name}"
            )
            for channel in waiting
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, deadline - self._clock()))

    def _waiting(self, connection: Connection) -> list[Channel]:
        if not self._channels:
            return []
        rows = queries.all(connection, "waiting_channels", _Waiting, channels=list(self._channels))
        return [self._channels[row.channel] for row in rows]

    def _deliver_all(self, channel: Channel, deadline: float) -> None:
        """Send one after the other, until none waits, one fails, or the time is over."""
        try:
            with self._connect() as connection:
                while self._deliver_one(connection, channel, deadline):
                    pass
        except Exception as error:  # uncaught in a thread, Python would print it, with secrets
            logger.error("alerts not delivered", extra={"channel": channel.name, "reason": safe_message(error)})

    def _deliver_one(self, connection: Connection, channel: Channel, deadline: float) -> bool:
        """Claim, send, mark, commit; return whether to go on."""
        with database.transaction(connection, self._limits.claim.settings()):
            seconds = min(self._limits.send, deadline - self._clock() - self._limits.mark)
            claim = queries.first(connection, "claim_delivery", _Claim, channel=channel.name) if seconds > 0 else None
            if claim is None:
                return False
            try:
                send_within(channel, self._alert_of(claim), seconds)
            except ChannelError as error:
                _log_failure(claim, channel, error)
                pause = pause_after(claim.attempts + 1, permanent=error.permanent, retry_after=error.retry_after)
                failed = {"alert_id": claim.claimed_id, "pause": pause, "error": safe_message(error)}
                queries.run(connection, "mark_failed", channel=channel.name, **failed)
                return False
            queries.run(connection, "mark_delivered", channel=channel.name, alert_id=claim.alert_id)
        logger.info("alert delivered", extra={"channel": channel.name, "alert_id": str(claim.alert_id)})
        telemetry.count(AlertsDelivered=1)
        return True

    def _alert_of(self, claim: _Claim) -> Alert:
        """The alert to send. A payload that cannot be read, of a later version for example, must not block others."""
        try:
            return Alert.from_payload(claim.payload)
        except (TypeError, ValueError, AttributeError):
            text = f"this version cannot read the details of alert {claim.alert_id}: see the table cron_alerts"
            run_id = str(claim.run_id) if claim.run_id else None
            return Alert(cast(Kind, claim.kind), self._job_name, run_id, error_message=text)


@dataclass(frozen=True, slots=True)
class _Waiting:
    channel: str


def _log_failure(claim: _Claim, channel: Channel, error: ChannelError) -> None:
    """An alert is retried until it is delivered. Every failed attempt is logged."""
    fields = {
        "channel": channel.name,
        "alert_id": str(claim.alert_id),
        "attempts": claim.attempts + 1,
        "permanent": error.permanent,
        "reason": safe_message(error),
    }
    logger.error("alert not delivered, it will be tried again", extra=fields)
    telemetry.count(AlertsUndelivered=1)
