"""The feedback function: what providers report later about a message (events of SES and SNS)."""

from __future__ import annotations

import os
import time
from contextlib import closing
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from handlers.wiring import startup
from handlers.wiring.common import connect
from reminders import telemetry
from reminders.messages import feedback
from reminders.messages.feedback import EmailFeedback
from reminders.settings import FeedbackSettings
from reminders.telemetry import logger, metrics

startup.check(FeedbackSettings.read)


@logger.inject_lambda_context(clear_state=True, log_event=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Record the event. The result has `recorded`. Raise `EventError` for an unknown event."""
    found = feedback.parse(event)
    settings = FeedbackSettings.read(os.environ)
    with closing(connect(settings.database_secret, "reminders-feedback")) as connection:
        recorded = feedback.record(connection, found, time.sleep)
    outcomes = [item.outcome for item in found if isinstance(item, EmailFeedback)]
    telemetry.count(
        EmailsBounced=outcomes.count("bounce"),
        EmailsComplained=outcomes.count("complaint"),
        EmailsDelivered=outcomes.count("delivery"),
    )
    return {"recorded": recorded}
