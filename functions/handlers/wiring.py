"""
Where the collaborators are built: the one place that knows settings, secrets, connections and rooms alike.

Connections are made anew for each invocation. A daily function gains nothing by keeping them, and a
connection that slept through a frozen Lambda is a fault of its own. Only secrets are kept, cached, in warm
processes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from functools import cache

import httpx
from aws_lambda_powertools.utilities.typing import LambdaContext

from reminders import database
from reminders.database import Connection
from reminders.errors import DatabaseUnavailable
from reminders.runs.ledger import Ledger
from reminders.runs.lifecycle import RunDeps
from reminders.runs.lock import RunLock
from reminders.scheduling.client import HttpScheduler, InProcessScheduler, Scheduler
from reminders.scheduling.fanout import Fanout
from reminders.scheduling.service import ReminderSchedulerService
from reminders.secrets import Secrets
from reminders.settings import CronSettings, SchedulerSettings


@cache
def secrets() -> Secrets:
    """The process's secrets; made at first use, kept while the process is warm."""
    return Secrets()


@contextmanager
def run_deps(context: LambdaContext) -> Iterator[RunDeps]:
    """All that `handlers.cron` needs, closed at the end. Raise any `ReminderError` of a part that fails."""
    settings = CronSettings.read(os.environ)

    def seconds_left() -> float:
        return context.get_remaining_time_in_millis() / 1000

    with ExitStack() as stack:

        def connection(name: str) -> Connection:
            return stack.enter_context(closing(_connection(settings.database_secret, name)))

        scheduler = stack.enter_context(_scheduler(settings))
        yield RunDeps(
            lock=RunLock(connection("reminders-lock")),
            ledger=Ledger(connection("reminders-ledger"), reconnect=lambda: connection("reminders-ledger")),
            shards=Fanout(scheduler, settings.shards),
            seconds_left=seconds_left,
        )


@contextmanager
def scheduler_service(settings: SchedulerSettings | CronSettings) -> Iterator[ReminderSchedulerService]:
    """The ReminderSchedulerService on a connection of its own."""
    with closing(_connection(settings.database_secret, "reminders-scheduler")) as connection:
        yield ReminderSchedulerService(connection, settings.batch_size, time.monotonic)


def _scheduler(settings: CronSettings) -> AbstractContextManager[Scheduler]:
    return _http_scheduler(settings) if settings.scheduler_url else _in_process_scheduler(settings)


@contextmanager
def _in_process_scheduler(settings: CronSettings) -> Iterator[Scheduler]:
    yield InProcessScheduler(lambda: scheduler_service(settings), time.monotonic)


@contextmanager
def _http_scheduler(settings: CronSettings) -> Iterator[Scheduler]:
    # CronSettings.read demands the token's secret where there is a URL.
    name = settings.scheduler_token_secret or ""
    token = secrets().get(name)
    with httpx.Client(limits=httpx.Limits(max_connections=settings.shards)) as http:
        yield HttpScheduler(
            url=settings.scheduler_url or "",
            token=token,
            newer_token=lambda: secrets().newer(name, than=token),
            http=http,
            clock=time.monotonic,
        )


def _connection(secret: str, name: str) -> Connection:
    """Connect with the URI in `secret`; when the database says no, once more if the secret has changed."""
    dsn = secrets().get(secret)
    try:
        return database.connect(dsn, name=name)
    except DatabaseUnavailable:
        rotated = secrets().newer(secret, than=dsn)
        if rotated is None:
            raise
        return database.connect(rotated, name=name)
