"""The scheduler's endpoint: what it answers, and which tokens, methods, paths and bodies it refuses."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from handlers import scheduler
from handlers.wiring import common
from ops.local.function_url import FunctionUrl
from ops.local.invoke import LocalContext
from ops.local.stack import LocalStack
from reminders.database import Connection
from tests.factories import add_assignment, add_assignments, add_run, count
from tests.helpers.admin_endpoint import problem
from tests.helpers.cases import table
from tests.helpers.events import DAY, recorded

Call = Callable[..., tuple[int, dict[str, Any]]]
RESULT = {"assignments_evaluated", "reminders_dispatched", "assignments_failed", "next_cursor"}
WORK = recorded("scheduler-function-url")["body"]
JSON = ("content-type", "application/json")


def caller(stack: LocalStack, patched: pytest.MonkeyPatch) -> Call:
    """Invokes the handler in this process with the recorded event, changed; returns status and body."""
    for name, value in stack.scheduler_environment.items():
        patched.setenv(name, value)
    known = token_of(stack)

    def call(
        *,
        raw: str | None = None,
        is_base64: bool = False,
        authorization: str = "Bearer {}",
        token: str | None = None,
        **fields: Any,
    ) -> tuple[int, dict[str, Any]]:
        event = recorded("scheduler-function-url")
        event["headers"]["authorization"] = authorization.format(known)
        if token is not None:
            event["headers"]["x-reminder-token"] = token.format(known)
        event["body"] = json.dumps(json.loads(event["body"]) | fields) if raw is None else raw
        event["isBase64Encoded"] = is_base64
        answer = scheduler.handler(event, LocalContext("scheduler", 30))
        status, kind = answer["statusCode"], answer["headers"]["Content-Type"]
        assert ("application/json" if status == 200 else "application/problem+json") == kind
        return status, json.loads(answer["body"])

    return call


def token_of(stack: LocalStack) -> str:
    return common.secrets().get(stack.environment["SCHEDULER_TOKEN_SECRET"])


@pytest.fixture
def call(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Call:
    """On a database of the test's own."""
    return caller(stack, monkeypatch)


@pytest.fixture
def call_shared(shared_stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Call:
    """On a database that nothing is written to."""
    return caller(shared_stack, monkeypatch)


@pytest.fixture
def token(call_shared: Call, shared_stack: LocalStack) -> str:
    """The one that is right."""
    return token_of(shared_stack)


@pytest.fixture
def url(call_shared: Call) -> Iterator[str]:
    """Real HTTP to the handler, on the same database."""
    with FunctionUrl(scheduler.handler, timeout=30) as served:
        yield served.url


def test_dry_run_as_recorded(call: Call, owner: Connection) -> None:
    """The sample event with the right token is answered with the assignments that would be notified."""
    assignment = add_assignment(owner, 10, today=DAY)
    status, body = call()
    assert (200, RESULT | {"would_notify"}) == (status, set(body))
    assert [str(assignment)] == [planned["assignment_id"] for planned in body["would_notify"]]


def test_run_whose_calls_are_signed(stack: LocalStack, owner: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cron function signs, the scheduler finds the token beside the signature, and the run succeeds."""
    monkeypatch.setenv("REMINDER_FUNCTION_AUTH", "AWS_IAM")
    add_assignments(owner, 3, today=datetime.now(UTC).date())
    summary = stack.invoke({})
    assert ("success", 3) == (summary["status"], summary["reminders_dispatched"])


def test_real_run_of_another_day(call: Call, owner: Connection) -> None:
    """A run's date is that of its row: another one is refused with the right one, and nothing is dispatched."""
    add_assignment(owner, 10, today=DAY)
    run = str(add_run(owner, as_of=DAY))
    days = [DAY + timedelta(days=number) for number in (-1, 1, 366)]
    answers = {day: call(run_id=run, dry_run=False, as_of=str(day)) for day in days}
    refused = [{"field": "as_of", "message": f"as_of must be {DAY}, the date of the run"}]
    assert dict.fromkeys(days, (422, refused)) == {
        day: (status, body["errors"]) for day, (status, body) in answers.items()
    }
    assert 0 == count(owner, "notifications")


@table(("days", "status"), [(366, 200), (367, 422), (100_000, 422)])
def test_dry_run_that_looks_ahead(call_shared: Call, days: int, status: int) -> None:
    """A year ahead and no further."""
    assert status == call_shared(as_of=str(datetime.now(UTC).date() + timedelta(days=days)))[0]


def test_real_run(call: Call, owner: Connection) -> None:
    """With a running run it dispatches, and answers with counts only."""
    add_assignments(owner, 3, today=DAY)
    done = {"assignments_evaluated": 3, "reminders_dispatched": 3, "assignments_failed": 0, "next_cursor": None}
    assert (200, done) == call(run_id=str(add_run(owner, as_of=DAY)), dry_run=False)
    assert 3 == count(owner, "notifications")


def test_call_that_runs_out_of_budget(call: Call, owner: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer says where to continue, and the calls that continue there do the rest."""
    monkeypatch.setenv("BATCH_SIZE", "2")
    add_assignments(owner, 60, today=DAY)
    run = str(add_run(owner, as_of=DAY))
    evaluated, calls, cursor = 0, 0, None
    while calls == 0 or cursor:
        _, body = call(run_id=run, dry_run=False, budget_ms=10, cursor=cursor)
        evaluated, calls, cursor = evaluated + body["assignments_evaluated"], calls + 1, body["next_cursor"]
    assert (60, True) == (evaluated, calls > 1)


@table("headers", [[JSON], [("content-type", "application/octet-stream")], []], ids=lambda headers: str(len(headers)))
def test_request_with_the_token(url: str, token: str, headers: list[tuple[str, str]]) -> None:
    """200, as text and in Base64, which AWS uses where the content type does not say that the body is text."""
    answer = httpx.post(f"{url}/runs", headers=[("authorization", f"Bearer {token}"), *headers], content=WORK)
    assert (200, True) == (answer.status_code, set(answer.json()) > RESULT)


TOKENS: dict[str, list[bytes]] = {
    "missing": [],
    "empty": [b"Bearer"],
    "wrong": [b"Bearer guess"],
    "shorter": [b"Bearer {start}"],
    "longer": [b"Bearer {token}s"],
    "doubled": [b"Bearer {token}", b"Bearer {token}"],
    "two in one": [b"Bearer {token}, Bearer {token}"],
    "another scheme": [b"Basic {token}"],
    "lower case": [b"bearer {token}"],
    "bare": [b"{token}"],
    "not ASCII": ["Bearer tökén€".encode()],
    "not text": [b"Bearer \xff\xfe\x80"],
    "enormous": [b"Bearer " + b"x" * 60_000],
}
UNAUTHORIZED = {"type": "about:blank", "title": "Unauthorized", "status": 401}


@table("kind", TOKENS)
def test_wrong_token(url: str, token: str, kind: str) -> None:
    """The same 401 for each."""
    values = [
        value.replace(b"{token}", token.encode()).replace(b"{start}", token[:-1].encode()) for value in TOKENS[kind]
    ]
    response = httpx.post(f"{url}/runs", headers=[(b"authorization", value) for value in values], content=WORK)
    assert (401, UNAUTHORIZED) == problem(response)
    assert "Bearer" == response.headers["www-authenticate"]


@table("body", ["", "{", "x" * 100_000], ids=["empty", "broken", "large"])
def test_wrong_token_with_a_wrong_body(url: str, body: str) -> None:
    """The token is checked before the body is read."""
    response = httpx.post(f"{url}/runs", headers=[("authorization", "Bearer guess")], content=body)
    assert (401, UNAUTHORIZED) == problem(response)


@table("header", ["", "Bearer ", "Bearer {} ", "Bearer \udcff", "Bearer tök\ud800en", "Bearer \x00"])
def test_header_that_no_client_can_send(call_shared: Call, header: str) -> None:
    """In an event it is a wrong token as well; half a surrogate pair is no crash."""
    assert (401, UNAUTHORIZED) == call_shared(authorization=header)


def test_token_beside_a_signature(call_shared: Call) -> None:
    """Where Authorization is AWS's signature, the token has a header of its own, and is checked as strictly."""
    signed = "AWS4-HMAC-SHA256 Credential=AKID/20261125/eu-west-2/lambda/aws4_request, SignedHeaders=host, Signature=00"
    tokens = ("{}", "", "guess", "Bearer {}", "\udcff", None)
    statuses = [call_shared(authorization=signed, token=token)[0] for token in tokens]
    assert [200, 401, 401, 401, 401, 401] == statuses


def test_bearer_token_counts_before_the_other(call_shared: Call) -> None:
    """A wrong bearer token is refused, whatever stands beside it."""
    assert 401 == call_shared(authorization="Bearer guess", token="{}")[0]


def test_comparison_takes_constant_time(monkeypatch: pytest.MonkeyPatch, url: str, token: str) -> None:
    """Every token goes through hmac.compare_digest, which does not stop at the first difference."""
    compared: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def watched(given: bytes, expected: bytes) -> bool:
        compared.append((given, expected))
        return real(given, expected)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    httpx.post(f"{url}/runs", headers=[("authorization", "Bearer guess"), JSON], content=WORK)
    assert [(b"guess", token.encode())] == compared


def test_other_methods(url: str, token: str) -> None:
    """405, which names POST as the one that is right."""
    methods = ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"]
    answers = [httpx.request(method, f"{url}/runs", headers={"authorization": f"Bearer {token}"}) for method in methods]
    assert [(405, "POST")] * len(methods) == [(answer.status_code, answer.headers["allow"]) for answer in answers]


def test_other_paths(url: str, token: str) -> None:
    """404: the endpoint has one path."""
    paths = ["/", "/run", "/runs/", "/runs/1", "/RUNS", "/runs%2f", "/openapi.json"]
    headers = [("authorization", f"Bearer {token}"), JSON]
    answers = {path: problem(httpx.post(url + path, headers=headers, content=WORK))[0] for path in paths}
    assert dict.fromkeys(paths, 404) == answers


# By the field that the answer must name ("": the body as a whole): changes that make the recorded body invalid.
INVALID: dict[str, list[dict[str, Any]]] = {
    "": [
        {"run_id": None, "dry_run": False},
        {"cursor": str(UUID(int=0)), "shard": {"index": 1, "of": 2, "first": str(UUID(int=1))}},
        {"cursor": str(UUID(int=2)), "shard": {"index": 0, "of": 2, "last": str(UUID(int=1))}},
        {"cursor": 5, "shard": {"index": 1, "of": 2, "first": str(UUID(int=1))}},
    ],
    "run_id": [{"run_id": value} for value in ("7", 7, "1 OR true")],
    "as_of": [{"as_of": value} for value in ("21.11.2025", "2025-02-29", "2026-11-21T06:00:00Z", 20251121, None)],
    "shard": [{"shard": None}, {"shard": {"index": 1, "of": 1}}],
    "shard.index": [{"shard": {"index": value, "of": 64}} for value in (-1, "0")],
    "shard.first": [{"shard": {"index": 0, "of": 1, "first": "Anna Smith"}}],
    "shard.last": [{"shard": {"index": 0, "of": 1, "last": 2**63}}],
    "shard.of": [{"shard": {"index": 0, "of": value}} for value in (0, 65, "1")],
    "cursor": [{"cursor": "Anna Smith"}],
    "dry_run": [{"dry_run": "yes"}, {"dry_run": 1}],
    "budget_ms": [{"budget_ms": value} for value in (0, -1, 900_001, 1.5, "1000", float("nan"), float("inf"))],
    "unknown": [{"unknown": "Anna Smith"}],
}


@table("field", INVALID)
def test_invalid_field(call_shared: Call, field: str) -> None:
    """422, which names the field and does not repeat what was sent."""
    for change in INVALID[field]:
        status, body = call_shared(**change)
        assert (422, True) == (status, field in {error["field"] for error in body["errors"]}), change
        assert "Anna" not in json.dumps(body)


def test_long_name_of_an_unknown_field(call_shared: Call) -> None:
    """It is shortened, so that little of what was sent is repeated."""
    status, body = call_shared(**{"secret" * 1_000: "hush"})
    assert 422 == status
    assert [] == [text for text in ("hush", "secret" * 8) if text in json.dumps(body)]


BODIES = {
    "none": "",
    "not JSON": "{",
    "array": "[]",
    "null": "null",
    "number": "7",
    "text": '"run"',
    "empty object": "{}",
    "deep": "[" * 10_000,
    "half a surrogate pair": '{"as_of": "\\ud800", "dry_run": true, "budget_ms": 1}',
    "numbers that JSON does not have": '{"as_of": NaN, "dry_run": true, "budget_ms": 1e999}',
}


@table("kind", BODIES)
def test_wrong_body(call_shared: Call, kind: str) -> None:
    """422, in the event as text and as Base64."""
    encoded = base64.b64encode(BODIES[kind].encode()).decode()
    assert (422, 422) == (call_shared(raw=BODIES[kind])[0], call_shared(raw=encoded, is_base64=True)[0])


@table(
    ("raw", "is_base64"),
    [("\ud800", False), ("not base64!", True), ("/w==", True), (base64.b64encode(b"\xff\xfe\x00").decode(), True)],
)
def test_body_that_cannot_be_decoded(call_shared: Call, raw: str, is_base64: bool) -> None:
    """422: the caller's fault, not ours."""
    assert 422 == call_shared(raw=raw, is_base64=is_base64)[0]


@table(("length", "status"), [(16_384, 422), (16_385, 413)])
def test_body_that_is_too_long(call_shared: Call, length: int, status: int) -> None:
    """413 before it is parsed."""
    assert status == call_shared(raw=" " * length)[0]


@table("status", ["success", "failed", "skipped", None])
def test_run_that_does_not_run(call: Call, owner: Connection, status: str | None) -> None:
    """409, and nothing dispatched."""
    add_assignment(owner, 10, today=DAY)
    run = add_run(owner, status) if status else uuid4()
    assert 409 == call(run_id=str(run), dry_run=False)[0]
    assert 0 == count(owner, "notifications")


def test_database_that_is_down(stack: LocalStack, call: Call) -> None:
    """503: a retry may help."""
    secret = stack.scheduler_environment["DATABASE_SECRET"]
    stack.aws.put_secret(secret, "postgresql://anna:hunter2@127.0.0.1:1/reminders")
    status, body = call()
    assert (503, "database unreachable: connection refused") == (status, body["detail"])


@table(("name", "is_named"), [("SCHEDULER_TOKEN_SECRET", False), ("DATABASE_SECRET", True)])
def test_missing_secret(call_shared: Call, name: str, is_named: bool) -> None:
    """503. Its name is only for the log, unless the caller has shown the token: then it is for the ledger."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(name, "reminders/forgotten")
        status, body = call_shared()
    assert (503, is_named) == (status, "reminders/forgotten" in str(body))


def test_missing_setting(call_shared: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """500: no retry helps. Its name is for the log."""
    monkeypatch.delenv("DATABASE_SECRET")
    status, body = call_shared()
    assert (500, False) == (status, "DATABASE_SECRET" in str(body))


def test_right_that_is_missing(call: Call, owner: Connection) -> None:
    """500 with SQLSTATE and reason."""
    owner.execute("REVOKE SELECT ON assignments FROM reminder_scheduler")
    status, body = call()
    assert (500, True) == (status, "42501" in body["detail"])


def test_unexpected_error(call_shared: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """500; only the class of an error that is not ours is given."""

    def explode(*_: object) -> None:
        raise ZeroDivisionError("Anna Smith")

    monkeypatch.setattr(scheduler, "scheduler_service", explode)
    status, body = call_shared()
    assert (500, "unexpected ZeroDivisionError") == (status, body["detail"])
