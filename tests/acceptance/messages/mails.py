"""The links in the tests' mails, and the mails that SES took."""

from __future__ import annotations

from typing import Any

import httpx

from ops.local.aws import Aws

KEY = "unsubscribe-key-of-at-least-32-bytes"
UNSUBSCRIBE_URL = "https://links.example.org/unsubscribe"


def mails(aws: Aws, recipient: str) -> list[dict[str, Any]]:
    """What SES took for `recipient`, oldest first."""
    found = httpx.get(f"{aws.url}/moto-api/data.json").json()["ses"]["RawMessage"]
    return [mail for mail in found if recipient in mail["destinations"]]
