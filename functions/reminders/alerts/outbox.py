"""
The outbox: alerts are written with what they tell of, and sent afterwards.

    settle + write (one transaction) ─▶ claim ─▶ send ─▶ mark        claimed: a row lock, nothing more

A process may die anywhere. Before the write nothing has happened; before the mark the claim falls away and
somebody else sends. Only between the channel's taking it and our committed mark is a second copy possible,
be it that the process died there, was frozen, or heard the answer too late: the alert arrives at least once,
and twice only then.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from reminders import database, telemetry
from reminders.alerts.channels import Channel, ChannelError, send_within
from reminders.alerts.message import Alert, iso
from reminders.alerts.policy import Policy, RunResult, pause_after
from reminders.database import Connection, Queries
from reminders.errors import ReminderError, safe_message
from reminders.telemetry import logger

queries = Queries(__package__, "outbox.sql")

DELIVERY_SECONDS = 5.0
LONGEST_SEND_SECONDS = 4.0
# What is kept of the delivery's time to mark and commit.
MARK_SECONDS = 0.3
# A frozen deliverer must let go of its claim, so that somebody else sends.
CLAIM_LIMITS = {"idle_in_transaction_session_timeout": "15000", "statement_timeout": "5000", "lock_timeout": "2000"}

Connect = Callable[[], AbstractContextManager[Connection]]


@dataclass(frozen=True, slots=True)
class _Claim:
    alert_id: UUID
    attempts: int
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
    ) -> None:
        self._job_name = job_name
        self._policy = policy
        self._channels = {channel.name: channel for channel in channels}
        self._connect = connect
        self._clock = clock

    def write_for(self, connection: Connection, result: RunResult) -> None:
        """Write the alert that `result` asks for, if any, in the caller's transaction."""
        kind = self._policy.kind_of(result)
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
        self.write(connection, alert, f"{kind}:{result.run_id}", result.run_id)

    def write(self, connection: Connection, alert: Alert, dedupe_key: str, run_id: UUID | None = None) -> bool:
        """Write `alert` once for `dedupe_key`; return whether it is new."""
        is_new = bool(
            queries.value(
                connection,
                "write_alert",
                kind=alert.kind,
                dedupe_key=dedupe_key,
                run_id=run_id,
                payload=Jsonb(alert.payload()),
                channels=list(self._channels),
            )
        )
        if is_new:
            logger.warning("alert written", extra={"alert": alert.kind, "channels": list(self._channels)})
            if not self._channels:
                logger.error("no alert channel is configured: set ALERT_TOPIC_ARN or SLACK_WEBHOOK_SECRET")
        return is_new

    def deliver(self, connection: Connection, seconds: float = DELIVERY_SECONDS) -> None:
        """
        Send what waits, all channels side by side, within `seconds`; raise nothing.

        `connection` is only asked whether there is anything to send; each channel sends on its own.
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
        """One after the other, until nothing waits, one fails, or time is over."""
        try:
            with self._connect() as connection:
                while self._deliver_one(connection, channel, deadline):
                    pass
        except Exception as error:  # nobody would catch it in a thread: Python would print it, secrets and all
            logger.error("alerts not delivered", extra={"channel": channel.name, "reason": safe_message(error)})

    def _deliver_one(self, connection: Connection, channel: Channel, deadline: float) -> bool:
        """Claim, send, mark, commit; return whether to go on."""
        with database.transaction(connection, CLAIM_LIMITS):
            seconds = min(LONGEST_SEND_SECONDS, deadline - self._clock() - MARK_SECONDS)
            claim = queries.first(connection, "claim_delivery", _Claim, channel=channel.name) if seconds > 0 else None
            if claim is None:
                return False
            row = {"alert_id": claim.alert_id, "channel": channel.name}
            try:
                send_within(channel, _alert_of(claim), seconds)
            except ChannelError as error:
                _tell_failure(claim, channel, error)
                pause = pause_after(claim.attempts + 1, permanent=error.permanent, retry_after=error.retry_after)
                queries.run(connection, "mark_failed", **row, pause=pause, error=safe_message(error))
                return False
            queries.run(connection, "mark_delivered", **row)
        logger.info("alert delivered", extra={"channel": channel.name, "alert_id": str(claim.alert_id)})
        telemetry.count(AlertsDelivered=1)
        return True


@dataclass(frozen=True, slots=True)
class _Waiting:
    channel: str


def _alert_of(claim: _Claim) -> Alert:
    try:
        return Alert.from_payload(claim.payload)
    except TypeError:
        # Written by a version to come, say. It must not stand in the way of the alerts behind it.
        raise ChannelError("this version cannot read the alert's payload", permanent=True) from None


def _tell_failure(claim: _Claim, channel: Channel, error: ChannelError) -> None:
    """An alert is never given up; that it does not get through is said every time."""
    told = {
        "channel": channel.name,
        "alert_id": str(claim.alert_id),
        "attempts": claim.attempts + 1,
        "permanent": error.permanent,
        "reason": safe_message(error),
    }
    logger.error("alert not delivered, it will be tried again", extra=told)
    telemetry.count(AlertsUndelivered=1)
