"""What keeps the courier from sending at all is reported to the operators, directly."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

import handlers.courier
from handlers.wiring.alerts import unrecorded_failures
from ops.local.aws import Aws
from ops.local.invoke import LocalContext
from ops.local.slack import Slack
from reminders.database import Connection
from reminders.errors import ReminderError, SecretError, SettingsError
from reminders.messages.unsubscribe import SHORTEST_KEY
from tests.factories import MENTOR
from tests.messages import add_notification, add_person, always_open, messages


@pytest.fixture
def slack(deployed: dict[str, str], aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slack]:
    """The only alert channel; nothing was reported before."""
    with Slack() as running:
        name = f"{deployed['DATABASE_SECRET']}-slack"
        aws.put_secret(name, running.webhook)
        monkeypatch.setenv("SLACK_WEBHOOK_SECRET", name)
        unrecorded_failures.cache_clear()
        yield running
        unrecorded_failures.cache_clear()


def key_that_is_too_short(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    aws.put_secret(f"{os.environ['UNSUBSCRIBE_KEY_SECRET']}-short", "k" * (SHORTEST_KEY - 1))
    monkeypatch.setenv("UNSUBSCRIBE_KEY_SECRET", f"{os.environ['UNSUBSCRIBE_KEY_SECRET']}-short")


def secret_of_the_key_is_gone(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNSUBSCRIBE_KEY_SECRET", "no-such-secret")


def secret_of_the_database_is_gone(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_SECRET", "no-such-secret")


def setting_is_wrong(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_URL", "")


@pytest.mark.parametrize(
    ("break_it", "error", "said"),
    [
        (key_that_is_too_short, SecretError, "the unsubscribe key is shorter than 32 bytes"),
        (secret_of_the_key_is_gone, SecretError, "secret 'no-such-secret' could not be read"),
        (secret_of_the_database_is_gone, SecretError, "secret 'no-such-secret' could not be read"),
        (setting_is_wrong, SettingsError, "APP_URL is not set"),
    ],
)
def test_courier_that_cannot_begin(
    owner: Connection,
    aws: Aws,
    slack: Slack,
    monkeypatch: pytest.MonkeyPatch,
    break_it: Callable[[Aws, pytest.MonkeyPatch], None],
    error: type[ReminderError],
    said: str,
) -> None:
    """Once, whatever it is; no message is tried. It is reported again after it was repaired."""
    always_open(owner)
    add_person(owner)
    add_notification(owner)
    with monkeypatch.context() as patched:
        break_it(aws, patched)
        for _ in range(2):
            with pytest.raises(error, match=said):
                handlers.courier.handler({}, LocalContext("courier", 60))
    (posted,) = slack.posted
    assert f"messages could not be sent: {said}" in posted["blocks"][1]["text"]["text"]
    assert [] == messages(owner)
    assert 1 == handlers.courier.handler({}, LocalContext("courier", 60))["channels"]["email"]["sent"]
    with monkeypatch.context() as patched, pytest.raises(error):
        break_it(aws, patched)
        handlers.courier.handler({}, LocalContext("courier", 60))
    assert 2 == len(slack.posted)


@pytest.mark.usefixtures("owner")
def test_test_message_that_cannot_begin(aws: Aws, slack: Slack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator who sends it reads the error: no alert."""
    key_that_is_too_short(aws, monkeypatch)
    with pytest.raises(SecretError):
        handlers.courier.handler({"action": "test_message", "recipient_id": str(MENTOR)}, LocalContext("courier", 60))
    assert [] == slack.posted
