"""A deployed stack: names from its outputs, questions before changes, and a schedule that keeps all but its state."""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from ops.cli.main import main
from ops.cli.targets.base import TargetOptions
from ops.cli.targets.deployed import Deployed
from tests.cli.site import Site
from tests.helpers.cases import table

TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"},
         "Action": "sts:AssumeRole"}]}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Deployment:
    """A stack in moto's CloudFormation, with functions, and the site whose database and schedule are its."""

    site: Site
    name: str

    def answers(self, result: object) -> None:
        """What the cron function will answer, once."""
        from moto.awslambda_simple.models import lambda_simple_backends

        backend = lambda_simple_backends["123456789012"]["eu-west-2"]
        backend.lambda_simple_results_queue[:] = [json.dumps(result)]


@pytest.fixture
def deployment(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    from moto.core.config import default_user_config

    monkeypatch.setitem(default_user_config["lambda"], "use_docker", False)
    monkeypatch.setenv("DATABASE_URL", site.stack.owner_dsn)
    name = f"reminders-{uuid.uuid4().hex[:6]}"
    for function in ("cron", "scheduler", "watchdog", "admin"):
        make_function(site, f"{name}-{function}", dict(site.target.environment(function)))
    outputs = {f"{f.title()}FunctionName": f"{name}-{f}" for f in ("cron", "scheduler", "watchdog", "admin")}
    outputs["ScheduleName"] = site.target.schedule_name
    template = {
        "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {key: {"Value": value} for key, value in outputs.items()},
    }
    site.stack.aws.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template))
    yield Deployment(site, name)


def make_function(site: Site, name: str, environment: dict[str, str]) -> None:
    roles = site.stack.aws.client("iam")
    role = roles.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("x.py", "")
    site.stack.aws.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=role,
        Handler="x.handler",
        Code={"ZipFile": code.getvalue()},
        Environment={"Variables": {key: value for key, value in environment.items() if not key.startswith("AWS_")}},
    )


def schedule_of(site: Site) -> dict[str, Any]:
    group, _, name = site.target.schedule_name.partition("/")
    found: dict[str, Any] = site.stack.aws.client("scheduler").get_schedule(Name=name, GroupName=group)
    return {key: value for key, value in found.items() if key not in {"LastModificationDate", "ResponseMetadata"}}


def said(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_pausing_keeps_everything_but_the_state(deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    """Target, input, retries, description: UpdateSchedule would forget what it is not sent again."""
    before = schedule_of(deployment.site)
    assert 0 == main(["pause", "--stack", deployment.name, "--yes", "--reason", "a test", "--json"])
    assert {**before, "State": "DISABLED"} == schedule_of(deployment.site)
    assert 0 == main(["resume", "--stack", deployment.name, "--yes", "--json"])
    assert before == schedule_of(deployment.site)


@table("command", ["run", "pause", "resume", "alert-test"])
def test_what_changes_production_asks_first(
    deployment: Deployment, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No one can answer here: exit code 4, nothing done, and --yes named."""
    before = schedule_of(deployment.site)
    assert 4 == main([command, "--stack", deployment.name])
    printed = capsys.readouterr().err
    assert deployment.name in printed and "--yes" in printed
    assert before == schedule_of(deployment.site)


def test_run_shows_what_the_function_answered(deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    """Invoked by the name of the outputs; the answer is its JSON."""
    answer = {
        "run_id": "x", "status": "success", "note": None, "assignments_evaluated": 7, "reminders_dispatched": 3,
        "assignments_failed": 0, "duration_ms": 12,
    }  # fmt: skip
    deployment.answers(answer)
    assert 0 == main(["run", "--stack", deployment.name, "--yes", "--json"])
    assert answer == said(capsys)


def test_status_and_doctor_look_at_the_deployed_stack(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """The operator's DATABASE_URL, the functions' settings from Lambda, the schedule from EventBridge."""
    assert 1 == main(["status", "--stack", deployment.name, "--json"])
    assert ["never_succeeded"] == [finding["name"] for finding in said(capsys)["findings"]]
    assert 0 == main(["doctor", "--stack", deployment.name, "--json"])
    found = {finding["check"]: finding["level"] for finding in said(capsys)["findings"]}
    assert ("ok", "ok", "warning") == (found["schedule"], found["scheduler token"], found["Lambda retries"])


def test_database_from_a_secret(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Named, never shown."""
    monkeypatch.delenv("DATABASE_URL")
    assert 2 == main(["status", "--stack", deployment.name])
    assert "--database-secret" in capsys.readouterr().err
    deployment.site.stack.aws.put_secret("operator", deployment.site.stack.owner_dsn)
    assert 0 == main(["migrate", "--check", "--stack", deployment.name, "--database-secret", "operator"])


def test_a_stack_that_is_not_there(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Says so before anything else; exit code 3."""
    assert 3 == main(["status", "--stack", "nowhere"])
    assert "no stack 'nowhere'" in capsys.readouterr().err


def test_migrations_are_not_sent_through_the_pooler(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The transaction pooler's port is refused with the one to take."""
    from ops.cli.commands import migrate
    from ops.cli.errors import CliError

    monkeypatch.setattr(deployment.site.target, "database_url", lambda: "postgresql://x@h:6543/postgres")
    with pytest.raises(CliError, match="transaction pooler"):
        migrate._apply(deployment.site.target, yes=True)


def test_pending_migrations_are_shown_and_applied(deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    """On a database that has none: listed, asked for, applied."""
    from ops.local.database import apply_shim, create_database, drop_database
    from ops.local.server import MIGRATOR

    server = deployment.site.stack.server
    empty = create_database(server, f"empty_{uuid.uuid4().hex[:6]}")
    try:
        apply_shim(server, empty)
        where = ["--stack", deployment.name, "--database", server.dsn(MIGRATOR, empty)]
        assert 1 == main(["migrate", "--check", *where])
        assert "20261121090000_roles.sql" in capsys.readouterr().out
        assert 4 == main(["migrate", *where])
        assert 0 == main(["migrate", "--yes", *where])
        assert 0 == main(["migrate", "--check", *where])
    finally:
        drop_database(server, empty)


@table("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_region_by_either_name(variable: str) -> None:
    """AWS' tools read one or the other: here each is enough."""
    with pytest.MonkeyPatch.context() as patched:
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            patched.delenv(name, raising=False)
        patched.setenv(variable, "eu-north-1")
        patched.setattr(boto3, "DEFAULT_SESSION", None)

        assert "eu-north-1" == Deployed("x", TargetOptions()).client("lambda").meta.region_name


def test_credentials_that_are_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A sentence, not a traceback of boto3's."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_REGION", "eu-west-2")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    assert 3 == main(["status", "--stack", "x", "--database", "postgresql://nobody@127.0.0.1:1/x"])
    assert 3 == main(["status", "--stack", "x"])
    assert "credentials" in capsys.readouterr().err


def test_invocations_that_left_no_row(deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    """CloudWatch counts three errors and the ledger has none: unhealthy, though no row says so."""
    metric = {
        "MetricName": "Errors",
        "Dimensions": [{"Name": "FunctionName", "Value": f"{deployment.name}-cron"}],
        "Timestamp": datetime.now(UTC) - timedelta(minutes=10),
        "Value": 3.0,
    }
    deployment.site.stack.aws.client("cloudwatch").put_metric_data(Namespace="AWS/Lambda", MetricData=[metric])
    assert 1 == main(["status", "--stack", deployment.name, "--json"])
    printed = said(capsys)
    assert {"never_succeeded", "unrecorded"} == {finding["name"] for finding in printed["findings"]}
    assert (3, 0) == (printed["failed_invocations"], printed["failed_invocations_recorded"])


def test_the_functions_log_of_a_deployed_stack(deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    """CloudWatch Logs, warnings and errors of all four functions; information is not shown."""
    client = deployment.site.stack.aws.client("logs")
    now = datetime.now(UTC)
    for function in ("cron", "scheduler", "watchdog", "admin"):
        group = f"/aws/lambda/{deployment.name}-{function}"
        client.create_log_group(logGroupName=group)
        client.create_log_stream(logGroupName=group, logStreamName="x")
        lines = [
            {"level": level, "timestamp": now.isoformat(), "message": f"{function} {level}"}
            for level in ("INFO", "ERROR")
        ]
        events = [{"timestamp": int(now.timestamp() * 1000), "message": json.dumps(line)} for line in lines]
        client.put_log_events(logGroupName=group, logStreamName="x", logEvents=events)
    assert 0 == main(["logs", "--functions", "--stack", deployment.name, "--json"])
    printed = [json.loads(line)["message"] for line in capsys.readouterr().out.splitlines()]
    assert ["admin ERROR", "cron ERROR", "scheduler ERROR", "watchdog ERROR"] == sorted(printed)
