"""What `handlers.watchdog` works with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial

from aws_lambda_powertools.utilities.typing import LambdaContext

from handlers.wiring import schedules
from handlers.wiring.alerts import outbox
from handlers.wiring.common import connections, seconds_left
from reminders.limits import Limits
from reminders.runs.ledger import Ledger
from reminders.runs.ticks import parse_schedule
from reminders.runs.watchdog import WatchdogDeps, WatchdogRules
from reminders.settings import WatchdogSettings


def rules(settings: WatchdogSettings) -> WatchdogRules:
    """The watchdog's limits; raise `SettingsError` for an expression that cannot be evaluated."""
    return WatchdogRules(
        overrun=timedelta(minutes=settings.overrun_minutes),
        grace=timedelta(minutes=settings.grace_minutes),
        retention_days=settings.retention_days,
        message_retention_days=settings.message_retention_days,
        expression=settings.expression,
        ticks=parse_schedule(settings.expression),
    )


@contextmanager
def watchdog_deps(context: LambdaContext, limits: Limits) -> Iterator[WatchdogDeps]:
    """All that `handlers.watchdog` needs, closed at the end."""
    settings = WatchdogSettings.read(os.environ)
    alerts = outbox(settings.database_secret, limits)
    with ExitStack() as stack:
        connection = connections(stack, settings.database_secret)
        ours = connection("reminders-watchdog")
        yield WatchdogDeps(
            connection=ours,
            ledger=Ledger(ours, reconnect=lambda: connection("reminders-watchdog"), outbox=alerts, limits=limits),
            outbox=alerts,
            rules=rules(settings),
            schedule=partial(schedules.state, settings.schedule_name),
            seconds_left=partial(seconds_left, context),
            limits=limits,
        )
