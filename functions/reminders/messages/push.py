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
from dataclasses import replace
from typing import Any, Protocol

from reminders.aws_errors import error_code, error_text
from reminders.messages import templates
from reminders.messages.message import AccountError, Device, Message, Result, Status
from reminders.telemetry import logger

# "APNs headers": a collapse id has at most 64 bytes.
LONGEST_COLLAPSE_ID = 64
# Amazon SNS API Reference, "CreatePlatformEndpoint": the same token with other attributes names the endpoint it has.
_EXISTS = re.compile(r"Endpoint (arn:\S+) already exists")


class SnsClient(Protocol):
    """The part of boto3's SNS client that is used here."""

    def create_platform_endpoint(self, **kwargs: Any) -> Any: ...
    def publish(self, **kwargs: Any) -> Any: ...


# What became of the devices: the first of these that one of them has is the result of the message.
_DECIDES = (Status.SENT, Status.RETRY, Status.RELEASE, Status.FAILED)


class PushChannel:
    """
    Sends messages to every device of a person. `applications`: ARNs of platform applications, by platform.

    The object lives for one round of the courier. A platform that refuses every message, because Apple's credentials
    have expired for example, is not called again in this round. The other one works on.
    """

    name = "push"

    def __init__(self, client: Callable[[], SnsClient], applications: Mapping[str, str], app_url: str) -> None:
        self._client = client
        self._applications = applications
        self._app_url = app_url
        self._refusals: dict[str, str] = {}  # by platform: why it refuses every message

    def send(self, message: Message, *, test: bool = False) -> Result:
        """
        Send to all devices: SENT if at least one is accepted.

        RELEASE if the only devices that could take it are of a platform that refuses every message. Raise
        `AccountError` when no platform is left.
        """
        devices = message.devices or []
        usable = [self._with_own_endpoint(device) for device in devices if device.platform in self._applications]
        if not usable:
            return Result(Status.FAILED, error="there is no device that may be used")
        payload = self._payload(message, test=test)
        outcomes = [self._send_to(device, payload, _collapse_id(message)) for device in usable]
        learned = [row for outcome in outcomes for row in outcome.devices]
        best = min(outcomes, key=lambda outcome: _DECIDES.index(outcome.status))
        if best.status is Status.RELEASE and self._refusals.keys() == self._applications.keys():
            raise AccountError(best.account_error)
        account_error = next((outcome.account_error for outcome in outcomes if outcome.account_error), None)
        return Result(best.status, best.provider_message_id, best.error, devices=learned, account_error=account_error)

    def _with_own_endpoint(self, device: Device) -> Device:
        """Without an endpoint of an earlier platform application: the device is registered with the present one."""
        own = self._applications[device.platform].replace(":app/", ":endpoint/", 1) + "/"
        if device.endpoint_arn is None or device.endpoint_arn.startswith(own):
            return device
        return replace(device, endpoint_arn=None)

    def _send_to(self, device: Device, payload: str, collapse_id: str) -> Result:
        if refusal := self._refusals.get(device.platform):
            return _released(refusal)
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
            result = _refusal(error, device)
            if result.account_error:
                self._refusals[device.platform] = result.account_error
                logger.warning(
                    "push platform refuses every message",
                    extra={"platform": device.platform, "reason": result.account_error},
                )
            return result
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


# How SNS words InvalidParameter: "Invalid parameter: Token Reason: ...", "... TargetArn Reason: No endpoint found ...".
# Without such a word it is about a setting, "... PlatformApplicationArn Reason: ...", and no device is at fault.
_ABOUT_DEVICE = re.compile(r"\b(token|endpoint|EndpointArn|TargetArn)\b", re.IGNORECASE)
_ABOUT_MESSAGE = re.compile(r"^Invalid parameter: Message\b")


def _refusal(error: Exception, device: Device) -> Result:
    """The result for this device that SNS' error stands for."""
    code, text = error_code(error), error_text(error)
    is_invalid = code.startswith("InvalidParameter")
    # Without an endpoint, NotFound is about the platform application: no message would arrive.
    is_gone = code.startswith("NotFound") and device.endpoint_arn is not None
    if code.startswith("EndpointDisabled") or is_gone or (is_invalid and _ABOUT_DEVICE.search(text)):
        return Result(Status.FAILED, error=f"sns: {code}", devices=[{"id": device.id, "dead": True}])
    if is_invalid and _ABOUT_MESSAGE.search(text):
        return Result(Status.FAILED, error=f"sns: {code}")
    if code in _ACCOUNT or code.startswith(("NotFound", "InvalidParameter")):
        return _released(f"sns: {code}")
    return Result(Status.RETRY, error=f"sns: {code}")


def _released(account_error: str) -> Result:
    return Result(Status.RELEASE, error=account_error, account_error=account_error)
