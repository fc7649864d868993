"""register_device(): the phone that a person uses now is theirs, also if another person had it before."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from psycopg import errors

from reminders.database import Connection
from tests.client.people import COORDINATOR, MENTOR
from tests.contacts import as_user, one
from tests.helpers.cases import table

TOKEN = "token of the phone"


def register(owner: Connection, person: UUID, platform: str | None = "fcm", token: str | None = TOKEN) -> Any:
    with as_user(owner, person):
        return one(owner, "SELECT register_device(%s, %s)", platform, token)


def devices(owner: Connection) -> list[tuple[Any, ...]]:
    return owner.execute(
        "SELECT person_id, platform, token, endpoint_arn, disabled_at IS NOT NULL FROM devices ORDER BY id"
    ).fetchall()


def test_first_time(filled: Connection) -> None:
    """The device is the caller's, who can read and delete it by the id in the answer."""
    device = register(filled, MENTOR)
    assert [(MENTOR, "fcm", TOKEN, None, False)] == devices(filled)
    with as_user(filled, COORDINATOR):
        assert 0 == filled.execute("DELETE FROM devices WHERE id = %s", [device]).rowcount
    with as_user(filled, MENTOR):
        assert 1 == filled.execute("DELETE FROM devices WHERE id = %s", [device]).rowcount


def test_each_start_of_the_app(filled: Connection) -> None:
    """Repeating the call changes nothing: the endpoint that the courier made stays."""
    device = register(filled, MENTOR)
    filled.execute("UPDATE devices SET endpoint_arn = 'arn'")
    assert device == register(filled, MENTOR)
    assert [(MENTOR, "fcm", TOKEN, "arn", False)] == devices(filled)


def test_phone_that_another_person_had(filled: Connection) -> None:
    """The next person takes it: they get their reminders there, and the person before gets none there any more."""
    register(filled, COORDINATOR)
    register(filled, COORDINATOR, token="another phone")
    register(filled, MENTOR)
    assert [(MENTOR, TOKEN), (COORDINATOR, "another phone")] == [(row[0], row[2]) for row in devices(filled)]


@pytest.mark.parametrize(("platform", "disabled"), [("apns", False), ("fcm", True)])
def test_endpoint_that_is_used_no_more(filled: Connection, platform: str, disabled: bool) -> None:
    """A device of another platform, or that was disabled, gets a new endpoint and is used again."""
    register(filled, MENTOR)
    filled.execute("UPDATE devices SET endpoint_arn = 'arn', disabled_at = CASE WHEN %s THEN now() END", [disabled])
    register(filled, MENTOR, platform)
    assert [(MENTOR, platform, TOKEN, None, False)] == devices(filled)


@table(("platform", "token"), [("sms", TOKEN), (None, TOKEN), ("fcm", None), ("fcm", ""), ("fcm", "x" * 4097)])
def test_arguments_that_are_not_possible(filled: Connection, platform: str | None, token: str | None) -> None:
    """Refused in words, and no row."""
    with pytest.raises(errors.InvalidParameterValue, match="platform must be fcm or apns"):
        register(filled, MENTOR, platform, token)
    assert [] == devices(filled)


def test_visitor_who_is_not_signed_in(filled: Connection) -> None:
    """No person, no device."""
    with pytest.raises(errors.InsufficientPrivilege), filled.transaction():
        filled.execute("SET LOCAL ROLE anon")
        filled.execute("SELECT register_device('fcm', 'x')")
