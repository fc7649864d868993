"""Push: endpoints made on first use, payloads for both platforms, and what SNS' answers mean; SNS is moto's."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from ops.local.aws import Aws
from reminders.messages.message import AccountError, Device, Status
from reminders.messages.push import PushChannel
from tests.helpers.cases import table
from tests.unit.messages.examples import message


@pytest.fixture
def sns(aws: Aws) -> Any:
    return aws.client("sns")


@pytest.fixture
def applications(sns: Any) -> Iterator[dict[str, str]]:
    made = {
        platform: sns.create_platform_application(
            Name=f"app-{uuid4().hex[:8]}", Platform=name, Attributes={"PlatformCredential": "x"}
        )["PlatformApplicationArn"]
        for platform, name in (("fcm", "GCM"), ("apns", "APNS"))
    }
    yield made


@pytest.fixture
def channel(sns: Any, applications: dict[str, str]) -> PushChannel:
    return PushChannel(lambda: sns, applications, "https://app.example.org")


def device(platform: str = "fcm", endpoint: str | None = None, number: int = 1) -> Device:
    return Device(number, platform, uuid4().hex, endpoint)


def test_first_use_makes_the_endpoint(channel: PushChannel) -> None:
    """It is remembered, so that the next message needs one call."""
    result = channel.send(message(devices=[device()]))
    assert (Status.SENT, 1) == (result.status, len(result.devices))
    endpoint = result.devices[0]["endpoint_arn"]
    again = channel.send(message(devices=[device(endpoint=endpoint)]))
    assert (Status.SENT, []) == (again.status, again.devices)


def test_token_that_sns_knows_with_other_attributes(channel: PushChannel, sns: Any) -> None:
    """SNS refuses to make it a second time, and names the one that exists."""
    phone = device()
    endpoint = channel.send(message(devices=[phone])).devices[0]["endpoint_arn"]
    sns.set_endpoint_attributes(EndpointArn=endpoint, Attributes={"CustomUserData": "app"})
    assert [{"id": 1, "endpoint_arn": endpoint}] == channel.send(message(devices=[phone])).devices


def test_disabled_endpoint(channel: PushChannel, sns: Any) -> None:
    """The token is dead: the device is used no more."""
    endpoint = channel.send(message(devices=[device()])).devices[0]["endpoint_arn"]
    sns.set_endpoint_attributes(EndpointArn=endpoint, Attributes={"Enabled": "false"})
    result = channel.send(message(devices=[device(endpoint=endpoint)]))
    assert (Status.FAILED, [{"id": 1, "dead": True}]) == (result.status, result.devices)


def test_deleted_endpoint(channel: PushChannel, sns: Any) -> None:
    """An endpoint that is gone is a dead device as well."""
    endpoint = channel.send(message(devices=[device()])).devices[0]["endpoint_arn"]
    sns.delete_endpoint(EndpointArn=endpoint)
    result = channel.send(message(devices=[device(endpoint=endpoint)]))
    assert (Status.FAILED, [{"id": 1, "dead": True}]) == (result.status, result.devices)


def test_one_of_two_devices_is_dead(channel: PushChannel, sns: Any) -> None:
    """The message is sent when one device took it, and the other is used no more."""
    endpoint = channel.send(message(devices=[device()])).devices[0]["endpoint_arn"]
    sns.set_endpoint_attributes(EndpointArn=endpoint, Attributes={"Enabled": "false"})
    result = channel.send(message(devices=[device(endpoint=endpoint), device("apns", number=2)]))
    assert Status.SENT == result.status
    assert {"id": 1, "dead": True} in result.devices


def test_platform_without_an_application(channel: PushChannel, applications: dict[str, str]) -> None:
    """Nothing can be sent to it: failed, and nothing is learned about the device."""
    del applications["apns"]
    result = channel.send(message(devices=[device("apns")]))
    assert (Status.FAILED, []) == (result.status, result.devices)


class Sns:
    """Raises `error`, or keeps what it is given."""

    def __init__(self, code: str = "", text: str = "token 12345") -> None:
        self._code, self._text = code, text
        self.registered: list[dict[str, Any]] = []
        self.published: list[dict[str, Any]] = []

    def create_platform_endpoint(self, **request: Any) -> dict[str, str]:
        self.registered.append(request)
        return {"EndpointArn": "arn:endpoint"}

    def publish(self, **request: Any) -> dict[str, str]:
        self.published.append(request)
        if self._code:
            raise ClientError({"Error": {"Code": self._code, "Message": self._text}}, "Publish")
        return {"MessageId": "1"}


def test_payload() -> None:
    """Both platforms show the same words; a repeat of the day replaces its predecessor."""
    sns = Sns()
    phone = device(endpoint="arn:endpoint")
    PushChannel(lambda: sns, {"fcm": "arn:app"}, "https://app.example.org").send(message(devices=[phone]))
    (request,) = sns.published
    texts = json.loads(request["Message"])
    fcm = json.loads(texts["GCM"])["fcmV1Message"]["message"]
    apns = json.loads(texts["APNS"])
    assert fcm["notification"] == apns["aps"]["alert"]
    assert "Friends: one contact is waiting to hear from you" == apns["aps"]["alert"]["title"]
    tag = fcm["android"]["collapse_key"]
    assert tag == request["MessageAttributes"]["AWS.SNS.MOBILE.APNS.COLLAPSE_ID"]["StringValue"]
    assert tag.endswith("-20261125") and len(tag) <= 64
    assert "https://app.example.org" == fcm["data"]["url"] == apns["url"]


@table(
    ("code", "status", "dead"),
    [
        ("EndpointDisabled", Status.FAILED, True),
        ("EndpointDisabledException", Status.FAILED, True),
        ("Throttled", Status.RETRY, False),
        ("ThrottledException", Status.RETRY, False),
        ("InternalError", Status.RETRY, False),
        ("KMSThrottling", Status.RETRY, False),
    ],
)
def test_answer(code: str, status: Status, dead: bool) -> None:
    """A dead token is given up, what may pass is tried again; no token stands in the error."""
    phone = device(endpoint="arn:endpoint")
    sns = Sns(code)
    result = PushChannel(lambda: sns, {"fcm": "arn:app"}, "https://app").send(message(devices=[phone]))
    assert (status, dead) == (result.status, bool(result.devices))
    assert f"sns: {code}" == result.error


@table("code", ["AuthorizationError", "PlatformApplicationDisabled", "InvalidClientTokenId"])
def test_error_of_the_account(code: str) -> None:
    """It concerns every message: the channel has to stop."""
    sns = Sns(code)
    with pytest.raises(AccountError, match=code):
        PushChannel(lambda: sns, {"fcm": "arn:app"}, "https://app").send(message(devices=[device(endpoint="arn:e")]))


@table(
    ("text", "status", "dead"),
    [
        ("Invalid parameter: Token Reason: must be at most 400 bytes", Status.FAILED, True),
        ("Invalid parameter: TargetArn Reason: No endpoint found for the target arn specified", Status.FAILED, True),
        ("Invalid parameter: This endpoint is already registered with a different token", Status.FAILED, True),
        ("Invalid parameter: EndpointArn", Status.FAILED, True),
        ("Invalid parameter: Message too long", Status.FAILED, False),
        ("Invalid parameter: PlatformApplicationArn Reason: An ARN must have at least 6 elements", "account", False),
        ("", "account", False),
    ],
)
def test_invalid_parameter(text: str, status: str, dead: bool) -> None:
    """SNS's text says of what: a device is given up only for its own token or endpoint, else no phone gets a push."""
    channel = PushChannel(lambda: Sns("InvalidParameter", text), {"fcm": "arn:app/GCM", "apns": "arn:app"}, "https://x")
    result = channel.send(message(devices=[ANDROID]))
    assert (status, dead) == ("account" if result.account_error else result.status, bool(result.devices))
    assert "sns: InvalidParameter" == result.error


def test_endpoint_of_another_application() -> None:
    """After the stack got another platform application, or another region, each device is registered there."""
    sns = Sns()
    applications = {"fcm": "arn:aws:sns:eu-west-2:123456789012:app/GCM/new"}
    channel = PushChannel(lambda: sns, applications, "https://app")
    old = "arn:aws:sns:eu-west-1:123456789012:endpoint/GCM/new/1", "arn:aws:sns:eu-west-2:123456789012:endpoint/GCM/n/1"
    for endpoint in old:
        result = channel.send(message(devices=[device(endpoint=endpoint)]))
        assert (Status.SENT, [{"id": 1, "endpoint_arn": "arn:endpoint"}]) == (result.status, result.devices)
    assert ["arn:endpoint"] * 2 == [request["TargetArn"] for request in sns.published]
    channel.send(message(devices=[device(endpoint="arn:aws:sns:eu-west-2:123456789012:endpoint/GCM/new/1")]))
    assert 2 == len(sns.registered)


class OnePlatformRefuses(Sns):
    """Apple's credentials have expired. `asked`: the platforms that were published to."""

    def __init__(self, android: str = "") -> None:
        super().__init__(android)
        self.asked: list[str] = []

    def publish(self, **request: Any) -> dict[str, str]:
        self.asked.append("apns" if "/APNS/" in request["TargetArn"] else "fcm")
        if self.asked[-1] == "apns":
            raise ClientError({"Error": {"Code": "PlatformApplicationDisabled", "Message": "no"}}, "Publish")
        return super().publish(**request)


ANDROID, IPHONE = device(endpoint="arn:endpoint/GCM/1"), device("apns", "arn:endpoint/APNS/1", number=2)
BOTH = {"fcm": "arn:app/GCM", "apns": "arn:app/APNS"}
DISABLED = "sns: PlatformApplicationDisabled"


def test_platform_that_refuses_and_one_that_takes() -> None:
    """The message is sent, so that it is not sent again to the phone that has it. The error is reported."""
    sns = OnePlatformRefuses()
    result = PushChannel(lambda: sns, BOTH, "https://app").send(message(devices=[device(), IPHONE]))
    assert (Status.SENT, "1", None, DISABLED) == (
        result.status,
        result.provider_message_id,
        result.error,
        result.account_error,
    )
    assert [{"id": 1, "endpoint_arn": "arn:endpoint"}] == result.devices


@table(
    ("code", "status", "learned"),
    [("Throttled", Status.RETRY, []), ("EndpointDisabled", Status.RELEASE, [{"id": 1, "dead": True}])],
)
def test_platform_that_refuses_and_one_that_does_not_take(code: str, status: Status, learned: list[object]) -> None:
    """What may pass is tried again. When the other device is dead, the message waits for the platform."""
    sns = OnePlatformRefuses(code)
    result = PushChannel(lambda: sns, BOTH, "https://app").send(message(devices=[ANDROID, IPHONE]))
    assert (status, learned, DISABLED) == (result.status, result.devices, result.account_error)


def test_platform_that_refuses_is_not_called_again() -> None:
    """In this round: its messages are given back, and people with the other platform get theirs."""
    sns = OnePlatformRefuses()
    channel = PushChannel(lambda: sns, BOTH, "https://app")
    results = [channel.send(message(devices=[phone])) for phone in (IPHONE, ANDROID, IPHONE, ANDROID)]
    assert [Status.RELEASE, Status.SENT] * 2 == [result.status for result in results]
    assert [DISABLED, None] * 2 == [result.error for result in results]
    assert ["apns", "fcm", "fcm"] == sns.asked


def test_no_platform_is_left() -> None:
    """When both have refused, the channel has to stop."""
    channel = PushChannel(lambda: OnePlatformRefuses("AuthorizationError"), BOTH, "https://app")
    assert Status.RELEASE == channel.send(message(devices=[IPHONE])).status
    with pytest.raises(AccountError, match="AuthorizationError"):
        channel.send(message(devices=[ANDROID]))


def test_every_field_is_plain_data() -> None:
    """Devices may come as dictionaries, as JSON from the database gives them."""
    made = message(devices=[{"id": 7, "platform": "fcm", "token": "t", "endpoint_arn": None}])
    assert [Device(7, "fcm", "t", None)] == made.devices
    assert made == dataclasses.replace(made)
