"""The template as CloudFormation will get it, and the two that it takes in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.tools.build.artifact import ROOT
from ops.tools.build.pythons import BuildError
from ops.tools.build.sam import sam, transformed

FOLDER = Path(__file__).resolve().parent
Json = Any


def pytest_collection_finish(session: pytest.Session) -> None:
    """Install SAM CLI before the first test, whose time limit is not meant for that."""
    if not session.config.option.collectonly and any(FOLDER in item.path.parents for item in session.items):
        with suppress(BuildError):  # the fixtures tell
            sam()


@pytest.fixture(scope="session")
def template() -> Json:
    """template.yaml after SAM's transformation. (Shadows the database's template of the other tests.)"""
    return transformed("template.yaml")


@pytest.fixture(scope="session")
def resources(template: Json) -> Json:
    return template["Resources"]


@pytest.fixture(scope="session")
def nested() -> Json:
    """The templates of infra, by their logical ids in template.yaml."""
    files = {"Alarms": "alarms", "MessageAlarms": "message-alarms", "Dashboard": "dashboard"}
    return {name: transformed(f"infra/{file}.yaml") for name, file in files.items()}


@pytest.fixture(scope="session")
def alarms(nested: Json) -> Json:
    """The alarms' properties, by logical id; those about messages as well."""
    every = nested["Alarms"]["Resources"] | nested["MessageAlarms"]["Resources"]
    return {name: alarm["Properties"] for name, alarm in every.items()}


class _Reader(yaml.SafeLoader):
    """Reads CloudFormation's short forms (!Ref, !Sub) as their plain values."""


_Reader.add_multi_constructor("!", lambda loader, _, node: _plain(loader, node))


def _plain(loader: yaml.SafeLoader, node: yaml.Node) -> Json:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    return loader.construct_sequence(node, True) if isinstance(node, yaml.SequenceNode) else None


def source(template: str) -> Json:
    """A template as it is written, before any transformation."""
    return yaml.load((ROOT / template).read_text(), _Reader)


def walk(value: Json) -> Iterator[Json]:
    """`value` and all that is in it."""
    yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(part)


def statements(role: Json) -> list[Json]:
    """A role's statements, those under a condition as if it held."""
    found = [s for policy in role["Properties"]["Policies"] for s in policy["PolicyDocument"]["Statement"]]
    return [statement["Fn::If"][1] if "Fn::If" in statement else statement for statement in found]


def listed(value: Json) -> list[Json]:
    """IAM takes one or many; those under a condition as if it held."""
    return [
        one["Fn::If"][1] if isinstance(one, dict) and "Fn::If" in one else one
        for one in (value if isinstance(value, list) else [value])
    ]
