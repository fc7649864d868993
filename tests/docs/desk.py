"""An operator's shell, in which the documents' blocks run."""

from __future__ import annotations

from dataclasses import dataclass

from ops.cli.local_state import LocalState
from ops.cli.local_target import Local
from ops.cli.targets import Asked


@dataclass(frozen=True, slots=True)
class Desk:
    """An operator's shell: its environment, and the database."""

    environment: dict[str, str]
    state: LocalState
    webhook: str

    def login(self, function: str) -> str:
        """A function's libpq URI."""
        target = Local(self.state, Asked())
        return target.secret(self.state.environments[function]["DATABASE_SECRET"])
