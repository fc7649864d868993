"""Runs stories, each in a world of its own, on one server."""

from __future__ import annotations

import gc
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from handlers.wiring.alerts import unrecorded_failures
from ops.local.server import Server, any_server
from tests.faults.crashing_postgres import CrashingPostgres
from tests.faults.processes import Processes
from tests.simulation.simulation import Progress, Simulation
from tests.simulation.situation import Violation
from tests.simulation.story import Event
from tests.simulation.world import make_world, simulated_database

# A small database, and thousands of short sessions: each maps what it touches of the shared memory.
SETTINGS = {"shared_buffers": "64MB", "max_connections": "60"}


@dataclass(frozen=True, slots=True)
class Failure:
    """A promise that was broken."""

    day: int
    text: str


@dataclass(frozen=True, slots=True)
class Runner:
    """`template` is a database with the migrations and a clock that can be set."""

    server: Server
    template: str
    processes: Processes

    @classmethod
    def start(cls, stack: ExitStack, migrations: Path) -> Runner:
        """A server, and a process that forks functions; `stack` stops them."""
        gc.set_threshold(50_000, 50, 100)  # the model keeps a year of small objects
        server: Server = (
            stack.enter_context(any_server())
            if "DATABASE_URL" in os.environ
            else stack.enter_context(CrashingPostgres.start(settings=SETTINGS))
        )
        processes = stack.enter_context(Processes())
        return cls(server, stack.enter_context(simulated_database(server, migrations)), processes)

    def run(self, story: Sequence[Event], days: int, progress: Progress | None = None) -> Failure | None:
        """The first promise that the story breaks within `days` days."""
        unrecorded_failures.cache_clear()  # a new process has reported nothing
        with make_world(self.server, self.template, self.processes) as world:
            simulation = Simulation(world, story, days, progress)
            try:
                simulation.run()
            except Violation as violation:
                return Failure(simulation.day, str(violation))
        return None
