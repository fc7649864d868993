"""
What a command works on.

    --stack NAME, --local            named by an option
    REMINDERS_STACK                  a deployed stack: AWS by boto3, names from the stack's outputs
    --database URI (DATABASE_URL)    a bare database: what needs AWS says so
    a running `reminders local up`   the local stack, when nothing else is named

The first of these that is there is taken, and every command prints which on standard error. What was named is never
replaced by what was found: with DATABASE_URL set, a local stack that happens to run is taken only if it is its own
database that DATABASE_URL names.

The database is the operator's own login (`postgres` on Supabase), never a function's: from --database, from a
secret, or from DATABASE_URL.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ops.cli import local_state
from ops.cli.errors import UNREACHABLE, WRONG_USE, CliError

if TYPE_CHECKING:
    from reminders.database import Connection

FUNCTIONS = ("cron", "scheduler", "watchdog", "admin")
# Those of the messages; a stack without messages has none of them.
MESSAGE_FUNCTIONS = ("courier", "feedback", "unsubscribe")


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
    local: bool = False


@dataclass(frozen=True, slots=True)
class Failures:
    """Failed invocations; `last` is the newest one's error in words where it is known."""

    count: int = 0
    last: str = ""


class Target(ABC):
    """
    One thing to operate.

    `title` names it for people, `chosen_by` the option or variable that chose it; `asks_first` says that changes need
    a yes.
    """

    title: str
    chosen_by = ""
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
    def function_name(self, function: str) -> str:
        """What Lambda calls one of `FUNCTIONS`."""

    @abstractmethod
    def failures(self, since: datetime) -> Failures:
        """The cron function's invocations since `since` (aware) that ended in an error, with or without a row."""

    @abstractmethod
    def log_lines(self, function: str, since: datetime) -> list[dict[str, Any]]:
        """The warnings and errors that one of `FUNCTIONS` logged since `since`, oldest first, as Powertools' JSON."""

    @abstractmethod
    def environment(self, function: str) -> Mapping[str, str]:
        """The environment variables of one of `FUNCTIONS` or `MESSAGE_FUNCTIONS`; empty where it is not there."""

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

        # libpq sends it when it connects, and so it overrules what ALTER DATABASE or ALTER ROLE ... SET says: psycopg
        # reads no other style. Exactly this one, for dbmate sees it too, and its driver takes no other.
        os.environ["PGDATESTYLE"] = "ISO, MDY"
        with closing(database.connect(self.database_url(), name="reminders-cli")) as connection:
            yield connection


def choose(asked: Asked) -> Target:
    """The target that the options, the environment and a running local stack make; or `CliError`."""
    if asked.stack and asked.local:
        raise CliError("Both --stack and --local are given.", "Name one.", WRONG_USE)
    if asked.local:
        return _chosen(_local(asked), "--local")
    if asked.stack:
        return _chosen(_deployed(asked.stack, asked), "--stack")
    if stack := os.environ.get("REMINDERS_STACK"):
        return _chosen(_deployed(stack, asked), "REMINDERS_STACK")
    if url := asked.database or os.environ.get("DATABASE_URL"):
        option = "--database" if asked.database else "DATABASE_URL"
        return _chosen(_local(asked) if _is_local(url) else _bare_database(asked), option)
    return _chosen(_local(asked), "it is running")


def _chosen(target: Target, by: str) -> Target:
    target.chosen_by = by
    return target


def _deployed(name: str, asked: Asked) -> Target:
    from ops.cli.deployed import Deployed

    return Deployed(name, asked)


def _bare_database(asked: Asked) -> Target:
    from ops.cli.bare_database import BareDatabase

    return BareDatabase(asked)


def _local(asked: Asked) -> Target:
    state = local_state.read()
    if state is None:
        hint = "Start one with `reminders local up`, or name a deployed one with --stack."
        raise CliError("There is no stack to work on.", hint, UNREACHABLE)
    from ops.cli.local_target import Local

    return Local(state, asked)


def _is_local(url: str) -> bool:
    """Whether `url` is the database of the local stack that runs."""
    try:
        state = local_state.read()
    except CliError:
        return False
    from ops.cli.bare_database import place_of

    return state is not None and place_of(url) == place_of(state.database_url)
