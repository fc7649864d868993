"""
The watchdog function: every 15 minutes it looks for failures that a run cannot notice itself.

The content of the event is not used.
"""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from handlers.wiring import startup
from handlers.wiring.alerts import unrecorded_failures
from handlers.wiring.watchdog import rules, watchdog_deps
from reminders.limits import LIMITS, Limits
from reminders.runs import JOB_NAME, watchdog
from reminders.settings import AlertSettings, WatchdogSettings
from reminders.telemetry import logger, metrics

startup.check(lambda env: rules(WatchdogSettings.read(env)), AlertSettings.read)


@logger.inject_lambda_context(clear_state=True, log_event=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext, limits: Limits = LIMITS) -> dict[str, Any]:
    """Run every check once. The result has what was found and deleted. Raise the first error of a check."""
    try:
        with watchdog_deps(context, limits) as deps:
            summary = watchdog.watch(deps).as_json()
    except BaseException as error:
        unrecorded_failures().report("watchdog", error, JOB_NAME, "nothing could be recorded in the ledger")
        raise
    unrecorded_failures().forget("watchdog")
    return summary
