"""
The cron function: EventBridge, or a person at the console, asks for a run.

Returns the run's summary; raises when the run failed, so that Lambda counts it and retries the event.
"""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from handlers import wiring
from reminders.errors import EventError
from reminders.runs import lifecycle
from reminders.runs.events import TestAlertRequest, parse_event
from reminders.telemetry import logger, metrics


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """
    Do what `event` asks for (design, section 5).

    The answer has run_id, status, note, assignments_evaluated, reminders_dispatched, assignments_failed and
    duration_ms; a dry run's has would_notify as well. Raise `EventError` for an event that is not known.
    """
    request = parse_event(event)
    if isinstance(request, TestAlertRequest):
        raise EventError("test_alert: no alert channel is built yet")
    with wiring.run_deps(context) as deps:
        return lifecycle.run(request, deps).as_json()
