"""
One invocation of the courier.

    compose ─▶ for each channel, while there is time:
               claim a group ─▶ wait for its turn ─▶ load (still due?) ─▶ send ─▶ settle

A message is a committed row before it is sent. A worker takes its next message only when its last one is settled, so a
courier that dies leaves at most one message a worker that was sent and not settled; that one is sent again when its
lease ends. Everything else happens once: a claim is a row under a lease, and composing twice changes nothing.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

from psycopg.types.json import Jsonb

from reminders import telemetry
from reminders.database import Connection, Queries
from reminders.errors import safe_message
from reminders.messages.message import AccountError, Message, MessageChannel, Result, Status
from reminders.telemetry import logger

queries = Queries(__package__, "courier.sql")

Connect = Callable[[], AbstractContextManager[Connection]]


@dataclass(frozen=True, slots=True)
class CourierLimits:
    """How fast, how old, how long."""

    per_second: float = 10.0  #: messages a second, of all couriers together
    max_age: timedelta = timedelta(hours=48)  #: older notifications get no message any more
    compose_batch: int = 200_000  #: notifications in one composing statement
    workers: int = 100  #: messages in flight at most
    group_seconds: float = 2.0  #: a claim takes what can be sent in this time
    slice_seconds: float = 0.1  #: and reads it in slices of this time, so that it is read right before it is sent
    lease_seconds: float = 60.0  #: after its turn; a provider that has not answered by then has failed
    reserve_seconds: float = 15.0  #: of the invocation, kept back to settle what is in flight
    first_pause: float = 60.0  #: after a failed attempt, doubling
    longest_pause: float = 3_600.0


@dataclass(frozen=True, slots=True)
class CourierDeps:
    """What the courier works with. `connect` opens a connection as `reminder_courier`."""

    connect: Connect
    channels: Sequence[MessageChannel]
    limits: CourierLimits
    seconds_left: Callable[[], float]
    clock: Callable[[], float]  #: monotonic seconds
    sleep: Callable[[float], None]
    alert_channels: Sequence[str] = ()  #: where operators hear of a channel that refuses every message


@dataclass(slots=True)
class Tally:
    """What one channel did."""

    sent: int = 0
    failed: int = 0
    retried: int = 0
    released: int = 0
    error: str | None = None  #: why the channel was stopped

    def count(self, status: Status) -> None:
        """Count one settled message."""
        field_name = {Status.SENT: "sent", Status.FAILED: "failed", Status.RETRY: "retried"}.get(status, "released")
        setattr(self, field_name, getattr(self, field_name) + 1)


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
    a channel refused every message. That one has been reported to the operators, once a day and channel.
    """
    summary = CourierSummary(composed=_compose(deps), channels={c.name: Tally() for c in deps.channels})
    errors: list[Exception] = []

    def deliver(channel: MessageChannel) -> None:
        tally = summary.channels[channel.name]
        try:
            with deps.connect() as connection:
                _deliver(channel, connection, deps, tally)
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


def _deliver(channel: MessageChannel, connection: Connection, deps: CourierDeps, tally: Tally) -> None:
    """Send on one channel. When it refuses every message, report that to the operators, and raise."""
    try:
        _Delivery(channel, connection, deps, tally).run()
    except AccountError as error:
        failure = {"channel": channel.name, "reason": safe_message(error), "alert_channels": list(deps.alert_channels)}
        if queries.value(connection, "report_failure", **failure):
            logger.warning("alert written", extra={"alert": "message_failure", **failure})
        raise


def _compose(deps: CourierDeps) -> int:
    """Give every young notification its message; return how many got one."""
    composed = 0
    with deps.connect() as connection:
        while deps.seconds_left() > deps.limits.reserve_seconds:
            done = queries.one(
                connection,
                "compose",
                _Composed,
                channels=[channel.name for channel in deps.channels],
                max_age=deps.limits.max_age,
                at_most=deps.limits.compose_batch,
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


@dataclass(frozen=True, slots=True)
class _Claim:
    message_id: int
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class _Done:
    """A result that is waiting to be settled; the worker waits with it."""

    message: Message
    result: Result
    settled: threading.Event = field(default_factory=threading.Event)


class _Delivery:
    """The messages of one channel. The connection belongs to this thread; workers only talk to the provider."""

    def __init__(self, channel: MessageChannel, connection: Connection, deps: CourierDeps, tally: Tally) -> None:
        self._channel = channel
        self._connection = connection
        self._deps = deps
        self._limits = deps.limits
        self._tally = tally
        self._done: queue.SimpleQueue[_Done] = queue.SimpleQueue()
        self._in_flight = 0
        self._stopped: AccountError | None = None

    def run(self) -> None:
        """Send group after group; raise `AccountError` when the channel had to be stopped."""
        with ThreadPoolExecutor(self._limits.workers, thread_name_prefix=self._channel.name) as workers:
            try:
                while self._stopped is None and self._deps.seconds_left() > self._limits.reserve_seconds:
                    claims = self._claim()
                    if not claims:
                        break
                    self._send_group(claims, workers)
            finally:
                while self._in_flight:
                    self._settle(timeout=None)
        if self._stopped is not None:
            raise self._stopped

    def _claim(self) -> list[_Claim]:
        return queries.all(
            self._connection,
            "claim",
            _Claim,
            channel=self._channel.name,
            at_most=max(1, int(self._limits.per_second * self._limits.group_seconds)),
            per_second=self._limits.per_second,
            lease_seconds=self._limits.lease_seconds,
        )

    def _send_group(self, claims: list[_Claim], workers: ThreadPoolExecutor) -> None:
        began = self._deps.clock()
        for slice_ in _slices(claims, max(1, int(self._limits.per_second * self._limits.slice_seconds))):
            self._settle_until(began + slice_[0].wait_seconds)
            if self._stopped is not None:
                self._release([claim.message_id for claim in slice_])
                continue
            while self._in_flight >= self._limits.workers:
                self._settle(timeout=None)  # a slow provider: what is loaded must be sent at once
            ids = [claim.message_id for claim in slice_]
            for message in queries.all(self._connection, "load", Message, ids=ids):
                self._in_flight += 1
                workers.submit(self._work, message)

    def _work(self, message: Message) -> None:
        """In a worker: send, and wait until the result is settled."""
        try:
            result = self._channel.send(message)
        except AccountError as error:
            self._stopped = error
            result = Result(Status.RELEASE, error=safe_message(error))
        except Exception as error:
            result = Result(Status.RETRY, error=safe_message(error))
        done = _Done(message, result)
        self._done.put(done)
        done.settled.wait()

    def _settle_until(self, moment: float) -> None:
        """Settle what comes back until `moment` on the monotonic clock."""
        while (left := moment - self._deps.clock()) > 0:
            if self._in_flight:
                self._settle(timeout=left)
            else:
                self._deps.sleep(left)
        while not self._done.empty():
            self._settle(timeout=0)

    def _settle(self, timeout: float | None) -> None:
        """Settle all results that are there, waiting for the first one at most `timeout` seconds."""
        try:
            done = [self._done.get(timeout=timeout) if timeout != 0 else self._done.get_nowait()]
        except queue.Empty:
            return
        while not self._done.empty():
            done.append(self._done.get_nowait())
        self._in_flight -= len(done)
        try:
            self._write([_row(d, self._limits) for d in done], [row for d in done for row in d.result.devices])
        finally:
            for settled in done:
                settled.settled.set()
        for settled in done:
            self._tally.count(settled.result.status)

    def _release(self, ids: list[int]) -> None:
        """Give claims back that were not tried."""
        self._write([{"id": i, "status": Status.RELEASE, "error": self._reason()} for i in ids], [])
        self._tally.released += len(ids)

    def _reason(self) -> str | None:
        return safe_message(self._stopped) if self._stopped else None

    def _write(self, rows: list[dict[str, Any]], devices: list[dict[str, Any]]) -> None:
        queries.run(self._connection, "settle", results=Jsonb(rows))
        if devices:
            queries.run(self._connection, "record_devices", results=Jsonb(devices))


def _row(done: _Done, limits: CourierLimits) -> dict[str, Any]:
    """A result as `settle_messages` takes it."""
    result = done.result
    row: dict[str, Any] = {"id": done.message.message_id, "status": result.status, "error": result.error}
    if result.provider_message_id:
        row["provider_message_id"] = result.provider_message_id
    if result.suppress:
        row["suppress"] = True
    if result.status is Status.RETRY:
        pause = min(limits.first_pause * 2.0 ** min(done.message.attempts - 1, 20), limits.longest_pause)
        row["pause_seconds"] = max(pause, result.retry_after or 0)
    return row


def _slices(claims: list[_Claim], size: int) -> Iterator[list[_Claim]]:
    for start in range(0, len(claims), size):
        yield claims[start : start + size]


def _record(summary: CourierSummary) -> None:
    for name, tally in summary.channels.items():
        logger.info("channel done", extra={"channel": name, **asdict(tally)})
    telemetry.count(
        MessagesSent=sum(t.sent for t in summary.channels.values()),
        MessagesFailed=sum(t.failed for t in summary.channels.values()),
        MessagesRetried=sum(t.retried for t in summary.channels.values()),
        CourierRounds=1,
    )
