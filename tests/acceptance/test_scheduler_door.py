"""The scheduler's door: Function URL events, and what it refuses."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from handlers import scheduler
from handlers.wiring import common
from ops.local.invoke import LocalContext
from ops.local.stack import LocalStack
from reminders.database import Connection
from tests.acceptance.conftest import DAY, recorded
from tests.factories import add_assignment, add_assignments, add_run, count

Ask = Callable[..., tuple[int, dict[str, Any]]]
RESULT = {"assignments_evaluated", "reminders_dispatched", "assignments_failed", "next_cursor"}


def asker(stack: LocalStack, patched: pytest.MonkeyPatch) -> Ask:
    """Invokes the handler in this process with the recorded event, changed; gives status and body."""
    for name, value in stack.scheduler_environment.items():
        patched.setenv(name, value)
    known = token_of(stack)

    def make(
        *,
        raw: str | None = None,
        is_base64: bool = False,
        method: str = "POST",
        path: str = "/runs",
        authorization: str = "Bearer {}",
        token: str | None = None,
        **fields: Any,
    ) -> tuple[int, dict[str, Any]]:
        event = recorded("scheduler-function-url")
        event["headers"]["authorization"] = authorization.format(known)
        if token is not None:
            event["headers"]["x-reminder-token"] = token.format(known)
        event["rawPath"] = event["requestContext"]["http"]["path"] = path
        event["requestContext"]["http"]["method"] = method
        event["body"] = json.dumps(json.loads(event["body"]) | fields) if raw is None else raw
        event["isBase64Encoded"] = is_base64
        answer = scheduler.handler(event, LocalContext("scheduler", 30))
        status, kind = answer["statusCode"], answer["headers"]["Content-Type"]
        assert ("application/json" if status == 200 else "application/problem+json") == kind
        return status, json.loads(answer["body"])

    return make


def token_of(stack: LocalStack) -> str:
    return common.secrets().get(stack.environment["SCHEDULER_TOKEN_SECRET"])


@pytest.fixture
def ask(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """At a database of the test's own."""
    return asker(stack, monkeypatch)


@pytest.fixture
def knock(shared_stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """At a database that nothing is written to."""
    return asker(shared_stack, monkeypatch)


def test_dry_run_as_recorded(ask: Ask, owner: Connection) -> None:
    """The sample event with the right token answers who would be notified."""
    assignment = add_assignment(owner, 10, today=DAY)
    status, body = ask()
    assert (200, RESULT | {"would_notify"}) == (status, set(body))
    assert [str(assignment)] == [planned["assignment_id"] for planned in body["would_notify"]]


def test_token_beside_a_signature(knock: Ask) -> None:
    """Where Authorization is AWS's signature, the token has a header of its own, and is checked as strictly."""
    signed = "AWS4-HMAC-SHA256 Credential=AKID/20261125/eu-west-2/lambda/aws4_request, SignedHeaders=host, Signature=00"
    answers = [
        knock(authorization=signed, token=token)[0] for token in ("{}", "", "guess", "Bearer {}", "\udcff", None)
    ]
    assert [200, 401, 401, 401, 401, 401] == answers


def test_run_whose_calls_are_signed(stack: LocalStack, owner: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cron function signs, the scheduler finds the token beside the signature, the run goes."""
    monkeypatch.setenv("REMINDER_FUNCTION_AUTH", "AWS_IAM")
    add_assignments(owner, 3, today=datetime.now(UTC).date())
    summary = stack.invoke({})
    assert ("success", 3) == (summary["status"], summary["reminders_dispatched"])


def test_bearer_token_counts_before_the_other(knock: Ask) -> None:
    """A wrong bearer token is refused, whatever stands beside it."""
    assert 401 == knock(authorization="Bearer guess", token="{}")[0]


@pytest.mark.parametrize("days", [-1, 1, 366])
def test_real_run_of_another_day(ask: Ask, owner: Connection, days: int) -> None:
    """A run's date is that of its row: another one is refused with the right one, and nothing is dispatched."""
    add_assignment(owner, 10, today=DAY)
    run = str(add_run(owner, as_of=DAY))
    status, body = ask(run_id=run, dry_run=False, as_of=str(DAY + timedelta(days=days)))
    assert (422, [{"field": "as_of", "message": f"as_of must be {DAY}, the date of the run"}]) == (
        status,
        body["errors"],
    )
    assert 0 == count(owner, "notifications")


@pytest.mark.parametrize(("days", "status"), [(366, 200), (367, 422), (100_000, 422)])
def test_dry_run_that_looks_ahead(knock: Ask, days: int, status: int) -> None:
    """A year ahead and no further."""
    assert status == knock(as_of=str(datetime.now(UTC).date() + timedelta(days=days)))[0]


def test_real_run(ask: Ask, owner: Connection) -> None:
    """With a running run it dispatches, and answers counts alone."""
    add_assignments(owner, 3, today=DAY)
    done = {"assignments_evaluated": 3, "reminders_dispatched": 3, "assignments_failed": 0, "next_cursor": None}
    assert (200, done) == ask(run_id=str(add_run(owner, as_of=DAY)), dry_run=False)
    assert 3 == count(owner, "notifications")


def test_call_that_runs_out_of_budget(ask: Ask, owner: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says where to go on, and going on there does the rest."""
    monkeypatch.setenv("BATCH_SIZE", "2")
    add_assignments(owner, 60, today=DAY)
    run = str(add_run(owner, as_of=DAY))
    evaluated, calls, cursor = 0, 0, None
    while calls == 0 or cursor:
        _, body = ask(run_id=run, dry_run=False, budget_ms=10, cursor=cursor)
        evaluated, calls, cursor = evaluated + body["assignments_evaluated"], calls + 1, body["next_cursor"]
    assert (60, True) == (evaluated, calls > 1)


def test_body_in_base64(knock: Ask) -> None:
    """AWS encodes bodies whose content type it does not take for text."""
    plain = recorded("scheduler-function-url")["body"]
    assert 200 == knock(raw=base64.b64encode(plain.encode()).decode(), is_base64=True)[0]


WRONG = ["", "Bearer", "Bearer ", "Bearer guess", "Basic eDp5", "bearer {}", "{}", "Bearer {} ", "Bearer \udcff"]


@pytest.mark.parametrize("header", WRONG)
def test_wrong_token(knock: Ask, header: str) -> None:
    """401 for whatever is not the token, before the body is looked at."""
    status, body = knock(raw="{not json", authorization=header)
    assert (401, "Unauthorized") == (status, body["title"])
    assert {"type", "title", "status"} == set(body)


@pytest.mark.usefixtures("knock")
def test_no_token() -> None:
    """A request without the header is a stranger's."""
    event = recorded("scheduler-function-url")
    del event["headers"]["authorization"]
    assert 401 == scheduler.handler(event, LocalContext())["statusCode"]


INVALID: list[tuple[dict[str, Any], str]] = [
    ({"run_id": None, "dry_run": False}, ""),
    ({"run_id": "7"}, "run_id"),
    ({"run_id": 7}, "run_id"),
    ({"as_of": "21.11.2025"}, "as_of"),
    ({"as_of": "2025-02-29"}, "as_of"),
    ({"as_of": 20251121}, "as_of"),
    ({"as_of": None}, "as_of"),
    ({"shard": {"index": 1, "of": 1}}, "shard"),
    ({"shard": {"index": -1, "of": 1}}, "shard.index"),
    ({"shard": {"index": 0, "of": 0}}, "shard.of"),
    ({"shard": {"index": 0, "of": 65}}, "shard.of"),
    ({"shard": {"index": "0", "of": 1}}, "shard.index"),
    ({"shard": None}, "shard"),
    ({"cursor": "Anna Smith"}, "cursor"),
    ({"cursor": str(UUID(int=0)), "shard": {"index": 1, "of": 2}}, ""),
    ({"dry_run": "yes"}, "dry_run"),
    ({"dry_run": 1}, "dry_run"),
    ({"budget_ms": 0}, "budget_ms"),
    ({"budget_ms": 900_001}, "budget_ms"),
    ({"budget_ms": 1.5}, "budget_ms"),
    ({"surprise": "Anna Smith"}, "surprise"),
]


@pytest.mark.parametrize(("fields", "named"), INVALID, ids=lambda part: str(part)[:50])
def test_invalid_field(knock: Ask, fields: dict[str, Any], named: str) -> None:
    """422 that names the field and does not echo what was sent."""
    status, body = knock(**fields)
    assert 422 == status
    assert named in {error["field"] for error in body["errors"]}
    assert "Anna" not in json.dumps(body)


@pytest.mark.parametrize("raw", ["", "{", "[]", "null", "7", '"run"', "{}", "\ud800", "[" * 9_000])
def test_body_that_is_no_object(knock: Ask, raw: str) -> None:
    """422 as well."""
    assert 422 == knock(raw=raw)[0]


@pytest.mark.parametrize("raw", ["not base64!", base64.b64encode(b"\xff\xfe\x00").decode()])
def test_body_that_cannot_be_decoded(knock: Ask, raw: str) -> None:
    """422: the caller's fault, not ours."""
    assert 422 == knock(raw=raw, is_base64=True)[0]


def test_body_that_is_too_long(knock: Ask) -> None:
    """413 before it is parsed."""
    assert 413 == knock(raw=" " * 16_385)[0]


@pytest.mark.parametrize("status", ["success", "failed", "skipped", None])
def test_run_that_does_not_run(ask: Ask, owner: Connection, status: str | None) -> None:
    """409, and nothing dispatched."""
    add_assignment(owner, 10, today=DAY)
    run = add_run(owner, status) if status else uuid4()
    assert 409 == ask(run_id=str(run), dry_run=False)[0]
    assert 0 == count(owner, "notifications")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "HEAD"])
def test_other_method(knock: Ask, method: str) -> None:
    """405."""
    assert 405 == knock(method=method)[0]


@pytest.mark.parametrize("path", ["/", "/runs/1", "/run", "/openapi.json"])
def test_other_path(knock: Ask, path: str) -> None:
    """404."""
    assert 404 == knock(path=path)[0]


def test_database_that_is_down(stack: LocalStack, ask: Ask) -> None:
    """503: a retry may help."""
    secret = stack.scheduler_environment["DATABASE_SECRET"]
    stack.aws.put_secret(secret, "postgresql://anna:hunter2@127.0.0.1:1/reminders")
    status, body = ask()
    assert (503, "database unreachable: connection refused") == (status, body["detail"])


def test_missing_secret(knock: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """503: there is no token to compare with. What is missing is for the log, not for a stranger."""
    monkeypatch.setenv("SCHEDULER_TOKEN_SECRET", "reminders/forgotten")
    status, body = knock()
    assert (503, False) == (status, "reminders/forgotten" in str(body))


def test_missing_setting(knock: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """500: no retry helps. Its name is for the log."""
    monkeypatch.delenv("DATABASE_SECRET")
    status, body = knock()
    assert (500, False) == (status, "DATABASE_SECRET" in str(body))


def test_right_that_is_missing(ask: Ask, owner: Connection) -> None:
    """500 with SQLSTATE and reason."""
    owner.execute("REVOKE SELECT ON assignments FROM reminder_scheduler")
    status, body = ask()
    assert (500, True) == (status, "42501" in body["detail"])


def test_surprise(knock: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """500; of an error that is not ours only the class is told."""

    def explode(*_: object) -> None:
        raise ZeroDivisionError("Anna Smith")

    monkeypatch.setattr(scheduler, "scheduler_service", explode)
    status, body = knock()
    assert (500, "unexpected ZeroDivisionError") == (status, body["detail"])


def test_over_the_wire(stack: LocalStack) -> None:
    """Real HTTP gives the same as an event: a result, a 401 with its challenge, a 405 with its methods."""
    url = stack.environment["REMINDER_FUNCTION_URL"] + "/runs"
    body = recorded("scheduler-function-url")["body"]
    headers = {"authorization": f"Bearer {token_of(stack)}", "content-type": "application/json"}
    assert set(httpx.post(url, content=body, headers=headers).json()) > RESULT
    stranger = httpx.post(url, content=body)
    assert (401, "Bearer") == (stranger.status_code, stranger.headers["www-authenticate"])
    other = httpx.get(url, headers=headers)
    assert (405, "POST") == (other.status_code, other.headers["allow"])
