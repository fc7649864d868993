"""The other artifacts under the runtime client: scheduler, watchdog, admin."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import pytest

from ops.cli.local import events
from ops.local.database import give_logins
from ops.local.stack import LocalStack
from reminders.database import Connection
from tests.helpers.stacks import Start

pytestmark = pytest.mark.matrix

EVENTS = Path(__file__).resolve().parents[2] / "infra" / "events"


def test_scheduler_refuses_a_wrong_token(start: Start, stack: LocalStack) -> None:
    """A call with a wrong token is answered 401, as a problem document."""
    answer = start("scheduler", stack.scheduler_environment).invoke(url_event("scheduler-function-url"))

    assert ("response", 401) == (answer.kind, answer.payload["statusCode"])
    assert "Unauthorized" == json.loads(answer.payload["body"])["title"]


def test_scheduler_answers_an_unreachable_database_with_503(start: Start, stack: LocalStack) -> None:
    """A database that is away is worth a retry, and its name is no one's business."""
    token = stack.scheduler_environment["SCHEDULER_TOKEN_SECRET"]
    stack.aws.put_secret("reminders/nowhere", "postgresql://somebody:hidden@127.0.0.1:1/nothing")
    event = url_event("scheduler-function-url")
    secret = stack.aws.client("secretsmanager").get_secret_value(SecretId=token)["SecretString"]
    event["headers"]["authorization"] = f"Bearer {secret}"

    function = start("scheduler", stack.scheduler_environment, DATABASE_SECRET="reminders/nowhere")
    answer = function.invoke(event)

    assert 503 == answer.payload["statusCode"]
    assert "hidden" not in answer.payload["body"] + function.log


def test_watchdog_round(start: Start, stack: LocalStack, owner: Connection) -> None:
    """A round finds the missed tick, and alerts through both channels."""
    answer = start("watchdog", stack.environment).invoke({})

    assert "response" == answer.kind, answer.payload
    assert answer.payload["missed_tick"].endswith("06:00:00Z") or answer.payload["missed_tick"].endswith("+00:00")
    assert 1 == len(stack.slack.posted)


def test_admin_shows_the_interface_to_anybody(start: Start) -> None:
    """The OpenAPI document comes from the artifact: pydantic's schemas are in it."""
    answer = start("admin", ADMIN).invoke(get("/openapi.json"))

    assert 200 == answer.payload["statusCode"], answer.payload
    assert "/runs" in json.loads(answer.payload["body"])["paths"]


def test_admin_reads_runs_with_a_token(start: Start, stack: LocalStack) -> None:
    """Token, row level security and database work together in the artifact."""
    logins = give_logins(stack.server, stack.database)
    stack.aws.put_secret("artifact/admin-database", logins["contact_admin_api"])
    stack.aws.put_secret("artifact/jwt", KEY)

    function = start("admin", {**stack.aws.environment(), **ADMIN})
    refused = function.invoke(get("/runs"))
    answer = function.invoke(get("/runs", authorization=f"Bearer {token()}"))

    assert (401, 200) == (refused.payload["statusCode"], answer.payload["statusCode"]), answer.payload


def test_admin_can_verify_public_key_tokens(start: Start) -> None:
    """cryptography comes from its layer: a JWKS that cannot be reached is 503, not a crash."""
    keys = {"SUPABASE_JWKS_URL": "http://127.0.0.1:1/auth/v1/.well-known/jwks.json", "SUPABASE_JWT_SECRET": ""}
    header = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsiLCJ0eXAiOiJKV1QifQ"

    answer = start("admin", ADMIN, **keys).invoke(get("/runs", authorization=f"Bearer {header}.e30.c2ln"))

    assert answer.payload["statusCode"] in {401, 503}


KEY = "a key for tests, of thirty-two bytes or more"
ISSUER = "https://project.example/auth/v1"
ADMIN = {
    "DATABASE_SECRET": "artifact/admin-database",
    "SUPABASE_JWT_SECRET": "artifact/jwt",
    "SUPABASE_JWT_ISSUER": ISSUER,
}


def token() -> str:
    claims = {
        "iss": ISSUER,
        "aud": "authenticated",
        "sub": "7d4a4d2e-aa53-4dc4-8d37-cffa4f7680c9",
        "role": "authenticated",
        "exp": 4_000_000_000,
        "iat": 1_700_000_000,
        "app_metadata": {"role": "admin", "org_id": "6f1f5c1e-0000-4000-8000-000000000001"},
    }
    return jwt.encode(claims, KEY, algorithm="HS256")


def url_event(name: str) -> Any:
    """A sample event of today; its token is still a placeholder."""
    text = (EVENTS / f"{name}.json").read_text()
    return json.loads(events.fill(text, events.moments(datetime.now(UTC))))


def get(path: str, **headers: str) -> Any:
    event = url_event("scheduler-function-url")
    event |= {"rawPath": path, "rawQueryString": "", "headers": headers, "body": None, "isBase64Encoded": False}
    event["requestContext"]["http"] |= {"method": "GET", "path": path}
    return event
