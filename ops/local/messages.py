"""
Messages on the local stack: what the functions of the messages need, people with addresses, and the mails as files.

moto takes what is sent; nothing leaves this machine.
"""

from __future__ import annotations

import email
import email.policy
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import psycopg

from ops.local.database import give_logins
from ops.local.stack import LocalStack, function_process

COURIER = "handlers.courier:handler"
UNSUBSCRIBE = "handlers.unsubscribe:handler"
SENDER = "reminders@example.org"
APP_URL = "https://app.example.org"
# Until there is an endpoint for it on this machine.
NOWHERE = "https://links.example.org/unsubscribe"
PEOPLE = """
INSERT INTO auth.users (id, email)
SELECT person.id, left(person.id::text, 8) || '@example.org'
FROM (
    SELECT peer_mentor_id AS id FROM public.assignments
    UNION
    SELECT coordinator_id FROM public.assignments WHERE coordinator_id IS NOT NULL
) AS person
ON CONFLICT (id) DO NOTHING
"""

DEVICES = """
INSERT INTO public.devices (person_id, platform, token)
SELECT DISTINCT peer_mentor_id, 'fcm', 'phone of ' || peer_mentor_id FROM public.assignments ORDER BY 1 LIMIT 10
ON CONFLICT (token) DO NOTHING
"""


def add_people(connection: psycopg.Connection[Any]) -> None:
    """Give everyone who has an assignment an address, and let organisations send at any hour."""
    connection.execute(PEOPLE)
    connection.execute(
        "UPDATE public.org_settings SET send_from = '00:00', send_until = '24:00', display_name = 'Example Charity'"
    )


def environments(stack: LocalStack) -> dict[str, dict[str, str]]:
    """The environments of courier, feedback and unsubscribe, with their secrets put and the sender verified."""
    logins = give_logins(stack.server, stack.database)
    stack.aws.client("sesv2").create_email_identity(EmailIdentity=SENDER)
    database = stack.put("feedback-database", logins["message_feedback"])
    feedback = {**stack.aws.environment(), "DATABASE_SECRET": database}
    key = stack.put("unsubscribe-key", secrets.token_urlsafe(32))
    unsubscribe = {**feedback, "UNSUBSCRIBE_KEY_SECRET": key}
    alerts = {name: stack.environment[name] for name in ("ALERT_TOPIC_ARN", "SLACK_WEBHOOK_SECRET")}
    courier = {
        **unsubscribe,
        **alerts,
        "DATABASE_SECRET": stack.put("courier-database", logins["reminder_courier"]),
        "EMAIL_FROM": f"Reminders <{SENDER}>",
        "APP_URL": APP_URL,
        "UNSUBSCRIBE_URL": NOWHERE,
        "MESSAGES_PER_SECOND": "100",
    }
    return {"courier": courier, "feedback": feedback, "unsubscribe": unsubscribe}


def add_push(stack: LocalStack, environments: dict[str, dict[str, str]], connection: psycopg.Connection[Any]) -> None:
    """A platform application for Android, which the courier then uses, and a phone for each of ten mentors."""
    application = stack.aws.client("sns").create_platform_application(
        Name="reminders-local",
        Platform="GCM",
        Attributes={"PlatformCredential": "none", "EventDeliveryFailure": stack.topic_arn},
    )
    environments["courier"]["PUSH_APPLICATION_ARNS"] = application["PlatformApplicationArn"]
    connection.execute(DEVICES)


@contextmanager
def unsubscribe_endpoint(environments: dict[str, dict[str, str]]) -> Iterator[str]:
    """The unsubscribe function behind a URL on loopback, which the courier's mails then name."""
    with function_process(environments["unsubscribe"], UNSUBSCRIBE) as url:
        environments["courier"]["UNSUBSCRIBE_URL"] = f"{url}/unsubscribe"
        yield url


def mails(aws_url: str) -> list[str]:
    """What SES took since the start, oldest first, as it was sent; also for another process than the stack's."""
    found = httpx.get(f"{aws_url}/moto-api/data.json").raise_for_status().json()["ses"]["RawMessage"]
    return [str(mail["raw_data"]) for mail in found]


def parsed(mail: str) -> EmailMessage:
    return email.message_from_string(mail, policy=email.policy.default)


def save(found: list[str], folder: Path) -> int:
    """Write each mail as an .eml file that is not there yet; return how many are new."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = [(folder / f"{number:05}.eml", mail) for number, mail in enumerate(found, 1)]
    new = [(path, mail) for path, mail in new if not path.exists()]
    for path, mail in new:
        path.write_text(mail)
    return len(new)
