"""A stack in this process that a test may break, and the target that the command sees of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ops.cli.targets.local import Local
from ops.local.stack import LocalStack


@dataclass(slots=True)
class Site:
    """A stack in this process, to be broken, and the target that the command sees of it."""

    stack: LocalStack
    target: Local
    groups: list[str] = field(default_factory=list)

    def put(self, function: str, variable: str, value: str) -> None:
        """Give the secret that `variable` names another value."""
        self.stack.aws.put_secret(self.target.environment(function)[variable], value)

    def change_schedule(self, **changes: Any) -> None:
        """UpdateSchedule wants all of it."""
        client = self.stack.aws.client("scheduler")
        group, _, name = self.target.schedule_name.partition("/")
        whole = client.get_schedule(Name=name, GroupName=group)
        for key in ("Arn", "CreationDate", "LastModificationDate", "ResponseMetadata"):
            whole.pop(key, None)
        client.update_schedule(**{**whole, **changes})
