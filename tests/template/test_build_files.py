"""Locks, parameters, sample environments and workflows agree with what they are about."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from ops.tools.build.artifact import ARTIFACTS, LOCKS, ROOT
from reminders.errors import SettingsError
from reminders.settings import CronSettings
from tests.helpers.cases import table
from tests.template.reading import Json

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WORKFLOWS = ROOT / ".github" / "workflows"


def pins(lock: Path) -> set[str]:
    return set(re.findall(r"^([\w.-]+==\S+)", lock.read_text(), re.MULTILINE))


def test_artifacts_together_carry_the_dependencies() -> None:
    """What the code may import is what some artifact carries, and the other way round."""
    groups = [PROJECT["dependency-groups"][artifact.lock] for artifact in ARTIFACTS.values()]
    carried = {name.partition("[")[0] for group in groups for name in group}

    assert {name.partition("[")[0] for name in PROJECT["project"]["dependencies"]} | {"cryptography"} == carried


@table("artifact", sorted({artifact.lock for artifact in ARTIFACTS.values()}))
def test_artifacts_carry_what_was_tested(artifact: str) -> None:
    """The same versions as in the lock that people and CI test with, each with its hashes."""
    lock = LOCKS / f"{artifact}.lock"

    assert set() < pins(lock) <= pins(ROOT / "requirements.lock")
    assert lock.read_text().count("--hash=sha256:") >= len(pins(lock))


@table("deployment", ["staging", "production"])
def test_deployments_set_parameters_that_exist(deployment: str, template: Json) -> None:
    given = yaml.safe_load((ROOT / "infra" / "parameters" / f"{deployment}.yaml").read_text())

    assert set(given) <= set(template["Parameters"])


def test_staging_and_production_share_no_secret() -> None:
    names = [
        {v for k, v in yaml.safe_load(file.read_text()).items() if k.endswith("Secret")}
        for file in sorted((ROOT / "infra" / "parameters").glob("*.yaml"))
    ]

    assert 2 == len(names)
    assert set() == names[0] & names[1]


def test_environment_file_is_for_each_function(template: Json) -> None:
    """infra/env.json, for `sam local invoke`: it names every function, and replaces only what the template sets."""
    functions = {name: it for name, it in template["Resources"].items() if it["Type"] == "AWS::Lambda::Function"}
    given = json.loads((ROOT / "infra" / "env.json").read_text())

    assert set(functions) == set(given)
    for function, variables in given.items():
        assert set(variables) <= set(functions[function]["Properties"]["Environment"]["Variables"]), function


def test_environment_file_reaches_the_scheduler_over_http() -> None:
    """In the cron function's own process the service would run as cron_runner, which may not read assignments."""
    given = json.loads((ROOT / "infra" / "env.json").read_text())

    assert "PUT-THE-SCHEDULER-URL-HERE" == given["CronFunction"]["REMINDER_FUNCTION_URL"]
    with pytest.raises(SettingsError, match="REMINDER_FUNCTION_URL"):
        CronSettings.read(given["CronFunction"])


def test_sample_events_are_on_the_page() -> None:
    """docs/deploy.md explains each, and has the command that `make test-sam` runs."""
    page = (ROOT / "docs" / "deploy.md").read_text()
    names = [path.name for path in (ROOT / "infra" / "events").glob("*.json")]
    commands = {name: f"reminders local invoke {name.partition('-')[0]} infra/events/{name}\n" for name in names}

    assert [] == [name for name in names if f"| `{name}` |" not in page or commands[name] not in page]


def test_continuous_integration_uses_make() -> None:
    """CI runs make targets that exist, and no commands of its own for what they do."""
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = {t for file in WORKFLOWS.glob("*.yml") for t in re.findall(r"\bmake ([a-z-]+)", file.read_text())}

    assert {"setup", "lint", "test-all", "build"} <= used <= targets


def test_deploying_needs_no_stored_key() -> None:
    """A role by OIDC, and a plan before the deployment."""
    deploy = (WORKFLOWS / "deploy.yml").read_text()

    assert "id-token: write" in deploy
    assert "--no-execute-changeset" in deploy
    assert not re.search(r"AWS_SECRET_ACCESS_KEY|aws-secret-access-key", deploy)
