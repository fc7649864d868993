"""
The watchdog function: every 15 minutes it looks for failures that a run cannot notice itself.

The content of the event is not used.
"""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from handlers import unrecorded
from handlers.wiring import startup
from handlers.wiring.watchdog import rules, watchdog_deps
from reminders.limits import LIMITS, Limits
from reminders.runs import watchdog
from reminders.settings import AlertSettings, WatchdogSettings
from reminders.telemetry import logger, metrics

startup.check(lambda env: rules(WatchdogSettings.read(env)), AlertSettings.read)


@logger.inject_lambda_context(clear_state=True, log_event=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext, limits: Limits = LIMITS) -> dict[str, Any]:
    """Do one round; the answer has what was found and pruned. Raise what went wrong."""
    try:
        with watchdog_deps(context, limits) as deps:
            summary = watchdog.watch(deps).as_json()
    except BaseException as error:
        unrecorded.report("watchdog", error)
        raise
    unrecorded.forget("watchdog")
    return summary
