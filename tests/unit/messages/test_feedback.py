"""Events of SES and SNS, as their documentation shows them, and what is read from them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reminders.errors import EventError
from reminders.messages.feedback import DeadEndpoint, EmailFeedback, hash_of, parse
from tests.helpers.cases import table

ADDRESS = "Mentor@Example.org"


def ses_event(kind: str, **parts: Any) -> dict[str, Any]:
    """As EventBridge brings it: "Monitoring Amazon SES using EventBridge"."""
    return {
        "source": "aws.ses",
        "detail-type": f"Email {kind}",
        "detail": {"eventType": kind, "mail": {"messageId": "0102", "destination": [ADDRESS]}, **parts},
    }


PERMANENT = {"bounceType": "Permanent", "bouncedRecipients": [{"emailAddress": ADDRESS, "status": "5.1.1"}]}
TRANSIENT = {"bounceType": "Transient", "bouncedRecipients": [{"emailAddress": ADDRESS}]}
COMPLAINT = {"complainedRecipients": [{"emailAddress": ADDRESS}], "complaintFeedbackType": "abuse"}


@table(
    ("event", "expected"),
    [
        (ses_event("Bounce", bounce=PERMANENT), [EmailFeedback("0102", "bounce", hash_of("mentor@example.org"))]),
        (ses_event("Bounce", bounce=TRANSIENT), []),
        (ses_event("Complaint", complaint=COMPLAINT), [EmailFeedback("0102", "complaint", hash_of(ADDRESS))]),
        (ses_event("Delivery", delivery={"recipients": [ADDRESS]}), [EmailFeedback("0102", "delivery", None)]),
        (ses_event("Reject", reject={"reason": "Bad content"}), [EmailFeedback("0102", "rejected", None)]),
        (ses_event("Open"), []),
        (ses_event("DeliveryDelay"), []),
        (ses_event("Bounce", bounce=None), []),
        (ses_event("Complaint", complaint={"complainedRecipients": [{}]}), [EmailFeedback("0102", "complaint", None)]),
    ],
)
def test_ses(event: dict[str, Any], expected: list[EmailFeedback]) -> None:
    """A permanent bounce and a complaint name an address, which is kept as a hash; a soft bounce changes nothing."""
    assert expected == parse(event)


def sns_event(message: object) -> dict[str, Any]:
    text = message if isinstance(message, str) else json.dumps(message)
    return {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": text}}]}


def test_sns_endpoint_events() -> None:
    """A device whose token is dead is used no more."""
    event = {"EventType": "DeliveryFailure", "EndpointArn": "arn:e", "FailureType": "InvalidPlatformToken"}
    assert [DeadEndpoint("arn:e")] == parse(sns_event(event))
    assert [] == parse(sns_event({"EventType": "EndpointCreated", "EndpointArn": "arn:e"}))
    assert [] == parse(sns_event([1]))


@table("event", [None, [], {}, {"source": "aws.ses"}, {"Records": [{}]}, sns_event("no JSON")])
def test_event_that_is_not_known(event: object) -> None:
    """It is refused, with what is accepted."""
    with pytest.raises(EventError, match="accepted are"):
        parse(event)
