"""
Secrets by name, from Secrets Manager through Powertools Parameters.

Values are cached for five minutes in a warm function. A value that is rejected (by the database, or
with a 401) is fetched again once, because it was probably rotated.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from reminders.aws_errors import error_code
from reminders.errors import SecretError

CACHE_SECONDS = 300
# Rate limit: requests with a wrong token must not trigger a fetch each. A few fetches are allowed at once, because a
# secret may be rotated just after it was rejected.
REFETCH_PAUSE_SECONDS = 30
REFETCHES_AT_ONCE = 4
# With boto3's own limits (60 s, five attempts), Lambda would end most functions before an error could be reported.
# Three attempts, because Secrets Manager may throttle for a moment.
CONNECT_SECONDS = 2.0
READ_SECONDS = 3.0
ATTEMPTS = 3


class Provider(Protocol):
    """The part of Powertools' `SecretsProvider` that is used here."""

    def get(self, name: str, *, max_age: int, force_fetch: bool) -> object: ...


class Secrets:
    """Reads secrets by name. One instance a process, so that the cache outlives an invocation."""

    def __init__(self, provider: Provider | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._provider = provider
        self._clock = clock
        # By name: the time at which the fetches so far would end if they were REFETCH_PAUSE_SECONDS apart.
        self._due: dict[str, float] = {}
        # Two threads that connect at once need one fetch.
        self._fetching = threading.Lock()

    def get(self, name: str) -> str:
        """The secret's `SecretString`, stripped; raise `SecretError` when it cannot be read or is empty."""
        with self._fetching:
            return self._fetch(name, fresh=False)

    def newer(self, name: str, than: str) -> str | None:
        """
        The value in the cache or after a fresh fetch, if it differs from `than`; else None.

        At most one fetch a secret in `REFETCH_PAUSE_SECONDS`, after the first `REFETCHES_AT_ONCE`. Raise
        `SecretError` when the fetch fails.
        """
        with self._fetching:
            current = self._fetch(name, fresh=False)
            if current == than:
                current = self._fetch(name, fresh=self._may_refetch(name))
        return current if current != than else None

    def _may_refetch(self, name: str) -> bool:
        now = self._clock()
        due = max(now, self._due.get(name, now))
        if due - now > (REFETCHES_AT_ONCE - 1) * REFETCH_PAUSE_SECONDS:
            return False
        self._due[name] = due + REFETCH_PAUSE_SECONDS
        return True

    def _fetch(self, name: str, *, fresh: bool) -> str:
        # Imported here: this loads boto3, 40 % of a cold start, and a refused request does not need it.
        from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

        try:
            value = self._source().get(name, max_age=CACHE_SECONDS, force_fetch=fresh)
        except GetParameterError as error:
            # boto3's message names the operation and the reason, never the value.
            raise SecretError(f"secret {name!r} could not be read: {_reason(error)}") from None
        if not isinstance(value, str) or not value.strip():
            raise SecretError(f"secret {name!r} is empty or binary; its SecretString must be the plain value")
        return value.strip()

    def _source(self) -> Provider:
        # Only now, because it makes a boto3 client: nothing is opened at import.
        if self._provider is None:
            from aws_lambda_powertools.utilities.parameters import SecretsProvider
            from botocore.config import Config

            config = Config(
                connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries={"total_max_attempts": ATTEMPTS}
            )
            self._provider = SecretsProvider(boto_config=config)
        return self._provider


def _reason(error: Exception) -> str:
    return error_code(error.__cause__ or error.__context__ or error)
