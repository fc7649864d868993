"""The environment, read strictly: what is wrong is named."""

from __future__ import annotations

import pytest

from reminders.errors import SettingsError
from reminders.settings import AlertSettings, CronSettings, SchedulerSettings, WatchdogSettings
from tests.helpers.cases import table

CRON = {"DATABASE_SECRET": "reminders/db"}
SCHEDULER = {**CRON, "SCHEDULER_TOKEN_SECRET": "reminders/token"}


def test_cron_with_the_least() -> None:
    """One name is enough; the service is then called in process."""
    assert CronSettings("reminders/db", None, None, None, 5_000) == CronSettings.read(CRON)


def test_cron_with_everything() -> None:
    """Names are stripped, and the URL loses its last slash, so that a path can be added."""
    env = {
        "DATABASE_SECRET": " reminders/db ",
        "SCHEDULER_TOKEN_SECRET": "reminders/token",
        "REMINDER_FUNCTION_URL": "https://abc.lambda-url.eu-west-2.on.aws/",
        "SCHEDULER_SHARDS": "8",
        "BATCH_SIZE": "50000",
    }
    settings = CronSettings("reminders/db", "reminders/token", "https://abc.lambda-url.eu-west-2.on.aws", 8, 50_000)
    assert settings == CronSettings.read(env)


SIGNED = {**SCHEDULER, "REMINDER_FUNCTION_URL": "https://example.org", "REMINDER_FUNCTION_AUTH": "AWS_IAM"}


def test_calls_that_are_signed() -> None:
    """Only where the setting says so."""
    assert CronSettings.read(SIGNED).signs_calls
    assert not CronSettings.read({**SIGNED, "REMINDER_FUNCTION_AUTH": ""}).signs_calls


@table("value", ["aws_iam", "NONE", "true"])
def test_signing_that_is_unknown(value: str) -> None:
    """Another way to sign is named, not taken for none."""
    with pytest.raises(SettingsError, match=f"^REMINDER_FUNCTION_AUTH must be AWS_IAM or absent, got '{value}'$"):
        CronSettings.read({**SIGNED, "REMINDER_FUNCTION_AUTH": value})


def test_scheduler() -> None:
    """The scheduler needs its token."""
    assert SchedulerSettings("reminders/db", "reminders/token", 5_000) == SchedulerSettings.read(SCHEDULER)


@table("value", [None, "", "   "])
@table("name", ["DATABASE_SECRET", "SCHEDULER_TOKEN_SECRET"])
def test_missing(name: str, value: str | None) -> None:
    """A variable that is absent, or there without a value, is named."""
    env = {**SCHEDULER, name: value} if value is not None else {k: v for k, v in SCHEDULER.items() if k != name}
    with pytest.raises(SettingsError, match=f"^{name} is not set$"):
        SchedulerSettings.read({k: v for k, v in env.items() if v is not None})


def test_url_without_the_token_to_call_it_with() -> None:
    """A URL makes the token's secret a must."""
    with pytest.raises(SettingsError, match=r"^SCHEDULER_TOKEN_SECRET is not set$"):
        CronSettings.read({**CRON, "REMINDER_FUNCTION_URL": "https://example.org"})


@table("name", ["BATCH_SIZE", "SCHEDULER_SHARDS"])
@table("value", ["0", "-1", "lots", "1.5", "1_000", "50001", "\u0663", "²", "+3", "1e3", "9" * 5000])
def test_invalid_number(name: str, value: str) -> None:
    """A malformed number is named with its bounds, and not taken for something near it."""
    with pytest.raises(SettingsError, match=f"^{name} must be (auto or )?a whole number from 1 to "):
        CronSettings.read({**CRON, name: value})


@table(
    "url",
    [
        "example.org",
        "ftp://example.org",
        "https://",
        "https://user:hunter2@example.org",
        "https://example.org/?token=hunter2",
        "https://[::1",
        "https://example.org:port",
        "https://example.org:99999",
        "https://example.org/#fragment",
        "https://example.org/#",
        "https://exam\nple.org",
        "https://exam\tple.org",
        "https://example.org/a b",
        "https://example.org/\u202e",
        "https://example.org/\x1b[2J",
    ],
)
def test_invalid_url(url: str) -> None:
    """A malformed URL is named, and not echoed: it may carry a credential."""
    with pytest.raises(SettingsError, match=r"^REMINDER_FUNCTION_URL must be an") as caught:
        CronSettings.read({**SCHEDULER, "REMINDER_FUNCTION_URL": url})
    assert "hunter2" not in str(caught.value)


def test_runbook_that_is_a_section_of_a_page() -> None:
    """Readers follow it, so that it may have a fragment; control characters it may not."""
    assert (
        "https://wiki.example.org/runbook#cron"
        == AlertSettings.read({"RUNBOOK_URL": "https://wiki.example.org/runbook#cron"}).runbook_url
    )
    with pytest.raises(SettingsError, match=r"^RUNBOOK_URL must be an"):
        AlertSettings.read({"RUNBOOK_URL": "https://wiki.example.org/\x07"})


TOPIC = "arn:aws:sns:eu-west-2:123456789012:alerts"


@table("topic", [TOPIC, f"{TOPIC}.fifo"])
def test_topic(topic: str) -> None:
    """Standard and FIFO topics are taken."""
    assert topic == AlertSettings.read({"ALERT_TOPIC_ARN": topic}).topic_arn


@table("topic", [TOPIC.replace("sns", "sqs"), f"{TOPIC}.filo", f"{TOPIC}:x", "alerts"])
def test_invalid_topic(topic: str) -> None:
    """What is published to must be a topic."""
    with pytest.raises(SettingsError, match=r"^ALERT_TOPIC_ARN must be "):
        AlertSettings.read({"ALERT_TOPIC_ARN": topic})


@table("name", ["assignment-reminder-cron", "reminders/assignment-reminder-cron", "a.b_c/d"])
def test_schedule(name: str) -> None:
    """A name, or group and name."""
    assert name == WatchdogSettings.read({**CRON, "REMINDER_SCHEDULE_NAME": name}).schedule_name


def test_expression_of_the_schedule() -> None:
    """The template's, where none is named."""
    assert "cron(0 6 * * ? *)" == WatchdogSettings.read(CRON).expression
    assert "rate(2 days)" == WatchdogSettings.read({**CRON, "REMINDER_CRON_EXPRESSION": "rate(2 days)"}).expression


@table("name", ["a/b/c", "/a", "a/", "a b", "x" * 65, "arn:aws:scheduler:eu-west-2:1:schedule/a/b", "ä"])
def test_invalid_schedule_name(name: str) -> None:
    """A name that EventBridge Scheduler refuses would make every watchdog round say that it cannot ask."""
    with pytest.raises(SettingsError, match=r"^REMINDER_SCHEDULE_NAME must be "):
        WatchdogSettings.read({**CRON, "REMINDER_SCHEDULE_NAME": name})
