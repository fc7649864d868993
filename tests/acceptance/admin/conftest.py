"""The admin function behind a Function URL, with a project's secret and key set, and tokens to knock with."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest

from handlers import admin
from ops.local.aws import Aws
from ops.local.function_url import FunctionUrl
from ops.local.server import Server
from tests.tokens import ADMIN, SECRET, claims, jwks, signed


@dataclass(frozen=True)
class Door:
    """The admin function's door."""

    url: str
    issuer: str

    def token(self, user: UUID = ADMIN, app: dict[str, Any] | None = None, **more: Any) -> str:
        return signed(claims(user, issuer=self.issuer, app=app, **more))

    def request(self, method: str, path: str, *, token: str | None = None, **options: Any) -> httpx.Response:
        """As an admin of everything, if not told otherwise; `token=""` is none at all."""
        headers = dict(options.pop("headers", {}))
        given = self.token() if token is None else token
        if given:
            headers["authorization"] = f"Bearer {given}"
        return httpx.request(method, f"{self.url}{path}", headers=headers, timeout=10, **options)

    def correct(self, pair: UUID | int, day: object, *, version: object = None, **options: Any) -> httpx.Response:
        """PATCH the date; `version` is what If-Match says."""
        body = {"last_contact_date": str(day), "reason": options.pop("reason", "Met on Saturday")}
        headers = {"if-match": version if version == "*" else f'"{version}"'} if version else {}
        path = f"/assignments/{pair}/last-contact-date"
        return self.request("PATCH", path, json=body, headers=headers, **options)


def problem(response: httpx.Response) -> tuple[int, dict[str, Any]]:
    """Status and document of an error, which must be a problem document."""
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert (document["status"], document["type"]) == (response.status_code, "about:blank")
    return response.status_code, document


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
def door(environment: dict[str, str], key_set: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with FunctionUrl(admin.handler, timeout=30) as served:
        yield Door(served.url, key_set)
