"""Secrets by name: cached, checked, and fetched afresh once when the value is rejected."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading

import pytest
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore import retryhandler

from reminders.errors import SecretError
from reminders.secrets import CACHE_SECONDS, REFETCH_PAUSE_SECONDS, REFETCHES_AT_ONCE, Secrets
from tests.helpers.cases import table
from tests.listening import Listening


class Vault:
    """Secrets Manager behind Powertools' cache: `current` is the truth, `cached` what a cached read gives."""

    def __init__(self, current: object) -> None:
        self.current, self.cached = current, current
        self.fresh = 0

    def get(self, name: str, *, max_age: int, force_fetch: bool) -> object:
        assert ("reminders/db", CACHE_SECONDS) == (name, max_age)
        if force_fetch:
            self.fresh += 1
            self.cached = self.current
        if isinstance(self.cached, Exception):
            raise GetParameterError("boto3's words, with a URL in them") from self.cached
        return self.cached


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_value_is_stripped() -> None:
    """A line end that came with copy and paste is no part of a password."""
    assert "postgresql://x" == Secrets(Vault("postgresql://x\n")).get("reminders/db")


@table("value", ["", "  \n", None, b"binary", {"a": 1}])
def test_empty_or_binary_value(value: object) -> None:
    """An empty or binary secret is named."""
    with pytest.raises(SecretError, match=r"^secret 'reminders/db' is empty or binary"):
        Secrets(Vault(value)).get("reminders/db")


def test_secret_that_cannot_be_read() -> None:
    """The secret's name and AWS' error code, not boto3's prose."""
    denied = type("ClientError", (Exception,), {"response": {"Error": {"Code": "AccessDeniedException"}}})
    with pytest.raises(SecretError, match=r"^secret 'reminders/db' could not be read: AccessDeniedException$"):
        Secrets(Vault(denied())).get("reminders/db")


def test_aws_that_cannot_be_reached() -> None:
    """An error without code is reported by its class."""
    with pytest.raises(SecretError, match=r"^secret 'reminders/db' could not be read: ConnectionError$"):
        Secrets(Vault(ConnectionError("to 10.0.0.1"))).get("reminders/db")


class Silent(Listening):
    """It accepts connections, and never answers."""

    def __init__(self) -> None:
        super().__init__()
        self.over = threading.Event()
        self.connections = 0

    def answer(self, client: socket.socket) -> None:
        self.connections += 1
        self.over.wait(30)


def test_aws_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given up after three attempts, each with a limit, so that the function can report it before Lambda ends it."""
    monkeypatch.setattr("reminders.secrets.READ_SECONDS", 0.2)
    monkeypatch.setattr(retryhandler, "delay_exponential", lambda **_: 0)
    with Silent() as silent:
        environment = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "eu-west-2"}
        for name, value in {
            **environment,
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": f"http://127.0.0.1:{silent.port}",
        }.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SecretError, match=r"^secret 'reminders/db' could not be read: ReadTimeoutError$"):
            Secrets().get("reminders/db")
        silent.over.set()
    assert 3 == silent.connections


def test_boto3_is_loaded_late() -> None:
    """Importing it takes 40 % of a cold start, and a refused request needs no secret."""
    code = "import sys, reminders.secrets; print([name for name in ('boto3', 'botocore') if name in sys.modules])"
    assert (
        "[]" == subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    )


def test_rotated_secret() -> None:
    """A fresh fetch brings the new value."""
    vault = Vault("old")
    secrets = Secrets(vault)
    assert "old" == secrets.get("reminders/db")
    vault.current = "new"
    assert "old" == secrets.get("reminders/db")
    assert "new" == secrets.newer("reminders/db", than="old")


def test_secret_that_is_simply_wrong() -> None:
    """When nothing changed, there is nothing newer."""
    assert None is Secrets(Vault("same")).newer("reminders/db", than="same")


@table("seconds_between", [0, 1, 10, 29])
def test_repeated_wrong_tokens(seconds_between: int) -> None:
    """Requests with a wrong token do not call Secrets Manager each, but twice a minute in the long run."""
    vault, clock = Vault("same"), Clock()
    secrets = Secrets(vault, clock)
    for _ in range(600):
        secrets.newer("reminders/db", than="same")
        clock.now += seconds_between
    assert vault.fresh <= REFETCHES_AT_ONCE + 600 * seconds_between / REFETCH_PAUSE_SECONDS
    clock.now += REFETCH_PAUSE_SECONDS
    vault.current = "new"
    assert "new" == secrets.newer("reminders/db", than="same")


def test_first_fetches_follow_at_once() -> None:
    """Four of them, for a secret that is rotated right now; then there is a pause."""
    vault = Vault("same")
    secrets = Secrets(vault, Clock())
    for _ in range(10):
        secrets.newer("reminders/db", than="same")
    assert 4 == vault.fresh


def test_secret_that_is_rotated_a_moment_after_it_was_rejected() -> None:
    """The next try finds it: a first look that found nothing new does not forbid a second one."""
    vault = Vault("old")
    secrets = Secrets(vault, Clock())
    assert None is secrets.newer("reminders/db", than="old")
    vault.current = "new"
    assert "new" == secrets.newer("reminders/db", than="old")


def test_second_user_of_a_rotated_secret() -> None:
    """Within the pause, the value that the first fetch brought still counts as newer."""
    vault = Vault("old")
    secrets = Secrets(vault, Clock())
    vault.current = "new"
    assert ["new", "new"] == [secrets.newer("reminders/db", than="old") for _ in range(2)]
