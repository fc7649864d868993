"""Neither ledger nor outbox can be reached: the alert goes straight to the channels."""

from __future__ import annotations

import pytest

from ops.local.postgres import free_port
from ops.local.slack import SlackResponse
from ops.local.stack import LocalStack
from reminders.errors import DatabaseUnavailable, SecretError
from tests.helpers.events import scheduled_event
from tests.helpers.stacks import reported

COULD_NOT_BEGIN = "assignment-reminder-cron: a failure that the ledger does not record"


@pytest.fixture
def no_database(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """No server listens at the database's address."""
    name = f"{stack.environment['DATABASE_SECRET']}-gone"
    stack.aws.put_secret(name, f"postgresql://cron_runner:hunter2@127.0.0.1:{free_port()}/postgres")
    monkeypatch.setenv("DATABASE_SECRET", name)


def unreachable(stack: LocalStack, event: object) -> None:
    with pytest.raises(DatabaseUnavailable, match=r"^database unreachable: connection refused$"):
        stack.invoke(event)


@pytest.mark.usefixtures("no_database")
def test_database_that_is_gone(stack: LocalStack) -> None:
    """Both channels get an alert at once, with what is wrong; the original error is raised."""
    unreachable(stack, scheduled_event(1))
    (message,) = stack.slack.posted
    (mail,) = stack.aws.published(stack.topic_arn)
    said = "nothing could be recorded in the ledger: database unreachable: connection refused"
    assert (COULD_NOT_BEGIN, COULD_NOT_BEGIN) == (message["text"], mail.subject)
    assert f"Error: {said}" == message["blocks"][1]["text"]["text"]
    assert f"Error: {said}" in mail.message


@pytest.mark.usefixtures("no_database")
def test_retry_in_the_same_process(stack: LocalStack) -> None:
    """Lambda's retries of one event are quiet; another tick is another matter."""
    for _ in range(3):
        unreachable(stack, scheduled_event(1))
    assert (1, 1) == reported(stack)
    unreachable(stack, scheduled_event(2))
    assert (2, 2) == reported(stack)


@pytest.mark.usefixtures("no_database")
def test_channels_that_do_not_work_either(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The original error is raised all the same; and the retry sends to the channel that failed."""
    monkeypatch.delenv("ALERT_TOPIC_ARN")
    stack.slack.response = SlackResponse(500)
    unreachable(stack, scheduled_event(1))
    stack.slack.response = SlackResponse()
    unreachable(stack, scheduled_event(1))
    assert [COULD_NOT_BEGIN] == [message["text"] for message in stack.slack.posted]


def test_database_that_comes_back(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a success of that tick its next failure is reported again."""
    with monkeypatch.context() as broken:
        broken.setenv("DATABASE_SECRET", "no-such-secret")
        with pytest.raises(SecretError):
            stack.invoke(scheduled_event(1))
    assert "success" == stack.invoke(scheduled_event(1))["status"]
    with monkeypatch.context() as broken:
        broken.setenv("DATABASE_SECRET", "no-such-secret")
        with pytest.raises(SecretError):
            stack.invoke(scheduled_event(1))
    assert (2, 2) == reported(stack)


@pytest.mark.usefixtures("no_database")
def test_watchdog(stack: LocalStack) -> None:
    """It alerts in the same way, and once while nothing changes."""
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable):
            stack.watch()
    assert (1, 1) == reported(stack)


def test_secret_that_cannot_be_read(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """No secret, no database: the same alert, naming the secret."""
    monkeypatch.setenv("DATABASE_SECRET", "no-such-secret")
    with pytest.raises(SecretError, match=r"^secret 'no-such-secret' could not be read: ResourceNotFoundException$"):
        stack.invoke(scheduled_event(1))
    assert "secret 'no-such-secret' could not be read" in stack.slack.posted[0]["blocks"][1]["text"]["text"]
