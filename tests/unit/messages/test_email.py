"""One mail: its headers, its address, and what SES' answers mean."""

from __future__ import annotations

import dataclasses
import email
import email.policy
import re
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

from reminders.messages.email import EmailChannel, EmailSettings, deliverable
from reminders.messages.message import AccountError, Result, Status
from reminders.messages.unsubscribe import is_signed
from tests.helpers.cases import table
from tests.nasty_names import NASTY_NAMES
from tests.unit.messages.examples import message

KEY = "k" * 32
SETTINGS = EmailSettings(
    "Reminders <reminders@example.org>",
    "configuration-set",
    "https://app.example.org",
    "https://abcdefghijklmnopqrstuvwxyz012345.lambda-url.eu-west-2.on.aws/unsubscribe",
    KEY,
)


class Ses:
    """Takes what it is given, or raises."""

    def __init__(self, error: Exception | None = None) -> None:
        self.requests: list[dict[str, Any]] = []
        self._error = error

    def send_email(self, **request: Any) -> dict[str, str]:
        self.requests.append(request)
        if self._error:
            raise self._error
        return {"MessageId": "0102"}


def refusal(code: str, text: str = "", status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": text}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "SendEmail",
    )


def sent(**fields: object) -> tuple[dict[str, Any], EmailMessage]:
    ses = Ses()
    assert Result(Status.SENT, "0102") == EmailChannel(lambda: ses, SETTINGS).send(message(**fields))
    (request,) = ses.requests
    parsed = email.message_from_bytes(request["Content"]["Raw"]["Data"], policy=email.policy.SMTP)
    assert isinstance(parsed, EmailMessage)
    return request, parsed


def test_headers() -> None:
    """What mail providers ask of those who send to many: RFC 5322, RFC 8058, RFC 3834."""
    request, mail = sent(organisation="Ørsted & Söhne")
    assert "reminders@example.org" in str(mail["From"])
    assert "mentor@example.org" == mail["To"]
    assert str(mail["Subject"]).startswith("Ørsted & Söhne: ")
    assert "List-Unsubscribe=One-Click" == mail["List-Unsubscribe-Post"]
    assert "auto-generated" == mail["Auto-Submitted"]
    assert str(UUID(int=0xA)) in mail["Feedback-ID"]
    assert ["text/plain", "text/html"] == [part.get_content_type() for part in mail.iter_parts()]
    assert "configuration-set" == request["ConfigurationSetName"]
    assert [] == mail.defects


def test_unsubscribe_link_is_not_encoded() -> None:
    """A mail program looks for the link in the header as it stands on the wire."""
    request, mail = sent()
    (line,) = [
        x for x in request["Content"]["Raw"]["Data"].decode().split("\r\n") if x.startswith("List-Unsubscribe: ")
    ]
    link = line.removeprefix("List-Unsubscribe: <").removesuffix(">")
    assert link.startswith(f"{SETTINGS.unsubscribe_url}?p={UUID(int=0xB)}&s=")
    assert is_signed(KEY, UUID(int=0xB), link.rpartition("&s=")[2])
    assert link in mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]


def test_seven_bit_safe_with_short_lines() -> None:
    """Any relay can pass it on unchanged."""
    request, _ = sent(organisation="😀 Ørsted", locale="nb", reminders=99)
    raw: bytes = request["Content"]["Raw"]["Data"]
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert raw.count(b"\n") == raw.count(b"\r\n")


def test_long_subject_is_folded() -> None:
    """An encoded word has at most 75 characters (RFC 2047), whatever the organisation's name."""
    request, mail = sent(organisation="😀 Ørsted & Söhne " * 10)
    head = request["Content"]["Raw"]["Data"].decode().partition("\r\n\r\n")[0]
    words = re.findall(r"=\?utf-8\?.*?\?=", head)
    assert len(words) > 1 and max(map(len, words)) <= 75
    assert str(mail["Subject"]).startswith("😀 Ørsted & Söhne 😀")


def test_sender_s_name() -> None:
    """It may have any characters; SES gets it in ASCII."""
    ses = Ses()
    settings = dataclasses.replace(SETTINGS, sender="Påminnelser, Søndre <reminders@example.org>")
    EmailChannel(lambda: ses, settings).send(message())
    (request,) = ses.requests
    mail = email.message_from_bytes(request["Content"]["Raw"]["Data"], policy=email.policy.SMTP)
    assert request["FromEmailAddress"].isascii() and "reminders@example.org" in request["FromEmailAddress"]
    assert [("Påminnelser, Søndre", "reminders@example.org")] == [
        (a.display_name, a.addr_spec) for a in mail["From"].addresses
    ]


@table("name", NASTY_NAMES)
def test_nasty_organisation_name(name: str) -> None:
    """No name adds a header or an address."""
    request, mail = sent(organisation=name)
    assert {"ToAddresses": ["mentor@example.org"]} == request["Destination"]
    assert mail["Bcc"] is None
    assert [] == mail.defects


@table(
    ("text", "address"),
    [
        ("mentor+tag@example.org", "mentor+tag@example.org"),
        (" mentor@example.org ", "mentor@example.org"),
        ("mentor@bücher.example", "mentor@xn--bcher-kva.example"),
        ("mentor@BÜCHER.example", "mentor@xn--bcher-kva.example"),
        ("o'hara@example.org", "o'hara@example.org"),
    ],
)
def test_address_that_ses_takes(text: str, address: str) -> None:
    """Spaces around it go, an international domain becomes ASCII."""
    assert address == deliverable(text)


@table(
    "text",
    [
        "",
        "mentor",
        "mentor@",
        "@example.org",
        "mentor@localhost",
        "måns@example.org",
        "a@example.org\r\nBcc: b@example.org",
        "a@example.org, b@example.org",
        "a b@example.org",
        "a@exa mple.org",
        "a@b..org",
        "a\x00@example.org",
        "a@" + "x" * 250 + ".org",
        "a@[127.0.0.1]",
    ],
)
def test_address_that_ses_cannot_take(text: str) -> None:
    """It is refused before it is sent, never a crash, and used no more."""
    ses = Ses()
    result = EmailChannel(lambda: ses, SETTINGS).send(message(email=text))
    assert (Status.FAILED, True, []) == (result.status, result.suppress, ses.requests)


ANSWERS = [
    (refusal("TooManyRequestsException", status=429), Status.RETRY),
    (refusal("LimitExceededException"), Status.RETRY),
    (refusal("ThrottlingException", "Maximum sending rate exceeded."), Status.RETRY),
    (refusal("Throttling", "Daily message quota exceeded. 454"), Status.RETRY),
    (refusal("InternalFailure", status=500), Status.RETRY),
    (refusal("ServiceUnavailable", status=503), Status.RETRY),
    (ReadTimeoutError(endpoint_url="https://x"), Status.RETRY),
    (ConnectTimeoutError(endpoint_url="https://x"), Status.RETRY),
    (EndpointConnectionError(endpoint_url="https://x"), Status.RETRY),
    (refusal("MessageRejected", "Message contains a virus"), Status.FAILED),
    (refusal("BadRequestException", "Domain contains control or whitespace"), Status.FAILED),
    (refusal("BadRequestException", "Invalid From address"), Status.FAILED),
]


@table(("error", "status"), ANSWERS)
def test_answer(error: Exception, status: Status) -> None:
    """
    What may pass is tried again, what will not pass is given up; the text of the error is not kept.

    No address is given up: the same answers come for a wrong setting. One that does not exist bounces.
    """
    result = EmailChannel(lambda: Ses(error), SETTINGS).send(message())
    assert (status, False) == (result.status, result.suppress)
    assert result.error and result.error.startswith("ses: ") and " " not in result.error.removeprefix("ses: ")


@table(
    "error",
    [
        refusal("AccountSuspendedException"),
        refusal("SendingPausedException"),
        refusal("MailFromDomainNotVerifiedException"),
        refusal("AccessDeniedException", "not authorized to perform ses:SendEmail"),
        refusal("NotFoundException", "Configuration set does not exist"),
        refusal("MessageRejected", "Email address is not verified. The following identities failed the check"),
        refusal("UnrecognizedClientException"),
    ],
)
def test_error_of_the_account(error: Exception) -> None:
    """It concerns every message: the channel has to stop."""
    with pytest.raises(AccountError, match=r"^ses: "):
        EmailChannel(lambda: Ses(error), SETTINGS).send(message())


def test_without_unsubscribe_link() -> None:
    """Where none is configured there is no header and no line about it."""
    settings = EmailSettings("r@example.org", None, "https://app.example.org", None, None)
    mail = EmailChannel(Ses, settings).mime(message(), "mentor@example.org")
    assert mail["List-Unsubscribe"] is None
    assert "Stop" not in mail.as_string()


def test_test_message_says_so() -> None:
    """An operator's test is no reminder."""
    mail = EmailChannel(Ses, SETTINGS).mime(message(), "mentor@example.org", test=True)
    assert str(mail["Subject"]).startswith("[test] ")
