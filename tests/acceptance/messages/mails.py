"""The links in the tests' mails, and the mails that SES took."""

from __future__ import annotations

from typing import Any

from moto.ses.models import ses_backends

from ops.local.aws import ACCOUNT, REGION, Aws

KEY = "unsubscribe-key-of-at-least-32-bytes"
UNSUBSCRIBE_URL = "https://links.example.org/unsubscribe"


def mails(aws: Aws, recipient: str) -> list[dict[str, Any]]:
    """
    What SES took for `recipient`, oldest first.

    Not by moto's own web page of data, which fails if any service has something that is not JSON.
    """
    assert aws.url
    return [vars(mail) for mail in ses_backends[ACCOUNT][REGION].sent_messages if recipient in mail.destinations]
