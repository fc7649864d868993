"""
The cron function: EventBridge, or an operator, requests a run.

Returns the run's summary; raises when the run failed, so that Lambda counts it and retries the event.
"""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from handlers.wiring import startup
from handlers.wiring.alerts import alert_channels, unrecorded_failures
from handlers.wiring.cron import run_deps
from reminders.alerts.direct import DELIVERED, send_now
from reminders.alerts.message import Alert
from reminders.limits import LIMITS, Limits
from reminders.runs import JOB_NAME, lifecycle
from reminders.runs.events import RunRequest, TestAlertRequest, parse_event
from reminders.settings import AlertSettings, CronSettings
from reminders.telemetry import logger, metrics

startup.check(CronSettings.read, AlertSettings.read)


@logger.inject_lambda_context(clear_state=True, log_event=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext, limits: Limits = LIMITS) -> dict[str, Any]:
    """
    Do what `event` asks for.

    The result has run_id, status, note, assignments_evaluated, reminders_dispatched, assignments_failed, duration_ms
    and, if it is not 0, assignments_without_recipient; that of a dry run also has would_notify. Raise `EventError` for
    an unknown event, or one for which no run is allowed.
    """
    request = parse_event(event)
    if isinstance(request, TestAlertRequest):
        return _test_alert()
    return _run(request, context, limits)


def _run(request: RunRequest, context: LambdaContext, limits: Limits) -> dict[str, Any]:
    """Do one run. A failure that is not in the ledger is reported directly. The caller of a dry run gets its error."""
    dedupe_key, ledger = f"run {request.scheduled_for or 'by hand'}", None
    try:
        with run_deps(context, limits) as deps:
            ledger = deps.ledger
            summary = lifecycle.run(request, deps).as_json()
    except BaseException as error:
        if not request.dry_run and not (ledger and ledger.run_is_recorded):
            unrecorded_failures().report(dedupe_key, error, JOB_NAME, "nothing could be recorded in the ledger")
        raise
    unrecorded_failures().forget(dedupe_key)
    return summary


def _test_alert() -> dict[str, Any]:
    """Send an alert, marked as a test, through every channel. Ledger and outbox are not changed."""
    answers = send_now(alert_channels(), Alert("test", JOB_NAME))
    works = bool(answers) and set(answers.values()) == {DELIVERED}
    return {"status": "success" if works else "failed", "note": "test_alert", "channels": answers}
