"""What the doctor says of SES, of push and of the addresses."""

from __future__ import annotations

from typing import Any

import pytest

from ops.cli.doctor import messages
from ops.cli.doctor.examination import Examination, Skipped
from tests.cli.site import Site
from tests.helpers.cases import table


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


@table(
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
    examination = Examination(Account(**answer))  # type: ignore[arg-type]
    assert levels == [finding.level for finding in messages.email_account(examination)]


class Identities(Account):
    """SES with these identities."""

    class exceptions:  # as boto3 names it
        class NotFoundException(Exception):
            """As SES answers for an unknown identity."""

    def __init__(self, **identities: dict[str, Any]) -> None:
        super().__init__()
        self._identities = identities

    def get_email_identity(self, EmailIdentity: str) -> dict[str, Any]:
        try:
            return self._identities[EmailIdentity]
        except KeyError:
            raise self.exceptions.NotFoundException from None


VERIFIED = {"VerifiedForSendingStatus": True}


@table(
    ("identities", "level", "words"),
    [
        ({"example.org": VERIFIED}, "ok", "example.org is verified"),
        ({"reminders@example.org": VERIFIED}, "ok", "reminders@example.org is verified"),
        ({"example.org": {"VerifiedForSendingStatus": False}}, "problem", "example.org is not verified"),
        ({"example.org": {**VERIFIED, "DkimAttributes": {"Status": "PENDING"}}}, "warning", "example.org has no DKIM"),
        ({}, "problem", "SES has no identity for reminders@example.org"),
    ],
)
def test_identity(identities: dict[str, Any], level: str, words: str) -> None:
    """The identity of the domain or of the address counts: verified, and signed by DKIM."""
    examination = Examination(Identities(**identities))  # type: ignore[arg-type]
    assert [(level, words)] == [(finding.level, finding.what) for finding in messages.email_identity(examination)]


def test_platform_application_that_is_disabled(site: Site) -> None:
    """No one gets a push; one that reports no dead devices is a warning."""
    sns = site.stack.aws.client("sns")
    attributes = {"PlatformCredential": "x", "Enabled": "true"}
    arn = sns.create_platform_application(Name="doctor", Platform="GCM", Attributes=attributes)[
        "PlatformApplicationArn"
    ]
    site.target.state.environments["courier"]["PUSH_APPLICATION_ARNS"] = arn
    examination = Examination(site.target)
    levels = []
    for change in ({}, {"EventDeliveryFailure": "arn:topic"}, {"Enabled": "false"}):
        sns.set_platform_application_attributes(PlatformApplicationArn=arn, Attributes=change)
        levels += [finding.level for finding in messages.push_applications(examination)]
    assert ["warning", "ok", "problem"] == levels


def test_people_without_an_address(site: Site) -> None:
    """They are counted."""
    with site.stack.connect() as connection:
        connection.execute(
            "INSERT INTO auth.users VALUES (gen_random_uuid(), NULL), (gen_random_uuid(), 'a@example.org')"
        )
        (found,) = messages.recipients(Examination(site.target, connection))
    assert ("warning", "1 of 2 people have no e-mail address") == (found.level, found.what)


def test_nothing_is_sent_from_here(site: Site) -> None:
    """Then there is nothing to look at."""
    site.target.state.environments.pop("courier")
    for look in (messages.email_account, messages.email_identity, messages.push_applications, messages.recipients):
        with pytest.raises(Skipped):
            list(look(Examination(site.target)))
