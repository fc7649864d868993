"""
One fault at one step: a case, and the environments in which cases run.

A case mostly waits: for leases to end and retries to come. So the whole matrix runs with more workers than cores
(`make test-all`), and `make test` takes the first case of each outcome that a fault can have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass

import pytest
from _pytest.mark import ParameterSet

from tests.faults.environment import FaultEnvironment
from tests.faults.outcome import Outcome

Inject = Callable[[FaultEnvironment, "Case"], Outcome]
MakeEnvironment = Callable[[bool], AbstractContextManager[FaultEnvironment]]


@dataclass(frozen=True, slots=True)
class Case:
    """
    One fault at one step.

    `inject` starts a run, makes the fault and observes the outcome; `target` names the connection that it concerns.
    `pooled`: the functions reach PostgreSQL through PgBouncer.
    """

    inject: Inject
    step: str
    pooled: bool
    target: str = ""

    def __str__(self) -> str:
        return "-".join(filter(None, [self.target, self.step, "pooled" if self.pooled else "direct"]))


def cases(inject: Inject, steps: Sequence[str], target: str = "", *, pooled: Sequence[str] | None = None) -> list[Case]:
    """Directly at each of `steps`, and through the pooler at each of `pooled` (the same steps when not given)."""
    through = steps if pooled is None else pooled
    return [Case(inject, step, False, target) for step in steps] + [
        Case(inject, step, True, target) for step in through
    ]


def one_per_outcome(every: Sequence[Case], expected: Callable[[Case], Outcome]) -> list[ParameterSet]:
    """All cases as pytest parameters; only the first of each expected outcome is outside the matrix."""
    outcomes = [expected(case) for case in every]
    return [
        pytest.param(case, id=str(case), marks=[pytest.mark.matrix] if outcome in outcomes[:index] else [])
        for index, (case, outcome) in enumerate(zip(every, outcomes, strict=True))
    ]


class CaseRunner:
    """Runs cases one after the other, in an environment for direct and one for pooled connections."""

    def __init__(self, make_environment: MakeEnvironment) -> None:
        self._make_environment = make_environment
        self._open: dict[bool, tuple[ExitStack, FaultEnvironment]] = {}

    def outcome(self, case: Case) -> Outcome:
        """Of `case`. An environment in which a case raised is not used again."""
        env = self._environment(case.pooled)
        try:
            env.reset()
            return case.inject(env, case)
        except BaseException:
            self._close(case.pooled)
            raise

    def close(self) -> None:
        """Close both environments."""
        for pooled in list(self._open):
            self._close(pooled)

    def _environment(self, pooled: bool) -> FaultEnvironment:
        if pooled not in self._open:
            stack = ExitStack()
            self._open[pooled] = stack, stack.enter_context(self._make_environment(pooled))
        return self._open[pooled][1]

    def _close(self, pooled: bool) -> None:
        stack, _ = self._open.pop(pooled)
        stack.close()
