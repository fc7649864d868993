"""The console behind a Function URL, and a stand-in for Supabase Auth."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ops.local.aws import Aws
from ops.local.server import Server
from ops.local.supabase_auth import SupabaseAuth
from reminders.database import Connection
from tests.console.visitors import ASSIGNMENT, COORDINATOR, FILL, FOREIGN, MENTOR, ORG, OTHER, Console, console_on
from tests.tokens import SECRET


@pytest.fixture
def auth() -> Iterator[SupabaseAuth]:
    with SupabaseAuth(SECRET) as running:
        yield running


@pytest.fixture
def console(
    server: Server, template: str, database: str, aws: Aws, auth: SupabaseAuth, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Console]:
    with console_on(server, database, aws, auth, monkeypatch) as running:
        yield running


@pytest.fixture
def filled(owner: Connection) -> Connection:
    """Two organisations, each with an assignment without contact for long; people of the first one have names."""
    ids = {"a": ORG, "b": OTHER, "one": ASSIGNMENT, "two": FOREIGN, "mentor": MENTOR, "coordinator": COORDINATOR}
    # Without parameters, so that it can be several statements.
    owner.execute(FILL.format(**{name: f"'{value}'::uuid" for name, value in ids.items()}).encode())
    return owner
