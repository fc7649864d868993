"""Whatever becomes of a message: no address, name, device token or contact in log, answer, metric, alert or table."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

import handlers.courier
import handlers.feedback
from handlers.wiring import courier as courier_wiring
from ops.local.aws import Aws
from ops.local.invoke import LocalContext
from reminders.database import Connection
from tests.acceptance.messages.mails import mails
from tests.factories import add_assignment
from tests.messages import add_device, add_notification, add_person, always_open, messages

EMAIL, TOKEN, ORGANISATION = "annika.musterfrau+tag@charity.example", "device-token-4711", "Charity of Annika"
PERSONAL = ("nnika", "usterfrau", "charity.example", TOKEN, "måns", "Bcc")
BAD_ADDRESSES = ("måns@charity.example", "annika@charity.example\r\nBcc: x@charity.example", "annika@localhost")
TABLES = ("messages", "message_items", "email_suppressions", "cron_alerts", "cron_alert_deliveries", "message_rates")


@pytest.fixture
def person(owner: Connection, deployed: dict[str, str]) -> UUID:
    """With an address and a device, reminded of one contact."""
    always_open(owner, display_name=ORGANISATION)
    person = add_person(owner, uuid4(), EMAIL)
    add_device(owner, person, token=TOKEN)
    notify(owner, person)
    return person


def notify(owner: Connection, person: UUID) -> UUID:
    assignment = add_assignment(owner)
    owner.execute("UPDATE assignments SET peer_mentor_id = %s WHERE id = %s", [person, assignment])
    add_notification(owner, person, assignment=assignment)
    return assignment


def all_is_well(owner: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    pass


def sender_is_not_verified(owner: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMAIL_FROM", "nobody@elsewhere.example")


def provider_is_away(owner: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SESV2", "http://127.0.0.1:9")
    courier_wiring._new_client.cache_clear()


def addresses_that_ses_cannot_take(owner: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    for address in BAD_ADDRESSES:
        notify(owner, add_person(owner, uuid4(), address))


def database_quotes_the_row(owner: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    owner.execute(
        f"""
        CREATE FUNCTION quote_a_person() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'cannot tell {EMAIL}' USING DETAIL = '{EMAIL}'; END $$;
        CREATE TRIGGER quote_a_person BEFORE UPDATE ON messages FOR EACH ROW EXECUTE FUNCTION quote_a_person();
        """.encode()
    )


@pytest.mark.parametrize(
    "situation",
    [all_is_well, sender_is_not_verified, provider_is_away, addresses_that_ses_cannot_take, database_quotes_the_row],
)
def test_no_personal_data(
    owner: Connection,
    person: UUID,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    situation: Callable[[Connection, pytest.MonkeyPatch], None],
) -> None:
    """Neither what the courier and the feedback log, answer, raise and count, nor the rows that they write."""
    situation(owner, monkeypatch)
    texts: list[object] = [invoke(handlers.courier.handler, {})]
    sent = [m["provider_message_id"] for m in messages(owner) if m["channel"] == "email"]
    monkeypatch.setenv("DATABASE_SECRET", os.environ["FEEDBACK_DATABASE_SECRET"])
    for kind, part in (("Bounce", "bouncedRecipients"), ("Complaint", "complainedRecipients")):
        body = {"bounceType": "Permanent", part: [{"emailAddress": EMAIL, "diagnosticCode": EMAIL}]}
        detail = {"eventType": kind, "mail": {"messageId": sent[0], "destination": [EMAIL]}, kind.lower(): body}
        texts.append(invoke(handlers.feedback.handler, {"source": "aws.ses", "detail": detail}))
    texts.append(invoke(handlers.feedback.handler, {"source": "aws.ses", "detail": EMAIL}))
    texts += [*(vars(record) for record in caplog.records), *capfd.readouterr()]
    for table in TABLES:
        texts += owner.execute(f"SELECT t::text FROM {table} AS t".encode()).fetchall()
    assert [] == [text for text in map(str, texts) if any(part in text for part in PERSONAL)]
    assert any("channel done" in str(text) or "cannot" in str(text) or "Error" in str(text) for text in texts)
    courier_wiring._new_client.cache_clear()


def invoke(handler: Callable[..., Any], event: object) -> str:
    """The answer, or the error as Lambda prints it."""
    try:
        return json.dumps(handler(event, LocalContext("courier", 60)))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def test_nothing_about_a_contact_in_the_mail(owner: Connection, aws: Aws, person: UUID) -> None:
    """The mail has the address, numbers and the organisation; not the assignment that it is about."""
    assignment = notify(owner, person)
    handlers.courier.handler({}, LocalContext("courier", 60))
    mail = mails(aws, EMAIL)[-1]
    assert "2 contacts" in mail["raw_data"]
    assert str(assignment) not in mail["raw_data"] and assignment.hex not in mail["raw_data"]
