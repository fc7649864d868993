"""The alert channels and the outbox, for the functions that alert."""

from __future__ import annotations

import os
from contextlib import closing
from functools import cache

from handlers.wiring.common import connect, secrets
from reminders.alerts.channels import Channel
from reminders.alerts.direct import UnrecordedFailures
from reminders.alerts.message import Origin
from reminders.alerts.outbox import Outbox
from reminders.alerts.policy import Policy
from reminders.alerts.slack import SlackChannel
from reminders.alerts.sns import SnsChannel, SnsClient
from reminders.errors import SettingsError, safe_message
from reminders.limits import LIMITS, Limits
from reminders.runs import JOB_NAME
from reminders.settings import AlertSettings
from reminders.telemetry import logger


def alert_channels() -> list[Channel]:
    """The channels that the environment configures; none of them is opened before it is used."""
    settings = AlertSettings.read(os.environ)
    return _channels(settings, Origin(settings.stack, settings.runbook_url))


def working_channels() -> list[Channel]:
    """Like `alert_channels`, but a channel with a wrong setting is logged and left out, because the other must work."""
    channels: list[Channel] = []
    for name in ("ALERT_TOPIC_ARN", "SLACK_WEBHOOK_SECRET"):
        try:
            channels += _channels(AlertSettings.read(_only(name)), _working_origin())
        except Exception as error:
            logger.error("alert channel could not be set up", extra={"setting": name, "reason": safe_message(error)})
    return channels


@cache
def unrecorded_failures() -> UnrecordedFailures:
    """What the process has reported directly; made at first use, kept while the process is warm."""
    return UnrecordedFailures(working_channels)


def _working_origin() -> Origin:
    """The stack and the runbook's address, or the stack alone if the setting of the address is wrong."""
    try:
        settings = AlertSettings.read(_only("POWERTOOLS_SERVICE_NAME", "RUNBOOK_URL"))
    except SettingsError as error:
        logger.error("alerts have no link to the runbook", extra={"reason": safe_message(error)})
        settings = AlertSettings.read(_only("POWERTOOLS_SERVICE_NAME"))
    return Origin(settings.stack, settings.runbook_url)


def _only(*names: str) -> dict[str, str]:
    return {name: os.environ[name] for name in names if name in os.environ}


def _channels(settings: AlertSettings, origin: Origin) -> list[Channel]:
    channels: list[Channel] = []
    if settings.topic_arn:
        channels.append(SnsChannel(_sns_client, settings.topic_arn, origin))
    if name := settings.slack_webhook_secret:
        channels.append(SlackChannel(lambda: secrets().get(name), lambda old: secrets().newer(name, than=old), origin))
    return channels


def outbox(database_secret: str, limits: Limits = LIMITS) -> Outbox:
    """The outbox of the job, sending through the channels that are configured."""
    settings = AlertSettings.read(os.environ)
    policy = Policy(settings.threshold, settings.repeat_every)
    return Outbox(
        JOB_NAME,
        policy,
        alert_channels(),
        lambda: closing(connect(database_secret, "reminders-outbox")),
        limits=limits,
    )


@cache
def _sns_client() -> SnsClient:
    import boto3
    from botocore.config import Config

    # One attempt: the outbox is the retry, and a run must not wait.
    config = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 1})
    client: SnsClient = boto3.client("sns", config=config)
    return client
