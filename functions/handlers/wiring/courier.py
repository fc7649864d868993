"""What `handlers.courier` works with."""

from __future__ import annotations

import os
import time
from contextlib import closing
from functools import cache, partial
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from handlers.wiring.alerts import alert_channels
from handlers.wiring.common import connect, seconds_left, secrets
from reminders.messages.courier import CourierDeps, CourierLimits
from reminders.messages.email import EmailChannel, EmailSettings
from reminders.messages.message import MessageChannel
from reminders.messages.push import PushChannel
from reminders.settings import CourierSettings

# Together below half of the courier's `send_seconds`: a message is settled before its lease ends.
CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS = 3.0, 10.0


def courier_deps(context: LambdaContext) -> CourierDeps:
    """All that `handlers.courier` needs; nothing is open yet."""
    settings = CourierSettings.read(os.environ)
    return CourierDeps(
        connect=lambda: closing(connect(settings.database_secret, "reminders-courier")),
        channels=message_channels(settings),
        limits=CourierLimits(per_second=settings.per_second),
        seconds_left=partial(seconds_left, context),
        clock=time.monotonic,
        sleep=time.sleep,
        alert_channels=[channel.name for channel in alert_channels()],
    )


def message_channels(settings: CourierSettings) -> list[MessageChannel]:
    """The channels that the environment configures."""
    channels: list[MessageChannel] = []
    if settings.email_from:
        key = secrets().get(settings.unsubscribe_key_secret) if settings.unsubscribe_key_secret else None
        email = EmailSettings(
            settings.email_from, settings.email_configuration_set, settings.app_url, settings.unsubscribe_url, key
        )
        channels.append(EmailChannel(partial(_client, "sesv2"), email))
    if settings.push_applications:
        applications = dict(settings.push_applications)
        channels.append(PushChannel(partial(_client, "sns"), applications, settings.app_url))
    return channels


@cache
def _client(service: str) -> Any:
    import boto3
    from botocore.config import Config

    # One attempt: the messages' own retries keep to the rate and count attempts.
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=READ_TIMEOUT_SECONDS,
        retries={"total_max_attempts": 1},
        max_pool_connections=CourierLimits().workers,
    )
    make: Any = boto3.client
    return make(service, config=config)
