"""The admin function's environment: which combinations are settings, and which raise SettingsError."""

from __future__ import annotations

import pytest

from reminders.errors import SettingsError
from reminders.settings import AdminSettings, ConsoleSettings
from tests.helpers.cases import table

JWKS = "https://project.example/auth/v1/.well-known/jwks.json"
ISSUER = "https://project.example/auth/v1"


def read(**environment: str) -> AdminSettings:
    return AdminSettings.read({"DATABASE_SECRET": "reminders/admin-database", **environment})


def test_issuer_comes_from_the_key_set() -> None:
    """The URL of Supabase's JWKS begins with the issuer, so one setting gives both."""
    settings = read(SUPABASE_JWKS_URL=JWKS)
    assert (settings.jwks_url, settings.issuer, settings.jwt_secret) == (JWKS, ISSUER, None)


def test_issuer_that_is_given_wins() -> None:
    """Behind a custom domain, tokens keep the project's own issuer."""
    assert read(SUPABASE_JWKS_URL=JWKS, SUPABASE_JWT_ISSUER="https://other.example").issuer == "https://other.example"


def test_secret_and_key_set_together() -> None:
    """While a project changes from one to the other, tokens of both kinds are about."""
    settings = read(SUPABASE_JWKS_URL=JWKS, SUPABASE_JWT_SECRET="reminders/jwt")
    assert (settings.jwks_url, settings.jwt_secret) == (JWKS, "reminders/jwt")


@table(("text", "required"), [(None, False), ("", False), ("false", False), ("true", True)])
def test_second_factor(text: str | None, required: bool) -> None:
    """Not asked for unless the setting says so."""
    environment = {} if text is None else {"ADMIN_REQUIRE_AAL2": text}
    assert required == read(SUPABASE_JWKS_URL=JWKS, **environment).require_aal2


@table(
    ("environment", "message"),
    [
        ({}, "neither SUPABASE_JWT_SECRET nor SUPABASE_JWKS_URL is set"),
        ({"SUPABASE_JWT_SECRET": "reminders/jwt"}, "SUPABASE_JWT_ISSUER is not set"),
        ({"SUPABASE_JWKS_URL": "https://project.example/keys"}, "SUPABASE_JWT_ISSUER is not set"),
        ({"SUPABASE_JWKS_URL": JWKS.replace("https", "http")}, "SUPABASE_JWKS_URL must be https"),
        ({"SUPABASE_JWKS_URL": "project.example"}, "SUPABASE_JWKS_URL must be an http"),
        ({"SUPABASE_JWKS_URL": JWKS, "DATABASE_SECRET": " "}, "DATABASE_SECRET is not set"),
        ({"SUPABASE_JWKS_URL": JWKS, "ADMIN_REQUIRE_AAL2": "yes"}, "ADMIN_REQUIRE_AAL2 must be true or false"),
        ({"SUPABASE_JWKS_URL": JWKS, "ADMIN_REQUIRE_AAL2": "True"}, "ADMIN_REQUIRE_AAL2 must be true or false"),
        ({"SUPABASE_JWKS_URL": f"{JWKS}#keys"}, "SUPABASE_JWKS_URL must be an http"),
    ],
)
def test_what_is_missing_or_wrong_is_named(environment: dict[str, str], message: str) -> None:
    """The function stops at once and says which variable it is."""
    with pytest.raises(SettingsError, match=message):
        read(**environment)


URL, KEY = "https://project.supabase.co", "reminders/publishable-key"


def test_console_is_off_without_its_settings() -> None:
    """No setting, no console; the rest of the admin function works."""
    assert ConsoleSettings.read({"SUPABASE_URL": " ", "SUPABASE_PUBLISHABLE_KEY_SECRET": ""}) is None


def test_console_with_its_settings() -> None:
    """The schedule is the template's, where none is named."""
    found = ConsoleSettings.read({"SUPABASE_URL": f"{URL}/", "SUPABASE_PUBLISHABLE_KEY_SECRET": KEY})
    assert ConsoleSettings(URL, KEY, "cron(0 6 * * ? *)") == found


def test_console_with_another_schedule() -> None:
    """It shows the next run by the deployment's own expression."""
    environment = {
        "SUPABASE_URL": URL,
        "SUPABASE_PUBLISHABLE_KEY_SECRET": KEY,
        "REMINDER_CRON_EXPRESSION": "rate(1 day)",
    }
    assert ConsoleSettings(URL, KEY, "rate(1 day)") == ConsoleSettings.read(environment)


@table(
    ("environment", "message"),
    [
        ({"SUPABASE_URL": URL}, "must be set together"),
        ({"SUPABASE_PUBLISHABLE_KEY_SECRET": KEY}, "must be set together"),
        ({"SUPABASE_URL": "http://project.supabase.co", "SUPABASE_PUBLISHABLE_KEY_SECRET": KEY}, "must be https"),
        ({"SUPABASE_URL": "project", "SUPABASE_PUBLISHABLE_KEY_SECRET": KEY}, "SUPABASE_URL must be an http"),
    ],
)
def test_console_with_half_of_its_settings(environment: dict[str, str], message: str) -> None:
    """Loud, and at the start of the function."""
    with pytest.raises(SettingsError, match=message):
        ConsoleSettings.read(environment)
