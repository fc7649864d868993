"""A deployed stack: in moto from the template, with PostgreSQL behind the secrets that it names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from ops.local.aws import Aws
from ops.local.database import give_logins
from ops.local.server import Server
from ops.local.slack import Slack
from ops.local.stack import function_process
from ops.tools.build.artifact import ROOT
from ops.tools.build.pythons import BuildError
from ops.tools.build.sam import sam
from tests import tokens
from tests.deploy.cloud import Cloud, deploy

FOLDER = Path(__file__).resolve().parent
EVENTS = ROOT / "infra" / "events"
RUNBOOK_URL = "https://git.example/reminders/runbook"
HANDLERS = {name: f"handlers.{name}:handler" for name in ("cron", "scheduler", "watchdog", "admin")}


def pytest_collection_finish(session: pytest.Session) -> None:
    """Install SAM CLI before the first test, whose time limit is not meant for that."""
    if not session.config.option.collectonly and any(FOLDER in item.path.parents for item in session.items):
        with suppress(BuildError):  # the fixtures tell
            sam()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one invocation answered, which calls to AWS it made, and which metrics it printed."""

    answer: Any
    calls: list[tuple[str, str, dict[str, Any]]]
    metrics: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Deployed:
    """A stack whose functions can be invoked."""

    cloud: Cloud
    slack: Slack
    secrets: dict[str, str]
    url: str

    def invoke(self, function: str, event: object, **environment: str) -> Outcome:
        """One invocation in a process of its own, with the environment that the deployed function has."""
        deployed = self.cloud.environment(function)
        if "REMINDER_FUNCTION_URL" in deployed:
            deployed["REMINDER_FUNCTION_URL"] = self.url  # no server listens at the made-up address
        done = subprocess.run(
            [sys.executable, "-m", "tests.deploy.recorded", HANDLERS[function], json.dumps(event)],
            env={**os.environ, **deployed, **self.cloud.aws.environment(), **environment},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            check=True,
        )
        printed = json.loads(done.stdout)
        return Outcome(printed["answer"], [(s, o, p) for s, o, p in printed["calls"]], printed["metrics"])

    @contextmanager
    def database_away(self) -> Iterator[None]:
        """The secret of cron and watchdog leads to a port where nothing listens."""
        name = self.secrets["cron-database"]
        dsn = self.cloud.aws.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"]
        self.cloud.aws.put_secret(name, "postgresql://cron_runner:hidden@127.0.0.1:1/nothing")
        yield
        self.cloud.aws.put_secret(name, dsn)


@pytest.fixture(scope="module")
def deployed(server: Server, module_database: str, aws: Aws) -> Iterator[Deployed]:
    prefix = f"deploy-{uuid.uuid4().hex[:8]}"
    names = ("cron-database", "scheduler-database", "admin-database", "scheduler-token", "slack-webhook", "jwt")
    secrets = {name: f"{prefix}/{name}" for name in names}
    cloud = deploy(
        aws,
        {
            "CronDatabaseSecret": secrets["cron-database"],
            "SchedulerDatabaseSecret": secrets["scheduler-database"],
            "AdminDatabaseSecret": secrets["admin-database"],
            "SchedulerTokenSecret": secrets["scheduler-token"],
            "SlackWebhookSecret": secrets["slack-webhook"],
            "SupabaseJwtSecret": secrets["jwt"],
            "SupabaseJwtIssuer": tokens.ISSUER,
            "RunbookUrl": RUNBOOK_URL,
            "AlertEmail": "operators@example.org",
            "AlertThreshold": "1",
        },
    )
    logins = give_logins(server, module_database)
    with Slack() as slack:
        aws.put_secret(secrets["cron-database"], logins["cron_runner"])
        aws.put_secret(secrets["scheduler-database"], logins["reminder_scheduler"])
        aws.put_secret(secrets["admin-database"], logins["contact_admin_api"])
        aws.put_secret(secrets["scheduler-token"], "a-token-for-tests-that-is-long-enough")
        aws.put_secret(secrets["slack-webhook"], slack.webhook)
        aws.put_secret(secrets["jwt"], tokens.SECRET)
        environment = {**cloud.environment("scheduler"), **aws.environment()}
        with function_process(environment) as url:
            yield Deployed(cloud, slack, secrets, url)


Sample = Callable[[str], Any]


_minutes = count(1)


@pytest.fixture
def sample() -> Sample:
    """
    A sample event of infra/events as a person pastes it: its token still a placeholder.

    Each has a scheduled time of its own: a second run of one would be skipped.
    """

    def read(name: str) -> Any:
        now = datetime.now(UTC).replace(microsecond=0)
        tick = (now - timedelta(minutes=next(_minutes))).isoformat().replace("+00:00", "Z")
        fill = {
            "PUT-THE-SCHEDULED-TIME-HERE": tick,
            "2025-11-21T06:00:00Z": tick,
            "2025-11-21T06:15:00Z": tick,
            "PUT-TODAYS-DATE-HERE": now.date().isoformat(),
        }
        text = (EVENTS / f"{name}.json").read_text()
        for placeholder, value in fill.items():
            text = text.replace(placeholder, value)
        return json.loads(text)

    return read
