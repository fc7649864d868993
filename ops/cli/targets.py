"""
What a command works on.

    --stack NAME (REMINDERS_STACK)   a deployed stack: AWS by boto3, names from the stack's outputs
    a running `reminders local up`   the local stack, when no stack is named
    DATABASE_URL alone               a bare database: what needs AWS says so

The database is the operator's own login (`postgres` on Supabase), never a function's: from --database, from a
secret, or from DATABASE_URL. For the local stack DATABASE_URL is passed over; there it would mean another one.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ops.cli import local_state
from ops.cli.errors import UNREACHABLE, WRONG_USE, CliError

if TYPE_CHECKING:
    from reminders.database import Connection

FUNCTIONS = ("cron", "scheduler", "watchdog", "admin")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a function answered: `result`, or the error it raised, in words."""

    result: dict[str, Any] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """The options that choose a target."""

    stack: str | None = None
    database: str | None = None
    database_secret: str | None = None


class Target(ABC):
    """One thing to operate. `title` names it for people; `asks_first` says that changes need a yes."""

    title: str
    asks_first = True
    is_local = False

    def __init__(self, asked: Asked) -> None:
        self.asked = asked

    @property
    @abstractmethod
    def schedule_name(self) -> str:
        """EventBridge Scheduler's "group/name"."""

    @abstractmethod
    def client(self, service: str, **config: Any) -> Any:
        """A boto3 client of the target's account and region; `config` as for botocore's Config."""

    @abstractmethod
    def environment(self, function: str) -> Mapping[str, str]:
        """The environment variables of one of `FUNCTIONS`."""

    @abstractmethod
    def invoke(self, event: Mapping[str, Any], *, wait: bool = True) -> Answer:
        """Call the cron function; without `wait` the answer is empty."""

    @abstractmethod
    def database_url(self) -> str:
        """The operator's libpq URI; raise `CliError` that says how to give one."""

    def secret(self, name: str) -> str:
        """The value of a secret; never to be shown."""
        return str(self.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"]).strip()

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """An autocommit connection as the operator."""
        from contextlib import closing

        from reminders import database

        with closing(database.connect(self.database_url(), name="reminders-cli")) as connection:
            yield connection


class BareDatabase(Target):
    """Only a database is known."""

    title = "the database alone"

    @property
    def schedule_name(self) -> str:
        raise self._needs_a_stack()

    def client(self, service: str, **config: Any) -> Any:
        raise self._needs_a_stack()

    def environment(self, function: str) -> Mapping[str, str]:
        raise self._needs_a_stack()

    def invoke(self, event: Mapping[str, Any], *, wait: bool = True) -> Answer:
        raise self._needs_a_stack()

    def database_url(self) -> str:
        return self.asked.database or os.environ["DATABASE_URL"]

    def _needs_a_stack(self) -> CliError:
        hint = "Name a deployed one with --stack, or start `reminders local up`."
        return CliError("This needs a stack, and only a database is known.", hint, WRONG_USE)


def choose(asked: Asked) -> Target:
    """The target that the options, the environment and a running local stack make; or `CliError`."""
    stack = asked.stack or os.environ.get("REMINDERS_STACK")
    if stack:
        from ops.cli.deployed import Deployed

        return Deployed(stack, asked)
    state = local_state.read()
    if state:
        from ops.cli.local_target import Local

        return Local(state, asked)
    if asked.database or os.environ.get("DATABASE_URL"):
        return BareDatabase(asked)
    hint = "Start one with `reminders local up`, or name a deployed one with --stack."
    raise CliError("There is no stack to work on.", hint, UNREACHABLE)
