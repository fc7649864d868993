"""
SNS: one topic with any subscribers.

People read subject and text in an e-mail. Programs read the attributes: `payload` is the alert as JSON, `kind` is for
filter policies.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Protocol
from uuid import uuid4

from reminders.alerts.channels import ChannelError
from reminders.alerts.message import NO_ORIGIN, Alert, Origin
from reminders.aws_errors import error_code

# Amazon SNS API Reference, "Publish": ASCII, no line breaks, fewer than 100 characters.
SUBJECT_LIMIT = 99
# No retry helps against these until a person has changed something.
PERMANENT = {
    "NotFound",
    "AuthorizationError",
    "InvalidParameter",
    "InvalidClientTokenId",
    "KMSAccessDenied",
    "KMSDisabled",
}


class SnsClient(Protocol):
    """The part of boto3's SNS client that is used here."""

    def publish(self, **kwargs: Any) -> Any: ...


class SnsChannel:
    """Publishes alerts to `topic_arn`. `client()` is called when there is something to publish."""

    name = "sns"

    def __init__(self, client: Callable[[], SnsClient], topic_arn: str, origin: Origin = NO_ORIGIN) -> None:
        self._client = client
        self._topic_arn = topic_arn
        self._origin = origin

    def send(self, alert: Alert, seconds: float) -> None:
        """Publish `alert`; raise `ChannelError` with the error's code. The caller ensures the limit `seconds`."""
        try:
            self._client().publish(
                TopicArn=self._topic_arn,
                Subject=subject_of(alert, self._origin),
                Message=alert.text(self._origin),
                MessageAttributes={
                    "kind": _string(alert.kind),
                    "job_name": _string(alert.job_name),
                    "payload": _string(json.dumps(alert.payload())),
                },
                **(_fifo_fields(alert) if self._topic_arn.endswith(".fifo") else {}),
            )
        except Exception as error:
            raise _refusal(error) from None


def _fifo_fields(alert: Alert) -> dict[str, str]:
    """For a FIFO topic: it keeps the order of a job's alerts, and drops a second copy of an alert within 5 minutes."""
    subject = alert.run_id or alert.scheduled_for
    # A test alert, and an alert without run and tick, must arrive each time it is sent.
    own = f"{alert.kind}:{alert.job_name}:{subject}" if subject else str(uuid4())
    # Amazon SNS API Reference, "Publish": at most 128 letters, digits and punctuation.
    return {"MessageGroupId": alert.job_name, "MessageDeduplicationId": sha256(own.encode()).hexdigest()}


def subject_of(alert: Alert, origin: Origin = NO_ORIGIN) -> str:
    """The headline in the form that SNS accepts."""
    return origin.headline(alert).encode("ascii", "replace").decode()[:SUBJECT_LIMIT]


def _string(value: str) -> dict[str, str]:
    return {"DataType": "String", "StringValue": value}


def _refusal(error: Exception) -> ChannelError:
    """boto3's error, by its code: the text may quote the request."""
    code = error_code(error)
    return ChannelError(f"sns: {code}", permanent=code in PERMANENT)
