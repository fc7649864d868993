"""Requests that the admin endpoint refuses: no token, a wrong one, a token of a user who is not an admin."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.helpers.admin_endpoint import AdminEndpoint, problem
from tests.helpers.cases import table
from tests.tokens import ADMIN, EC_KEY, RSA_KEY, claims, signed

PATHS = [("GET", "/runs"), ("PATCH", "/assignments/x/last-contact-date"), ("GET", "/nowhere"), ("DELETE", "/runs")]


@table(("method", "path"), PATHS)
@table("token", ["", "x", "a.b.c", "x" * 50_000])
def test_caller_without_a_valid_token(endpoint: AdminEndpoint, method: str, path: str, token: str) -> None:
    """The same 401 everywhere, which reveals nothing about what is behind the endpoint."""
    response = endpoint.request(method, path, token=token)
    assert problem(response) == (401, {"type": "about:blank", "title": "Unauthorized", "status": 401})
    assert response.headers["www-authenticate"] == "Bearer"


@table("app", [{}, {"role": "mentor"}, {"role": "coordinator"}])
@table(("method", "path"), PATHS)
def test_user_who_is_no_admin(endpoint: AdminEndpoint, method: str, path: str, app: dict[str, str]) -> None:
    """Whatever users have written into their own metadata."""
    token = endpoint.token(app=app, user_metadata={"role": "admin"})
    status, document = problem(endpoint.request(method, path, token=token))
    assert (status, document["detail"]) == (403, "the caller is not an admin")


@table("own", [{"is_anonymous": True}, {"role": "anon"}, {"role": "service_role"}, {"role": None}], ids=str)
@table(("method", "path"), PATHS)
def test_token_that_is_no_signed_in_users(endpoint: AdminEndpoint, method: str, path: str, own: dict[str, Any]) -> None:
    """The service's and an anonymous visitor's are refused as a missing one, whatever app_metadata says."""
    assert 401 == problem(endpoint.request(method, path, token=endpoint.token(**own)))[0]


@table("aal", ["aal1", None, "AAL2"])
@table(("method", "path"), PATHS)
def test_second_factor_that_is_missing(
    endpoint: AdminEndpoint, monkeypatch: pytest.MonkeyPatch, method: str, path: str, aal: str | None
) -> None:
    """Where ADMIN_REQUIRE_AAL2 asks for it, an admin without one gets an answer that says what to do."""
    monkeypatch.setenv("ADMIN_REQUIRE_AAL2", "true")
    status, document = problem(endpoint.request(method, path, token=endpoint.token(aal=aal)))
    assert (403, "a second factor is needed: sign in again and confirm it") == (status, document["detail"])


def test_second_factor_that_was_confirmed(endpoint: AdminEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lets the admin in; without the setting no second factor is asked for."""
    assert 200 == endpoint.request("GET", "/runs", token=endpoint.token(aal="aal1")).status_code
    monkeypatch.setenv("ADMIN_REQUIRE_AAL2", "true")
    assert 200 == endpoint.request("GET", "/runs", token=endpoint.token(aal="aal2")).status_code


@table(("key", "algorithm", "kid"), [(EC_KEY, "ES256", "ec"), (RSA_KEY, "RS256", "rsa")])
def test_token_signed_with_a_key_of_the_set(endpoint: AdminEndpoint, key: object, algorithm: str, kid: str) -> None:
    """The function fetches the JWKS and lets the admin in."""
    token = signed(claims(issuer=endpoint.issuer), key, algorithm, kid=kid)
    assert endpoint.request("GET", "/runs", token=token).status_code == 200


@table(
    "authorization",
    [
        [b"Bearer {0}", b"Bearer {0}"],
        [b"Bearer \xc3\xa9\xff"],
        [b"Basic {0}"],
        [b"{0}"],
    ],
    ids=["doubled", "not ASCII", "another scheme", "bare"],
)
def test_header_that_is_no_token(endpoint: AdminEndpoint, authorization: list[bytes]) -> None:
    """Refused as a missing one."""
    token = endpoint.token().encode()
    headers = [(b"authorization", value.replace(b"{0}", token)) for value in authorization]
    assert problem(httpx.get(f"{endpoint.url}/runs", headers=headers))[0] == 401


def test_description_is_open(endpoint: AdminEndpoint) -> None:
    """Its OpenAPI document names the API, the errors, an example and how to sign in."""
    described = endpoint.request("GET", "/openapi.json", token="").json()
    assert described["info"]["title"] == "Assignment Reminders: admin"
    assert described["components"]["securitySchemes"]["supabase"]["scheme"] == "bearer"
    assert described["security"] == [{"supabase": []}]
    assert "example" in described["components"]["schemas"]["CorrectionBody"]
    assert set(described["paths"]) == {"/runs", "/assignments/{assignment_id}/last-contact-date"}
    correction = described["paths"]["/assignments/{assignment_id}/last-contact-date"]["patch"]["responses"]
    assert {"200", "401", "403", "404", "412", "422", "503"} <= set(correction)
    assert "application/problem+json" in correction["412"]["content"]


@table(
    ("name", "value", "status"),
    [
        ("DATABASE_SECRET", "reminders/nowhere", 503),
        ("DATABASE_SECRET", "", 500),
        ("SUPABASE_JWT_SECRET", "reminders/nowhere", 503),
    ],
)
def test_function_that_is_set_up_wrong(endpoint: AdminEndpoint, name: str, value: str, status: int) -> None:
    """The caller learns that it is our fault and no more: names of secrets are for the log."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(name, value)
        response = endpoint.request("GET", "/runs")
    assert problem(response)[0] == status
    assert "detail" not in response.json()


def test_refusal_in_the_log(endpoint: AdminEndpoint, caplog: pytest.LogCaptureFixture) -> None:
    """Why a token was refused is logged; the token is not, nor whose it was."""
    token = endpoint.token(exp=1)
    endpoint.request("GET", "/runs", token=token)
    (refusal,) = [vars(record) for record in caplog.records if record.message == "token refused"]
    assert refusal["reason"] == "ExpiredSignatureError"
    assert token not in str(refusal)
    assert str(ADMIN) not in str(refusal)
