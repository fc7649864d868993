"""An environment for couriers, with a database of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from ops.local.server import Server
from tests.faults.messages.environment import CourierEnvironment
from tests.faults.pgbouncer import installed
from tests.faults.processes import Processes


@pytest.fixture
def pooled() -> bool:
    """Whether couriers reach PostgreSQL through PgBouncer; a test may say so by a parameter."""
    return False


@pytest.fixture
def env(
    request: pytest.FixtureRequest, server: Server, database: str, processes: Processes, pooled: bool
) -> Iterator[CourierEnvironment]:
    if pooled and not installed():
        pytest.skip("pgbouncer is not installed (Debian: apt install pgbouncer)")
    pooler = request.getfixturevalue("pooler") if pooled else None
    with ExitStack() as stack:
        yield CourierEnvironment(server, pooler, database, processes, stack)
