"""What `handlers.admin` works with."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache

from handlers.wiring.common import connect, secrets
from reminders.database import Connection
from reminders.identity import Identity, KeySet, KeySource, SharedSecret, jwks_at
from reminders.settings import AdminSettings


@cache
def identity(settings: AdminSettings) -> Identity:
    """Verifies access tokens. Kept while the process is warm, so that the JWKS is not fetched for each request."""
    sources: list[KeySource] = []
    if settings.jwt_secret:
        name = settings.jwt_secret
        sources.append(SharedSecret(lambda: secrets().get(name), lambda than: secrets().newer(name, than=than)))
    if settings.jwks_url:
        sources.append(KeySet(jwks_at(settings.jwks_url), time.monotonic))
    return Identity(sources, settings.issuer)


@contextmanager
def admin_connection(settings: AdminSettings) -> Iterator[Connection]:
    """A connection without rights of its own: each transaction takes the caller's role and claims."""
    with closing(connect(settings.database_secret, "reminders-admin")) as connection:
        yield connection
