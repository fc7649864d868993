"""Feedback that comes before the courier has settled the message, and feedback about no message of ours."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reminders.database import Connection
from reminders.messages.feedback import PAUSES, DeadEndpoint, EmailFeedback, hash_of, record
from tests.helpers.connections import AsRole
from tests.messages import (
    EMAIL,
    add_device,
    add_notification,
    add_person,
    always_open,
    claim,
    compose,
    lease,
    messages,
    settle,
)

BOUNCE = EmailFeedback("0102", "bounce", hash_of(EMAIL))
ENDPOINT = "arn:aws:sns:eu-west-2:123456789012:endpoint/GCM/app/5e3e9847"


class Pauses:
    """Instead of sleeping: `at_the_second` happens in the second pause."""

    def __init__(self, at_the_second: Callable[[], object] = lambda: None) -> None:
        self.seconds: list[float] = []
        self._at_the_second = at_the_second

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        if len(self.seconds) == 2:
            self._at_the_second()


def warnings(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    return [vars(record) for record in caplog.records if record.levelname == "WARNING"]


def test_bounce_before_the_message_is_settled(
    owner: Connection, as_role: AsRole, caplog: pytest.LogCaptureFixture
) -> None:
    """It is recorded as soon as the courier has written the provider's id: within a second or two."""
    always_open(owner)
    add_person(owner)
    add_notification(owner)
    courier = as_role("reminder_courier")
    compose(courier)
    (claimed,) = claim(courier)
    held = lease(owner, claimed)
    pauses = Pauses(lambda: settle(courier, claimed, held, provider_message_id="0102"))
    assert 1 == record(as_role("message_feedback"), [BOUNCE], pauses)
    assert [("failed", "bounce")] == [(m["status"], m["last_error"]) for m in messages(owner)]
    assert (2, []) == (len(pauses.seconds), warnings(caplog))


def test_dead_endpoint_before_it_is_known(owner: Connection, as_role: AsRole) -> None:
    """The first push to a device: SNS may report it dead before the courier has written its endpoint."""
    add_person(owner)
    device = add_device(owner)
    pauses = Pauses(lambda: owner.execute("UPDATE devices SET endpoint_arn = %s WHERE id = %s", [ENDPOINT, device]))
    assert 1 == record(as_role("message_feedback"), [DeadEndpoint(ENDPOINT)], pauses)
    assert [(True,)] == owner.execute("SELECT disabled_at IS NOT NULL FROM devices").fetchall()


@pytest.mark.usefixtures("owner")
def test_feedback_about_no_message(as_role: AsRole, caplog: pytest.LogCaptureFixture) -> None:
    """A test message has no row: no error. The log has the provider's ids, and nothing else."""
    pauses = Pauses()
    assert 0 == record(as_role("message_feedback"), [BOUNCE, DeadEndpoint(ENDPOINT)], pauses)
    assert list(PAUSES) == pauses.seconds
    assert sum(PAUSES) <= 2
    assert [("bounce", "0102"), ("dead endpoint", ENDPOINT)] == [
        (warning["outcome"], warning["provider_id"]) for warning in warnings(caplog)
    ]


def test_feedback_that_is_known(owner: Connection, as_role: AsRole) -> None:
    """It does not wait."""
    add_person(owner)
    add_device(owner)
    owner.execute("UPDATE devices SET endpoint_arn = %s", [ENDPOINT])
    pauses = Pauses()
    assert 1 == record(as_role("message_feedback"), [DeadEndpoint(ENDPOINT)], pauses)
    assert [] == pauses.seconds
