"""An operator's shell, in which the documents' blocks run."""

from __future__ import annotations

from dataclasses import dataclass

from ops.cli.local_state import LocalState
from ops.cli.targets.base import TargetOptions
from ops.cli.targets.local import Local


@dataclass(frozen=True, slots=True)
class Desk:
    """An operator's shell: its environment, and the database."""

    environment: dict[str, str]
    state: LocalState
    webhook: str

    def login(self, function: str) -> str:
        """A function's libpq URI."""
        target = Local(self.state, TargetOptions())
        return target.secret(self.state.environments[function]["DATABASE_SECRET"])
