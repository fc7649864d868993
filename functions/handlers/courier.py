"""
The courier function: every five minutes it brings notifications to people, by e-mail and by push.

    {} or a schedule's event                                     compose and send what is due
    {"action": "test_message", "recipient_id": "<person>"}       one marked message through every channel
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from aws_lambda_powertools.utilities.typing import LambdaContext

from handlers.wiring import startup
from handlers.wiring.alerts import unrecorded_failures
from handlers.wiring.courier import courier_deps
from reminders.errors import EventError
from reminders.messages import JOB_NAME, courier, test_message
from reminders.messages.delivery import LIMITS, CourierLimits
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
    person = _test_recipient(event)
    if person is None:
        return _run(context, limits)
    deps = courier_deps(context, limits)
    with deps.connect() as connection:
        return test_message.send(connection, deps.channels, person)


def _run(context: LambdaContext, limits: CourierLimits) -> dict[str, Any]:
    """
    Send what is due. An `AccountError` is already in the outbox; any other error is reported directly.

    Also one of the wiring: a secret that cannot be read stops every round.
    """
    try:
        summary = courier.run(courier_deps(context, limits)).as_json()
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
