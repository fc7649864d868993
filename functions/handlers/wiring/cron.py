"""What `handlers.cron` works with."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial

import httpx
from aws_lambda_powertools.utilities.typing import LambdaContext

from handlers.wiring.alerts import outbox
from handlers.wiring.common import connections, seconds_left, secrets, tls
from handlers.wiring.scheduler import scheduler_service
from reminders.limits import Limits
from reminders.runs.ledger import Ledger
from reminders.runs.lifecycle import RunDeps
from reminders.runs.lock import RunLock
from reminders.scheduling.client import HttpScheduler, InProcessScheduler, Scheduler
from reminders.scheduling.fanout import Fanout, find_shards
from reminders.settings import CronSettings


@contextmanager
def run_deps(context: LambdaContext, limits: Limits) -> Iterator[RunDeps]:
    """All that `handlers.cron` needs, closed at the end. Raise any `ReminderError` of a part that fails."""
    settings = CronSettings.read(os.environ)
    with ExitStack() as stack:
        scheduler = stack.enter_context(_scheduler(settings, limits))
        connection = connections(stack, settings.database_secret)
        # In parallel: connecting is a third of a run with nothing due.
        with ThreadPoolExecutor(2) as pool:
            lock, ledger = pool.map(connection, ("reminders-lock", "reminders-ledger"))
        yield RunDeps(
            lock=RunLock(lock, limits),
            ledger=Ledger(
                ledger,
                reconnect=lambda: connection("reminders-ledger"),
                outbox=outbox(settings.database_secret, limits),
                limits=limits,
            ),
            shards=Fanout(scheduler, partial(find_shards, ledger, settings.shards), limits=limits),
            seconds_left=partial(seconds_left, context),
            limits=limits,
        )


def _scheduler(settings: CronSettings, limits: Limits) -> AbstractContextManager[Scheduler]:
    return (_http_scheduler if settings.scheduler_url else _in_process_scheduler)(settings, limits)


@contextmanager
def _in_process_scheduler(settings: CronSettings, limits: Limits) -> Iterator[Scheduler]:
    service = partial(scheduler_service, settings.database_secret, settings.batch_size, limits)
    yield InProcessScheduler(service, time.monotonic, limits)


@contextmanager
def _http_scheduler(settings: CronSettings, limits: Limits) -> Iterator[Scheduler]:
    # CronSettings.read demands the token's secret where there is a URL.
    name = settings.scheduler_token_secret or ""
    token = secrets().get(name)
    with httpx.Client(verify=tls()) as http:
        yield HttpScheduler(
            url=settings.scheduler_url or "",
            token=token,
            newer_token=lambda: secrets().newer(name, than=token),
            http=http,
            clock=time.monotonic,
            signature=_signature() if settings.signs_calls else None,
            limits=limits,
        )


def _signature() -> httpx.Auth:
    # Imported here, because botocore takes 0.1 s, and a call that is not signed does not need it.
    from handlers.wiring.signature import AwsSignature

    return AwsSignature.of_this_function(os.environ)
