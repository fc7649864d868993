"""What all functions share: secrets and connections."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import cache

from aws_lambda_powertools.utilities.typing import LambdaContext

from reminders import database
from reminders.database import Connection
from reminders.errors import DatabaseUnavailable, SecretError, safe_message
from reminders.secrets import Secrets
from reminders.telemetry import logger


@cache
def secrets() -> Secrets:
    """The process's secrets; made at first use, kept while the process is warm."""
    return Secrets()


@cache
def tls() -> ssl.SSLContext:
    """Made once in a process: reading the certificate authorities takes longer than a run with nothing due."""
    import httpx

    return httpx.create_ssl_context()


def seconds_left(context: LambdaContext) -> float:
    """What remains of the invocation, in seconds."""
    return context.get_remaining_time_in_millis() / 1000


def connections(stack: ExitStack, secret: str) -> Callable[[str], Connection]:
    """Make connections by application name; `stack` closes them."""
    return lambda name: stack.enter_context(closing(connect(secret, name)))


def connect(secret: str, name: str) -> Connection:
    """Connect with the URI in `secret`. If this fails and the secret was rotated, try once more with the new value."""
    dsn = secrets().get(secret)
    try:
        return database.connect(dsn, name=name)
    except DatabaseUnavailable:
        rotated = _newer(secret, dsn)
        if rotated is None:
            raise
        return database.connect(rotated, name=name)


def _newer(secret: str, dsn: str) -> str | None:
    """The URI after a rotation; None also if it cannot be fetched, because the database's error is more useful."""
    try:
        return secrets().newer(secret, than=dsn)
    except SecretError as error:
        logger.warning("secret could not be fetched again", extra={"reason": safe_message(error)})
        return None
