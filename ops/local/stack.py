"""
The whole system on this machine: PostgreSQL set up as on Supabase, AWS by moto, the scheduler behind a URL.

    with LocalStack.start() as stack:
        os.environ.update(stack.environment)      # what the cron function would find in Lambda
        handlers.cron.handler({}, LocalContext())

The scheduler is a process of its own, reached by real HTTP, with as many environments as there are shards.
Everything ends with this process.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from subprocess import DEVNULL
from typing import IO, Any

import psycopg

from ops.local.aws import Aws
from ops.local.database import create_database, give_logins, prepare_template
from ops.local.invoke import LocalContext, load_handler
from ops.local.server import MIGRATOR, Server, any_server
from ops.local.slack import Slack
from reminders.limits import LIMITS, Limits

SCHEDULER = "handlers.scheduler:handler"
CRON = "handlers.cron:handler"
WATCHDOG = "handlers.watchdog:handler"
TOPIC = "reminder-alerts"
SECRETS = ("cron-database", "scheduler-database", "scheduler-token", "slack-webhook")


@dataclass(slots=True)
class LocalStack:
    """A running stack. `environment` is the cron function's, `scheduler_environment` the scheduler's."""

    server: Server
    aws: Aws
    database: str
    slack: Slack = field(default_factory=Slack)
    topic_arn: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    scheduler_environment: dict[str, str] = field(default_factory=dict)
    limits: Limits = LIMITS

    @classmethod
    @contextmanager
    def start(
        cls, postgres: Mapping[str, str] | None = None, log: IO[str] | int = DEVNULL, **settings: str
    ) -> Iterator[LocalStack]:
        """
        Start everything.

        `settings` are the functions' environment variables, `postgres` the server's own; `log` is where the scheduler
        function's log goes.
        """
        with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
            # The import of moto is the slowest part, so it runs at the same time.
            aws = pool.submit(Aws.start)
            server = stack.enter_context(any_server(postgres))
            database = create_database(server, "reminders", prepare_template(server))
            slack = stack.enter_context(Slack())
            running = cls(server, stack.enter_context(aws.result()), database, slack)
            # The scheduler reads its secrets at the first request, so they can be put while it starts.
            secrets_put = pool.submit(running.put_secrets, running.fill_environments(settings))
            shards = settings.get("SCHEDULER_SHARDS", "")
            count = int(shards) if shards.isdigit() else 1
            url = stack.enter_context(function_process(running.scheduler_environment, environments=count, log=log))
            running.environment["REMINDER_FUNCTION_URL"] = url
            secrets_put.result()
            yield running

    @property
    def owner_dsn(self) -> str:
        """The database as `postgres`, who owns the tables."""
        return self.server.dsn(MIGRATOR, self.database)

    def connect(self) -> psycopg.Connection[Any]:
        """An autocommit connection as `postgres`."""
        return psycopg.connect(self.owner_dsn, autocommit=True)

    def invoke(self, event: object, *, seconds: float = 60.0) -> Any:
        """Invoke the cron function in this process, whose environment must hold `environment`."""
        return load_handler(CRON)(event, LocalContext("cron", seconds), limits=self.limits)

    def watch(self, *, seconds: float = 60.0) -> Any:
        """Invoke the watchdog in this process."""
        return load_handler(WATCHDOG)({}, LocalContext("watchdog", seconds))

    def invoke_process(self, event: object, *, seconds: float = 60.0) -> subprocess.Popen[str]:
        """Invoke the cron function in a process of its own."""
        command = [sys.executable, "-m", "ops.local.invoke", CRON, json.dumps(event), "--timeout", str(seconds)]
        return subprocess.Popen(
            command, env={**os.environ, **self.environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def configure(self, settings: Mapping[str, str]) -> None:
        """Let the roles log in, put the secrets, and fill both environments."""
        self.put_secrets(self.fill_environments(settings))

    def fill_environments(self, settings: Mapping[str, str]) -> dict[str, str]:
        """Fill both environments; return the names of their secrets."""
        # Names of their own: secrets are cached in a warm process, and a test may start many stacks.
        prefix = f"reminders/{uuid.uuid4().hex[:8]}"
        names = {name: f"{prefix}/{name}" for name in SECRETS}
        self.topic_arn = self.aws.topic_arn(TOPIC)
        common = {**self.aws.environment(), "SCHEDULER_TOKEN_SECRET": names["scheduler-token"]}
        alerts = {"ALERT_TOPIC_ARN": self.topic_arn, "SLACK_WEBHOOK_SECRET": names["slack-webhook"]}
        self.environment = {**common, **alerts, "DATABASE_SECRET": names["cron-database"], **settings}
        self.scheduler_environment = {**common, "DATABASE_SECRET": names["scheduler-database"], **settings}
        return names

    def put_secrets(self, names: Mapping[str, str]) -> None:
        """Let the roles log in, and give AWS the secrets and the topic that the environments name."""
        logins = give_logins(self.server, self.database)
        self.aws.put_secret(names["cron-database"], logins["cron_runner"])
        self.aws.put_secret(names["scheduler-database"], logins["reminder_scheduler"])
        self.aws.put_secret(names["scheduler-token"], secrets.token_urlsafe(32))
        self.aws.put_secret(names["slack-webhook"], self.slack.webhook)
        self.aws.create_topic(TOPIC)

    def put(self, name: str, value: str) -> str:
        """Give AWS a further secret of this stack; return its whole name."""
        name = f"{self.environment['DATABASE_SECRET'].rpartition('/')[0]}/{name}"
        self.aws.put_secret(name, value)
        return name


@contextmanager
def function_process(
    environment: Mapping[str, str], handler: str = SCHEDULER, environments: int = 1, log: IO[str] | int = DEVNULL
) -> Iterator[str]:
    """
    A function behind a URL on loopback, by default the scheduler, in processes of its own that end with this one.

    What it logs goes to `log`, by default nowhere.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "ops.local.function_url", handler, "--environments", str(environments)],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None if os.environ.get("REMINDERS_SHOW_LOGS") else log,
        text=True,
    )
    assert process.stdin and process.stdout
    try:
        url = process.stdout.readline().strip()
        if not url:
            raise RuntimeError("the function did not start; REMINDERS_SHOW_LOGS=1 shows why")
        yield url
    finally:
        process.stdin.close()
        process.terminate()
        process.wait()
        process.stdout.close()
