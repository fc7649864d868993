"""The scheduler door under abuse: tokens, methods, paths and bodies, each with the right refusal."""

from __future__ import annotations

import hmac
import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from handlers import scheduler
from ops.local.aws import Aws
from ops.local.function_url import FunctionUrl
from ops.local.invoke import LocalContext
from ops.local.server import Server
from ops.local.url_payload import Request, event_from
from tests.acceptance.admin.conftest import problem

TOKEN = "a token of the scheduler's own"
WORK = {"as_of": "2026-11-21", "dry_run": True, "budget_ms": 1_000}
JSON = ("content-type", "application/json")
BEARER = ("authorization", f"Bearer {TOKEN}")


@pytest.fixture
def environment(
    server: Server, template: str, database: str, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    prefix = f"reminders/{uuid.uuid4().hex[:8]}"
    aws.put_secret(f"{prefix}/database", server.dsn("reminder_scheduler", database))
    aws.put_secret(f"{prefix}/token", TOKEN)
    monkeypatch.setenv("DATABASE_SECRET", f"{prefix}/database")
    monkeypatch.setenv("SCHEDULER_TOKEN_SECRET", f"{prefix}/token")
    yield


@pytest.fixture
def url(environment: None) -> Iterator[str]:
    with FunctionUrl(scheduler.handler, timeout=30) as served:
        yield served.url


def test_caller_with_the_token(url: str) -> None:
    """The door opens: what follows is not refused for another reason."""
    assert httpx.post(f"{url}/runs", headers=[BEARER, JSON], json=WORK).status_code == 200


TOKENS: dict[str, list[bytes]] = {
    "missing": [],
    "empty": [b"Bearer"],
    "wrong": [b"Bearer guess"],
    "nearly right": [f"Bearer {TOKEN[:-1]}".encode()],
    "right and more": [f"Bearer {TOKEN}s".encode()],
    "doubled": [f"Bearer {TOKEN}".encode()] * 2,
    "two in one": [f"Bearer {TOKEN}, Bearer {TOKEN}".encode()],
    "another scheme": [f"Basic {TOKEN}".encode()],
    "bare": [TOKEN.encode()],
    "not ASCII": ["Bearer tökén€".encode()],
    "not text": [b"Bearer \xff\xfe\x80"],
    "enormous": [b"Bearer " + b"x" * 60_000],
}


@pytest.mark.parametrize("body", [json.dumps(WORK).encode(), b"{", b"x" * 100_000], ids=["good", "broken", "large"])
@pytest.mark.parametrize("token", TOKENS)
def test_token_that_is_not_right(url: str, token: str, body: bytes) -> None:
    """One and the same 401, before the body is looked at."""
    headers = [(b"authorization", value) for value in TOKENS[token]]
    response = httpx.post(f"{url}/runs", headers=headers, content=body)
    assert problem(response) == (401, {"type": "about:blank", "title": "Unauthorized", "status": 401})
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("token", ["tök\ud800en", "\x00", ""])
def test_header_that_no_client_can_send(environment: None, token: str) -> None:
    """Half a surrogate in an event is a wrong token, not a crash."""
    event = event_from(Request("POST", "/runs", [JSON], json.dumps(WORK).encode()))
    event["headers"]["authorization"] = f"Bearer {token}"
    assert scheduler.handler(event, LocalContext())["statusCode"] == 401


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"])
def test_wrong_method(url: str, method: str) -> None:
    """POST is named as the one that is right."""
    response = httpx.request(method, f"{url}/runs", headers=[BEARER])
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("path", ["/", "/runs/", "/runs/1", "/RUNS", "/runs%2f", "/openapi.json"])
def test_wrong_path(url: str, path: str) -> None:
    """There is nothing else here."""
    assert problem(httpx.post(url + path, headers=[BEARER, JSON], json=WORK))[0] == 404


CHANGES: dict[str, dict[str, Any]] = {
    "unknown field": {"force": True},
    "text for a number": {"budget_ms": "1000"},
    "number for a switch": {"dry_run": 1},
    "time for a date": {"as_of": "2026-11-21T06:00:00Z"},
    "no such day": {"as_of": "2026-02-30"},
    "no run": {"dry_run": False},
    "run that is no id": {"run_id": "1 OR true"},
    "shard outside": {"shard": {"index": 2, "of": 2}},
    "negative budget": {"budget_ms": -1},
    "cursor outside the shard": {"shard": {"index": 0, "of": 2}, "cursor": str(uuid.UUID(int=2**128 - 1))},
    "long unknown field": {"secret" * 1_000: "hush"},
}
BODIES: dict[str, bytes] = {
    "none": b"",
    "not JSON": b"{",
    "not UTF-8": b"\xff\xfe",
    "array": b"[]",
    "null": b"null",
    "nested deep": b"[" * 10_000,
    "half a surrogate": b'{"as_of": "\\ud800", "dry_run": true, "budget_ms": 1}',
    "numbers that are none": b'{"as_of": NaN, "dry_run": true, "budget_ms": 1e999}',
    **{name: json.dumps({**WORK, **change}).encode() for name, change in CHANGES.items()},
}


@pytest.mark.parametrize("kind", ["application/json", "application/octet-stream"], ids=["text", "Base64"])
@pytest.mark.parametrize("body", BODIES)
def test_body_that_is_wrong(url: str, body: str, kind: str) -> None:
    """422, in the event as text and as Base64, with what is wrong and little of what was sent."""
    headers = [BEARER, ("content-type", kind)]
    response = httpx.post(f"{url}/runs", headers=headers, content=BODIES[body])
    assert problem(response)[0] == 422
    assert "hush" not in response.text
    assert "secret" * 8 not in response.text


def test_good_body_as_base64(url: str) -> None:
    """Without a content type Lambda encodes it; it is as good."""
    assert httpx.post(f"{url}/runs", headers=[BEARER], content=json.dumps(WORK)).status_code == 200


def test_body_that_is_too_large(url: str) -> None:
    """Refused before it is parsed."""
    assert problem(httpx.post(f"{url}/runs", headers=[BEARER, JSON], content=b" " * 20_000))[0] == 413


@pytest.mark.parametrize("body", ["!!!", "/w=="])
def test_event_with_broken_base64(environment: None, body: str) -> None:
    """Lambda would not send it; it is a bad body all the same."""
    event: dict[str, Any] = event_from(Request("POST", "/runs", [BEARER, JSON], b"{}"))
    event.update(body=body, isBase64Encoded=True)
    assert scheduler.handler(event, LocalContext())["statusCode"] == 422


@pytest.mark.parametrize(("name", "status"), [("SCHEDULER_TOKEN_SECRET", 503), ("DATABASE_SECRET", 503)])
def test_secret_that_is_missing(url: str, monkeypatch: pytest.MonkeyPatch, name: str, status: int) -> None:
    """A stranger does not learn its name; who has the token does, for the ledger."""
    monkeypatch.setenv(name, "reminders/nowhere")
    told = httpx.post(f"{url}/runs", headers=[BEARER, JSON], json=WORK)
    assert problem(told)[0] == status
    assert ("reminders/nowhere" in told.text) == (name == "DATABASE_SECRET")


def test_comparison_takes_constant_time(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Every token goes through hmac.compare_digest, which does not stop at the first difference."""
    compared: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def watched(given: bytes, expected: bytes) -> bool:
        compared.append((given, expected))
        return real(given, expected)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    httpx.post(f"{url}/runs", headers=[("authorization", "Bearer guess"), JSON], json=WORK)
    assert compared == [(b"guess", TOKEN.encode())]
