"""Checks of settings in AWS: the schedule, and Lambda's retries."""

from __future__ import annotations

from collections.abc import Iterator

from ops.cli import schedules
from ops.cli.doctor.examination import Examination, Finding, Skipped, ok, problem, warning

DEFAULT_RETRIES = 2


def schedule(examination: Examination) -> Iterator[Finding]:
    found = schedules.read(examination.target)
    configured = examination.target.environment("watchdog").get("REMINDER_CRON_EXPRESSION", "cron(0 6 * * ? *)")
    if not found.enabled:
        why = f" ({found.reason})" if found.reason else ""
        yield warning(f"paused{why}", "`reminders resume`.")
    if found.expression != configured:
        fix = "Deploy again: template.yaml sets both from ScheduleExpression."
        yield problem(f"fires by {found.expression}, but the watchdog expects {configured}", fix)
    if found.timezone not in {"UTC", "Etc/UTC"}:
        yield problem(
            f"its time zone is {found.timezone}", "Set ScheduleTimezone to UTC: scheduled times are computed in UTC."
        )
    if found.enabled and found.expression == configured:
        yield ok(f"enabled, {found.expression} {found.timezone}")


def lambda_retries(examination: Examination) -> Iterator[Finding]:
    """Reports the number of retries, and whether failed events are kept."""
    if examination.target.is_local:
        raise Skipped("a local stack has no Lambda")
    from botocore.exceptions import ClientError

    name = examination.target.function_name("cron")
    try:
        found = examination.target.client("lambda").get_function_event_invoke_config(FunctionName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        yield warning("not configured: Lambda retries for six hours", "Deploy template.yaml, which sets it.")
        return
    retries = found.get("MaximumRetryAttempts", DEFAULT_RETRIES)
    if "DestinationConfig" not in found or not found["DestinationConfig"].get("OnFailure"):
        yield warning(
            "events that failed three times are not kept", "Deploy template.yaml, which sets a queue for them."
        )
    yield ok(f"{retries} retries")
