"""SNS, published to moto by real boto3 and read back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, get_args
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.local.aws import Aws, Published
from reminders.alerts.channels import ChannelError, send_within
from reminders.alerts.message import Alert
from reminders.alerts.policy import Kind
from reminders.alerts.sns import SUBJECT_LIMIT, SnsChannel, subject_of
from tests.alerting import FAILURE
from tests.helpers.cases import table


@pytest.fixture
def topic(aws: Aws) -> str:
    return aws.create_topic(f"alerts-{uuid4().hex[:8]}")


def published(aws: Aws, topic: str, alert: Alert) -> Published:
    send_within(SnsChannel(lambda: aws.client("sns"), topic), alert, 4)
    (message,) = aws.published(topic)
    return message


def test_alert_as_a_person_gets_it(aws: Aws, topic: str) -> None:
    """Subject and readable text, the same words as everywhere."""
    message = published(aws, topic, FAILURE)
    assert "assignment-reminder-cron: 2 runs in a row have failed" == message.subject
    assert FAILURE.text() == message.message


def test_alert_as_a_machine_gets_it(aws: Aws, topic: str) -> None:
    """Attributes: the kind and the job for filter policies, and the whole payload as JSON."""
    attributes = published(aws, topic, FAILURE).attributes
    assert {"kind", "job_name", "payload"} == set(attributes)
    assert {"String"} == {attribute["Type"] for attribute in attributes.values()}
    assert ("failure", "assignment-reminder-cron") == (attributes["kind"]["Value"], attributes["job_name"]["Value"])
    assert FAILURE == Alert.from_payload(json.loads(attributes["payload"]["Value"]))


def test_alert_in_any_script(aws: Aws, topic: str) -> None:
    """Text and payload keep what a subject cannot hold."""
    alert = replace(FAILURE, job_name="Erinnerungen für Zoë ✓")
    message = published(aws, topic, alert)
    assert "Erinnerungen f?r Zo? ?: 2 runs in a row have failed" == message.subject
    assert alert.headline in message.message
    assert alert == Alert.from_payload(json.loads(message.attributes["payload"]["Value"]))


@pytest.fixture
def fifo(aws: Aws) -> tuple[str, str]:
    """A FIFO topic and the URL of a FIFO queue that gets what is published there."""
    name = f"alerts-{uuid4().hex[:8]}.fifo"
    topic = aws.client("sns").create_topic(Name=name, Attributes={"FifoTopic": "true"})["TopicArn"]
    sqs = aws.client("sqs")
    queue = sqs.create_queue(QueueName=name, Attributes={"FifoQueue": "true"})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return topic, queue


def test_fifo_topic(aws: Aws, fifo: tuple[str, str]) -> None:
    """A job's alerts keep their order, a repeat of one is dropped, and each test alert arrives."""
    topic, queue = fifo
    test = Alert("test", FAILURE.job_name)
    recovery = replace(FAILURE, kind="recovery", run_id=str(uuid4()))
    channel = SnsChannel(lambda: aws.client("sns"), topic)
    for alert in (FAILURE, FAILURE, recovery, test, test):
        send_within(channel, alert, 4)
    arrived = []
    sqs = aws.client("sqs")
    while messages := sqs.receive_message(
        QueueUrl=queue, MaxNumberOfMessages=10, AttributeNames=["MessageGroupId"]
    ).get("Messages"):
        for message in messages:
            kind = json.loads(message["Body"])["MessageAttributes"]["kind"]["Value"]
            arrived.append((message["Attributes"]["MessageGroupId"], kind))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    assert [(FAILURE.job_name, kind) for kind in ("failure", "recovery", "test", "test")] == arrived


def test_test_alert_is_marked(aws: Aws, topic: str) -> None:
    """No one takes a test for the real thing."""
    message = published(aws, topic, Alert("test", "assignment-reminder-cron"))
    assert "[test] assignment-reminder-cron: this is a test alert, nothing is wrong" == message.subject


@given(st.text(st.characters(exclude_categories=["Cc"]), max_size=300), st.sampled_from(get_args(Kind)))
def test_subject(job: str, kind: Kind) -> None:
    """SNS takes fewer than 100 characters, ASCII only."""
    subject = subject_of(Alert(kind, job))
    assert 0 < len(subject) <= SUBJECT_LIMIT < 100
    assert subject.isascii()
    assert subject.isprintable()


def test_largest_alert_fits() -> None:
    """A message of SNS, attributes included, has 262,144 bytes."""
    largest = replace(FAILURE, error_message="\U0001f480" * 1_000)
    size = len(largest.text().encode()) + len(json.dumps(largest.payload()).encode())
    assert size < 262_144 / 10


@pytest.mark.parametrize(
    ("topic_name", "expected_message", "permanent"),
    [("arn:aws:sns:eu-west-2:123456789012:gone", "sns: NotFound", True)],
)
def test_topic_that_does_not_exist(aws: Aws, topic_name: str, expected_message: str, permanent: bool) -> None:
    """The error's code says it; a person has to correct something."""
    with pytest.raises(ChannelError) as raised:
        send_within(SnsChannel(lambda: aws.client("sns"), topic_name), FAILURE, 4)
    assert (expected_message, permanent) == (str(raised.value), raised.value.permanent)


class Refusing:
    """An SNS client that raises."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def publish(self, **kwargs: Any) -> Any:
        raise self._error


def client_error(code: str) -> Exception:
    from botocore.exceptions import ClientError

    return ClientError({"Error": {"Code": code, "Message": "arn:aws:sns:secret"}}, "Publish")


@table(
    ("code", "permanent"),
    [
        ("AuthorizationError", True),
        ("InvalidParameter", True),
        ("KMSAccessDenied", True),
        ("Throttled", False),
        ("InternalError", False),
        ("ServiceUnavailable", False),
    ],
)
def test_refusal_of_sns(code: str, permanent: bool) -> None:
    """Permanent or not by the error's code; its text, which may quote the request, is not reported."""
    with pytest.raises(ChannelError) as raised:
        send_within(SnsChannel(lambda: Refusing(client_error(code)), "arn"), FAILURE, 1)
    assert (f"sns: {code}", permanent) == (str(raised.value), raised.value.permanent)


def test_sns_that_does_not_answer() -> None:
    """A connection error has no code; its class is reported, and it passes by itself."""
    from botocore.exceptions import EndpointConnectionError

    error = EndpointConnectionError(endpoint_url="https://sns.example")
    with pytest.raises(ChannelError) as raised:
        send_within(SnsChannel(lambda: Refusing(error), "arn"), FAILURE, 1)
    assert ("sns: EndpointConnectionError", False) == (str(raised.value), raised.value.permanent)
