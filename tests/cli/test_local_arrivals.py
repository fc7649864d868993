"""What `reminders local up` shows: alerts, mails and pushes, as they arrive."""

from __future__ import annotations

import json
from uuid import uuid4

from ops.cli.local import up
from ops.local.aws import Aws
from ops.local.server import Server
from ops.local.slack import Slack
from ops.local.stack import LocalStack

MAIL = "From: a@example.org\r\nTo: m@example.org\r\nSubject: =?utf-8?q?=C3=98_waits?=\r\n\r\nText\r\n"


def test_arrivals(server: Server, aws: Aws, database: str) -> None:
    """Each arrival is one line, once; of many at once only the first are shown."""
    shown: list[tuple[str, str]] = []
    stack = LocalStack(server, aws, database, Slack(), topic_arn=aws.create_topic(f"t{uuid4().hex[:8]}"))
    arriving = iter([0, 1, 0, 5, 0])

    def go_on() -> bool:
        count = next(arriving, None)
        if count:
            send(aws, count)
        if count == 1:
            shown.clear()  # what other tests had sent before
        return count is not None

    up.watch(stack, lambda channel, text: shown.append((channel, text)), go_on)
    one = [("mail", "to m@example.org: Ø waits"), ("push", "one contact")]
    many = [line for first in one for line in [first] * up.AT_ONCE + [(first[0], "and 2 more")]]
    assert [*one, *many] == shown


def send(aws: Aws, count: int) -> None:
    sns, ses = aws.client("sns"), aws.client("sesv2")
    ses.create_email_identity(EmailIdentity=f"{uuid4().hex}@example.org")
    if not any(i["IdentityName"] == "a@example.org" for i in ses.list_email_identities()["EmailIdentities"]):
        ses.create_email_identity(EmailIdentity="a@example.org")
    application = sns.create_platform_application(
        Name=f"app-{uuid4().hex[:8]}", Platform="GCM", Attributes={"PlatformCredential": "x"}
    )["PlatformApplicationArn"]
    phone = sns.create_platform_endpoint(PlatformApplicationArn=application, Token=uuid4().hex)["EndpointArn"]
    for _ in range(count):
        ses.send_email(
            FromEmailAddress="a@example.org",
            Destination={"ToAddresses": ["m@example.org"]},
            Content={"Raw": {"Data": MAIL.encode()}},
        )
        sns.publish(TargetArn=phone, MessageStructure="json", Message=json.dumps({"default": "one contact"}))
