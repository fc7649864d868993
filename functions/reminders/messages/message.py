"""What the courier and its channels talk about: a message to send, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from reminders.errors import ReminderError


class Status(StrEnum):
    """What `settle_messages` understands."""

    SENT = "sent"  #: the provider took it
    RETRY = "retry"  #: may pass: try again after a pause
    FAILED = "failed"  #: will not pass
    RELEASE = "release"  #: not tried: an error of ours or of the account


@dataclass(frozen=True, slots=True)
class Device:
    """A device of the recipient."""

    id: int
    platform: str  #: fcm or apns
    token: str
    endpoint_arn: str | None  #: None until it is registered with SNS


@dataclass(frozen=True, slots=True)
class Message:
    """One message that is claimed, read right before it is sent. The fields are the columns of `load_messages`."""

    message_id: int
    org_id: UUID
    recipient_id: UUID
    local_date: date
    attempts: int  #: this attempt included
    organisation: str | None  #: display name
    locale: str
    email: str | None  #: None: not by e-mail, or not reachable any more
    devices: list[Device] | None
    reminders: int  #: contacts of the recipient's own
    escalations: int  #: contacts of mentors whom the recipient coordinates
    reminder_gap: int  #: days, the longest of the reminders; 0 without one
    escalation_gap: int  #: days, the longest of the escalations; 0 without one

    def __post_init__(self) -> None:
        """JSON gives devices as dictionaries."""
        devices = [d if isinstance(d, Device) else Device(**d) for d in self.devices or ()]
        object.__setattr__(self, "devices", devices)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a message."""

    status: Status
    provider_message_id: str | None = None
    error: str | None = None  #: safe to show: no address, no token
    retry_after: float | None = None  #: seconds that the provider asked for
    suppress: bool = False  #: the address is refused for good
    devices: list[dict[str, Any]] = field(default_factory=list)  #: what was learned, for `record_devices`
    #: An error of ours or of the account that stops a part of the channel. Operators are alerted, the rest works on.
    account_error: str | None = None


class AccountError(ReminderError):
    """
    An error of ours or of the account: no permission, an unverified sender, sending is paused.

    It concerns every message alike, so the courier stops sending on this channel, and no attempt is counted. If it
    concerns a part of the channel only, it is the `account_error` of a `Result`.
    """


class MessageChannel(Protocol):
    """A way to reach people."""

    @property
    def name(self) -> str:
        """As in `messages.channel`."""
        ...

    def send(self, message: Message, *, test: bool = False) -> Result:
        """Send `message`, marked as a test if `test`; called from several threads. Raise `AccountError`."""
        ...
