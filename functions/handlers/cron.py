"""
The cron function: EventBridge, or a person at the console, asks for a run.

Returns the run's summary; raises when the run failed, so that Lambda counts it and retries the event.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from handlers.unrecorded import told_directly
from handlers.wiring import startup
from handlers.wiring.alerts import alert_channels
from handlers.wiring.cron import run_deps
from reminders.alerts.direct import DELIVERED, send_now
from reminders.alerts.message import Alert
from reminders.runs import JOB_NAME, lifecycle
from reminders.runs.events import RunRequest, TestAlertRequest, parse_event
from reminders.settings import AlertSettings, CronSettings
from reminders.telemetry import logger, metrics

startup.check(CronSettings.read, AlertSettings.read)


@logger.inject_lambda_context(clear_state=True, log_event=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """
    Do what `event` asks for (design, section 5).

    The answer has run_id, status, note, assignments_evaluated, reminders_dispatched, assignments_failed and
    duration_ms; a dry run's has would_notify as well. Raise `EventError` for an event that is not known.
    """
    request = parse_event(event)
    if isinstance(request, TestAlertRequest):
        return _test_alert()
    with _alerting(request), run_deps(context) as deps:
        return lifecycle.run(request, deps).as_json()


def _alerting(request: RunRequest) -> AbstractContextManager[None]:
    """A dry run alerts nobody: who asked for it reads the error."""
    if request.dry_run:
        return nullcontext()
    return told_directly(f"run {request.scheduled_for or 'by hand'}")


def _test_alert() -> dict[str, Any]:
    """A marked alert through every channel; neither ledger nor outbox is touched."""
    answers = send_now(alert_channels(), Alert("test", JOB_NAME))
    works = bool(answers) and set(answers.values()) == {DELIVERED}
    return {"status": "success" if works else "failed", "note": "test_alert", "channels": answers}
