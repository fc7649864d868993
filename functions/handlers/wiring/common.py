"""What the functions share: secrets, connections, alert channels."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import cache

from aws_lambda_powertools.utilities.typing import LambdaContext

from reminders import database
from reminders.alerts.channels import Channel
from reminders.alerts.outbox import Outbox
from reminders.alerts.policy import Policy
from reminders.alerts.slack import SlackChannel
from reminders.alerts.sns import SnsChannel, SnsClient
from reminders.database import Connection
from reminders.errors import DatabaseUnavailable
from reminders.runs import JOB_NAME
from reminders.secrets import Secrets
from reminders.settings import AlertSettings


@cache
def secrets() -> Secrets:
    """The process's secrets; made at first use, kept while the process is warm."""
    return Secrets()


def alert_channels() -> list[Channel]:
    """The channels that the environment configures; none of them is opened before it is used."""
    settings = AlertSettings.read(os.environ)
    channels: list[Channel] = []
    if settings.topic_arn:
        channels.append(SnsChannel(_sns_client, settings.topic_arn))
    if name := settings.slack_webhook_secret:
        channels.append(SlackChannel(lambda: secrets().get(name), lambda old: secrets().newer(name, than=old)))
    return channels


def outbox(database_secret: str) -> Outbox:
    """The outbox of the job, sending through the channels that are configured."""
    settings = AlertSettings.read(os.environ)
    policy = Policy(settings.threshold, settings.repeat_every)
    return Outbox(JOB_NAME, policy, alert_channels(), lambda: closing(connect(database_secret, "reminders-outbox")))


@cache
def _sns_client() -> SnsClient:
    import boto3
    from botocore.config import Config

    # One attempt: the outbox is the retry, and a run must not wait.
    config = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 1})
    client: SnsClient = boto3.client("sns", config=config)
    return client


def seconds_left(context: LambdaContext) -> float:
    """What remains of the invocation, in seconds."""
    return context.get_remaining_time_in_millis() / 1000


def connections(stack: ExitStack, secret: str) -> Callable[[str], Connection]:
    """Make connections by application name; `stack` closes them."""
    return lambda name: stack.enter_context(closing(connect(secret, name)))


def connect(secret: str, name: str) -> Connection:
    """Connect with the URI in `secret`; when the database says no, once more if the secret has changed."""
    dsn = secrets().get(secret)
    try:
        return database.connect(dsn, name=name)
    except DatabaseUnavailable:
        rotated = secrets().newer(secret, than=dsn)
        if rotated is None:
            raise
        return database.connect(rotated, name=name)
