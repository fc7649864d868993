"""What tests of alerts share: a channel that obeys, a webhook that misbehaves, and the outbox as rows."""

from __future__ import annotations

import io
import json
import logging
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from psycopg.rows import dict_row

from reminders.alerts.channels import ChannelError
from reminders.alerts.message import Alert
from reminders.alerts.policy import RunResult
from reminders.database import Connection
from reminders.telemetry import logger
from tests.listening import Listening

MOMENT = datetime(2026, 11, 21, 6, 0, 7, tzinfo=UTC)
FAILURE = Alert(
    kind="failure",
    job_name="assignment-reminder-cron",
    run_id="5f0c4d1e-0000-4000-8000-000000000001",
    error_message="scheduler answered 500: Internal Server Error",
    consecutive_failure_count=2,
    failing_since="2026-11-20T06:00:02Z",
    last_success_at="2026-11-19T06:00:05Z",
    scheduled_for="2026-11-21T06:00:00Z",
)


@contextmanager
def captured_log() -> Iterator[io.StringIO]:
    """What the functions log, which goes to the stdout that was there when Powertools was imported."""
    text = io.StringIO()
    handler = logger.registered_handler
    assert isinstance(handler, logging.StreamHandler)
    before = handler.setStream(text)
    try:
        yield text
    finally:
        handler.setStream(before or sys.stdout)


class FakeChannel:
    """Keeps what it is sent, and does first what `before` says: wait, or raise."""

    def __init__(self, name: str, before: Callable[[Alert], object] | None = None) -> None:
        self.name = name
        self.sent: list[Alert] = []
        self.before = before

    def send(self, alert: Alert, seconds: float) -> None:
        if self.before:
            self.before(alert)
        self.sent.append(alert)

    @property
    def kinds(self) -> list[str]:
        return [alert.kind for alert in self.sent]

    def fails(self, message: str = "down", **how: Any) -> None:
        """From now on it takes nothing."""

        def refuse(alert: Alert) -> None:
            raise ChannelError(f"{self.name}: {message}", **how)

        self.before = refuse

    def works(self) -> None:
        self.before = None


def result(failures: int, before: int, *, succeeded: bool = False, run_id: UUID | None = None) -> RunResult:
    """A settled run; only the counts matter."""
    return RunResult(
        run_id=run_id or uuid4(),
        succeeded=succeeded,
        failures=failures,
        failures_before=before,
        error_message=None if succeeded else "it broke",
        scheduled_for=MOMENT,
        completed_at=MOMENT,
        last_success_started_at=None,
        last_success_at=None,
    )


def deliveries(owner: Connection) -> dict[str, dict[str, Any]]:
    """The newest alert's deliveries by channel."""
    query = """
        SELECT d.*, d.next_attempt_at - clock_timestamp() AS pause, d.delivered_at IS NOT NULL AS is_delivered
        FROM cron_alert_deliveries d JOIN cron_alerts a ON a.id = d.alert_id ORDER BY a.created_at
    """
    with owner.cursor(row_factory=dict_row) as cursor:
        return {row["channel"]: row for row in cursor.execute(query)}


def alerts(owner: Connection) -> list[tuple[str, str]]:
    """Kind and dedupe key of all that was written, oldest first."""
    return owner.execute("SELECT kind, dedupe_key FROM cron_alerts ORDER BY created_at, kind").fetchall()


def time_passes(owner: Connection) -> None:
    """Every pause between two attempts is over."""
    owner.execute("UPDATE cron_alert_deliveries SET next_attempt_at = now() WHERE delivered_at IS NULL")


Behaviour = Callable[[socket.socket], None]


@contextmanager
def webhook(behave: Behaviour) -> Iterator[str]:
    """The URL of a server that reads a request and then does what `behave` does with the connection."""
    with _Webhook(behave) as webhook:
        yield f"http://127.0.0.1:{webhook.port}/services/T000/B000/secret"


class _Webhook(Listening):
    def __init__(self, behave: Behaviour) -> None:
        super().__init__()
        self._behave = behave

    def answer(self, client: socket.socket) -> None:
        read_request(client)
        self._behave(client)


def read_request(connection: socket.socket) -> bytes:
    """Head and body of one request."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
    )
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def answering(status: int, body: bytes = b"", **headers: str) -> Behaviour:
    """An ordinary answer."""
    lines = [f"HTTP/1.1 {status} Whatever", f"content-length: {len(body)}", "connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    raw = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
    return lambda connection: connection.sendall(raw)


def silence(connection: socket.socket) -> None:
    """Accepts, reads, and never answers."""
    time.sleep(30)


def dripping_header(connection: socket.socket) -> None:
    """A byte now and then: no time-out that counts from byte to byte ever strikes."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for letter in b"x-slow: " + b"y" * 300:
        connection.sendall(bytes([letter]))
        time.sleep(0.1)


def dripping_body(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 300\r\n\r\n")
    for _ in range(300):
        connection.sendall(b"y")
        time.sleep(0.1)


def closing_halfway(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 300\r\n\r\nhalf")


def posted_json(request: bytes) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(request.partition(b"\r\n\r\n")[2])
    return message
