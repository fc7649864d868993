"""The console behind a Function URL, and a stand-in for Supabase Auth."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from handlers import admin
from handlers.wiring import console as wiring
from ops.local.aws import Aws
from ops.local.function_url import FunctionUrl
from ops.local.server import Server
from ops.local.supabase_auth import PUBLISHABLE_KEY, SupabaseAuth
from reminders.database import Connection
from tests.console.visitors import ASSIGNMENT, COORDINATOR, FILL, FOREIGN, MENTOR, ORG, OTHER, Console
from tests.tokens import SECRET


@pytest.fixture
def auth() -> Iterator[SupabaseAuth]:
    with SupabaseAuth(SECRET) as running:
        yield running


@pytest.fixture
def console(
    server: Server, template: str, database: str, aws: Aws, auth: SupabaseAuth, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Console]:
    prefix = f"reminders/{uuid.uuid4().hex[:8]}"
    aws.put_secret(f"{prefix}/admin-database", server.dsn("contact_admin_api", database))
    aws.put_secret(f"{prefix}/jwt", SECRET)
    aws.put_secret(f"{prefix}/key", PUBLISHABLE_KEY)
    environment = {
        "DATABASE_SECRET": f"{prefix}/admin-database",
        "SUPABASE_JWT_SECRET": f"{prefix}/jwt",
        "SUPABASE_JWT_ISSUER": auth.issuer,
        "SUPABASE_URL": auth.url,
        "SUPABASE_PUBLISHABLE_KEY_SECRET": f"{prefix}/key",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    wiring._second_factors.clear()
    with FunctionUrl(admin.handler, timeout=30) as served:
        yield Console(served.url, auth)


@pytest.fixture
def filled(owner: Connection) -> Connection:
    """Two organisations, each with an assignment without contact for long; people of the first one have names."""
    ids = {"a": ORG, "b": OTHER, "one": ASSIGNMENT, "two": FOREIGN, "mentor": MENTOR, "coordinator": COORDINATOR}
    # Without parameters, so that it can be several statements.
    owner.execute(FILL.format(**{name: f"'{value}'::uuid" for name, value in ids.items()}).encode())
    return owner
