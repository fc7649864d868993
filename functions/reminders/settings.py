"""
Settings from the environment, read once per invocation.

The environment holds names, never secrets. A missing or malformed variable stops the function at once and
is named in the error. Written by hand, not with pydantic-settings: the cron function needs seven variables,
and pydantic alone would add a fifth to its cold start (docs/decisions.md).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from reminders.errors import SettingsError
from reminders.text import is_printable

Environment = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CronSettings:
    """
    Settings of `handlers.cron`. Names are names of secrets in Secrets Manager.

    `shards`: None where their number depends on the number of open assignments (SCHEDULER_SHARDS=auto).
    `signs_calls`: calls of the scheduler are signed with the function's AWS credentials (REMINDER_FUNCTION_AUTH).
    """

    database_secret: str
    scheduler_token_secret: str | None
    scheduler_url: str | None
    shards: int | None
    batch_size: int
    signs_calls: bool = False

    @classmethod
    def read(cls, env: Environment) -> CronSettings:
        """Raise `SettingsError` naming the first variable that is missing or malformed."""
        url = _optional_url(env, "REMINDER_FUNCTION_URL")
        token_secret = _required if url else _optional
        return cls(
            database_secret=_required(env, "DATABASE_SECRET"),
            scheduler_token_secret=token_secret(env, "SCHEDULER_TOKEN_SECRET"),
            scheduler_url=url,
            shards=_shards(env),
            batch_size=_batch_size(env),
            signs_calls=_signs_calls(env),
        )


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """Which results cause an alert, and its channels; both channels may be absent."""

    topic_arn: str | None
    slack_webhook_secret: str | None
    threshold: int
    repeat_every: int
    stack: str | None  #: the deployment's name: staging and production must not read alike
    runbook_url: str | None

    @classmethod
    def read(cls, env: Environment) -> AlertSettings:
        """Raise `SettingsError` naming the first variable that is malformed."""
        return cls(
            topic_arn=_optional_topic(env, "ALERT_TOPIC_ARN"),
            slack_webhook_secret=_optional(env, "SLACK_WEBHOOK_SECRET"),
            threshold=_whole_number(env, "ALERT_THRESHOLD", default=2, low=1, high=1_000),
            repeat_every=_whole_number(env, "ALERT_REPEAT_EVERY", default=0, low=0, high=1_000),
            stack=_optional(env, "POWERTOOLS_SERVICE_NAME"),
            runbook_url=_optional_url(env, "RUNBOOK_URL", fragment=True),
        )


@dataclass(frozen=True, slots=True)
class WatchdogSettings:
    """
    Settings of `handlers.watchdog`.

    `schedule_name` is EventBridge Scheduler's "group/name"; without it the watchdog cannot see a
    pause, and assumes that the schedule is enabled.
    """

    database_secret: str
    expression: str
    schedule_name: str | None
    overrun_minutes: int
    grace_minutes: int
    retention_days: int
    message_retention_days: int

    @classmethod
    def read(cls, env: Environment) -> WatchdogSettings:
        """Raise `SettingsError` naming the first variable that is missing or malformed."""
        return cls(
            database_secret=_required(env, "DATABASE_SECRET"),
            expression=_optional(env, "REMINDER_CRON_EXPRESSION") or "cron(0 6 * * ? *)",
            schedule_name=_optional_schedule(env, "REMINDER_SCHEDULE_NAME"),
            overrun_minutes=_whole_number(env, "OVERRUN_MINUTES", default=30, low=1, high=1_440),
            grace_minutes=_whole_number(env, "MISSED_RUN_GRACE_MINUTES", default=15, low=1, high=1_440),
            # Below 90 days the retention function refuses as well.
            retention_days=_whole_number(env, "LOG_RETENTION_DAYS", default=365, low=90, high=36_500),
            # Below 7 days the function that prunes messages refuses as well.
            message_retention_days=_whole_number(env, "MESSAGE_RETENTION_DAYS", default=90, low=7, high=36_500),
        )


@dataclass(frozen=True, slots=True)
class SchedulerSettings:
    """Settings of `handlers.scheduler`."""

    database_secret: str
    token_secret: str
    batch_size: int

    @classmethod
    def read(cls, env: Environment) -> SchedulerSettings:
        """Raise `SettingsError` naming the first variable that is missing or malformed."""
        return cls(
            database_secret=_required(env, "DATABASE_SECRET"),
            token_secret=_required(env, "SCHEDULER_TOKEN_SECRET"),
            batch_size=_batch_size(env),
        )


JWKS_PATH = "/.well-known/jwks.json"


@dataclass(frozen=True, slots=True)
class AdminSettings:
    """
    Settings of `handlers.admin`: the JWT secret's name, the JWKS' URL, or both while a project changes over.

    `require_aal2`: only tokens of a session that a second factor confirmed are accepted (ADMIN_REQUIRE_AAL2).
    `issuer` is what tokens must have as `iss`: SUPABASE_JWT_ISSUER, or the JWKS' URL up to its well-known path.
    """

    database_secret: str
    jwt_secret: str | None
    jwks_url: str | None
    issuer: str
    require_aal2: bool = False

    @classmethod
    def read(cls, env: Environment) -> AdminSettings:
        """Raise `SettingsError` naming the first variable that is missing or malformed."""
        secret, url = _optional(env, "SUPABASE_JWT_SECRET"), _optional_url(env, "SUPABASE_JWKS_URL")
        if not secret and not url:
            raise SettingsError("neither SUPABASE_JWT_SECRET nor SUPABASE_JWKS_URL is set")
        if url and urlsplit(url).scheme != "https" and urlsplit(url).hostname not in {"127.0.0.1", "localhost"}:
            raise SettingsError(
                "SUPABASE_JWKS_URL must be https, because an attacker who can change the keys can act as any user"
            )
        derived = url.removesuffix(JWKS_PATH) if url and url.endswith(JWKS_PATH) else None
        return cls(
            database_secret=_required(env, "DATABASE_SECRET"),
            jwt_secret=secret,
            jwks_url=url,
            issuer=_optional(env, "SUPABASE_JWT_ISSUER") or derived or _required(env, "SUPABASE_JWT_ISSUER"),
            require_aal2=_flag(env, "ADMIN_REQUIRE_AAL2"),
        )


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """
    Settings of the console on `handlers.admin`: the Supabase project, and the name of the secret with its public key.

    `expression` is the schedule's, as the watchdog has it, to say when the next run starts.
    """

    supabase_url: str
    key_secret: str
    expression: str

    @classmethod
    def read(cls, env: Environment) -> ConsoleSettings | None:
        """None where the console is off; raise `SettingsError` when one of the two is missing or malformed."""
        url, key = _optional_url(env, "SUPABASE_URL"), _optional(env, "SUPABASE_PUBLISHABLE_KEY_SECRET")
        expression = _optional(env, "REMINDER_CRON_EXPRESSION") or "cron(0 6 * * ? *)"
        if not url and not key:
            return None
        if not url or not key:
            raise SettingsError("SUPABASE_URL and SUPABASE_PUBLISHABLE_KEY_SECRET must be set together")
        if urlsplit(url).scheme != "https" and urlsplit(url).hostname not in {"127.0.0.1", "localhost"}:
            raise SettingsError("SUPABASE_URL must be https: passwords are sent to it")
        return cls(url, key, expression)


def _signs_calls(env: Environment) -> bool:
    auth = _optional(env, "REMINDER_FUNCTION_AUTH")
    if auth not in {None, "AWS_IAM"}:
        raise SettingsError(f"REMINDER_FUNCTION_AUTH must be AWS_IAM or absent, got {auth!r}")
    return auth is not None


@dataclass(frozen=True, slots=True)
class CourierSettings:
    """
    Settings of `handlers.courier`. Without `email_from` there is no e-mail, without `push_applications` no push.

    `push_applications`: the ARN of the platform application, by platform (fcm, apns).
    """

    database_secret: str
    email_from: str | None
    email_configuration_set: str | None
    push_applications: tuple[tuple[str, str], ...]
    app_url: str
    unsubscribe_url: str | None
    unsubscribe_key_secret: str | None
    per_second: int

    @classmethod
    def read(cls, env: Environment) -> CourierSettings:
        """Raise `SettingsError` naming the first variable that is missing or malformed."""
        sender = _optional_address(env, "EMAIL_FROM")
        unsubscribe_url = _optional_url(env, "UNSUBSCRIBE_URL")
        key = (_required if unsubscribe_url else _optional)(env, "UNSUBSCRIBE_KEY_SECRET")
        app_url = _optional_url(env, "APP_URL")
        if app_url is None:
            raise SettingsError("APP_URL is not set: every message links to the app")
        return cls(
            database_secret=_required(env, "DATABASE_SECRET"),
            email_from=sender,
            email_configuration_set=_optional(env, "EMAIL_CONFIGURATION_SET"),
            push_applications=_push_applications(env, "PUSH_APPLICATION_ARNS"),
            app_url=app_url,
            unsubscribe_url=unsubscribe_url,
            unsubscribe_key_secret=key,
            per_second=_whole_number(env, "MESSAGES_PER_SECOND", default=10, low=1, high=1_000),
        )


@dataclass(frozen=True, slots=True)
class FeedbackSettings:
    """Settings of `handlers.feedback`."""

    database_secret: str

    @classmethod
    def read(cls, env: Environment) -> FeedbackSettings:
        """Raise `SettingsError` naming the variable that is missing."""
        return cls(database_secret=_required(env, "DATABASE_SECRET"))


@dataclass(frozen=True, slots=True)
class UnsubscribeSettings:
    """Settings of `handlers.unsubscribe`."""

    database_secret: str
    key_secret: str

    @classmethod
    def read(cls, env: Environment) -> UnsubscribeSettings:
        """Raise `SettingsError` naming the variable that is missing."""
        return cls(
            database_secret=_required(env, "DATABASE_SECRET"), key_secret=_required(env, "UNSUBSCRIBE_KEY_SECRET")
        )


def _optional_address(env: Environment, name: str) -> str | None:
    """An address with or without a name: `Reminders <reminders@example.org>`."""
    text = _optional(env, name)
    if text is not None and not (
        is_printable(text) and re.fullmatch(r"[^<>@]*<[^<>@\s]+@[^<>@\s]+>|[^<>@\s]+@[^<>@\s]+", text)
    ):
        raise SettingsError(f"{name} must be an address such as Reminders <reminders@example.org>, got {text!r}")
    return text


_PLATFORMS = {"GCM": "fcm", "APNS": "apns", "APNS_SANDBOX": "apns"}


def _push_applications(env: Environment, name: str) -> tuple[tuple[str, str], ...]:
    """Separated by commas; the platform stands in the ARN."""
    found: dict[str, str] = {}
    for arn in filter(None, (part.strip() for part in env.get(name, "").split(","))):
        match = re.fullmatch(r"arn:[\w-]+:sns:[\w-]+:\d{12}:app/(\w+)/[\w.-]+", arn)
        platform = _PLATFORMS.get(match[1]) if match else None
        if platform is None or platform in found:
            raise SettingsError(
                f"{name} must hold one ARN of an SNS platform application for each of FCM and APNs, got {arn!r}"
            )
        found[platform] = arn
    return tuple(found.items())


def _shards(env: Environment) -> int | None:
    if _optional(env, "SCHEDULER_SHARDS") in {None, "auto"}:
        return None
    return _whole_number(env, "SCHEDULER_SHARDS", default=1, low=1, high=64, other="auto or ")


def _batch_size(env: Environment) -> int:
    return _whole_number(env, "BATCH_SIZE", default=5_000, low=1, high=50_000)


def _optional(env: Environment, name: str) -> str | None:
    return env.get(name, "").strip() or None


def _required(env: Environment, name: str) -> str:
    value = _optional(env, name)
    if value is None:
        raise SettingsError(f"{name} is not set")
    return value


def _flag(env: Environment, name: str) -> bool:
    text = _optional(env, name) or "false"
    if text not in {"true", "false"}:
        raise SettingsError(f"{name} must be true or false, got {text!r}")
    return text == "true"


def _whole_number(env: Environment, name: str, *, default: int, low: int, high: int, other: str = "") -> int:
    text = _optional(env, name)
    if text is None:
        return default
    # isascii: int() would also take other scripts' digits, and "1_000".
    # The length, because int() refuses thousands of digits with an error of its own.
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and low <= int(text) <= high):
        raise SettingsError(f"{name} must be {other}a whole number from {low:,} to {high:,}, got {text!r}")
    return int(text)


def _optional_topic(env: Environment, name: str) -> str | None:
    text = _optional(env, name)
    if text is not None and not re.fullmatch(r"arn:[\w-]+:sns:[\w-]+:\d{12}:[\w-]+(\.fifo)?", text, re.ASCII):
        raise SettingsError(f"{name} must be the ARN of an SNS topic, got {text!r}")
    return text


def _optional_schedule(env: Environment, name: str) -> str | None:
    text = _optional(env, name)
    # EventBridge Scheduler API Reference, "GetSchedule": name and group.
    if text is not None and not re.fullmatch(r"([\w.-]{1,64}/)?[\w.-]{1,64}", text, re.ASCII):
        raise SettingsError(f"{name} must be a schedule's name, or its group and name as in group/name, got {text!r}")
    return text


def _optional_url(env: Environment, name: str, *, fragment: bool = False) -> str | None:
    text = _optional(env, name)
    if text is None:
        return None
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # an IPv6 address without its bracket, a port that is no number
        usable = False
    # urlsplit removes tabs and line breaks without an error, and a path that is added to a fragment is lost.
    clean = is_printable(text) and not any(map(str.isspace, text)) and (fragment or "#" not in text)
    if not usable or not clean or parts.username or parts.query:
        # The value is not echoed: a URL may carry a credential.
        raise SettingsError(f"{name} must be an http(s) URL without credentials, query, fragment or spaces")
    return text.rstrip("/")
