"""A database whose settings are not the usual ones: an admin's correction is made, and read back, as always."""

from __future__ import annotations

import pytest

from ops.local.server import Server
from reminders.database import Connection
from tests.contacts import add_pair, last_contact, today
from tests.database_settings import HOSTILE, INDIFFERENT, set_for_database
from tests.helpers.admin_endpoint import AdminEndpoint

REASON = "Møttes på lørdag"


@pytest.mark.parametrize("settings", [HOSTILE, INDIFFERENT], ids=["pinned", "indifferent"])
def test_correction(
    server: Server, database: str, owner: Connection, endpoint: AdminEndpoint, settings: dict[str, str]
) -> None:
    """Dates and letters of any language come back as they were sent, and the run history can be read."""
    pair, day = add_pair(owner, last=15), today(owner)
    set_for_database(server, database, settings)
    response = endpoint.correct(pair, day, reason=REASON)
    assert (200, REASON) == (response.status_code, response.json()["reason"])
    assert day == last_contact(owner, pair)
    assert 200 == endpoint.request("GET", "/runs").status_code
