"""The courier's functions in this process: real PostgreSQL, real boto3 against moto's SES and SNS."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from ops.local.aws import Aws
from ops.local.server import Server
from reminders.database import Connection
from tests.acceptance.messages.mails import KEY, UNSUBSCRIBE_URL

SENDER = "reminders@example.org"


@pytest.fixture
def deployed(
    server: Server, database: str, owner: Connection, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """The functions' environment; SES knows the sender, SNS an application for Android."""
    prefix = f"messages/{uuid4().hex[:8]}"
    for name, role in (("courier", "reminder_courier"), ("feedback", "message_feedback")):
        aws.put_secret(f"{prefix}/{name}-database", server.dsn(role, database))
    aws.put_secret(f"{prefix}/unsubscribe-key", KEY)
    sns = aws.client("sns")
    application = sns.create_platform_application(
        Name=f"app-{uuid4().hex[:8]}", Platform="GCM", Attributes={"PlatformCredential": "x"}
    )["PlatformApplicationArn"]
    settings = {
        "DATABASE_SECRET": f"{prefix}/courier-database",
        "EMAIL_FROM": f"Reminders <{SENDER}>",
        "PUSH_APPLICATION_ARNS": application,
        "APP_URL": "https://app.example.org",
        "UNSUBSCRIBE_URL": UNSUBSCRIBE_URL,
        "UNSUBSCRIBE_KEY_SECRET": f"{prefix}/unsubscribe-key",
        "MESSAGES_PER_SECOND": "1000",
        "FEEDBACK_DATABASE_SECRET": f"{prefix}/feedback-database",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    ses = aws.client("sesv2")
    if SENDER not in {i["IdentityName"] for i in ses.list_email_identities()["EmailIdentities"]}:
        ses.create_email_identity(EmailIdentity=SENDER)
    yield settings
