"""
What a provider reports later: a bounce, a complaint, a delivery, a dead device.

    SES ─▶ EventBridge (its configuration set's event destination) ─▶ here          detail-type "Email Bounced", ...
    SNS ─▶ the topic for endpoint events of a platform application   ─▶ here

An address is only remembered as its hash. A soft bounce (a full mailbox) changes nothing: SES tries again by itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from reminders.database import Connection, Queries
from reminders.errors import EventError
from reminders.telemetry import logger
from reminders.text import printable

queries = Queries(__package__, "feedback.sql")

# Amazon SES Developer Guide, "Contents of event data that SES publishes".
_OUTCOMES = {"Bounce": "bounce", "Complaint": "complaint", "Delivery": "delivery", "Reject": "rejected"}
# Seconds. A courier usually settles a message within a tenth of a second after the provider took it.
PAUSES = (0.1, 0.3, 0.6)
ACCEPTED = "accepted are SES events from EventBridge, and SNS endpoint events"


@dataclass(frozen=True, slots=True)
class EmailFeedback:
    """One address's part of an SES event. `address_sha256` is None where the address may still be used."""

    message: str  #: SES' message id
    outcome: str
    address_sha256: bytes | None


@dataclass(frozen=True, slots=True)
class DeadEndpoint:
    """SNS has disabled or deleted this endpoint."""

    endpoint: str


def parse(event: object) -> list[EmailFeedback | DeadEndpoint]:
    """Read an event; raise `EventError` for one that is not known."""
    if not isinstance(event, Mapping):
        raise EventError(f"the event is not a JSON object; {ACCEPTED}")
    if event.get("source") == "aws.ses" and isinstance(event.get("detail"), Mapping):
        return list(_from_ses(event["detail"]))
    if isinstance(event.get("Records"), list):
        return [found for record in event["Records"] for found in _from_sns(record)]
    raise EventError(f"the event is not known; {ACCEPTED}")


def record(connection: Connection, feedback: list[EmailFeedback | DeadEndpoint], sleep: Callable[[float], None]) -> int:
    """
    Record it; return how many messages and devices it concerned. A second delivery changes nothing.

    What concerns none is tried again after `PAUSES`, because it may have come before the courier wrote the provider's
    id. Then it is logged. This is no error: it is about a test message, or was recorded before.
    """
    waiting = [item for item in feedback if not _record(connection, item)]
    for pause in PAUSES:
        if waiting:
            sleep(pause)
            waiting = [item for item in waiting if not _record(connection, item)]
    for item in waiting:
        logger.warning("feedback concerns no message or device", extra=_ids(item))
    return len(feedback) - len(waiting)


def _record(connection: Connection, item: EmailFeedback | DeadEndpoint) -> bool:
    """Whether it concerned a message or a device."""
    if isinstance(item, DeadEndpoint):
        known = bool(queries.value(connection, "disable_endpoint", endpoint=item.endpoint))
    else:
        values = {"message": item.message, "outcome": item.outcome, "address_sha256": item.address_sha256}
        known = bool(queries.value(connection, "record_email_feedback", **values))
    if known:
        logger.info("feedback recorded", extra=_ids(item))
    return known


def _ids(item: EmailFeedback | DeadEndpoint) -> dict[str, str]:
    """For the log: no address, no token."""
    if isinstance(item, DeadEndpoint):
        return {"outcome": "dead endpoint", "provider_id": printable(item.endpoint)[:200]}
    return {"outcome": item.outcome, "provider_id": printable(item.message)[:200]}


def _from_ses(detail: Mapping[str, Any]) -> Iterator[EmailFeedback]:
    outcome = _OUTCOMES.get(str(detail.get("eventType")))
    mail = detail.get("mail")
    if outcome is None or not isinstance(mail, Mapping):
        return  # an open, a click, a delay: nothing that we act on
    message = str(mail.get("messageId"))
    if outcome == "bounce" and _part(detail, "bounce").get("bounceType") != "Permanent":
        return
    hashes: list[bytes | None] = [hash_of(address) for address in _addresses(detail, outcome)]
    for address_sha256 in hashes or [None]:
        yield EmailFeedback(message, outcome, address_sha256)


def _part(detail: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = detail.get(name)
    return part if isinstance(part, Mapping) else {}


def _addresses(detail: Mapping[str, Any], outcome: str) -> list[str]:
    lists = {"bounce": ("bounce", "bouncedRecipients"), "complaint": ("complaint", "complainedRecipients")}
    if outcome not in lists:
        return []
    part, name = lists[outcome]
    recipients = _part(detail, part).get(name) or []
    return [str(r["emailAddress"]) for r in recipients if isinstance(r, Mapping) and "emailAddress" in r]


def hash_of(address: str) -> bytes:
    """As the database computes it (`reminder_private.address_hash`)."""
    return sha256(address.strip(" ").lower().encode("utf-8", "replace")).digest()


def _from_sns(record: object) -> Iterator[DeadEndpoint]:
    """Amazon SNS Developer Guide, "Mobile app attributes": EventType DeliveryFailure, EndpointDeleted, ..."""
    try:
        body = json.loads(record["Sns"]["Message"]) if isinstance(record, Mapping) else {}
    except (KeyError, TypeError, ValueError):
        raise EventError(f"the SNS record is not an endpoint event; {ACCEPTED}") from None
    endpoint = body.get("EndpointArn") if isinstance(body, Mapping) else None
    if isinstance(endpoint, str) and body.get("EventType") in {"DeliveryFailure", "EndpointDeleted"}:
        yield DeadEndpoint(endpoint)
