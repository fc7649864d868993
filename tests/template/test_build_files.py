"""Locks, parameters, sample environments and workflows agree with what they are about."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from ops.tools.build.artifact import ARTIFACTS, LOCKS, ROOT
from tests.template.conftest import Json

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WORKFLOWS = ROOT / ".github" / "workflows"


def pins(lock: Path) -> set[str]:
    return set(re.findall(r"^([\w.-]+==\S+)", lock.read_text(), re.MULTILINE))


def test_artifacts_together_carry_the_dependencies() -> None:
    """What the code may import is what some artifact carries, and the other way round."""
    groups = [PROJECT["dependency-groups"][artifact.lock] for artifact in ARTIFACTS.values()]
    carried = {name.partition("[")[0] for group in groups for name in group}

    assert {name.partition("[")[0] for name in PROJECT["project"]["dependencies"]} | {"cryptography"} == carried


@pytest.mark.parametrize("artifact", sorted({artifact.lock for artifact in ARTIFACTS.values()}))
def test_artifacts_carry_what_was_tested(artifact: str) -> None:
    """The same versions as in the lock that people and CI test with, each with its hashes."""
    lock = LOCKS / f"{artifact}.lock"

    assert set() < pins(lock) <= pins(ROOT / "requirements.lock")
    assert lock.read_text().count("--hash=sha256:") >= len(pins(lock))


@pytest.mark.parametrize("deployment", ["staging", "production"])
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


def test_local_environments_set_variables_that_exist(template: Json) -> None:
    """infra/env.json, for `sam local invoke`: it replaces only what the template sets."""
    for function, variables in json.loads((ROOT / "infra" / "env.json").read_text()).items():
        known = template["Resources"][function]["Properties"]["Environment"]["Variables"]
        assert set(variables) <= set(known), function


def test_continuous_integration_uses_the_same_doors() -> None:
    """CI runs make targets that exist, and no commands of its own for what they do."""
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = {t for file in WORKFLOWS.glob("*.yml") for t in re.findall(r"\bmake ([a-z-]+)", file.read_text())}

    assert {"setup", "lint", "test", "build"} <= used <= targets


def test_deploying_needs_no_stored_key() -> None:
    """A role by OIDC, and a plan before the deployment."""
    deploy = (WORKFLOWS / "deploy.yml").read_text()

    assert "id-token: write" in deploy
    assert "--no-execute-changeset" in deploy
    assert not re.search(r"AWS_SECRET_ACCESS_KEY|aws-secret-access-key", deploy)
