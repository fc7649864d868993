"""
Push, by SNS mobile push: FCM for Android, APNs for Apple.

    device token ── CreatePlatformEndpoint, once ──▶ endpoint ARN ── Publish ──▶ the phone

One collapse id for each organisation and day, so that a repeat replaces its predecessor on the screen. SNS disables an
endpoint when FCM or APNs says that the token is dead; the device is then used no more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from reminders.aws_errors import error_code, error_text
from reminders.messages import templates
from reminders.messages.message import AccountError, Device, Message, Result, Status

# "APNs headers": a collapse id has at most 64 bytes.
LONGEST_COLLAPSE_ID = 64
# Amazon SNS API Reference, "CreatePlatformEndpoint": the same token with other attributes names the endpoint it has.
_EXISTS = re.compile(r"Endpoint (arn:\S+) already exists")


class SnsClient(Protocol):
    """The part of boto3's SNS client that is used here."""

    def create_platform_endpoint(self, **kwargs: Any) -> Any: ...
    def publish(self, **kwargs: Any) -> Any: ...


class PushChannel:
    """Sends messages to every device of a person. `applications`: ARNs of platform applications, by platform."""

    name = "push"

    def __init__(self, client: Callable[[], SnsClient], applications: Mapping[str, str], app_url: str) -> None:
        self._client = client
        self._applications = applications
        self._app_url = app_url

    def send(self, message: Message, *, test: bool = False) -> Result:
        """Send to all devices: SENT if at least one is accepted. Raise `AccountError` if no message can be sent."""
        devices = message.devices or []
        usable = [device for device in devices if device.platform in self._applications]
        if not usable:
            return Result(Status.FAILED, error="there is no device that may be used")
        payload = self._payload(message, test=test)
        outcomes = [self._send_to(device, payload, _collapse_id(message)) for device in usable]
        learned = [row for outcome in outcomes for row in outcome.devices]
        best = min(outcomes, key=lambda outcome: [Status.SENT, Status.RETRY, Status.FAILED].index(outcome.status))
        return Result(best.status, best.provider_message_id, best.error, devices=learned)

    def _send_to(self, device: Device, payload: str, collapse_id: str) -> Result:
        try:
            endpoint = device.endpoint_arn or self._register(device)
            answer = self._client().publish(
                TargetArn=endpoint,
                MessageStructure="json",
                Message=payload,
                MessageAttributes={
                    "AWS.SNS.MOBILE.APNS.COLLAPSE_ID": {"DataType": "String", "StringValue": collapse_id},
                    "AWS.SNS.MOBILE.APNS.PUSH_TYPE": {"DataType": "String", "StringValue": "alert"},
                },
            )
        except Exception as error:
            return _refusal(error, device)
        learned = [] if device.endpoint_arn else [{"id": device.id, "endpoint_arn": endpoint}]
        return Result(Status.SENT, provider_message_id=str(answer["MessageId"]), devices=learned)

    def _register(self, device: Device) -> str:
        """The endpoint of the device's token; the one that exists where SNS has the token already."""
        try:
            made = self._client().create_platform_endpoint(
                PlatformApplicationArn=self._applications[device.platform], Token=device.token
            )
        except Exception as error:
            existing = _EXISTS.search(error_text(error))
            if existing is None:
                raise
            return existing[1]
        return str(made["EndpointArn"])

    def _payload(self, message: Message, *, test: bool) -> str:
        """Amazon SNS Developer Guide, "Mobile push": one JSON text for each platform, inside a JSON text."""
        words = templates.words(message, test=test)
        tag = _collapse_id(message)
        fcm = {
            "fcmV1Message": {
                "message": {
                    "notification": {"title": words.subject, "body": words.lines[0]},
                    "data": {"url": self._app_url},
                    "android": {"collapse_key": tag, "notification": {"tag": tag}},
                }
            }
        }
        apns = {
            "aps": {"alert": {"title": words.subject, "body": words.lines[0]}, "thread-id": tag},
            "url": self._app_url,
        }
        texts = {"default": words.subject, "GCM": fcm, "APNS": apns, "APNS_SANDBOX": apns}
        return json.dumps({k: v if isinstance(v, str) else json.dumps(v) for k, v in texts.items()})


def _collapse_id(message: Message) -> str:
    return f"{message.org_id.hex}-{message.local_date:%Y%m%d}"[:LONGEST_COLLAPSE_ID]


# Amazon SNS API Reference, "Publish" and "CreatePlatformEndpoint".
_ACCOUNT = {
    "AuthorizationError",
    "AuthorizationErrorException",
    "ExpiredToken",
    "InvalidClientTokenId",
    "InvalidSecurity",
    "PlatformApplicationDisabled",
    "PlatformApplicationDisabledException",
}


def _refusal(error: Exception, device: Device) -> Result:
    """The result, or AccountError, that SNS' error stands for."""
    code = error_code(error)
    dead = [{"id": device.id, "dead": True}]
    # Without an endpoint, NotFound is about the platform application: no message would arrive.
    if code in _ACCOUNT or (code.startswith("NotFound") and device.endpoint_arn is None):
        raise AccountError(f"sns: {code}") from None
    if code.startswith(("EndpointDisabled", "InvalidParameter", "NotFound")):
        return Result(Status.FAILED, error=f"sns: {code}", devices=dead)
    return Result(Status.RETRY, error=f"sns: {code}")
