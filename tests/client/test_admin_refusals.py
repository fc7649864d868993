"""What the functions for admins refuse, without revealing anything of other organisations."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
import pytest

from ops.local.server import MIGRATOR, Server
from reminders.database import Connection
from tests.client.calls import ALL, CALLS, changes, refusal
from tests.client.people import COORDINATOR, FOREIGN, MENTOR, OTHER_ORG
from tests.contacts import one
from tests.helpers.cases import table
from tests.tokens import ADMIN

BY_ASSIGNMENT = ["admin_set_coordinator", "admin_close_assignment"]


@table("reason", [None, "", "  ab  ", "x" * 501])
@table("function", BY_ASSIGNMENT)
def test_reason_is_needed(filled: Connection, function: str, reason: str | None) -> None:
    """A change that concerns a mentor and a contact can be explained later."""
    found = refusal(filled, function, **{**CALLS[function], "reason": reason})
    assert ("22023", "reason must have 3 to 500 characters", None) == found


@table("function", BY_ASSIGNMENT)
def test_assignment_of_another_organisation(filled: Connection, function: str) -> None:
    """The same answer, word by word, as for one that does not exist, so that it does not reveal which ids exist."""
    foreign, missing = (
        refusal(filled, function, **{**CALLS[function], "assignment_id": which}) for which in (FOREIGN, UUID(int=0xFF))
    )
    assert ("PT404", "there is no such assignment", None) == foreign == missing


def test_thresholds_of_another_organisation(filled: Connection) -> None:
    """The answer does not reveal whether the organisation exists, and no row is made for it."""
    foreign, missing = (
        refusal(filled, "admin_set_thresholds", **{**CALLS["admin_set_thresholds"], "org_id": which})
        for which in (OTHER_ORG, UUID(int=0xFF))
    )
    assert ("PT404", "there is no such organisation", None) == foreign == missing
    assert 0 == one(filled, "SELECT count(*) FROM org_settings")


@table("function", CALLS)
@table(
    ("user", "app"),
    [(MENTOR, {}), (COORDINATOR, {}), (ADMIN, {"role": "administrator"}), (None, ALL)],
    ids=["mentor", "coordinator", "almost admin", "admin without a person"],
)
def test_who_is_no_admin(filled: Connection, function: str, user: UUID | None, app: dict[str, Any]) -> None:
    """Refused before any argument is looked at, also for the people of that very assignment."""
    if user is None:
        with pytest.raises(psycopg.DatabaseError) as caught, filled.transaction():
            filled.execute("""SET LOCAL "request.jwt.claims" = '{"app_metadata": {"role": "admin"}}'""")
            filled.execute("SET LOCAL ROLE authenticated")
            arguments = ", ".join(f"{name} => %({name})s" for name in CALLS[function])
            filled.execute(f"SELECT {function}({arguments})".encode(), CALLS[function])
        assert "PT403" == caught.value.sqlstate
    else:
        assert ("PT403", "only an admin may do this", None) == refusal(filled, function, user, app, **CALLS[function])
    assert 0 == changes(filled)


def test_foreign_row_is_not_waited_for(filled: Connection, server: Server, database: str) -> None:
    """An admin of another organisation can neither lock an assignment nor find out by waiting that it exists."""
    with psycopg.connect(server.dsn(MIGRATOR, database)) as other:
        other.execute("SELECT FROM assignments WHERE id = %s FOR UPDATE", [FOREIGN])
        filled.execute("SET lock_timeout = '200ms'")
        arguments = {**CALLS["admin_close_assignment"], "assignment_id": FOREIGN}
        assert "PT404" == refusal(filled, "admin_close_assignment", **arguments)[0]
