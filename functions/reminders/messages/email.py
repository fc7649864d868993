"""
E-mail, by SES.

The message is raw MIME, made by the standard library, because List-Unsubscribe-Post and Auto-Submitted need headers of
our own (Amazon SES API v2 Reference, "SendEmail"). SES sets Message-ID itself, so a repeated mail cannot be
recognised by it.
"""

from __future__ import annotations

import email.errors
import email.policy
from collections.abc import Callable
from dataclasses import dataclass
from email.charset import QP, Charset
from email.header import Header
from email.headerregistry import Address
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import formataddr
from typing import Any, Protocol
from uuid import UUID

import idna

from reminders.aws_errors import error_code, error_text
from reminders.messages import templates, unsubscribe
from reminders.messages.message import AccountError, Message, Result, Status

# Text that no relay has to re-encode: quoted-printable, and seven-bit headers. The older half of the standard library's
# `email`, because the newer one parses every header that it is given, and takes twice as long (docs/performance.md).
_UTF8 = Charset("utf-8")
_UTF8.body_encoding = QP


class _AsWritten(email.policy.Compat32):
    """
    Headers go out as they were set, in ASCII, unfolded.

    A mail program looks for the link of List-Unsubscribe as it stands (RFC 5322 allows 998 characters), and the subject
    is folded where it is encoded. Compat32 would parse each header again for a line length: a third of the mail's time.
    """

    def fold_binary(self, name: str, value: str) -> bytes:
        """Raise `UnicodeEncodeError` for a header that is not ASCII."""
        return f"{name}: {value}{self.linesep}".encode("ascii")


_POLICY = _AsWritten(linesep="\r\n")
# RFC 2045, 6.7: "=_" can never appear in a quoted-printable body.
_BOUNDARY = "=_reminders_="


class SesClient(Protocol):
    """The part of boto3's `sesv2` client that is used here."""

    def send_email(self, **kwargs: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class EmailSettings:
    """What every mail has in common."""

    sender: str  #: the From header: an address, with a name if wanted
    configuration_set: str | None
    app_url: str
    unsubscribe_url: str | None
    unsubscribe_key: str | None

    @property
    def sender_header(self) -> str:
        """`sender` in ASCII: a name may have other characters."""
        name, bracket, address = self.sender.rpartition("<")
        return formataddr((name.strip(' "'), address.rstrip(">"))) if bracket else self.sender


class EmailChannel:
    """Sends messages by SES. `client()` is asked when there is something to send; boto3 clients are thread-safe."""

    name = "email"

    def __init__(self, client: Callable[[], SesClient], settings: EmailSettings) -> None:
        self._client = client
        self._settings = settings

    def send(self, message: Message, *, test: bool = False) -> Result:
        """Send `message`; raise `AccountError` where no other message would get through either."""
        if message.email is None:
            return Result(Status.FAILED, error="there is no address that may be used")
        try:
            address = deliverable(message.email)
        except ValueError:
            return Result(Status.FAILED, error="the address is not valid", suppress=True)
        mime = self.mime(message, address, test=test)
        request: dict[str, Any] = {
            "FromEmailAddress": self._settings.sender_header,
            "Destination": {"ToAddresses": [address]},
            "Content": {"Raw": {"Data": mime.as_bytes()}},
            "EmailTags": [{"Name": "organisation", "Value": str(message.org_id)}],
        }
        if self._settings.configuration_set:
            request["ConfigurationSetName"] = self._settings.configuration_set
        try:
            answer = self._client().send_email(**request)
        except Exception as error:
            return _refusal(error)
        return Result(Status.SENT, provider_message_id=str(answer["MessageId"]))

    def mime(self, message: Message, address: str, *, test: bool = False) -> MIMEMultipart:
        """The mail as it is sent: text and HTML, with the headers that mail providers ask bulk senders for."""
        words = templates.words(message, test=test)
        link = self._unsubscribe_link(message.recipient_id)
        parts = [
            MIMEText(
                templates.layout(name, words, app_url=self._settings.app_url, unsubscribe_url=link),
                subtype,
                _UTF8,  # type: ignore[arg-type]  # a Charset is what the documentation shows
                policy=_POLICY,
            )
            for name, subtype in (("mail.txt", "plain"), ("mail.html", "html"))
        ]
        mail = MIMEMultipart("alternative", _BOUNDARY, parts, policy=_POLICY)
        mail["From"] = self._settings.sender_header
        mail["To"] = address
        mail["Subject"] = _folded(words.subject)
        # RFC 3834: no vacation notice answers it. Feedback-ID: complaints by organisation ("Feedback Loop", Gmail).
        mail["Auto-Submitted"] = "auto-generated"
        mail["Feedback-ID"] = f"{message.org_id}:reminders:assignment-reminders"
        if link:
            mail["List-Unsubscribe"] = f"<{link}>"
            mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        return mail

    def _unsubscribe_link(self, person: UUID) -> str | None:
        if self._settings.unsubscribe_url is None or self._settings.unsubscribe_key is None:
            return None
        return unsubscribe.link(self._settings.unsubscribe_url, self._settings.unsubscribe_key, person)


def _folded(subject: str) -> str:
    """In encoded words (RFC 2047) of 75 characters at most, unless it is ASCII."""
    charset = "us-ascii" if subject.isascii() else "utf-8"
    return Header(subject, charset, maxlinelen=75, header_name="Subject").encode(linesep="\r\n")


def deliverable(text: str) -> str:
    """
    The address as SES takes it: an international domain in its ASCII form. Raise `ValueError` for one it cannot take.

    SES does not support SMTPUTF8, so the part before the @ must be ASCII ("Email addresses", SES Developer Guide).
    """
    local, at, domain = text.strip().rpartition("@")
    if not (local.isascii() and local.isprintable() and at and domain) or " " in local:
        raise ValueError("not an address that SES can send to")
    try:
        ascii_domain = idna.encode(domain, uts46=True).decode()
        # Parsed once more: a line break or a second address must not reach a header.
        address = Address(addr_spec=f"{local}@{ascii_domain}")
    except (idna.IDNAError, email.errors.MessageError, ValueError, IndexError):
        raise ValueError("not an address that SES can send to") from None
    if "." not in address.domain or len(address.addr_spec) > 254:
        raise ValueError("not an address that SES can send to")
    return address.addr_spec


# Amazon SES API v2 Reference, "SendEmail" and "Common Errors".
_ACCOUNT = {
    "AccessDeniedException",
    "AccountSuspendedException",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "MailFromDomainNotVerifiedException",
    "NotFoundException",  # the configuration set
    "SendingPausedException",
    "UnrecognizedClientException",
}


def _refusal(error: Exception) -> Result:
    """The result, or AccountError, that SES' error stands for."""
    code = error_code(error)
    # In the sandbox, and for a sender that may not be used, SES answers MessageRejected: no other message would pass.
    about_sender = any(words in error_text(error) for words in ("not verified", "authority to send"))
    if code in _ACCOUNT or (code == "MessageRejected" and about_sender):
        raise AccountError(f"ses: {code}") from None
    # BadRequestException may be about From or the configuration set: it says nothing about the address.
    if code in {"MessageRejected", "BadRequestException"}:
        return Result(Status.FAILED, error=f"ses: {code}")
    # Throttled, over the day's quota, 5xx, no answer in time, and unknown errors: a retry may succeed.
    return Result(Status.RETRY, error=f"ses: {code}")
