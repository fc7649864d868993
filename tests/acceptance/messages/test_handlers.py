"""A notification becomes a mail and a push, a bounce ends the mails, one click does too: through the real handlers."""

from __future__ import annotations

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

import handlers.courier
import handlers.feedback
import handlers.unsubscribe
from handlers.wiring.courier import client
from ops.local.aws import Aws
from ops.local.function_url import FunctionUrl
from ops.local.invoke import LocalContext
from reminders.database import Connection
from reminders.errors import EventError, SettingsError
from reminders.messages.delivery import LIMITS
from reminders.messages.message import AccountError
from reminders.messages.unsubscribe import link, sign
from tests.acceptance.messages.mails import KEY, UNSUBSCRIBE_URL, mails
from tests.factories import MENTOR
from tests.helpers.cases import table
from tests.messages import add_device, add_notification, add_person, always_open, messages


@pytest.fixture
def mentor(owner: Connection, deployed: dict[str, str]) -> str:
    """A mentor with an address and a phone, whose organisation takes messages at any hour; gives the address."""
    always_open(owner, display_name="Friends")
    email = f"{uuid4().hex[:8]}@example.org"
    add_person(owner, email=email)
    add_device(owner)
    return email


def statuses(owner: Connection) -> dict[str, str]:
    return {message["channel"]: message["status"] for message in messages(owner)}


def test_mail_and_push(owner: Connection, aws: Aws, mentor: str) -> None:
    """Three quiet contacts are one mail and one push, and a second invocation sends nothing."""
    for _ in range(3):
        add_notification(owner)
    answer = handlers.courier.handler({}, LocalContext("courier", 60))
    assert (6, 1, 1) == (answer["composed"], answer["channels"]["email"]["sent"], answer["channels"]["push"]["sent"])
    assert {"email": "sent", "push": "sent"} == statuses(owner)
    (mail,) = mails(aws, mentor)
    assert "Friends: 3 contacts are waiting to hear from you" in mail["raw_data"].replace("\r\n ", " ")
    assert 0 == handlers.courier.handler({"scheduled_time": "x"}, LocalContext("courier", 60))["composed"]
    assert 1 == len(mails(aws, mentor))


def test_workers_share_one_client(deployed: dict[str, str]) -> None:
    """Workers that ask for the first client in the same moment get the same one: each more would take 150 ms."""
    limits, together = replace(LIMITS, workers=8), threading.Barrier(8)

    def ask(_: int) -> object:
        together.wait()
        return client("sesv2", limits)

    with ThreadPoolExecutor(8) as workers:
        assert 1 == len({id(made) for made in workers.map(ask, range(8))})


def test_bounce_ends_the_mails(owner: Connection, aws: Aws, mentor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message is failed, the address is remembered as a hash only, and no further mail is composed."""
    add_notification(owner)
    handlers.courier.handler({}, LocalContext("courier", 60))
    (sent,) = [m for m in messages(owner) if m["channel"] == "email"]
    monkeypatch.setenv("DATABASE_SECRET", feedback_secret())
    bounce = {"bounceType": "Permanent", "bouncedRecipients": [{"emailAddress": mentor.upper()}]}
    detail = {"eventType": "Bounce", "mail": {"messageId": sent["provider_message_id"]}, "bounce": bounce}
    event = {"source": "aws.ses", "detail": detail}
    assert [{"recorded": 1}, {"recorded": 0}] == [
        handlers.feedback.handler(event, LocalContext("courier", 60)) for _ in range(2)
    ]
    assert "failed" == statuses(owner)["email"]
    kept = owner.execute("SELECT address_sha256, reason FROM email_suppressions").fetchall()
    assert [(hashlib.sha256(mentor.encode()).digest(), "bounce")] == kept


@pytest.mark.parametrize(
    ("stored", "reported"),
    [("mentor@bücher.example", "mentor@xn--bcher-kva.example"), ("mentor@example.org", "mailbox@elsewhere.example")],
    ids=["international", "forwarded"],
)
def test_bounce_of_another_address(
    owner: Connection, mentor: str, monkeypatch: pytest.MonkeyPatch, stored: str, reported: str
) -> None:
    """A bounce of another spelling, or of where mail is forwarded to, ends the mails to the address that is known."""
    owner.execute("UPDATE auth.users SET email = %s", [stored])
    owner.execute("DELETE FROM devices")
    add_notification(owner)
    handlers.courier.handler({}, LocalContext("courier", 60))
    (sent,) = messages(owner)
    monkeypatch.setenv("DATABASE_SECRET", feedback_secret())
    bounce = {"bounceType": "Permanent", "bouncedRecipients": [{"emailAddress": reported}]}
    detail = {"eventType": "Bounce", "mail": {"messageId": sent["provider_message_id"]}, "bounce": bounce}
    event = {"source": "aws.ses", "detail": detail}
    assert {"recorded": 1} == handlers.feedback.handler(event, LocalContext("courier", 60))
    kept = owner.execute("SELECT address_sha256 FROM email_suppressions").fetchall()
    assert {hashlib.sha256(address.encode()).digest() for address in (stored, reported)} == {row[0] for row in kept}
    # The same report once more, when the person has another address.
    owner.execute("UPDATE auth.users SET email = 'new@example.org'")
    handlers.feedback.handler(event, LocalContext("courier", 60))
    assert (2,) == owner.execute("SELECT count(*) FROM email_suppressions").fetchone()


def feedback_secret() -> str:
    return os.environ["FEEDBACK_DATABASE_SECRET"]


@pytest.mark.parametrize("outcome", ["Delivery", "Complaint"])
def test_delivery_and_complaint(owner: Connection, mentor: str, monkeypatch: pytest.MonkeyPatch, outcome: str) -> None:
    """A delivery is noted; a complaint ends the mails, though this one arrived."""
    add_notification(owner)
    handlers.courier.handler({}, LocalContext("courier", 60))
    (sent,) = [m for m in messages(owner) if m["channel"] == "email"]
    monkeypatch.setenv("DATABASE_SECRET", feedback_secret())
    complaint = {"complainedRecipients": [{"emailAddress": mentor}]}
    detail = {"eventType": outcome, "mail": {"messageId": sent["provider_message_id"]}, "complaint": complaint}
    handlers.feedback.handler({"source": "aws.ses", "detail": detail}, LocalContext("courier", 60))
    row = owner.execute("SELECT count(*) FROM email_suppressions").fetchone()
    expected = {"Delivery": ("delivered", (0,)), "Complaint": ("sent", (1,))}
    assert expected[outcome] == (statuses(owner)["email"], row)


def test_dead_endpoint(owner: Connection, mentor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """SNS reports it, and the device is used no more."""
    add_notification(owner)
    handlers.courier.handler({}, LocalContext("courier", 60))
    (endpoint,) = owner.execute("SELECT endpoint_arn FROM devices").fetchone() or ("",)
    monkeypatch.setenv("DATABASE_SECRET", feedback_secret())
    text = f'{{"EventType": "DeliveryFailure", "EndpointArn": "{endpoint}"}}'
    assert {"recorded": 1} == handlers.feedback.handler(
        {"Records": [{"Sns": {"Message": text}}]}, LocalContext("courier", 60)
    )
    assert [(True,)] == owner.execute("SELECT disabled_at IS NOT NULL FROM devices").fetchall()


def test_test_message(owner: Connection, aws: Aws, mentor: str) -> None:
    """One marked message through every channel; nothing is written."""
    answer = handlers.courier.handler(
        {"action": "test_message", "recipient_id": str(MENTOR)}, LocalContext("courier", 60)
    )
    assert {"status": "success", "note": "test_message", "channels": {"email": "sent", "push": "sent"}} == answer
    (mail,) = mails(aws, mentor)
    assert "Subject: [test]" in mail["raw_data"]
    assert [] == messages(owner)


@pytest.mark.usefixtures("mentor")
@table(
    "event",
    [
        {"action": "test_message"},
        {"action": "test_message", "recipient_id": "me"},
        {"action": "test_message", "recipient_id": str(UUID(int=99))},
        {"action": "send_all"},
    ],
)
def test_event_that_is_not_known(event: dict[str, Any]) -> None:
    """Refused, with what is accepted, before anything is sent."""
    with pytest.raises(EventError):
        handlers.courier.handler(event, LocalContext("courier", 60))


def test_unverified_sender(owner: Connection, mentor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The push goes out; the mail stays pending with no attempt counted, and the function fails by name."""
    monkeypatch.setenv("EMAIL_FROM", "nobody@elsewhere.example")
    add_notification(owner)
    with pytest.raises(AccountError, match="MessageRejected"):
        handlers.courier.handler({}, LocalContext("courier", 60))
    found = {m["channel"]: (m["status"], m["attempts"]) for m in messages(owner)}
    assert {"email": ("pending", 0), "push": ("sent", 1)} == found


@table(
    ("name", "value"),
    [
        ("APP_URL", ""),
        ("EMAIL_FROM", "no address"),
        ("EMAIL_FROM", "a@example.org\r\nBcc: b@example.org"),
        ("PUSH_APPLICATION_ARNS", "arn:aws:sns:eu-west-2:123456789012:topic"),
        ("MESSAGES_PER_SECOND", "0"),
        ("UNSUBSCRIBE_KEY_SECRET", ""),
    ],
)
def test_wrong_setting(deployed: dict[str, str], name: str, value: str) -> None:
    """The function stops and names it."""
    with pytest.MonkeyPatch.context() as patched, pytest.raises(SettingsError, match=name):
        patched.setenv(name, value)
        handlers.courier.handler({}, LocalContext("courier", 60))


@pytest.fixture
def page(deployed: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("DATABASE_SECRET", feedback_secret())
    with FunctionUrl(handlers.unsubscribe.handler) as running:
        yield running.url


def email_enabled(owner: Connection) -> list[tuple[bool]]:
    return owner.execute("SELECT email_enabled FROM recipient_settings").fetchall()


def local(url: str, path: str) -> str:
    return url + path.removeprefix("https://links.example.org")


def test_one_click(owner: Connection, page: str) -> None:
    """GET changes nothing, so that a link scanner unsubscribes no one; POST does it, also after it was undone."""
    address = local(page, link(UNSUBSCRIBE_URL, KEY, MENTOR))
    shown = httpx.get(address)
    assert (200, []) == (shown.status_code, email_enabled(owner))
    assert 'method="post"' in shown.text
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    for _ in range(2):
        done = httpx.post(address, data={"List-Unsubscribe": "One-Click"})
        assert (200, [(False,)]) == (done.status_code, email_enabled(owner))
        owner.execute("UPDATE recipient_settings SET email_enabled = true")


BOUNDARY = "----a b'(c)"
MULTIPART = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--{BOUNDARY}--\r\n'
)


@table(
    ("content_type", "body"),
    [
        (f'multipart/form-data; boundary="{BOUNDARY}"', MULTIPART),
        (f'Multipart/Form-Data; charset=utf-8; boundary="{BOUNDARY}"', "preamble\r\n" + MULTIPART + "epilogue"),
        ("application/x-www-form-urlencoded; charset=utf-8", "List-Unsubscribe=One-Click"),
    ],
)
def test_one_click_in_either_form(owner: Connection, page: str, content_type: str, body: str) -> None:
    """RFC 8058, 3.2: a mail program SHOULD send multipart/form-data, and MAY send it URL-encoded."""
    owner.execute("DELETE FROM recipient_settings")
    address = local(page, link(UNSUBSCRIBE_URL, KEY, MENTOR))
    done = httpx.post(address, content=body, headers={"content-type": content_type})
    assert (200, [(False,)]) == (done.status_code, email_enabled(owner))


def test_unsubscribed_person_gets_no_mail(owner: Connection, mentor: str) -> None:
    """The push, and the notification in the app, stay."""
    owner.execute("INSERT INTO recipient_settings (person_id, email_enabled) VALUES (%s, false)", [MENTOR])
    add_notification(owner)
    handlers.courier.handler({}, LocalContext("courier", 60))
    assert {"push": "sent"} == statuses(owner)


@table(
    "query",
    [
        "",
        f"?p={MENTOR}",
        f"?p={MENTOR}&s=",
        f"?p={MENTOR}&s={sign(KEY, UUID(int=1))}",
        f"?p=no-id&s={sign(KEY, MENTOR)}",
        f"?p={MENTOR}&s=%ff%00",
    ],
)
def test_link_that_is_not_signed(owner: Connection, page: str, query: str) -> None:
    """Every such link gets the same answer, whichever person it names."""
    answers = {httpx.request(m, f"{page}/unsubscribe{query}", data=d).text for m, d in REQUESTS}
    assert 1 == len(answers)
    assert [] == email_enabled(owner)


REQUESTS: list[tuple[str, Any]] = [("GET", None), ("POST", {"List-Unsubscribe": "One-Click"})]


@table(
    ("body", "media_type"),
    [
        ({"data": {}}, "text/plain"),
        ({"data": {"List-Unsubscribe": "Two-Click"}}, "application/x-www-form-urlencoded"),
        ({"data": {"x": "1"}}, "application/x-www-form-urlencoded"),
        ({"content": b"\xff\xfe", "headers": {"content-type": "image/png"}}, "image/png"),
        ({"files": {"List-Unsubscribe": (None, "Two-Click")}}, "multipart/form-data"),
        ({"files": {"List-Unsubscribe": (None, "One-Click"), "x": (None, "1")}}, "multipart/form-data"),
        ({"files": {"List-Unsubscribe": (None, "One-Click" + "x" * 2_000)}}, "multipart/form-data"),
        ({"content": MULTIPART, "headers": {"content-type": "multipart/form-data"}}, "multipart/form-data"),
    ],
)
def test_post_that_is_not_one_click(
    owner: Connection, page: str, caplog: pytest.LogCaptureFixture, body: dict[str, Any], media_type: str
) -> None:
    """RFC 8058 says exactly what is posted. A mail program that posts something else is seen in the log."""
    caplog.clear()
    assert 400 == httpx.post(local(page, link(UNSUBSCRIBE_URL, KEY, MENTOR)), **body).status_code
    assert [] == email_enabled(owner)
    (warning,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert media_type == vars(warning)["media_type"]
    assert str(MENTOR) not in str(vars(warning))
