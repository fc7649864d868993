"""
Variables of the environment, each checked: what it must be is in the error.

An empty variable counts as absent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from reminders.errors import SettingsError
from reminders.text import is_printable

Environment = Mapping[str, str]


def optional_address(env: Environment, name: str) -> str | None:
    """An address with or without a name: `Reminders <reminders@example.org>`."""
    text = optional(env, name)
    if text is not None and not (
        is_printable(text) and re.fullmatch(r"[^<>@]*<[^<>@\s]+@[^<>@\s]+>|[^<>@\s]+@[^<>@\s]+", text)
    ):
        raise SettingsError(f"{name} must be an address such as Reminders <reminders@example.org>, got {text!r}")
    return text


_PLATFORMS = {"GCM": "fcm", "APNS": "apns", "APNS_SANDBOX": "apns"}


def push_applications(env: Environment, name: str) -> tuple[tuple[str, str], ...]:
    """(platform, ARN) of each platform application; the variable lists ARNs, separated by commas."""
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


def optional(env: Environment, name: str) -> str | None:
    """The text without spaces around it; None if there is none."""
    return env.get(name, "").strip() or None


def required(env: Environment, name: str) -> str:
    """Raise `SettingsError` if it is not set."""
    value = optional(env, name)
    if value is None:
        raise SettingsError(f"{name} is not set")
    return value


def flag(env: Environment, name: str) -> bool:
    """true or false; false if it is not set."""
    text = optional(env, name) or "false"
    if text not in {"true", "false"}:
        raise SettingsError(f"{name} must be true or false, got {text!r}")
    return text == "true"


def whole_number(env: Environment, name: str, *, default: int, low: int, high: int, other: str = "") -> int:
    """From `low` to `high`. The error has `other` before the range."""
    text = optional(env, name)
    if text is None:
        return default
    # isascii: int() would also take other scripts' digits, and "1_000".
    # The length, because int() refuses thousands of digits with an error of its own.
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and low <= int(text) <= high):
        raise SettingsError(f"{name} must be {other}a whole number from {low:,} to {high:,}, got {text!r}")
    return int(text)


def optional_topic(env: Environment, name: str) -> str | None:
    """The ARN of an SNS topic."""
    text = optional(env, name)
    if text is not None and not re.fullmatch(r"arn:[\w-]+:sns:[\w-]+:\d{12}:[\w-]+(\.fifo)?", text, re.ASCII):
        raise SettingsError(f"{name} must be the ARN of an SNS topic, got {text!r}")
    return text


def optional_schedule(env: Environment, name: str) -> str | None:
    """The name of a schedule of EventBridge Scheduler, with its group or without."""
    text = optional(env, name)
    # EventBridge Scheduler API Reference, "GetSchedule": name and group.
    if text is not None and not re.fullmatch(r"([\w.-]{1,64}/)?[\w.-]{1,64}", text, re.ASCII):
        raise SettingsError(f"{name} must be a schedule's name, or its group and name as in group/name, got {text!r}")
    return text


def optional_url(env: Environment, name: str, *, fragment: bool = False) -> str | None:
    """Without credentials, query and (unless `fragment`) fragment; a slash at its end is removed."""
    text = optional(env, name)
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
