"""
The messages of one channel.

    claim a group ─▶ wait for its turn ─▶ load (still due?) ─▶ send ─▶ settle

A worker takes its next message only when its last one is settled, so a courier that dies leaves at most one message a
worker that was sent and not settled. A courier that was paused until its lease ended neither sends nor settles those
messages. If its connection breaks, it settles on a new one.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from psycopg.types.json import Jsonb

from reminders.database import Connection, Queries
from reminders.errors import DatabaseUnavailable, safe_message
from reminders.messages.message import AccountError, Message, MessageChannel, Result, Status

queries = Queries(__package__, "courier.sql")

Connect = Callable[[], AbstractContextManager[Connection]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CourierLimits:
    """How fast, how old, how long."""

    per_second: float = 10.0  #: messages a second, of all couriers together
    max_age: timedelta = timedelta(hours=48)  #: older notifications get no message any more
    compose_batch: int = 500_000  #: notifications in one composing statement; each looks through all that are young
    workers: int = 100  #: messages in flight at most
    group_seconds: float = 2.0  #: a claim takes what can be sent in this time
    slice_seconds: float = 0.1  #: and reads it in slices of this time, so that it is read right before it is sent
    lease_seconds: float = 60.0  #: from the time at which a message is to be sent; no provider takes longer
    #: A message is read only if its lease lasts this long. Sending must begin within half of it.
    send_seconds: float = 30.0
    #: Together below half of `send_seconds`: a message is settled before its lease ends.
    connect_seconds: float = 3.0  #: to connect to a provider
    provider_seconds: float = 10.0  #: for its answer
    settle_seconds: float = 0.05  #: results that come within this time are settled in one statement
    reconnect_pause: float = 1.0  #: before each further attempt to reach the database
    reserve_seconds: float = 15.0  #: of the invocation, kept back to settle what is in flight
    first_pause: float = 60.0  #: after a failed attempt, doubling
    longest_pause: float = 3_600.0


LIMITS = CourierLimits()


@dataclass(frozen=True, slots=True)
class CourierDeps:
    """What the courier works with. `connect` opens a connection as `reminder_courier`."""

    connect: Connect
    channels: Sequence[MessageChannel]
    limits: CourierLimits
    seconds_left: Callable[[], float]
    clock: Callable[[], float]  #: monotonic seconds
    sleep: Callable[[float], None]
    alert_channels: Sequence[str] = ()  #: where operators hear of a channel that refuses messages


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


@dataclass(frozen=True, slots=True)
class _Claim:
    """One message of a claim; all of them have the same lease, and no other claim has it."""

    message_id: int
    wait_seconds: float
    lease_until: datetime


@dataclass(frozen=True, slots=True)
class _Done:
    """A result that is waiting to be settled; the worker waits with it."""

    message: Message
    lease_until: datetime
    result: Result
    settled: threading.Event = field(default_factory=threading.Event)


class Session:
    """A connection that is replaced when it breaks. A call that is repeated must change nothing the second time."""

    def __init__(self, deps: CourierDeps) -> None:
        self._deps = deps
        self._stack = ExitStack()
        self._connection: Connection | None = None

    def __enter__(self) -> Session:
        self._connected()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def run(self, call: Callable[[Connection], T]) -> T:
        """
        The result of `call`, repeated on a new connection after a pause, as long as a third of the reserve is left.

        What the provider took must be settled, or it would be sent again. A pooler may accept logins while its server
        is down, so a connection that was made does not end the attempts. Raise `DatabaseUnavailable` of the last one.
        """
        while True:
            try:
                return call(self._connected())
            except DatabaseUnavailable:
                self._stack.close()
                self._connection = None
                if self._deps.seconds_left() < self._deps.limits.reserve_seconds / 3:
                    raise
                self._deps.sleep(self._deps.limits.reconnect_pause)

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._stack.enter_context(self._deps.connect())
        return self._connection


class Delivery:
    """The messages of one channel. The connection belongs to this thread; workers only talk to the provider."""

    def __init__(self, channel: MessageChannel, session: Session, deps: CourierDeps, tally: Tally) -> None:
        self._channel = channel
        self._session = session
        self._deps = deps
        self._limits = deps.limits
        self._tally = tally
        self._done: queue.SimpleQueue[_Done] = queue.SimpleQueue()
        self._in_flight = 0
        self._stopped: AccountError | None = None
        self._part_stopped: AccountError | None = None

    def run(self) -> None:
        """
        Send group after group.

        Raise `AccountError` when the channel had to be stopped, or after the last group when a part of it was refused.
        """
        with ThreadPoolExecutor(self._limits.workers, thread_name_prefix=self._channel.name) as workers:
            try:
                while self._stopped is None and self._deps.seconds_left() > self._limits.reserve_seconds:
                    self._wait_for_a_worker()
                    claims = self._claim()
                    if not claims:
                        break
                    self._send_group(claims, workers)
            finally:
                self._settle_the_rest()
        if error := self._stopped or self._part_stopped:
            raise error

    def _claim(self) -> list[_Claim]:
        """What is due. A claim whose answer was lost stays claimed until its lease ends."""
        return self._session.run(
            lambda connection: queries.all(
                connection,
                "claim",
                _Claim,
                channel=self._channel.name,
                at_most=max(1, int(self._limits.per_second * self._limits.group_seconds)),
                per_second=self._limits.per_second,
                lease_seconds=self._limits.lease_seconds,
            )
        )

    def _send_group(self, claims: list[_Claim], workers: ThreadPoolExecutor) -> None:
        began = self._deps.clock()
        slice_size = max(1, int(self._limits.per_second * self._limits.slice_seconds))
        waiting = deque(claims)
        while waiting:
            self._settle_until(began + waiting[0].wait_seconds)
            self._wait_for_a_worker()
            if self._stopped is not None:
                self._release(list(waiting))
                return
            size = min(slice_size, self._limits.workers - self._in_flight, len(waiting))
            self._send([waiting.popleft() for _ in range(size)], workers)

    def _send(self, claims: list[_Claim], workers: ThreadPoolExecutor) -> None:
        """Read these messages, and let the workers send them."""
        lease_until, limits = claims[0].lease_until, self._limits
        begin_until = self._deps.clock() + limits.send_seconds / 2
        values = {"claimed": [claim.message_id for claim in claims], "lease": lease_until}
        messages = self._session.run(
            lambda connection: queries.all(connection, "load", Message, **values, seconds=limits.send_seconds)
        )
        for message in messages:
            self._in_flight += 1
            workers.submit(self._work, message, lease_until, begin_until)

    def _work(self, message: Message, lease_until: datetime, begin_until: float) -> None:
        """In a worker: send, and wait until the result is settled."""
        done = _Done(message, lease_until, self._result(message, begin_until))
        self._done.put(done)
        done.settled.wait()

    def _result(self, message: Message, begin_until: float) -> Result:
        if self._deps.clock() > begin_until:
            # This process was paused. Another courier may have the message by now.
            return Result(Status.RELEASE, error="it could not be sent before its lease ended")
        try:
            result = self._channel.send(message)
        except AccountError as error:
            self._stopped = error
            return Result(Status.RELEASE, error=safe_message(error))
        except Exception as error:
            return Result(Status.RETRY, error=safe_message(error))
        if result.account_error:
            self._part_stopped = AccountError(result.account_error)
        return result

    def _settle_until(self, moment: float) -> None:
        """Settle what comes back until `moment` on the monotonic clock."""
        while (left := moment - self._deps.clock()) > 0:
            if self._in_flight:
                self._settle(timeout=left)
            else:
                self._deps.sleep(left)
        while not self._done.empty():
            self._settle(timeout=0)

    def _wait_for_a_worker(self) -> None:
        """Wait until a worker is free: a message that was read must be sent immediately."""
        while self._in_flight >= self._limits.workers:
            self._settle(timeout=None)

    def _settle_the_rest(self) -> None:
        """Wait for what is in flight. A database that cannot be reached must not keep the workers waiting."""
        try:
            while self._in_flight:
                self._settle(timeout=None)
        finally:
            while self._in_flight:
                self._done.get().settled.set()
                self._in_flight -= 1

    def _settle(self, timeout: float | None) -> None:
        """Settle what comes back, waiting for the first result at most `timeout` seconds."""
        try:
            done = [self._done.get(timeout=timeout) if timeout != 0 else self._done.get_nowait()]
        except queue.Empty:
            return
        if len(done) < self._in_flight and timeout != 0:
            # One pause for all that comes meanwhile: waking up for each would take processor time from the workers.
            self._deps.sleep(min(self._limits.settle_seconds, timeout or self._limits.settle_seconds))
        with suppress(queue.Empty):
            while True:
                done.append(self._done.get_nowait())
        self._in_flight -= len(done)
        try:
            rows = [_row(d, self._limits, self._deps.seconds_left()) for d in done]
            self._write(rows, [row for d in done for row in d.result.devices])
        finally:
            for settled in done:
                settled.settled.set()
        for settled in done:
            self._tally.count(settled.result.status)

    def _release(self, claims: list[_Claim]) -> None:
        """Give claims back that were not tried."""
        given_back = {"status": Status.RELEASE, "error": self._reason()}
        self._write([{"id": c.message_id, "lease": c.lease_until.isoformat(), **given_back} for c in claims], [])
        self._tally.released += len(claims)

    def _reason(self) -> str | None:
        return safe_message(self._stopped) if self._stopped else None

    def _write(self, rows: list[dict[str, Any]], devices: list[dict[str, Any]]) -> None:
        self._session.run(lambda connection: queries.run(connection, "settle", results=Jsonb(rows)))
        if devices:
            self._session.run(lambda connection: queries.run(connection, "record_devices", results=Jsonb(devices)))


def _row(done: _Done, limits: CourierLimits, seconds_left: float) -> dict[str, Any]:
    """A result as `settle_messages` takes it. `seconds_left`: of this invocation."""
    result = done.result
    row: dict[str, Any] = {"id": done.message.message_id, "lease": done.lease_until.isoformat()}
    row |= {"status": result.status, "error": result.error}
    if result.provider_message_id:
        row["provider_message_id"] = result.provider_message_id
    if result.suppress:
        row["suppress"] = True
    if result.status is Status.RETRY:
        pause = min(limits.first_pause * 2.0 ** min(done.message.attempts - 1, 20), limits.longest_pause)
        row["pause_seconds"] = max(pause, result.retry_after or 0)
    if result.status is Status.RELEASE and result.account_error:
        # This round goes on, and would claim the message again and again.
        row["pause_seconds"] = max(seconds_left, 0)
    return row
