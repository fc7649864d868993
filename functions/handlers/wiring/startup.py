"""
A wrong setting stops a function before its first event.

Lambda then reports an init error, so a wrong deployment is noticed at once and not at 06:00.
Anywhere else, in tests and tools, importing a handler needs no environment.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable

from reminders.environment import Environment
from reminders.errors import SettingsError

# The runtime's own variable: "Defined runtime environment variables" in Lambda's documentation.
RUNTIME = "AWS_LAMBDA_RUNTIME_API"
# Lambda developer guide, "Log-level filtering".
LAMBDA_LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
# Amazon CloudWatch API Reference, "PutMetricData" and "Dimension". AWS/ is for AWS's own metrics.
NAMESPACE = re.compile(r"(?!:|AWS/)[\w .\-/#:]{1,255}", re.ASCII)
# What Powertools reads as yes or no when it is imported. It does not accept an empty value.
SWITCHES = (
    "POWERTOOLS_DEBUG",
    "POWERTOOLS_DEV",
    "POWERTOOLS_LOG_DEDUPLICATION_DISABLED",
    "POWERTOOLS_METRICS_DISABLED",
)
SWITCH = re.compile("1|y|yes|t|true|on|0|n|no|f|false|off", re.IGNORECASE)
DIMENSION_VALUE = re.compile(r"[\x20-\x7e]{1,1024}")


def check(*reads: Callable[[Environment], object]) -> None:
    """In Lambda, read the settings, and first those that all functions have. Raise the first `SettingsError`."""
    if RUNTIME in os.environ:
        for read in (check_telemetry, check_region, *reads):
            read(os.environ)


def check_telemetry(env: Environment) -> None:
    """
    Raise `SettingsError` naming a variable that Powertools or CloudWatch cannot work with.

    An empty value counts as absent, except for a switch. A value is not stripped, because Powertools does not do it
    either.
    """
    for name in SWITCHES:
        if not SWITCH.fullmatch(env.get(name, "false")):
            raise SettingsError(f"{name} must be true or false, got {env[name][:80]!r}")
    _check_share(env, "POWERTOOLS_LOGGER_SAMPLE_RATE")
    _check_level(env, "POWERTOOLS_LOG_LEVEL", tuple(logging.getLevelNamesMapping()), str.upper)
    _check_level(env, "AWS_LAMBDA_LOG_LEVEL", LAMBDA_LEVELS, str)
    for name, form in (("POWERTOOLS_METRICS_NAMESPACE", NAMESPACE), ("POWERTOOLS_SERVICE_NAME", DIMENSION_VALUE)):
        value = env.get(name, "")
        if value and not (form.fullmatch(value) and value == value.strip()):
            raise SettingsError(f"{name} must be a name that CloudWatch takes, got {value[:80]!r}")


def check_region(env: Environment) -> None:
    """Raise `SettingsError` for an ARN of another region than the function's: SNS' client works in its own."""
    region = env.get("AWS_REGION")
    for name, what in (("ALERT_TOPIC_ARN", "a topic"), ("PUSH_APPLICATION_ARNS", "platform applications")):
        for arn in filter(None, map(str.strip, env.get(name, "").split(","))):
            if region and arn.split(":")[3:4] != [region]:
                raise SettingsError(f"{name} must be {what} of this region, {region}, got {arn!r}")


def _check_share(env: Environment, name: str) -> None:
    value = env.get(name, "")
    if value and not (re.fullmatch(r"[01]|[01]?\.\d{1,9}", value, re.ASCII) and float(value) <= 1):
        raise SettingsError(f"{name} must be a number from 0 to 1, got {value[:80]!r}")


def _check_level(env: Environment, name: str, levels: tuple[str, ...], spelt: Callable[[str], str]) -> None:
    value = env.get(name, "")
    if value and spelt(value) not in levels:
        raise SettingsError(f"{name} must be one of {', '.join(levels)}, got {value[:80]!r}")
