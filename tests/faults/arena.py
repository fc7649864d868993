"""
Where cases are played: several at a time, each in a lane, a little ahead of the tests that judge them.

A case mostly waits: for processes to start, leases to end, retries to come. A test asks for its own case's
aftermath, and waits for no more than what is still missing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from tests.faults.aftermath import Aftermath
from tests.faults.lane import Lane

Play = Callable[[Lane, "Case"], Aftermath]
MakeLane = Callable[[bool], AbstractContextManager[Lane]]


@dataclass(frozen=True, slots=True)
class Case:
    """One fault at one step, directly or through the pooler; `play` does it in a lane, `target` is whom it strikes."""

    play: Play
    step: str
    pooled: bool
    target: str = ""

    def __str__(self) -> str:
        return "-".join(filter(None, [self.target, self.step, "pooled" if self.pooled else "direct"]))


def cases(play: Play, steps: Sequence[str], target: str = "", *, pooled: Sequence[str] | None = None) -> list[Case]:
    """Directly at each of `steps`, and through the pooler at each of `pooled`: at the same, if not said."""
    through = steps if pooled is None else pooled
    return [Case(play, step, False, target) for step in steps] + [Case(play, step, True, target) for step in through]


class Arena:
    """`width` cases are played at a time. `make_lane` says whether the lane's connections are pooled."""

    def __init__(self, make_lane: MakeLane, cases: Sequence[Case], width: int) -> None:
        self._make_lane, self._cases, self._width = make_lane, cases, width
        self._stack = ExitStack()
        self._making = threading.Lock()
        self._pool = ThreadPoolExecutor(width)
        self._free: dict[bool, SimpleQueue[Lane]] = {False: SimpleQueue(), True: SimpleQueue()}
        self._played: dict[Case, Future[Aftermath]] = {}

    def aftermath(self, case: Case) -> Aftermath:
        """Of `case`; the next ones are begun meanwhile."""
        here = self._cases.index(case)
        for coming in self._cases[here : here + self._width]:
            if coming not in self._played:
                self._played[coming] = self._pool.submit(self._play, coming)
        return self._played[case].result()

    def close(self) -> None:
        """After the last case."""
        self._pool.shutdown()
        self._stack.close()

    def _play(self, case: Case) -> Aftermath:
        """A lane where a case went wrong is not used again."""
        lane = self._lane(case.pooled)
        lane.begin()
        aftermath = case.play(lane, case)
        self._free[case.pooled].put(lane)
        return aftermath

    def _lane(self, pooled: bool) -> Lane:
        try:
            return self._free[pooled].get_nowait()
        except Empty:
            with self._making:
                return self._stack.enter_context(self._make_lane(pooled))
