"""The template as CloudFormation will get it, and the two that it takes in."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from ops.tools.build.pythons import BuildError
from ops.tools.build.sam import sam
from tests.helpers.transformed import transform_template
from tests.template.reading import Json

FOLDER = Path(__file__).resolve().parent


def pytest_collection_finish(session: pytest.Session) -> None:
    """Install SAM CLI before the first test, whose time limit is not meant for that."""
    if not session.config.option.collectonly and any(FOLDER in item.path.parents for item in session.items):
        with suppress(BuildError):  # the fixtures tell
            sam()


@pytest.fixture(scope="session")
def template() -> Json:
    """template.yaml after SAM's transformation. (Shadows the database's template of the other tests.)"""
    return transform_template("template.yaml")


@pytest.fixture(scope="session")
def resources(template: Json) -> Json:
    return template["Resources"]


@pytest.fixture(scope="session")
def nested() -> Json:
    """The templates of infra, by their logical ids in template.yaml."""
    files = {"Alarms": "alarms", "MessageAlarms": "message-alarms", "Dashboard": "dashboard"}
    return {name: transform_template(f"infra/{file}.yaml") for name, file in files.items()}


@pytest.fixture(scope="session")
def alarms(nested: Json) -> Json:
    """The alarms' properties, by logical id; those about messages as well."""
    every = nested["Alarms"]["Resources"] | nested["MessageAlarms"]["Resources"]
    return {name: alarm["Properties"] for name, alarm in every.items()}
