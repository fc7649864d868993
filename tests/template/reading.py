"""Reading templates: as they are written, and what stands in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from ops.tools.build.artifact import ROOT

Json = Any


class _Reader(yaml.SafeLoader):
    """Reads CloudFormation's short forms (!Ref, !Sub) as their plain values."""


def _plain(loader: yaml.SafeLoader, node: yaml.Node) -> Json:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    return loader.construct_sequence(node, True) if isinstance(node, yaml.SequenceNode) else None


_Reader.add_multi_constructor("!", lambda loader, _, node: _plain(loader, node))


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
