"""A database as the only target: DATABASE_URL or --database, and no stack."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ops.cli.errors import WRONG_USE, CliError
from ops.cli.targets.base import Answer, Failures, Target, TargetOptions


class BareDatabase(Target):
    """A target without AWS."""

    def __init__(self, options: TargetOptions) -> None:
        super().__init__(options)
        self.title = f"database {place_of(self.database_url())}"

    @property
    def schedule_name(self) -> str:
        raise self._needs_a_stack()

    def function_name(self, function: str) -> str:
        raise self._needs_a_stack()

    def failures(self, since: datetime) -> Failures:
        raise self._needs_a_stack()

    def log_lines(self, function: str, since: datetime) -> list[dict[str, Any]]:
        raise self._needs_a_stack()

    def client(self, service: str, **config: Any) -> Any:
        raise self._needs_a_stack()

    def environment(self, function: str) -> Mapping[str, str]:
        raise self._needs_a_stack()

    def invoke(self, event: Mapping[str, Any], *, wait: bool = True) -> Answer:
        raise self._needs_a_stack()

    def database_url(self) -> str:
        return self.options.database or os.environ["DATABASE_URL"]

    def _needs_a_stack(self) -> CliError:
        hint = "Name a deployed one with --stack, or a running `reminders local up` with --local."
        return CliError("This needs a stack, and only a database is known.", hint, WRONG_USE)


def place_of(url: str) -> str:
    """Database, host and port of a libpq URI: "postgres at db.example.org:5432"."""
    import psycopg
    from psycopg import conninfo

    try:
        found = conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return "of a URI that cannot be read"
    if "@" in f"{found.get('host', '')}{found.get('dbname', '')}":
        return "of a URI that cannot be read"  # part of the password is there
    host = found.get("host") or found.get("hostaddr") or "the local socket"
    return f"{found.get('dbname') or 'postgres'} at {host}:{found.get('port') or 5432}"
