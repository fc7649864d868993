"""
The courier function: every five minutes it brings notifications to people, by e-mail and by push.

    {} or a schedule's event                                     compose and send what is due
    {"action": "test_message", "recipient_id": "<person>"}       one marked message through every channel
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from aws_lambda_powertools.utilities.typing import LambdaContext

from handlers.wiring import startup
from handlers.wiring.alerts import unrecorded_failures
from handlers.wiring.courier import courier_deps, message_channels
from reminders.errors import EventError
from reminders.messages import JOB_NAME, courier, test_message
from reminders.messages.delivery import LIMITS, CourierDeps, CourierLimits
from reminders.messages.message import AccountError
from reminders.settings import AlertSettings, CourierSettings
from reminders.telemetry import logger, metrics

startup.check(CourierSettings.read, AlertSettings.read)


@logger.inject_lambda_context(clear_state=True, log_event=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext, limits: CourierLimits = LIMITS) -> dict[str, Any]:
    """
    Send what is due. The result has `composed` and what each channel did.

    Raise the error that ended the work, after it was reported to the operators. `EventError` and the errors of a test
    message are only raised: the caller reads them.
    """
    deps = courier_deps(context, limits)
    person = _test_recipient(event)
    if person is None:
        return _run(deps)
    with deps.connect() as connection:
        channels = message_channels(CourierSettings.read(os.environ), limits)
        return test_message.send(connection, channels, person)


def _run(deps: CourierDeps) -> dict[str, Any]:
    """Send what is due. An `AccountError` is already in the outbox; any other error is reported directly."""
    try:
        summary = courier.run(deps).as_json()
    except AccountError:
        raise
    except BaseException as error:
        unrecorded_failures().report("courier", error, JOB_NAME, "messages could not be sent")
        raise
    unrecorded_failures().forget("courier")
    return summary


def _test_recipient(event: object) -> UUID | None:
    """The recipient of a test message, or None if none is requested. Raise `EventError` for another action."""
    if not isinstance(event, Mapping) or "action" not in event:
        return None
    recipient = event.get("recipient_id")
    if event["action"] != "test_message" or not isinstance(recipient, str):
        raise EventError('accepted are {} and {"action": "test_message", "recipient_id": "<uuid>"}')
    try:
        return UUID(recipient)
    except ValueError:
        raise EventError("recipient_id must be a UUID") from None
