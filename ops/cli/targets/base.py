"""What a command works on: the interface of a target, and the options that choose one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ops.cli.errors import WRONG_USE, CliError

if TYPE_CHECKING:
    from reminders.database import Connection

FUNCTIONS = ("cron", "scheduler", "watchdog", "admin")
# Those of the messages; a stack without messages has none of them.
MESSAGE_FUNCTIONS = ("courier", "feedback", "unsubscribe")


@dataclass(frozen=True, slots=True)
class InvocationResult:
    """What a function returned: `result`, or the error it raised, in words."""

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


class Target:
    """
    What a command works on. The methods that need a stack raise an error here; the stacks override them.

    `title` names it for people, `chosen_by` the option or variable that chose it; with `requires_confirmation`,
    commands ask before they change something.
    """

    title: str
    chosen_by = ""
    requires_confirmation = True
    is_local = False

    def __init__(self, options: TargetOptions) -> None:
        self.options = options
        self.clients: dict[tuple[Any, ...], Any] = {}

    @property
    def schedule_name(self) -> str:
        """EventBridge Scheduler's "group/name"."""
        raise needs_a_stack()

    def aws(self) -> dict[str, Any]:
        """boto3's parameters of a client in the target's account and region."""
        raise needs_a_stack()

    def client(self, service: str, **config: Any) -> Any:
        """A boto3 client; `config` as for botocore's Config. Kept, because making one takes 0.2 s."""
        parameters = self.aws()
        key = (service, *config, *parameters.items())
        if key not in self.clients:
            import boto3
            from botocore.config import Config

            make: Any = boto3.client  # its types know no service by a name that is not literal
            limits = {"connect_timeout": 5, "read_timeout": 20, "retries": {"total_max_attempts": 3}}
            self.clients[key] = make(service, config=Config(**{**limits, **config}), **parameters)
        return self.clients[key]

    def function_name(self, function: str) -> str:
        """The name in Lambda of one of `FUNCTIONS`."""
        raise needs_a_stack()

    def failures(self, since: datetime) -> Failures:
        """The cron function's invocations since `since` (aware) that ended in an error, with or without a row."""
        raise needs_a_stack()

    def log_lines(self, function: str, since: datetime) -> list[dict[str, Any]]:
        """The warnings and errors that one of `FUNCTIONS` logged since `since`, oldest first, as Powertools' JSON."""
        raise needs_a_stack()

    def environment(self, function: str) -> Mapping[str, str]:
        """The environment variables of one of `FUNCTIONS` or `MESSAGE_FUNCTIONS`; empty where it is not there."""
        raise needs_a_stack()

    def invoke(self, event: Mapping[str, Any], *, wait: bool = True) -> InvocationResult:
        """Call the cron function; without `wait` the result is empty."""
        raise needs_a_stack()

    def database_url(self) -> str:
        """The operator's libpq URI; raise `CliError` with a hint how to set it."""
        return self.options.database or os.environ["DATABASE_URL"]

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


def needs_a_stack() -> CliError:
    hint = "Name a deployed one with --stack, or a running `reminders local up` with --local."
    return CliError("This needs a stack, and only a database is known.", hint, WRONG_USE)
