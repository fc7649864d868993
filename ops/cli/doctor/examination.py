"""What the checks share: the target, one connection, and the type of a finding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ops.cli.errors import CliError
from ops.cli.targets.base import Target
from reminders.database import Connection

Level = Literal["ok", "warning", "problem", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found. `fix` is empty where nothing needs to be done."""

    level: Level
    what: str
    fix: str = ""


def ok(what: str) -> Finding:
    return Finding("ok", what)


def problem(what: str, fix: str) -> Finding:
    return Finding("problem", what, fix)


def warning(what: str, fix: str) -> Finding:
    return Finding("warning", what, fix)


@dataclass(slots=True)
class Examination:
    """The target that is checked. `connection` is the operator's; None when `unreachable` says why there is none."""

    target: Target
    connection: Connection | None = None
    unreachable: Finding | None = None
    _secrets: dict[str, str] = field(default_factory=dict)

    @property
    def database(self) -> Connection:
        if self.connection is None:
            raise Skipped("the database cannot be reached")
        return self.connection

    @property
    def courier(self) -> Mapping[str, str]:
        """The courier's environment; empty where no messages are sent, and of a bare database."""
        try:
            return self.target.environment("courier")
        except CliError:
            return {}

    def rows(self, query: str, *values: Any) -> list[Any]:
        return self.database.execute(query.encode(), values or None).fetchall()

    def secret(self, name: str) -> str:
        """Read once; boto3's errors are the check's."""
        if name not in self._secrets:
            self._secrets[name] = self.target.secret(name)
        return self._secrets[name]


class Skipped(Exception):
    """This check does not apply; the message has the reason."""


CheckFunction = Callable[[Examination], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name, as `doctor` shows it, its function, and the sentence that is shown when it finds nothing."""

    name: str
    run: CheckFunction
    ok: str = ""
