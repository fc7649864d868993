"""What a command works on: the interface of a target, and the options that choose one."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reminders.database import Connection

FUNCTIONS = ("cron", "scheduler", "watchdog", "admin")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a function answered: `result`, or the error it raised, in words."""

    result: dict[str, Any] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """The options that choose a target."""

    stack: str | None = None
    database: str | None = None
    database_secret: str | None = None
    local: bool = False


@dataclass(frozen=True, slots=True)
class Failures:
    """Failed invocations; `last` is the newest one's error in words where it is known."""

    count: int = 0
    last: str = ""


class Target(ABC):
    """
    What a command works on.

    `title` names it for people, `chosen_by` the option or variable that chose it; with `requires_confirmation`,
    commands ask before they change something.
    """

    title: str
    chosen_by = ""
    requires_confirmation = True
    is_local = False

    def __init__(self, options: TargetOptions) -> None:
        self.options = options

    @property
    @abstractmethod
    def schedule_name(self) -> str:
        """EventBridge Scheduler's "group/name"."""

    @abstractmethod
    def client(self, service: str, **config: Any) -> Any:
        """A boto3 client of the target's account and region; `config` as for botocore's Config."""

    @abstractmethod
    def function_name(self, function: str) -> str:
        """The name in Lambda of one of `FUNCTIONS`."""

    @abstractmethod
    def failures(self, since: datetime) -> Failures:
        """The cron function's invocations since `since` (aware) that ended in an error, with or without a row."""

    @abstractmethod
    def log_lines(self, function: str, since: datetime) -> list[dict[str, Any]]:
        """The warnings and errors that one of `FUNCTIONS` logged since `since`, oldest first, as Powertools' JSON."""

    @abstractmethod
    def environment(self, function: str) -> Mapping[str, str]:
        """The environment variables of one of `FUNCTIONS`."""

    @abstractmethod
    def invoke(self, event: Mapping[str, Any], *, wait: bool = True) -> Answer:
        """Call the cron function; without `wait` the answer is empty."""

    @abstractmethod
    def database_url(self) -> str:
        """The operator's libpq URI; raise `CliError` with a hint how to set it."""

    def secret(self, name: str) -> str:
        """The value of a secret; it must never be shown."""
        return str(self.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"]).strip()

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """An autocommit connection as the operator."""
        from contextlib import closing

        from reminders import database

        # libpq sends it on connecting, so that it overrides ALTER DATABASE and ALTER ROLE ... SET: psycopg
        # reads no other style. Exactly this one, for dbmate sees it too, and its driver takes no other.
        os.environ["PGDATESTYLE"] = "ISO, MDY"
        with closing(database.connect(self.database_url(), name="reminders-cli")) as connection:
            yield connection
