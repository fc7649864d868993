"""What `handlers.console` works with."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING
from uuid import UUID

from handlers.wiring.common import secrets, tls
from reminders.console.auth import SupabaseAuth
from reminders.settings import ConsoleSettings

if TYPE_CHECKING:
    from reminders.runs.ticks import Ticks


def auth(settings: ConsoleSettings) -> SupabaseAuth:
    """Supabase Auth, with the publishable key as it is now."""
    return SupabaseAuth(settings.supabase_url, secrets().get(settings.key_secret), tls())


@lru_cache(500)  # sessions: one warm process serves the admins of one deployment
def second_factor(settings: ConsoleSettings, access_token: str) -> UUID | None:
    """
    The person's authenticator app, if they have one; asked once for each access token.

    Supabase is asked, because a browser could leave out a cookie that requires the second factor.
    """
    return auth(settings).second_factor(access_token)


@cache
def ticks(expression: str) -> Ticks:
    """The schedule. Loaded late: one page needs it."""
    from reminders.runs.ticks import parse_schedule

    return parse_schedule(expression)
