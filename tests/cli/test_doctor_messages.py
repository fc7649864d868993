"""What the doctor says of SES, of push and of the addresses."""

from __future__ import annotations

from typing import Any

import pytest

from ops.cli.doctor import messages
from ops.cli.doctor.examination import Examination, Skipped
from tests.cli.conftest import Site


class Account:
    """SES' answer to GetAccount, without an AWS account."""

    is_local = False

    def __init__(self, **answer: Any) -> None:
        self._answer = {
            "ProductionAccessEnabled": True,
            "SendingEnabled": True,
            "SendQuota": {"Max24HourSend": 50_000.0, "MaxSendRate": 14.0, "SentLast24Hours": 1.0},
            **answer,
        }

    def environment(self, function: str) -> dict[str, str]:
        return {"EMAIL_FROM": "reminders@example.org", "MESSAGES_PER_SECOND": "10"}

    def client(self, service: str) -> Account:
        return self

    def get_account(self) -> dict[str, Any]:
        return self._answer


QUOTA = {"Max24HourSend": 200.0, "MaxSendRate": 1.0, "SentLast24Hours": 190.0}


@pytest.mark.parametrize(
    ("answer", "levels"),
    [
        ({}, ["ok"]),
        ({"ProductionAccessEnabled": False}, ["problem", "ok"]),
        ({"SendingEnabled": False}, ["problem", "ok"]),
        ({"SendQuota": QUOTA}, ["warning", "warning", "ok"]),
    ],
)
def test_account(answer: dict[str, Any], levels: list[str]) -> None:
    """The sandbox and paused sending are problems; a quota that is nearly used and a low rate are warnings."""
    it = Examination(Account(**answer))  # type: ignore[arg-type]
    assert levels == [finding.level for finding in messages.email_account(it)]


def test_sender_without_an_identity(site: Site) -> None:
    """The identity of the domain or of the address counts; without one it is a problem."""
    it = Examination(site.target)
    assert ["ok"] == [finding.level for finding in messages.email_identity(it)]
    site.target.state.environments["courier"]["EMAIL_FROM"] = "Reminders <nobody@nowhere.example>"
    (found,) = messages.email_identity(it)
    assert ("problem", "SES knows no identity for nobody@nowhere.example") == (found.level, found.what)


def test_platform_application_that_is_disabled(site: Site) -> None:
    """Nobody gets a push; one that reports no dead devices is a warning."""
    sns = site.stack.aws.client("sns")
    attributes = {"PlatformCredential": "x", "Enabled": "true"}
    arn = sns.create_platform_application(Name="doctor", Platform="GCM", Attributes=attributes)[
        "PlatformApplicationArn"
    ]
    site.target.state.environments["courier"]["PUSH_APPLICATION_ARNS"] = arn
    it = Examination(site.target)
    levels = []
    for change in ({}, {"EventDeliveryFailure": "arn:topic"}, {"Enabled": "false"}):
        sns.set_platform_application_attributes(PlatformApplicationArn=arn, Attributes=change)
        levels += [finding.level for finding in messages.push_applications(it)]
    assert ["warning", "ok", "problem"] == levels


def test_people_without_an_address(site: Site) -> None:
    """They are counted."""
    with site.stack.connect() as connection:
        connection.execute(
            "INSERT INTO auth.users VALUES (gen_random_uuid(), NULL), (gen_random_uuid(), 'a@example.org')"
        )
        (found,) = messages.recipients(Examination(site.target, connection))
    assert ("warning", "1 of 2 people have no address") == (found.level, found.what)


def test_nothing_is_sent_from_here(site: Site) -> None:
    """Then there is nothing to look at."""
    site.target.state.environments.pop("courier")
    for look in (messages.email_account, messages.email_identity, messages.push_applications, messages.recipients):
        with pytest.raises(Skipped):
            list(look(Examination(site.target)))
