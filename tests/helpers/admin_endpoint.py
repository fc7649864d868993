"""The admin function's URL as a client calls it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx

from tests.tokens import ADMIN, claims, signed


@dataclass(frozen=True)
class AdminEndpoint:
    """The admin function's URL, and tokens for it."""

    url: str
    issuer: str

    def token(self, user: UUID = ADMIN, app: dict[str, Any] | None = None, **more: Any) -> str:
        return signed(claims(user, issuer=self.issuer, app=app, **more))

    def request(self, method: str, path: str, *, token: str | None = None, **options: Any) -> httpx.Response:
        """As an admin of everything, unless another token is given; `token=""` is none at all."""
        headers = dict(options.pop("headers", {}))
        given = self.token() if token is None else token
        if given:
            headers["authorization"] = f"Bearer {given}"
        return httpx.request(method, f"{self.url}{path}", headers=headers, timeout=30, **options)

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
