"""
Everything that docs/deploy.md's blocks talk to, on loopback: Supabase, AWS, Slack, and a folder like the project's.

Real: bash, psql, openssl, `reminders`, and `supabase` where it can be had. `aws` is tests/docs/aws_cli.py. `make` looks
only whether it has the targets. `git` brings a new migration. `sam` only repeats its words: test_deploy.py checks them.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from ops.local.aws import Aws
from ops.local.database import apply_shim
from ops.local.postgres import Postgres
from ops.local.seed import seed
from ops.local.server import MIGRATOR
from ops.local.slack import Slack
from ops.local.stack import function_process
from tests.cli.operated import shell_environment
from tests.docs.blocks import ROOT
from tests.docs.pooler import Pooler
from tests.docs.terminal import Terminal

STACK = "assignment-reminders"
REFERENCE = "abcdefghijklmnopqrst"
DATABASE = "postgres"
MESSAGE_SECRETS = ("courier-database", "feedback-database", "unsubscribe-key")
SECRETS = ("cron-database", "scheduler-database", "admin-database", "scheduler-token", "slack-webhook")
NEW_MIGRATION = "29991231235959_new.sql"


@dataclass(frozen=True, slots=True)
class Deployer:
    """A person who deploys; `values` are theirs for the words to replace in the first block."""

    terminal: Terminal
    server: Postgres
    aws: Aws
    slack: Slack
    topic: str
    folder: Path
    values: dict[str, str]

    def secret(self, name: str) -> str:
        """The text of `reminders/NAME`."""
        answer = self.aws.client("secretsmanager").get_secret_value(SecretId=f"reminders/{name}")
        return str(answer["SecretString"]).strip()

    def one(self, query: str) -> Any:
        """One value, as `postgres`."""
        with psycopg.connect(self.server.dsn(MIGRATOR, DATABASE), autocommit=True) as connection:
            row = connection.execute(query.encode()).fetchone()
        return row and row[0]

    def assign(self, number: int) -> None:
        """Let the app have assignments."""
        with psycopg.connect(self.server.dsn(MIGRATOR, DATABASE), autocommit=True) as connection:
            seed(connection, assignments=number, today=datetime.now(UTC).date())


@contextmanager
def deployer(supabase: str, folder: Path) -> Iterator[Deployer]:
    with ExitStack() as stack:
        # Its own: the blocks change the passwords of roles, which belong to the whole server.
        server = stack.enter_context(Postgres.start())
        apply_shim(server, DATABASE)
        pooler = stack.enter_context(Pooler(server.port, REFERENCE, folder))
        slack = stack.enter_context(Slack())
        # Its own, because the page's secrets have names that other tests use too.
        aws = stack.enter_context(Aws.start())
        functions = _functions(aws)
        url = stack.enter_context(function_process(functions["SchedulerFunction"]))
        _stack_outputs(aws, url)
        cron = {**functions["CronFunction"], "REMINDER_FUNCTION_URL": url}
        project = _project(folder)
        terminal = stack.enter_context(Terminal(project, {**_environment(folder, supabase), **cron}))
        place = f"127.0.0.1:{pooler.port}"
        values = {
            "postgres.PROJECT": f"postgres.{REFERENCE}",
            "'PROJECT'": f"'{REFERENCE}'",
            "OWNER-PASSWORD": server.password(MIGRATOR),
            "POOLER-HOST:5432": place,
            "POOLER-HOST:6543": place,
        }
        yield Deployer(terminal, server, aws, slack, cron["ALERT_TOPIC_ARN"], project, values)


def _functions(aws: Aws) -> dict[str, dict[str, str]]:
    """The functions' environments, as template.yaml has them with the answers that the page recommends."""
    names: dict[str, dict[str, str]] = json.loads((ROOT / "infra" / "env.json").read_text())
    alerts = {"ALERT_TOPIC_ARN": aws.create_topic("deployed-alerts"), "SLACK_WEBHOOK_SECRET": "reminders/slack-webhook"}
    return {name: {**aws.environment(), **given, **alerts} for name, given in names.items()}


def _stack_outputs(aws: Aws, url: str) -> None:
    resources = {"Queue": {"Type": "AWS::SQS::Queue"}}
    template = {"Resources": resources, "Outputs": {"SchedulerUrl": {"Value": url}}}
    aws.client("cloudformation").create_stack(StackName=STACK, TemplateBody=json.dumps(template))


def _environment(folder: Path, supabase: str) -> dict[str, str]:
    programs = folder / "bin"
    make = shutil.which("make") or "make"
    _program(programs / "aws", f'exec {shlex.quote(sys.executable)} -m tests.docs.aws_cli "$@"')
    _program(programs / "supabase", f'exec {supabase} "$@"')
    _program(programs / "make", f'exec {make} --directory {shlex.quote(str(ROOT))} --dry-run "$@" >/dev/null')
    _program(programs / "git", f"printf -- '-- migrate:up\\n-- migrate:down\\n' >migrations/{NEW_MIGRATION}")
    _program(folder / "project" / "build" / "sam" / "bin" / "sam", 'echo "sam $*"')
    shell = {name: value for name, value in shell_environment(folder).items() if not name.startswith("MAKE")}
    private = {"HOME": str(folder), "DO_NOT_TRACK": "1", "SUPABASE_TELEMETRY_DISABLED": "1"}
    return {**shell, **private, "PYTHONPATH": str(ROOT), "PATH": f"{programs}{os.pathsep}{shell['PATH']}"}


def _project(folder: Path) -> Path:
    """What the blocks need of the project's folder, where they may write."""
    project = folder / "project"
    (project / ".venv").mkdir(parents=True)
    shutil.copytree(ROOT / "migrations", project / "migrations")
    (project / "infra").symlink_to(ROOT / "infra")
    (project / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    return project


def _program(file: Path, script: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
