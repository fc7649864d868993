"""
Everything that leaves the process, searched for everything that must not.

    stdout, stderr, every library's log at DEBUG, answers, errors and their chains, ledger, outbox,
    what Slack and the topic were sent, what the scheduler was asked
"""

from __future__ import annotations

import io
import json
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

from handlers.wiring import common
from ops.local.postgres import free_port
from ops.local.server import Server
from ops.local.slack import SlackResponse
from ops.local.stack import LocalStack
from reminders.database import Connection
from tests.alerting import Behaviour, answering, captured_log, closing_halfway, webhook
from tests.factories import add_run
from tests.helpers.events import scheduled_event
from tests.helpers.stacks import Fail

TABLES = ("cron_execution_logs", "cron_alerts", "cron_alert_deliveries")
PASSWORD = "pa55-hunter2"


@dataclass
class Leaks:
    """Collects what comes out; `found` searches it."""

    stack: LocalStack
    owner: Connection
    text: list[str] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)

    def keep(self, *secrets: str) -> None:
        self.secrets.update(secrets)

    def run(self, work: Callable[[], object]) -> None:
        """Its answer, or its error with everything that a traceback would show."""
        try:
            self.text.append(json.dumps(work()))
        except Exception as error:
            self.text.append("".join(traceback.format_exception(error)))
            self.text.append(repr(error))

    def found(self) -> set[str]:
        for table in TABLES:
            rows = self.owner.execute(f"SELECT t::text FROM {table} AS t".encode()).fetchall()
            self.text += [row[0] for row in rows]
        self.text += [json.dumps(message) for message in self.stack.slack.posted]
        self.text += [repr(mail) for mail in self.stack.aws.published(self.stack.topic_arn)]
        everything = "\n".join(self.text)
        return {secret for secret in self.secrets if secret in everything}


@pytest.fixture
def leaks(
    stack: LocalStack,
    owner: Connection,
    server: Server,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Leaks]:
    """All loggers at DEBUG, as an operator in trouble would set them; searched at the end of the test."""
    watched = Leaks(stack, owner)
    watched.keep(server.password("cron_runner"), server.password("reminder_scheduler"), PASSWORD)
    watched.keep(secret(stack, "SCHEDULER_TOKEN_SECRET"), urlsplit(stack.slack.webhook).path)
    libraries = io.StringIO()
    handler = logging.StreamHandler(libraries)
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.DEBUG)
    root.addHandler(handler)
    common.secrets.cache_clear()
    with captured_log() as ours:
        yield watched
    root.removeHandler(handler)
    root.setLevel(level)
    out, err = capfd.readouterr()
    watched.text += [ours.getvalue(), libraries.getvalue(), out, err]
    assert "run " in ours.getvalue() or "alert " in ours.getvalue()
    assert set() == watched.found()


def secret(stack: LocalStack, name: str) -> str:
    found: str = stack.aws.client("secretsmanager").get_secret_value(SecretId=stack.environment[name])["SecretString"]
    return found


def put(stack: LocalStack, name: str, value: str) -> None:
    stack.aws.put_secret(stack.environment[name], value)
    common.secrets.cache_clear()


@pytest.fixture
def outage(owner: Connection, break_scheduler: Fail, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run fails, and alerts."""
    monkeypatch.setenv("ALERT_REPEAT_EVERY", "1")
    add_run(owner, "failed")
    break_scheduler()


def test_search_finds_what_is_there(stack: LocalStack, owner: Connection) -> None:
    """The search itself works: in a row, in a chained error, in what was sent."""
    watched = Leaks(stack, owner)
    watched.keep("one-in-a-row", "one-in-a-cause", "one-in-slack", "one-that-is-not-there")
    add_run(owner, "failed", error_message="one-in-a-row")
    stack.slack.posted.append({"text": "one-in-slack"})

    def fail() -> None:
        try:
            raise ValueError("one-in-a-cause")
        except ValueError as error:
            raise RuntimeError from error

    watched.run(fail)
    assert {"one-in-a-row", "one-in-a-cause", "one-in-slack"} == watched.found()


def test_day_that_succeeds(leaks: Leaks) -> None:
    """A run, a test alert, a round of the watchdog."""
    for work in (lambda: leaks.stack.invoke(scheduled_event(1)), lambda: leaks.stack.invoke({"action": "test_alert"})):
        leaks.run(work)
    leaks.run(leaks.stack.watch)


@pytest.mark.usefixtures("outage")
def test_outage_and_whatever_slack_answers(leaks: Leaks) -> None:
    """Delivered or refused, permanently or not, nothing shows where it was sent."""
    for day, status in enumerate((200, 400, 403, 404, 410, 429, 500)):
        leaks.stack.slack.response = SlackResponse(status, b"no_service")
        leaks.run(lambda day=day: leaks.stack.invoke(scheduled_event(day)))  # type: ignore[misc]
        leaks.run(lambda: leaks.stack.invoke({"action": "test_alert"}))


@pytest.mark.usefixtures("outage")
@pytest.mark.parametrize(
    "behave",
    [closing_halfway, answering(302, location="http://127.0.0.1:9/services/T000/elsewhere")],
    ids=["breaks", "redirects"],
)
def test_webhook_that_breaks_or_redirects(leaks: Leaks, behave: Behaviour) -> None:
    """httpx's own errors carry the request; ours do not."""
    with webhook(behave) as url:
        put(leaks.stack, "SLACK_WEBHOOK_SECRET", url)
        leaks.keep(urlsplit(url).path)
        leaks.run(lambda: leaks.stack.invoke(scheduled_event(2)))
        leaks.run(lambda: leaks.stack.invoke({"action": "test_alert"}))


PASTED = (
    "http://hooks.slack.example/services/T0/B0/x0x0x0",
    "https://[/services/T0/B0/x0x0x0",
    "https://127.0.0.1:port/services/T0/B0/x0x0x0",
    "https://127.0.0.1:1/services/T0/B0/x0x0x0",
    "services T0 B0 x0x0x0 \u2713",
    "\u0661https://x0x0x0",
)


@pytest.mark.usefixtures("outage")
def test_webhook_secret_that_holds_something_else(leaks: Leaks) -> None:
    """Whatever was pasted into it is not repeated."""
    leaks.keep("x0x0x0")
    for day, value in enumerate(PASTED):
        put(leaks.stack, "SLACK_WEBHOOK_SECRET", value)
        leaks.run(lambda day=day: leaks.stack.invoke(scheduled_event(day)))  # type: ignore[misc]
        leaks.run(lambda: leaks.stack.invoke({"action": "test_alert"}))


DSNS = (
    "postgresql://cron_runner:{password}@127.0.0.1:{closed}/postgres",
    "postgresql://cron_runner:{password}@127.0.0.1:{open}/postgres",
    "postgresql://nobody-{password}:x@127.0.0.1:{open}/postgres",
    "postgresql://cron_runner:{right}@127.0.0.1:{open}/nowhere-{password}",
    "postgresql://cron_runner:{password}@[::1/postgres",
    "postgresql://cron_runner:{password}@127.0.0.1/postgres?options={password}&{password}=1",
    "host=127.0.0.1 port={closed} password={password}",
    "user:{password}@host",
)


def test_database_that_cannot_be_reached(leaks: Leaks, server: Server) -> None:
    """libpq's errors quote what they were given; ours do not, in log, error and alert."""
    for day, dsn in enumerate(DSNS):
        parts = {"password": PASSWORD, "right": server.password("cron_runner")}
        put(leaks.stack, "DATABASE_SECRET", dsn.format(**parts, closed=free_port(), open=server.port))
        leaks.run(lambda day=day: leaks.stack.invoke(scheduled_event(day)))  # type: ignore[misc]
    leaks.run(leaks.stack.watch)
    assert len(DSNS) + 1 == len(leaks.stack.slack.posted)


def test_scheduler_that_rejects_the_token(leaks: Leaks) -> None:
    """A token that does not fit is in no error."""
    name = f"{leaks.stack.environment['SCHEDULER_TOKEN_SECRET']}"
    leaks.keep("a-token-that-is-not-known")
    with suppress(Exception):
        leaks.stack.invoke({"dry_run": True})  # the endpoint has read the right one
    leaks.stack.aws.put_secret(name, "a-token-that-is-not-known")
    common.secrets.cache_clear()
    leaks.run(lambda: leaks.stack.invoke(scheduled_event(1)))
