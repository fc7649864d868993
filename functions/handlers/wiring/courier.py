"""What `handlers.courier` works with."""

from __future__ import annotations

import os
import threading
import time
from contextlib import closing
from dataclasses import replace
from functools import cache, partial
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from handlers.wiring.alerts import alert_channels
from handlers.wiring.common import connect, seconds_left, secrets
from reminders.messages import unsubscribe
from reminders.messages.delivery import CourierDeps, CourierLimits
from reminders.messages.email import EmailChannel, EmailSettings
from reminders.messages.message import MessageChannel
from reminders.messages.push import PushChannel
from reminders.settings import CourierSettings


def courier_deps(context: LambdaContext, limits: CourierLimits) -> CourierDeps:
    """All that `handlers.courier` needs; nothing is open yet. Raise `SecretError` or `SettingsError` of a channel."""
    settings = CourierSettings.read(os.environ)
    return CourierDeps(
        connect=lambda: closing(connect(settings.database_secret, "reminders-courier")),
        channels=message_channels(settings, limits),
        limits=replace(limits, per_second=settings.per_second),
        seconds_left=partial(seconds_left, context),
        clock=time.monotonic,
        sleep=time.sleep,
        alert_channels=[channel.name for channel in alert_channels()],
    )


def message_channels(settings: CourierSettings, limits: CourierLimits) -> list[MessageChannel]:
    """The channels that the environment configures. Raise `SecretError` for a key that no link can be signed with."""
    channels: list[MessageChannel] = []
    if settings.email_from:
        key = secrets().get(settings.unsubscribe_key_secret) if settings.unsubscribe_key_secret else None
        if key is not None:
            # Here, and not for each message, which would be tried again until it expires.
            unsubscribe.check_key(key)
        email = EmailSettings(
            settings.email_from, settings.email_configuration_set, settings.app_url, settings.unsubscribe_url, key
        )
        channels.append(EmailChannel(partial(client, "sesv2", limits), email))
    if settings.push_applications:
        applications = dict(settings.push_applications)
        channels.append(PushChannel(partial(client, "sns", limits), applications, settings.app_url))
    return channels


# A hundred workers ask for the first client in the same moment. Without the lock each would make one, which takes
# 150 ms of processor time. And only one thread at a time may make clients ("Multithreading or multiprocessing with
# clients", Boto3 documentation).
_one_at_a_time = threading.Lock()


def client(service: str, limits: CourierLimits) -> Any:
    """The one boto3 client of `service`, for all workers: using it is thread-safe."""
    with _one_at_a_time:
        return _new_client(service, limits)


@cache
def _new_client(service: str, limits: CourierLimits) -> Any:
    import boto3
    from botocore.config import Config

    # One attempt: the messages' own retries keep to the rate and count attempts.
    config = Config(
        connect_timeout=limits.connect_seconds,
        read_timeout=limits.provider_seconds,
        retries={"total_max_attempts": 1},
        max_pool_connections=limits.workers,
    )
    make: Any = boto3.client
    return make(service, config=config)
