"""
Settings from the environment, read in each invocation.

The environment holds names, never secrets. A missing or malformed variable stops the function at once and
is named in the error. Written by hand, not with pydantic-settings: the cron function needs a dozen variables,
and pydantic alone would add a fifth to its cold start (docs/decisions.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from reminders.environment import (
    Environment,
    flag,
    optional,
    optional_address,
    optional_schedule,
    optional_topic,
    optional_url,
    push_applications,
    required,
    whole_number,
)
from reminders.errors import SettingsError


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
        url = optional_url(env, "REMINDER_FUNCTION_URL")
        token_secret = required if url else optional
        return cls(
            database_secret=required(env, "DATABASE_SECRET"),
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
    threshold: int  #: failed runs in a row before the first alert
    repeat_every: int  #: further failures before each repeat; 0: no repeat
    stack: str | None  #: the deployment's name: staging and production must not read alike
    runbook_url: str | None

    @classmethod
    def read(cls, env: Environment) -> AlertSettings:
        """Raise `SettingsError` naming the first variable that is malformed."""
        return cls(
            topic_arn=optional_topic(env, "ALERT_TOPIC_ARN"),
            slack_webhook_secret=optional(env, "SLACK_WEBHOOK_SECRET"),
            threshold=whole_number(env, "ALERT_THRESHOLD", default=2, low=1, high=1_000),
            repeat_every=whole_number(env, "ALERT_REPEAT_EVERY", default=0, low=0, high=1_000),
            stack=optional(env, "POWERTOOLS_SERVICE_NAME"),
            runbook_url=optional_url(env, "RUNBOOK_URL", fragment=True),
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
            database_secret=required(env, "DATABASE_SECRET"),
            expression=optional(env, "REMINDER_CRON_EXPRESSION") or "cron(0 6 * * ? *)",
            schedule_name=optional_schedule(env, "REMINDER_SCHEDULE_NAME"),
            overrun_minutes=whole_number(env, "OVERRUN_MINUTES", default=30, low=1, high=1_440),
            grace_minutes=whole_number(env, "MISSED_RUN_GRACE_MINUTES", default=15, low=1, high=1_440),
            # Below 90 days the retention function refuses as well.
            retention_days=whole_number(env, "LOG_RETENTION_DAYS", default=365, low=90, high=36_500),
            # Below 7 days the function that prunes messages refuses as well.
            message_retention_days=whole_number(env, "MESSAGE_RETENTION_DAYS", default=90, low=7, high=36_500),
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
            database_secret=required(env, "DATABASE_SECRET"),
            token_secret=required(env, "SCHEDULER_TOKEN_SECRET"),
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
    require_aal2: bool

    @classmethod
    def read(cls, env: Environment) -> AdminSettings:
        """Raise `SettingsError` naming the first variable that is missing or malformed."""
        secret, url = optional(env, "SUPABASE_JWT_SECRET"), optional_url(env, "SUPABASE_JWKS_URL")
        if not secret and not url:
            raise SettingsError("neither SUPABASE_JWT_SECRET nor SUPABASE_JWKS_URL is set")
        if url and urlsplit(url).scheme != "https" and urlsplit(url).hostname not in {"127.0.0.1", "localhost"}:
            raise SettingsError(
                "SUPABASE_JWKS_URL must be https, because an attacker who can change the keys can act as any user"
            )
        derived = url.removesuffix(JWKS_PATH) if url and url.endswith(JWKS_PATH) else None
        return cls(
            database_secret=required(env, "DATABASE_SECRET"),
            jwt_secret=secret,
            jwks_url=url,
            issuer=optional(env, "SUPABASE_JWT_ISSUER") or derived or required(env, "SUPABASE_JWT_ISSUER"),
            require_aal2=flag(env, "ADMIN_REQUIRE_AAL2"),
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
        url, key = optional_url(env, "SUPABASE_URL"), optional(env, "SUPABASE_PUBLISHABLE_KEY_SECRET")
        expression = optional(env, "REMINDER_CRON_EXPRESSION") or "cron(0 6 * * ? *)"
        if not url and not key:
            return None
        if not url or not key:
            raise SettingsError("SUPABASE_URL and SUPABASE_PUBLISHABLE_KEY_SECRET must be set together")
        if urlsplit(url).scheme != "https" and urlsplit(url).hostname not in {"127.0.0.1", "localhost"}:
            raise SettingsError("SUPABASE_URL must be https: passwords are sent to it")
        return cls(url, key, expression)


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
        sender = optional_address(env, "EMAIL_FROM")
        unsubscribe_url = optional_url(env, "UNSUBSCRIBE_URL")
        key = (required if unsubscribe_url else optional)(env, "UNSUBSCRIBE_KEY_SECRET")
        app_url = optional_url(env, "APP_URL")
        if app_url is None:
            raise SettingsError("APP_URL is not set: every message links to the app")
        return cls(
            database_secret=required(env, "DATABASE_SECRET"),
            email_from=sender,
            email_configuration_set=optional(env, "EMAIL_CONFIGURATION_SET"),
            push_applications=push_applications(env, "PUSH_APPLICATION_ARNS"),
            app_url=app_url,
            unsubscribe_url=unsubscribe_url,
            unsubscribe_key_secret=key,
            per_second=whole_number(env, "MESSAGES_PER_SECOND", default=10, low=1, high=1_000),
        )


@dataclass(frozen=True, slots=True)
class FeedbackSettings:
    """Settings of `handlers.feedback`."""

    database_secret: str

    @classmethod
    def read(cls, env: Environment) -> FeedbackSettings:
        """Raise `SettingsError` naming the variable that is missing."""
        return cls(database_secret=required(env, "DATABASE_SECRET"))


@dataclass(frozen=True, slots=True)
class UnsubscribeSettings:
    """Settings of `handlers.unsubscribe`."""

    database_secret: str
    key_secret: str

    @classmethod
    def read(cls, env: Environment) -> UnsubscribeSettings:
        """Raise `SettingsError` naming the variable that is missing."""
        return cls(database_secret=required(env, "DATABASE_SECRET"), key_secret=required(env, "UNSUBSCRIBE_KEY_SECRET"))


def _shards(env: Environment) -> int | None:
    if optional(env, "SCHEDULER_SHARDS") in {None, "auto"}:
        return None
    return whole_number(env, "SCHEDULER_SHARDS", default=1, low=1, high=64, other="auto or ")


def _batch_size(env: Environment) -> int:
    return whole_number(env, "BATCH_SIZE", default=5_000, low=1, high=50_000)


def _signs_calls(env: Environment) -> bool:
    auth = optional(env, "REMINDER_FUNCTION_AUTH")
    if auth not in {None, "AWS_IAM"}:
        raise SettingsError(f"REMINDER_FUNCTION_AUTH must be AWS_IAM or absent, got {auth!r}")
    return auth is not None
