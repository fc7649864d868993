"""
Secrets Manager throttles, and secrets are rotated under warm processes.

A warm process knows a secret for five minutes. What it knows may be wrong by then, and asking for it may be refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from uuid import uuid4

import httpx
import pytest
from botocore import retryhandler

from handlers.wiring import common
from ops.local.aws import Aws
from ops.local.server import Server, admin
from ops.local.stack import LocalStack
from reminders.database import Connection
from reminders.errors import DatabaseUnavailable, SecretError
from tests.faults.dependencies.days import DUE, Days
from tests.faults.dependencies.faulty_service import Fault, FaultyService, all_is_well, answer_with
from tests.helpers.cases import first

throttled = answer_with(400, b'{"__type": "ThrottlingException"}', "application/x-amz-json-1.1")


@pytest.fixture
def vault(stack: LocalStack, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyService]:
    """Secrets Manager, for a new process; boto3 tries as often as ever, but does not wait."""
    monkeypatch.setattr(retryhandler, "delay_exponential", lambda **_: 0)
    with FaultyService(aws.url) as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", running.url)
        common.secrets.cache_clear()
        yield running
    common.secrets.cache_clear()


def throttled_for(secret: str) -> Fault:
    return lambda call: (throttled if secret == call.body["SecretId"] else all_is_well)(call)


def test_throttled_for_a_moment(days: Days, vault: FaultyService) -> None:
    """boto3 tries again: the run notices nothing."""
    vault.next(throttled, throttled)
    assert DUE == days.expect_success()["reminders_dispatched"]
    days.check_final_state()


def test_throttled_throughout(days: Days, vault: FaultyService, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run fails by name. Slack's webhook cannot be read either; the topic, which is no secret, gets the alert."""
    topic = days.stack.aws.create_topic(f"alerts-{uuid4().hex[:8]}")
    vault.from_now_on(throttled)
    with monkeypatch.context() as patched:
        patched.setenv("ALERT_TOPIC_ARN", topic)
        days.expect_failure(SecretError, "could not be read: ThrottlingException", "unreported")
    (mail,) = days.stack.aws.published(topic)
    assert "could not be read: ThrottlingException" in mail.message
    vault.from_now_on(all_is_well)
    assert DUE == days.expect_success()["reminders_dispatched"]
    days.check_final_state()


@pytest.mark.matrix
def test_throttled_for_the_database_alone(days: Days, vault: FaultyService) -> None:
    """Slack gets an alert at once."""
    vault.from_now_on(throttled_for(days.stack.environment["DATABASE_SECRET"]))
    days.expect_failure(SecretError, "ThrottlingException", "unrecorded")
    vault.from_now_on(all_is_well)
    days.check_final_state()


class Password:
    """Of a role that is the test's own, for a role belongs to the whole server; the cron function logs in with it."""

    def __init__(self, postgres: Connection, stack: LocalStack) -> None:
        self._postgres, self._stack = postgres, stack
        self._role = f"cron_{uuid4().hex[:8]}"
        self._run("CREATE ROLE {} IN ROLE cron_runner LOGIN")
        self.change()
        self.store_in_secret()

    def change(self) -> None:
        """In the database: the old one is rejected from now on."""
        self._password = uuid4().hex
        self._run("ALTER ROLE {} PASSWORD '" + self._password + "'")

    def store_in_secret(self) -> None:
        """In the secret."""
        uri = f"postgresql://{self._role}:{self._password}@127.0.0.1:{self._stack.server.port}/{self._stack.database}"
        self._stack.aws.put_secret(self._stack.environment["DATABASE_SECRET"], uri)

    def drop(self) -> None:
        self._run("DROP ROLE {}")

    def _run(self, statement: str) -> None:
        self._postgres.execute(statement.format(self._role).encode())


@pytest.fixture
def password(stack: LocalStack, server: Server) -> Iterator[Password]:
    with admin(server) as postgres:
        made = Password(postgres, stack)
        yield made
        made.drop()


def fetches(vault: FaultyService, days: Days) -> int:
    """How often the database's secret was asked for."""
    return sum(call.body["SecretId"] == days.stack.environment["DATABASE_SECRET"] for call in vault.calls)


def test_password_that_is_rotated_under_a_warm_process(password: Password, days: Days, vault: FaultyService) -> None:
    """The old one is rejected, the secret is fetched afresh once, and the run goes."""
    days.expect_success()
    assert 1 == fetches(vault, days)
    password.change()
    password.store_in_secret()
    days.expect_success()
    assert 2 == fetches(vault, days)
    days.check_final_state()


def test_password_that_is_rotated_in_two_steps(password: Password, days: Days, vault: FaultyService) -> None:
    """A run between the database's step and the secret's fails, and the next one, a moment later, finds the new one."""
    days.expect_success()
    password.change()
    days.expect_failure(DatabaseUnavailable, "it rejected the password", "unrecorded")
    password.store_in_secret()
    days.expect_success()
    days.check_final_state()


def test_password_that_cannot_be_fetched_afresh(password: Password, days: Days, vault: FaultyService) -> None:
    """The alert says that the password was rejected, not that Secrets Manager was busy then."""
    days.expect_success()
    password.change()
    vault.from_now_on(throttled_for(days.stack.environment["DATABASE_SECRET"]))
    days.expect_failure(DatabaseUnavailable, "it rejected the password", "unrecorded")
    vault.from_now_on(all_is_well)
    password.store_in_secret()
    days.check_final_state()


def call_scheduler(stack: LocalStack, token: str) -> int:
    """Call the scheduler; return the status of its answer."""
    headers = {"authorization": f"Bearer {token}"}
    return httpx.post(f"{stack.environment['REMINDER_FUNCTION_URL']}/runs", headers=headers).status_code


def rotate_token(stack: LocalStack) -> str:
    token = uuid4().hex
    stack.aws.put_secret(stack.environment["SCHEDULER_TOKEN_SECRET"], token)
    return token


@pytest.mark.parametrize("cron_knows", first(2, ["new", "old"]))
@pytest.mark.parametrize("scheduler_knows", first(1, ["old", "new"]))
def test_token_that_is_rotated_under_warm_processes(days: Days, cron_knows: str, scheduler_knows: str) -> None:
    """Whichever side knows the new token, the run succeeds, and no reminder waits for five minutes."""
    days.expect_success()
    token = rotate_token(days.stack)
    if cron_knows == "new":
        common.secrets.cache_clear()
    if scheduler_knows == "new":
        assert HTTPStatus.UNAUTHORIZED != call_scheduler(days.stack, token)
    days.expect_success()
    days.check_final_state()


def test_token_that_is_rotated_a_moment_after_a_wrong_one(days: Days) -> None:
    """A wrong token has just caused a fetch of a newer token; the right caller is accepted all the same."""
    days.expect_success()
    assert HTTPStatus.UNAUTHORIZED == call_scheduler(days.stack, "guess")
    rotate_token(days.stack)
    common.secrets.cache_clear()
    days.expect_success()
    days.check_final_state()
