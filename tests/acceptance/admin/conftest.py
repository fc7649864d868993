"""The admin function behind a Function URL, with a project's secret and key set, and tokens."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from handlers import admin
from ops.local.aws import Aws
from ops.local.function_url import FunctionUrl
from ops.local.server import Server
from tests.helpers.admin_endpoint import AdminEndpoint
from tests.tokens import SECRET, jwks


@pytest.fixture(scope="session")
def key_set() -> Iterator[str]:
    """An issuer's address whose well-known path has the tests' JWKS."""

    def answer(event: dict[str, Any], context: Any) -> dict[str, Any]:
        found = event["rawPath"] == "/auth/v1/.well-known/jwks.json"
        return {"statusCode": 200 if found else 404, "body": json.dumps(jwks())}

    with FunctionUrl(answer) as served:
        yield f"{served.url}/auth/v1"


@pytest.fixture
def environment(server: Server, template: str, database: str, aws: Aws, key_set: str) -> dict[str, str]:
    """What the function finds in Lambda."""
    prefix = f"reminders/{uuid.uuid4().hex[:8]}"
    aws.put_secret(f"{prefix}/admin-database", server.dsn("contact_admin_api", database))
    aws.put_secret(f"{prefix}/jwt", SECRET)
    return {
        "DATABASE_SECRET": f"{prefix}/admin-database",
        "SUPABASE_JWT_SECRET": f"{prefix}/jwt",
        "SUPABASE_JWKS_URL": f"{key_set}/.well-known/jwks.json",
    }


@pytest.fixture
def endpoint(environment: dict[str, str], key_set: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[AdminEndpoint]:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with FunctionUrl(admin.handler, timeout=30) as served:
        yield AdminEndpoint(served.url, key_set)
