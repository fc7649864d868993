"""What the documents' blocks find: the stack of `reminders local up`, and an account as template.yaml leaves it."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ops.cli.local.up import GROUP
from ops.cli.local_state import LocalState
from ops.cli.targets.base import TargetOptions
from ops.cli.targets.local import Local
from reminders.database import Connection
from tests.cli.operated import COMMAND, Operated
from tests.docs.blocks import ROOT
from tests.docs.desk import Desk
from tests.helpers import supabase_cli


@pytest.fixture(scope="session")
def desk(operated: Operated, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    state = LocalState(**json.loads((operated.state / "local.json").read_text()))
    target = Local(state, TargetOptions())
    deploy(target)
    programs = tmp_path_factory.mktemp("bin")
    python, reminders = shlex.quote(sys.executable), shlex.quote(str(COMMAND))
    program(programs / "aws", f'exec {python} -m tests.docs.aws_cli "$@"')
    # There is no deployed stack here: where the reader's shell names one, `reminders` works on the local one.
    program(programs / "reminders", f'unset REMINDERS_STACK\nexec {reminders} "$@"')
    cron = state.environments["cron"]
    environment = {
        **operated.environment,
        **{name: value for name, value in cron.items() if name.startswith("AWS_")},
        **{name: cron[name] for name in ("DATABASE_SECRET", "SCHEDULER_TOKEN_SECRET", "REMINDER_FUNCTION_URL")},
        "ALERT_TOPIC_ARN": cron["ALERT_TOPIC_ARN"],
        "REMINDERS_STACK": GROUP,
        "DATABASE_URL": state.database_url,
        "PYTHONPATH": str(ROOT),
        "PATH": f"{programs}{os.pathsep}{operated.environment['PATH']}",
    }
    return Desk(environment, state, target.secret(cron["SLACK_WEBHOOK_SECRET"]))


def program(file: Path, script: str) -> None:
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def deploy(target: Local) -> None:
    """The stack with the outputs that the blocks ask for, the log group, and Slack's secret by its documented name."""
    template = {
        "Resources": {"DeadLetters": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {
            "AlertTopicArn": {"Value": target.environment("cron")["ALERT_TOPIC_ARN"]},
            "DeadLetterQueueUrl": {"Value": {"Ref": "DeadLetters"}},
        },
    }
    target.client("cloudformation").create_stack(StackName=GROUP, TemplateBody=json.dumps(template))
    target.client("secretsmanager").create_secret(Name="reminders/slack-webhook", SecretString="old")
    target.client("logs").create_log_group(logGroupName=f"/aws/lambda/{GROUP}-scheduler")


@pytest.fixture(params=["by dbmate", pytest.param("by the CLI", marks=pytest.mark.matrix)])
def supabase(request: pytest.FixtureRequest) -> str:
    """The shell's words for the Supabase CLI, which npm may take long to install, or for what stands in for it."""
    if request.param == "by the CLI":
        return shlex.quote(request.getfixturevalue("cli"))
    return f"{shlex.quote(sys.executable)} -m tests.docs.supabase_cli"


@pytest.fixture
def runner(desk: Desk) -> Iterator[Connection]:
    """As cron_runner, in a session named as a run's."""
    with psycopg.connect(desk.login("cron"), autocommit=True, application_name="reminders-lock") as connection:
        yield connection


@pytest.fixture(scope="session")
def cli(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Supabase CLI's path."""
    return supabase_cli.installed(tmp_path_factory.mktemp("supabase"))
